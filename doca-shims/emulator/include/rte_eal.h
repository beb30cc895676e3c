/* The two calls of the DPDK environment that bring-up before 3.3 makes. The emulator has no environment: both succeed. */
#ifndef RTE_EAL_H_
#define RTE_EAL_H_

int rte_eal_init(int argc, char **argv);
int rte_eal_cleanup(void);

#endif
