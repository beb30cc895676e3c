/* IPv6: addresses in exact and longest-prefix pipes; extension headers are passed over by the parser, so that only next_proto
 * tells a chain from a plain packet. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(3, 0);
    struct doca_flow_match match = { 0 }, mask = { 0 };
    match.outer.l3_type = mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP6;
    memset(match.outer.ip6.dst_ip, 0xff, 16);
    struct doca_flow_actions none = { 0 }, *list[] = { &none };
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "prefixes", DOCA_FLOW_PIPE_LPM, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 1));
    struct doca_flow_pipe *refused;
    doca_emulator_limit(DOCA_EMULATOR_LIMIT_LPM_IPV6, 0);
    RESULT(doca_flow_pipe_create(cfg, EACH, TO_DROP, &refused), DOCA_ERROR_NOT_SUPPORTED);
    doca_emulator_limit(DOCA_EMULATOR_LIMIT_LPM_IPV6, 1);
    struct doca_flow_pipe *lpm = create(cfg, EACH, TO_DROP);
    match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV6;
    match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
    match.outer.ip6.next_proto = UINT8_MAX;
    match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
    match.outer.tcp.l4_port.dst_port = UINT16_MAX;
    cfg = pipe_cfg(port, "exact", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *exact = create(cfg, EACH, TO_PIPE(lpm));
    struct doca_flow_match entry = { 0 };
    ip6("2a05:9:9::10", entry.outer.ip6.dst_ip);
    entry.outer.ip6.next_proto = 6;
    entry.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(443);
    OK(doca_flow_pipe_basic_add_entry(0, exact, &entry, 0, NULL, NULL, TO_PORT(0), 0, NULL, NULL));
    entry.outer.ip6.next_proto = 60;
    OK(doca_flow_pipe_basic_add_entry(0, exact, &entry, 0, NULL, NULL, TO_PORT(2), 0, NULL, NULL));
    ip6("2a05:9::", entry.outer.ip6.dst_ip);
    ip6("ffff:ffff::", mask.outer.ip6.dst_ip);
    OK(doca_flow_pipe_lpm_add_entry(0, lpm, &entry, &mask, 0, NULL, NULL, TO_PORT(3), 0, NULL, NULL));
    ip6("2a05:9:9:8::", entry.outer.ip6.dst_ip);
    ip6("ffff:ffff:ffff:fff8::", mask.outer.ip6.dst_ip);
    OK(doca_flow_pipe_lpm_add_entry(0, lpm, &entry, &mask, 0, NULL, NULL, TO_DROP, 0, NULL, NULL));
    settle(port, 4);
    struct frame plain = tcp6("fd09::2", "2a05:9:9::10", 1, 443);
    PORT(1, plain, 0);
    PORT(1, tcp6("fd09::2", "2a05:9:9::10", 1, 444), 3);
    PORT(1, tcp6("fd09::2", "2a05:9:9:7::1", 1, 443), 3);
    DROPS(1, tcp6("fd09::2", "2a05:9:9:8::1", 1, 443));
    DROPS(1, tcp6("fd09::2", "2a05:9:9:f::1", 1, 443));
    DROPS(1, tcp6("fd09::2", "2a06::1", 1, 443));
    /* The same packet behind an options header: still TCP to the parser, another next_proto. */
    struct frame chained = plain;
    memmove(chained.octets + 62, chained.octets + 54, chained.length - 54);
    memset(chained.octets + 54, 0, 8);
    chained.octets[54] = 6;
    chained.octets[20] = 60;
    chained.octets[19] = 28;
    chained.length += 8;
    PORT(1, chained, 2);
    down();
    return harness_done();
}
