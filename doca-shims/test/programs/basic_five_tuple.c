/* A basic root pipe with a five-tuple for a key: what has an entry leaves by that entry's port, the rest is dropped and counted,
 * byte for byte, a second later. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(2, 16);
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.src_ip = match.outer.ip4.dst_ip = UINT32_MAX;
    match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
    match.outer.tcp.l4_port.src_port = match.outer.tcp.l4_port.dst_port = UINT16_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "tuples", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_monitor(cfg, COUNTED));
    OK(doca_flow_pipe_cfg_set_miss_counter(cfg, true));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(0xffff), TO_DROP);

    struct doca_flow_match one = { 0 };
    one.outer.ip4.src_ip = ip4("10.1.0.1");
    one.outer.ip4.dst_ip = ip4("93.184.216.34");
    one.outer.tcp.l4_port.src_port = DOCA_HTOBE16(40000);
    one.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(443);
    struct doca_flow_pipe_entry *entry;
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &one, 0, NULL, NULL, TO_PORT(0), 0, NULL, &entry));
    struct doca_flow_match two = one;
    two.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(80);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &two, 0, NULL, NULL, TO_PORT(2), 0, NULL, NULL));
    /* The pipe says "a port, each entry's own": neither a drop nor nothing will do. */
    two.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(81);
    RESULT(doca_flow_pipe_basic_add_entry(0, pipe, &two, 0, NULL, NULL, TO_DROP, 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE);
    RESULT(doca_flow_pipe_basic_add_entry(0, pipe, &two, 0, NULL, NULL, NULL, 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE);
    settle(port, 2);

    struct frame hit = tcp4("10.1.0.1", "93.184.216.34", 40000, 443, 2);
    PORT(1, hit, 0);
    PORT(1, hit, 0);
    PORT(1, tcp4("10.1.0.1", "93.184.216.34", 40000, 80, 2), 2);
    DROPS(1, tcp4("10.1.0.1", "93.184.216.34", 40000, 444, 2));
    DROPS(1, tcp4("10.1.0.1", "93.184.216.35", 40000, 443, 2));
    DROPS(1, tcp4("10.1.0.2", "93.184.216.34", 40000, 443, 2));
    DROPS(1, tcp4("10.1.0.1", "93.184.216.34", 40001, 443, 2));
    DROPS(1, udp4("10.1.0.1", "93.184.216.34", 40000, 443));
    DROPS(1, tcp6("fd09::2", "2a05:9::1", 40000, 443));
    DROPS(1, arp());

    struct doca_flow_resource_query query;
    doca_emulator_advance(1000);
    OK(doca_flow_resource_query_entry(entry, &query));
    CHECK(query.counter.total_pkts == 2 && query.counter.total_bytes == 2 * hit.length);
    OK(doca_flow_resource_query_pipe_miss(pipe, &query));
    CHECK(query.counter.total_pkts == 7);
    down();
    return harness_done();
}
