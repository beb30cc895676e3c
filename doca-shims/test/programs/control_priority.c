/* A control pipe: matches of any form side by side, the lowest number first; entries are pushed at once and reported like any
 * other. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(3, 8);
    struct doca_flow_pipe *pipe = create(pipe_cfg(port, "control", DOCA_FLOW_PIPE_CONTROL, true), NULL, NULL);
    struct doca_flow_match any = { 0 }, ip = { 0 }, host = { 0 }, is_arp = { 0 }, net = { 0 }, netmask = { 0 };
    ip.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    host.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    host.outer.ip4.dst_ip = ip4("8.8.8.8");
    net.outer.l3_type = netmask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    net.outer.ip4.dst_ip = ip4("8.8.0.0");
    netmask.outer.ip4.dst_ip = ip4("255.255.0.0");
    is_arp.outer.eth.type = DOCA_HTOBE16(DOCA_FLOW_ETHER_TYPE_ARP);
    struct doca_flow_pipe_entry *entry;
#define ADD(m, k, priority, fwd, e) \
    OK(doca_flow_pipe_control_add_entry(0, pipe, m, k, NULL, NULL, NULL, NULL, COUNTED, priority, fwd, NULL, e))
    ADD(&any, NULL, 7, TO_DROP, NULL);
    ADD(&ip, NULL, 3, TO_PORT(3), NULL);
    ADD(&net, &netmask, 2, TO_PORT(2), NULL);
    ADD(&host, NULL, 1, TO_PORT(0), &entry);
    ADD(&is_arp, NULL, 0, TO_PORT(0), NULL);
    /* Nothing has been processed yet: the switch's default miss, which is not a drop. */
    KERNEL(1, tcp4("10.1.0.1", "8.8.8.8", 1, 2, 2));
    settle(port, 5);
    PORT(1, tcp4("10.1.0.1", "8.8.8.8", 1, 2, 2), 0);
    PORT(1, udp4("10.1.0.1", "8.8.4.4", 1, 2), 2);
    PORT(1, udp4("10.1.0.1", "9.9.9.9", 1, 2), 3);
    PORT(1, arp(), 0);
    DROPS(1, tcp6("fd09::2", "2a05:9::1", 1, 2));
    OK(doca_flow_pipe_remove_entry(0, 0, entry));
    PORT(1, tcp4("10.1.0.1", "8.8.8.8", 1, 2, 2), 0);
    settle(port, 1);
    PORT(1, tcp4("10.1.0.1", "8.8.8.8", 1, 2, 2), 2);
    RESULT(doca_flow_pipe_control_add_entry(0, pipe, &any, NULL, NULL, NULL, NULL, NULL, NULL, 8, TO_DROP, NULL,
                        NULL),
           DOCA_ERROR_INVALID_VALUE);
    /* A control pipe has neither a forward nor a miss nor a match of its own. */
    struct doca_flow_pipe *none;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "wrong", DOCA_FLOW_PIPE_CONTROL, false);
    RESULT(doca_flow_pipe_create(cfg, NULL, TO_DROP, &none), DOCA_ERROR_INVALID_VALUE);
    OK(doca_flow_pipe_cfg_set_match(cfg, &host, NULL));
    RESULT(doca_flow_pipe_create(cfg, NULL, NULL, &none), DOCA_ERROR_INVALID_VALUE);
    OK(doca_flow_pipe_cfg_destroy(cfg));
    down();
    return harness_done();
}
