/* A match without a mask: zero is ignored, all ones is the entries', anything else is the pipe's and cannot be overridden. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 0);
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    match.outer.ip4.next_proto = DOCA_FLOW_PROTO_UDP;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "implicit", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(0), TO_DROP);
    struct doca_flow_match entry = { 0 };
    entry.outer.ip4.dst_ip = ip4("8.8.8.8");
    /* Neither of these is the entry's to say. */
    entry.outer.ip4.next_proto = DOCA_FLOW_PROTO_TCP;
    entry.outer.ip4.src_ip = ip4("1.2.3.4");
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &entry, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);
    PORT(1, udp4("10.1.0.1", "8.8.8.8", 1, 2), 0);
    PORT(1, udp4("10.9.9.9", "8.8.8.8", 7, 9), 0);
    DROPS(1, tcp4("10.1.0.1", "8.8.8.8", 1, 2, 2));
    DROPS(1, udp4("10.1.0.1", "8.8.4.4", 1, 2));

    /* All ones is never "any": an entry that says 255.255.255.255 means that address. */
    entry.outer.ip4.dst_ip = UINT32_MAX;
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &entry, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);
    DROPS(1, udp4("10.1.0.1", "8.8.4.4", 1, 2));
    PORT(1, udp4("10.1.0.1", "255.255.255.255", 1, 2), 0);

    /* Metadata has to have a mask; a selector cannot be left to the entries; unnamed arms are no match. */
    struct doca_flow_pipe *none;
    struct doca_flow_match meta = { 0 };
    meta.meta.pkt_meta = UINT32_MAX;
    cfg = pipe_cfg(port, "meta", DOCA_FLOW_PIPE_BASIC, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &meta, NULL));
    RESULT(doca_flow_pipe_create(cfg, TO_DROP, TO_DROP, &none), DOCA_ERROR_INVALID_VALUE);
    match.outer.l3_type = (enum doca_flow_l3_type)UINT32_MAX;
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    RESULT(doca_flow_pipe_create(cfg, TO_DROP, TO_DROP, &none), DOCA_ERROR_NOT_SUPPORTED);
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_NONE;
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    RESULT(doca_flow_pipe_create(cfg, TO_DROP, TO_DROP, &none), DOCA_ERROR_INVALID_VALUE);
    OK(doca_flow_pipe_cfg_destroy(cfg));
    down();
    return harness_done();
}
