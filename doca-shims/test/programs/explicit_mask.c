/* With a mask, the mask says which bits are compared: a /24 of the source, and the SYN, ACK, FIN and RST bits of TCP. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 0);
    struct doca_flow_match match = { 0 }, mask = { 0 };
    match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
    mask.parser_meta.outer_l4_type = (enum doca_flow_l4_meta)UINT32_MAX;
    match.outer.l3_type = mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.src_ip = UINT32_MAX;
    mask.outer.ip4.src_ip = ip4("255.255.255.0");
    match.outer.l4_type_ext = mask.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
    match.outer.tcp.flags = DOCA_FLOW_MATCH_TCP_FLAG_SYN;
    mask.outer.tcp.flags = DOCA_FLOW_MATCH_TCP_FLAG_SYN | DOCA_FLOW_MATCH_TCP_FLAG_ACK |
                   DOCA_FLOW_MATCH_TCP_FLAG_FIN | DOCA_FLOW_MATCH_TCP_FLAG_RST;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "masked", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, &mask));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(0), TO_DROP);
    struct doca_flow_match entry = { 0 };
    entry.outer.ip4.src_ip = ip4("10.1.7.99");
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &entry, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);
    PORT(1, tcp4("10.1.7.1", "8.8.8.8", 1, 2, 0x02), 0);
    PORT(1, tcp4("10.1.7.255", "8.8.8.8", 1, 2, 0xc2), 0);
    DROPS(1, tcp4("10.1.8.1", "8.8.8.8", 1, 2, 0x02));
    DROPS(1, tcp4("10.1.7.1", "8.8.8.8", 1, 2, 0x12));
    DROPS(1, tcp4("10.1.7.1", "8.8.8.8", 1, 2, 0x10));
    DROPS(1, udp4("10.1.7.1", "8.8.8.8", 1, 2));
    down();
    return harness_done();
}
