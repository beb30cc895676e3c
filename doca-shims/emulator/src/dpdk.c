/* The bridge to DPDK, as much as bring-up before 3.3 asks of it: devices are probed, and that is all. */
#include "../include/doca_dpdk.h"
#include "../include/rte_eal.h"
#include "internal.h"

int rte_eal_init(int argc, char **argv)
{
    return argc < 1 || !argv ? -1 : argc;
}

int rte_eal_cleanup(void)
{
    return 0;
}

doca_error_t doca_dpdk_port_probe(struct doca_dev *dev, const char *devargs)
{
    return emu_dev_known(dev) && devargs ? DOCA_SUCCESS : DOCA_ERROR_INVALID_VALUE;
}

doca_error_t doca_dpdk_get_first_port_id(const struct doca_dev *dev, uint16_t *port_id)
{
    if (!emu_dev_known(dev) || !port_id)
        return DOCA_ERROR_INVALID_VALUE;
    *port_id = 0;
    return DOCA_SUCCESS;
}

/* Port ids count up from the physical function's: the first representor is 1. */
doca_error_t doca_dpdk_open_dev_rep_by_port_id(uint16_t port_id, struct doca_dev *dev, struct doca_dev_rep **rep)
{
    struct doca_devinfo_rep **list;
    uint32_t count;
    if (port_id == 0 || !rep)
        return DOCA_ERROR_INVALID_VALUE;
    doca_error_t result = doca_devinfo_rep_create_list(dev, DOCA_DEVINFO_REP_FILTER_NET, &list, &count);
    if (result != DOCA_SUCCESS)
        return result;
    result = port_id <= count ? doca_dev_rep_open(list[port_id - 1], rep) : DOCA_ERROR_NOT_FOUND;
    doca_devinfo_rep_destroy_list(list);
    return result;
}

#if DOCA_EMULATED_SHAPE >= 32
doca_error_t doca_dpdk_port_probe_with_representors(struct doca_dev *dev, const char *devargs,
                            struct doca_dev_rep *reps[], uint16_t count)
{
    if (!emu_dev_known(dev) || !devargs || (count > 0 && !reps))
        return DOCA_ERROR_INVALID_VALUE;
    for (uint16_t i = 0; i < count; i++)
        if (!emu_rep_known(reps[i]))
            return DOCA_ERROR_INVALID_VALUE;
    return DOCA_SUCCESS;
}
#endif
