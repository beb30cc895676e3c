/* The CPU's side of a receive queue: frames in batches, by callback from doca_pe_progress. */
#ifndef DOCA_ETH_RXQ_CPU_DATA_PATH_H_
#define DOCA_ETH_RXQ_CPU_DATA_PATH_H_

#include "doca_eth_rxq.h"

struct doca_eth_rxq_event_batch_managed_recv;

typedef void (*doca_eth_rxq_event_batch_managed_recv_handler_cb_t)(
    struct doca_eth_rxq_event_batch_managed_recv *event, uint16_t events_number, union doca_data user_data,
    doca_error_t status, struct doca_buf **pkt_array);

DOCA_EXPERIMENTAL doca_error_t doca_eth_rxq_event_batch_managed_recv_register(
    struct doca_eth_rxq *eth_rxq, enum doca_event_batch_events_number events_number_max,
    enum doca_event_batch_events_number events_number_min, union doca_data user_data,
    doca_eth_rxq_event_batch_managed_recv_handler_cb_t success_event_batch_handler,
    doca_eth_rxq_event_batch_managed_recv_handler_cb_t error_event_batch_handler);
/* Gives the frames' memory back to the queue. */
DOCA_EXPERIMENTAL void doca_eth_rxq_event_batch_managed_recv_pkt_array_free(struct doca_buf **pkt_array);

#endif
