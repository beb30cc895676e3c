/* A second root in the egress domain sees what the first forwards to a port, and has the last word. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(2, 0);
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "in", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *in = create(cfg, TO_PORT(0), TO_DROP);
    OK(doca_flow_pipe_basic_add_entry(0, in, &match, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);
    PORT(1, udp4("1.1.1.1", "2.2.2.2", 1, 2), 0);
    struct doca_flow_match out_match = { 0 };
    out_match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    out_match.outer.ip4.dst_ip = UINT32_MAX;
    cfg = pipe_cfg(port, "out", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &out_match, NULL));
    OK(doca_flow_pipe_cfg_set_domain(cfg, DOCA_FLOW_PIPE_DOMAIN_EGRESS));
    struct doca_flow_pipe *out = create(cfg, TO_PORT(0xffff), TO_DROP);
    out_match.outer.ip4.dst_ip = ip4("2.2.2.2");
    OK(doca_flow_pipe_basic_add_entry(0, out, &out_match, 0, NULL, NULL, TO_PORT(0), 0, NULL, NULL));
    out_match.outer.ip4.dst_ip = ip4("2.2.2.3");
    OK(doca_flow_pipe_basic_add_entry(0, out, &out_match, 0, NULL, NULL, TO_PORT(2), 0, NULL, NULL));
    settle(port, 2);
    PORT(1, udp4("1.1.1.1", "2.2.2.2", 1, 2), 0);
    PORT(1, udp4("1.1.1.1", "2.2.2.3", 1, 2), 2);
    DROPS(1, udp4("1.1.1.1", "2.2.2.4", 1, 2));
    DROPS(1, arp());
    down();
    return harness_done();
}
