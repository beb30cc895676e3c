/* To software: a flow always arrives at one of the queues that the entry names, with its metadata. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 0);
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l4_type = (enum doca_flow_l4_meta)UINT32_MAX;
    struct doca_flow_actions set = { 0 }, *list[] = { &set };
    set.meta.pkt_meta = UINT32_MAX;
    struct doca_flow_fwd each = { .type = DOCA_FLOW_FWD_RSS };
    each.rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
    each.rss.nr_queues = -1;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "to software", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 1));
    struct doca_flow_pipe *pipe = create(cfg, &each, TO_DROP);
    uint16_t queues[4] = { 4, 5, 6, 7 };
    struct doca_flow_fwd four = { .type = DOCA_FLOW_FWD_RSS };
    four.rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
    four.rss.outer_flags = DOCA_FLOW_RSS_IPV4 | DOCA_FLOW_RSS_TCP;
    four.rss.queues_array = queues;
    four.rss.nr_queues = 4;
    struct doca_flow_actions mark = { 0 };
    mark.meta.pkt_meta = DOCA_HTOBE32(0x1234);
    match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &mark, NULL, &four, 0, NULL, NULL));
    match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_UDP;
    four.rss.nr_queues = 1;
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &mark, NULL, &four, 0, NULL, NULL));
    settle(port, 2);
    /* The array was the caller's; what the entry says stays. */
    memset(queues, 0, sizeof queues);
    uint32_t seen = 0;
    for (uint16_t from = 1; from <= 64; from++) {
        struct frame frame = tcp4("10.1.0.1", "8.8.8.8", from, 443, 2);
        uint16_t queue = probe(1, frame)->queue;
        CHECK(queue >= 4 && queue <= 7);
        CHECK(QUEUE(1, frame, queue)->pkt_meta == 0x1234);
        seen |= 1u << queue;
    }
    CHECK(seen == 0xf0);
    QUEUE(1, udp4("10.1.0.1", "8.8.8.8", 1, 2), 4);
    DROPS(1, icmp4("10.1.0.1", "8.8.8.8", 8));
    down();
    return harness_done();
}
