/* Longest prefix wins, mask 0 is the default route, and taking a route away uncovers the shorter one. */
#include "../harness.h"

static struct doca_flow_pipe *lpm;

static struct doca_flow_pipe_entry *route(const char *network, const char *mask, const struct doca_flow_fwd *fwd)
{
    struct doca_flow_match match = { 0 }, bits = { 0 };
    struct doca_flow_pipe_entry *entry;
    match.outer.ip4.dst_ip = ip4(network);
    bits.outer.ip4.dst_ip = ip4(mask);
    OK(doca_flow_pipe_lpm_add_entry(0, lpm, &match, &bits, 0, NULL, NULL, fwd,
                    DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, NULL, &entry));
    return entry;
}

int main(void)
{
    struct doca_flow_port *port = up_switch(4, 8);
    struct doca_flow_match match = { 0 };
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    struct doca_flow_actions actions = { 0 }, *list[] = { &actions };
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "routes", DOCA_FLOW_PIPE_LPM, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *none;
    RESULT(doca_flow_pipe_create(cfg, EACH, NULL, &none), DOCA_ERROR_INVALID_VALUE); /* no actions array */
    OK(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 1));
    OK(doca_flow_pipe_cfg_set_nr_entries(cfg, 64));
    RESULT(doca_flow_pipe_create(cfg, TO_DROP, NULL, &none), DOCA_ERROR_INVALID_VALUE); /* forward is the entries' */
    OK(doca_flow_pipe_cfg_set_monitor(cfg, COUNTED));
    lpm = create(cfg, EACH, TO_DROP);
    struct doca_flow_match v4 = { 0 };
    v4.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    cfg = pipe_cfg(port, "front", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &v4, NULL));
    struct doca_flow_pipe *front = create(cfg, TO_PIPE(lpm), TO_DROP);
    OK(doca_flow_pipe_basic_add_entry(0, front, &v4, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);

    route("10.0.0.0", "255.0.0.0", TO_PORT(1));
    struct doca_flow_pipe_entry *middle = route("10.20.0.0", "255.255.0.0", TO_PORT(2));
    route("10.20.30.40", "255.255.255.255", TO_PORT(3));
    route("10.20.99.0", "255.255.255.0", TO_DROP);
    /* Host bits of a network are nothing. */
    route("11.1.2.3", "255.0.0.0", TO_PORT(4));
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    CHECK(successes() == 1); /* buffered, and not pushed */
    DROPS(1, udp4("1.1.1.1", "10.1.1.1", 1, 2));
    struct doca_flow_match any = { 0 };
    OK(doca_flow_pipe_lpm_add_entry(0, lpm, &any, &any, 0, NULL, NULL, TO_PORT(0), DOCA_FLOW_ENTRY_FLAGS_NO_WAIT,
                    NULL, NULL));
    settle(port, 6);
    PORT(1, udp4("1.1.1.1", "10.1.1.1", 1, 2), 1);
    PORT(1, udp4("1.1.1.1", "10.20.1.1", 1, 2), 2);
    PORT(1, udp4("1.1.1.1", "10.20.30.40", 1, 2), 3);
    PORT(1, udp4("1.1.1.1", "10.20.30.41", 1, 2), 2);
    DROPS(1, udp4("1.1.1.1", "10.20.99.1", 1, 2));
    PORT(1, udp4("1.1.1.1", "11.255.0.0", 1, 2), 4);
    PORT(1, udp4("1.1.1.1", "12.0.0.0", 1, 2), 0);
    OK(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, middle));
    settle(port, 1);
    PORT(1, udp4("1.1.1.1", "10.20.1.1", 1, 2), 1);
    /* A mask with a hole is no prefix. */
    struct doca_flow_match hole = { 0 };
    hole.outer.ip4.dst_ip = ip4("255.0.255.0");
    RESULT(doca_flow_pipe_lpm_add_entry(0, lpm, &any, &hole, 0, NULL, NULL, TO_DROP, 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE);
    RESULT(doca_flow_pipe_lpm_add_entry(0, lpm, &any, NULL, 0, NULL, NULL, TO_DROP, 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE);
    down();
    return harness_done();
}
