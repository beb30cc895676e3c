/* A pipe writes metadata that a later pipe matches; what nobody wrote has no value, and pipes that keep notes in scratch words
 * destroy what stood there. */
#include "../harness.h"

static struct doca_flow_pipe *second(struct doca_flow_port *port, int word)
{
    struct doca_flow_match match = { 0 }, mask = { 0 };
    if (word < 0)
        match.meta.pkt_meta = mask.meta.pkt_meta = UINT32_MAX;
    else
        match.meta.u32[word] = mask.meta.u32[word] = UINT32_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "second", DOCA_FLOW_PIPE_BASIC, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, &mask));
    struct doca_flow_pipe *pipe = create(cfg, EACH, TO_DROP);
    struct doca_flow_match value = { 0 };
    const struct doca_flow_fwd *ends[2] = { TO_PORT(2), TO_PORT(0) };
    for (uint32_t i = 0; i < 2; i++) {
        if (word < 0)
            value.meta.pkt_meta = DOCA_HTOBE32(i * 7);
        else
            value.meta.u32[word] = DOCA_HTOBE32(i * 7);
        OK(doca_flow_pipe_basic_add_entry(0, pipe, &value, 0, NULL, NULL, ends[i], 0, NULL, NULL));
    }
    settle(port, 2);
    return pipe;
}

int main(void)
{
    struct doca_flow_port *port = up_switch(2, 0);
    struct doca_flow_pipe *by_packet = second(port, -1), *by_word = second(port, 1);
    struct doca_flow_match match = { 0 };
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    /* Template 0 leaves metadata alone; 1 lets each entry say both words. */
    struct doca_flow_actions leave = { 0 }, set = { 0 }, *list[] = { &leave, &set };
    set.meta.pkt_meta = set.meta.u32[1] = UINT32_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "first", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 2));
    struct doca_flow_pipe *first = create(cfg, EACH, TO_DROP);
    struct doca_flow_actions seven = { 0 };
    seven.meta.pkt_meta = seven.meta.u32[1] = DOCA_HTOBE32(7);
    match.outer.ip4.dst_ip = ip4("1.0.0.1");
    OK(doca_flow_pipe_basic_add_entry(0, first, &match, 1, &seven, NULL, TO_PIPE(by_packet), 0, NULL, NULL));
    match.outer.ip4.dst_ip = ip4("1.0.0.2");
    OK(doca_flow_pipe_basic_add_entry(0, first, &match, 1, &seven, NULL, TO_PIPE(by_word), 0, NULL, NULL));
    match.outer.ip4.dst_ip = ip4("1.0.0.3");
    OK(doca_flow_pipe_basic_add_entry(0, first, &match, 0, NULL, NULL, TO_PIPE(by_packet), 0, NULL, NULL));
    match.outer.ip4.dst_ip = ip4("1.0.0.4");
    /* What the template leaves to the entry, the entry must say. */
    RESULT(doca_flow_pipe_basic_add_entry(0, first, &match, 1, NULL, NULL, TO_PIPE(by_word), 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE);
    RESULT(doca_flow_pipe_basic_add_entry(0, first, &match, 2, &seven, NULL, TO_PIPE(by_word), 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE);
    settle(port, 3);
    PORT(1, udp4("9.9.9.9", "1.0.0.1", 1, 2), 0);
    PORT(1, udp4("9.9.9.9", "1.0.0.2", 1, 2), 0);
    DROPS(1, udp4("9.9.9.9", "1.0.0.3", 1, 2)); /* not 0, not 7: nobody wrote it */
    down();
    return harness_done();
}
