/* A receive queue of DOCA Ethernet: what a pipe forwards to it comes out of doca_pe_progress, in order and whole, in batches; its
 * memory bounds what waits, and it has an order of being set up. */
#include "../harness.h"

#include <doca_eth_rxq.h>
#include <doca_eth_rxq_cpu_data_path.h>
#include <stdlib.h>

static uint32_t batches, frames;
static uint16_t last_port;

static void received(struct doca_eth_rxq_event_batch_managed_recv *event, uint16_t count, union doca_data user,
                     doca_error_t status, struct doca_buf **list)
{
    (void)event;
    CHECK(status == DOCA_SUCCESS && user.u64 == 42 && count > 0 && count <= 4);
    for (uint16_t i = 0; i < count; i++) {
        void *data;
        size_t length;
        OK(doca_buf_get_data(list[i], &data));
        OK(doca_buf_get_data_len(list[i], &length));
        const uint8_t *octets = data;
        CHECK(length >= 54 && octets[12] == 8 && octets[13] == 0);
        last_port = (uint16_t)(octets[34] << 8 | octets[35]);
    }
    frames += count;
    batches++;
    doca_eth_rxq_event_batch_managed_recv_pkt_array_free(list);
}

int main(void)
{
    enum { STRIDE = 2048, SLOTS = 8 };
    CHECK(doca_emulator_topology("dev 0000:03:00.0 p0; rep 0000:03:00.0 pf0vf0 VUID0") == 0);
    up_library("switch,hws", 16);
    struct doca_dev *dev = open_device(0);
    struct doca_flow_port *port = up_port(0, dev, NULL);
    up_port(1, NULL, open_rep(dev, 0));

    struct doca_mmap *mmap;
    void *memory = aligned_alloc(64, STRIDE * SLOTS);
    OK(doca_mmap_create(&mmap));
    RESULT(doca_mmap_start(mmap), DOCA_ERROR_BAD_STATE);
    OK(doca_mmap_add_dev(mmap, dev));
    OK(doca_mmap_set_permissions(mmap, DOCA_ACCESS_FLAG_LOCAL_READ_WRITE));
    OK(doca_mmap_set_memrange(mmap, memory, STRIDE * SLOTS));
    struct doca_eth_rxq *rxq;
    OK(doca_eth_rxq_create(dev, SLOTS, STRIDE, &rxq));
    OK(doca_eth_rxq_set_type(rxq, DOCA_ETH_RXQ_TYPE_MANAGED_MEMPOOL));
    RESULT(doca_eth_rxq_set_type(rxq, DOCA_ETH_RXQ_TYPE_CYCLIC), DOCA_ERROR_NOT_SUPPORTED);
    OK(doca_eth_rxq_set_type(rxq, DOCA_ETH_RXQ_TYPE_MANAGED_MEMPOOL));
    RESULT(doca_eth_rxq_set_pkt_buf(rxq, mmap, 0, STRIDE * SLOTS), DOCA_ERROR_INVALID_VALUE); /* not started */
    OK(doca_mmap_start(mmap));
    RESULT(doca_eth_rxq_set_pkt_buf(rxq, mmap, 64, STRIDE * SLOTS), DOCA_ERROR_INVALID_VALUE); /* too long */
    OK(doca_eth_rxq_set_pkt_buf(rxq, mmap, 0, STRIDE * SLOTS));
    union doca_data user = { .u64 = 42 };
    OK(doca_eth_rxq_event_batch_managed_recv_register(rxq, DOCA_EVENT_BATCH_EVENTS_NUMBER_4,
                                                      DOCA_EVENT_BATCH_EVENTS_NUMBER_1, user, received, received));
    struct doca_pe *pe;
    struct doca_ctx *ctx = doca_eth_rxq_as_doca_ctx(rxq);
    OK(doca_pe_create(&pe));
    RESULT(doca_ctx_start(ctx), DOCA_ERROR_BAD_STATE); /* nobody drives it */
    OK(doca_pe_connect_ctx(pe, ctx));
    RESULT(doca_eth_rxq_apply_queue_id(rxq, 3), DOCA_ERROR_BAD_STATE); /* not started */
    OK(doca_ctx_start(ctx));
    OK(doca_eth_rxq_apply_queue_id(rxq, 3));
    RESULT(doca_mmap_destroy(mmap), DOCA_ERROR_IN_USE);
    RESULT(doca_eth_rxq_destroy(rxq), DOCA_ERROR_BAD_STATE);

    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
    uint16_t queue = 3;
    struct doca_flow_fwd fwd = { .type = DOCA_FLOW_FWD_RSS };
    fwd.rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
    fwd.rss.queues_array = &queue;
    fwd.rss.nr_queues = 1;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "to software", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *pipe = create(cfg, &fwd, TO_DROP);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);

    CHECK(doca_pe_progress(pe) == 0);
    QUEUE(1, tcp4("10.1.0.1", "8.8.8.8", 7, 443, 2), 3);
    DROPS(1, udp4("10.1.0.1", "8.8.8.8", 7, 443));
    CHECK(frames == 0); /* not before it is asked */
    CHECK(doca_pe_progress(pe) == 1 && frames == 1 && last_port == 7);
    /* As many as there is room for; in batches of four. */
    for (uint16_t from = 100; from < 120; from++)
        QUEUE(1, tcp4("10.1.0.1", "8.8.8.8", from, 443, 2), 3);
    batches = frames = 0;
    while (doca_pe_progress(pe))
        ;
    CHECK(frames == SLOTS && batches == 2 && last_port == 100 + SLOTS - 1);
    /* What was given back is free again. */
    QUEUE(1, tcp4("10.1.0.1", "8.8.8.8", 9, 443, 2), 3);
    CHECK(doca_pe_progress(pe) == 1 && last_port == 9);

    OK(doca_ctx_stop(ctx));
    QUEUE(1, tcp4("10.1.0.1", "8.8.8.8", 10, 443, 2), 3);
    CHECK(doca_pe_progress(pe) == 0);
    RESULT(doca_pe_destroy(pe), DOCA_ERROR_IN_USE);
    OK(doca_eth_rxq_destroy(rxq));
    OK(doca_pe_destroy(pe));
    OK(doca_mmap_destroy(mmap));
    free(memory);
    down();
    return harness_done();
}
