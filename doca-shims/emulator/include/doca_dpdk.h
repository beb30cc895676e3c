/* The bridge to DPDK, which releases before 3.3 cannot do without: a device is probed before its ports are started. */
#ifndef DOCA_DPDK_H_
#define DOCA_DPDK_H_

#include <stdint.h>

#include "doca_dev.h"
#include "doca_version.h"

DOCA_EXPERIMENTAL doca_error_t doca_dpdk_port_probe(struct doca_dev *dev, const char *devargs);
DOCA_EXPERIMENTAL doca_error_t doca_dpdk_get_first_port_id(const struct doca_dev *dev, uint16_t *port_id);
DOCA_EXPERIMENTAL doca_error_t doca_dpdk_open_dev_rep_by_port_id(uint16_t port_id, struct doca_dev *dev,
                                 struct doca_dev_rep **rep);
#if DOCA_EMULATED_SHAPE >= 32
DOCA_EXPERIMENTAL doca_error_t doca_dpdk_port_probe_with_representors(struct doca_dev *dev, const char *devargs,
                                      struct doca_dev_rep *reps[], uint16_t count);
#endif

#endif
