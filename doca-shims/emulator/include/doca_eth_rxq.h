/* Receive queues of DOCA Ethernet: what pipes forward to queues arrives here. Managed memory only, in batches. A queue without free
 * memory loses what comes. */
#ifndef DOCA_ETH_RXQ_H_
#define DOCA_ETH_RXQ_H_

#include <stdint.h>

#include "doca_buf.h"
#include "doca_compat.h"
#include "doca_ctx.h"
#include "doca_error.h"
#include "doca_mmap.h"
#include "doca_pe.h"
#include "doca_types.h"

struct doca_dev;
struct doca_eth_rxq;

enum doca_eth_rxq_type {
    DOCA_ETH_RXQ_TYPE_CYCLIC = 0,
    DOCA_ETH_RXQ_TYPE_MANAGED_MEMPOOL = 1,
    DOCA_ETH_RXQ_TYPE_REGULAR = 2,
};

DOCA_STABLE doca_error_t doca_eth_rxq_create(struct doca_dev *dev, uint32_t max_burst_size, uint32_t max_packet_size,
                                             struct doca_eth_rxq **eth_rxq);
/* BAD_STATE while it is started. */
DOCA_STABLE doca_error_t doca_eth_rxq_destroy(struct doca_eth_rxq *eth_rxq);
DOCA_STABLE doca_error_t doca_eth_rxq_set_type(struct doca_eth_rxq *eth_rxq, enum doca_eth_rxq_type type);
DOCA_STABLE doca_error_t doca_eth_rxq_set_pkt_buf(struct doca_eth_rxq *eth_rxq, struct doca_mmap *mmap,
                                                  uint32_t mmap_offset, uint32_t mmap_len);
DOCA_STABLE struct doca_ctx *doca_eth_rxq_as_doca_ctx(struct doca_eth_rxq *eth_rxq);
/* The number by which pipes know the queue; once it is started. */
DOCA_EXPERIMENTAL doca_error_t doca_eth_rxq_apply_queue_id(struct doca_eth_rxq *eth_rxq, uint16_t queue_id);

#endif
