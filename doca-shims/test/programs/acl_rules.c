/* Rules with priorities in an ACL pipe: the lowest number wins; ports are exact, any, or a range from port to mask that is
 * numeric although both stand in network order; TCP and UDP rules share the pipe. */
#include "../harness.h"

static struct doca_flow_pipe *acl;

static struct doca_flow_match rule(uint8_t protocol, const char *destination, uint16_t from, uint16_t to)
{
    struct doca_flow_match match = { 0 };
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = ip4(destination);
    match.outer.l4_type_ext = protocol == 6 ? DOCA_FLOW_L4_TYPE_EXT_TCP : DOCA_FLOW_L4_TYPE_EXT_UDP;
    match.parser_meta.outer_l4_type = protocol == 6 ? DOCA_FLOW_L4_META_TCP : DOCA_FLOW_L4_META_UDP;
    match.outer.transport.src_port = DOCA_HTOBE16(from);
    match.outer.transport.dst_port = DOCA_HTOBE16(to);
    return match;
}

static doca_error_t add(uint8_t protocol, const char *network, const char *netmask, uint16_t low, uint16_t high,
            uint32_t priority, const struct doca_flow_fwd *fwd, bool last)
{
    struct doca_flow_match match = rule(protocol, network, 0, low), mask = rule(protocol, netmask, 0, high);
    mask.parser_meta.outer_l4_type = (enum doca_flow_l4_meta)UINT32_MAX;
    return doca_flow_pipe_acl_add_entry(0, acl, &match, &mask, 0, NULL, priority, fwd,
                        last ? DOCA_FLOW_ENTRY_FLAGS_NO_WAIT
                         : DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH,
                        NULL, NULL);
}

int main(void)
{
    struct doca_flow_port *port = up_switch(3, 0);
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
    match.outer.ip4.src_ip = match.outer.ip4.dst_ip = UINT32_MAX;
    match.outer.tcp.l4_port.src_port = match.outer.tcp.l4_port.dst_port = UINT16_MAX;
    struct doca_flow_actions actions = { 0 }, *list[] = { &actions };
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "acl", DOCA_FLOW_PIPE_ACL, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 1));
    OK(doca_flow_pipe_cfg_set_nr_entries(cfg, 16));
    struct doca_flow_pipe *none;
    RESULT(doca_flow_pipe_create(cfg, EACH, NULL, &none), DOCA_ERROR_INVALID_VALUE); /* the miss is explicit */
    acl = create(cfg, EACH, TO_DROP);
    struct doca_flow_match all = { 0 };
    all.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    cfg = pipe_cfg(port, "front", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &all, NULL));
    struct doca_flow_pipe *front = create(cfg, TO_PIPE(acl), TO_DROP);
    OK(doca_flow_pipe_basic_add_entry(0, front, &all, 0, NULL, NULL, NULL, 0, NULL, NULL));

    OK(add(6, "8.8.8.8", "255.255.255.255", 100, 3000, 10, TO_PORT(0), false)); /* a range */
    OK(add(6, "8.8.0.0", "255.255.0.0", 200, 200, 5, TO_DROP, false));	    /* one port */
    OK(add(17, "8.8.8.8", "255.255.255.255", 0, 0, 20, TO_PORT(2), false));	    /* any port */
    OK(add(17, "0.0.0.0", "0.0.0.0", 53, 53, 1, TO_PORT(3), true));
    settle(port, 5);
    DROPS(1, tcp4("1.1.1.1", "8.8.8.8", 9, 99, 2));
    PORT(1, tcp4("1.1.1.1", "8.8.8.8", 9, 100, 2), 0);
    DROPS(1, tcp4("1.1.1.1", "8.8.8.8", 9, 200, 2));
    PORT(1, tcp4("1.1.1.1", "8.8.8.8", 9, 256, 2), 0);
    PORT(1, tcp4("1.1.1.1", "8.8.8.8", 9, 3000, 2), 0);
    DROPS(1, tcp4("1.1.1.1", "8.8.8.8", 9, 3001, 2));
    PORT(1, udp4("1.1.1.1", "8.8.8.8", 9, 60000), 2);
    PORT(1, udp4("1.1.1.1", "8.8.8.8", 9, 53), 3);
    PORT(1, udp4("1.1.1.1", "9.9.9.9", 9, 53), 3);
    DROPS(1, udp4("1.1.1.1", "9.9.9.9", 9, 54));
    DROPS(1, icmp4("1.1.1.1", "8.8.8.8", 8));

    /* What a rule cannot say. */
    RESULT(add(6, "8.8.8.8", "255.255.255.255", 3000, 100, 1, TO_DROP, true), DOCA_ERROR_INVALID_VALUE);
    RESULT(add(6, "8.8.8.8", "255.0.255.0", 1, 1, 1, TO_DROP, true), DOCA_ERROR_INVALID_VALUE);
    RESULT(add(6, "8.8.8.8", "255.255.255.255", 1, 1, 1025, TO_DROP, true), DOCA_ERROR_INVALID_VALUE);
    struct doca_flow_match wide = rule(6, "8.8.8.8", 0, 1);
    RESULT(doca_flow_pipe_acl_add_entry(0, acl, &wide, NULL, 0, NULL, 1, TO_DROP, 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE);
    struct doca_flow_match undeclared = rule(6, "255.255.255.255", 0, 0);
    undeclared.outer.ip4.ttl = 255;
    RESULT(doca_flow_pipe_acl_add_entry(0, acl, &wide, &undeclared, 0, NULL, 1, TO_DROP, 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE);
    down();
    return harness_done();
}
