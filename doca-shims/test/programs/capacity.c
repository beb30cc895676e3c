/* Room is counted: entries of a pipe, octets of a key, pipes; and given back when an entry goes. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 0);
    struct doca_flow_match match = { 0 };
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "small", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_nr_entries(cfg, 2));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(0), TO_DROP);
    struct doca_flow_pipe_entry *entries[2];
    for (uint32_t i = 0; i < 2; i++) {
        match.outer.ip4.dst_ip = i + 1;
        OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, &entries[i]));
    }
    match.outer.ip4.dst_ip = 9;
    RESULT(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, NULL), DOCA_ERROR_FULL);
    settle(port, 2);
    OK(doca_flow_pipe_remove_entry(0, 0, entries[0]));
    RESULT(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, NULL), DOCA_ERROR_FULL);
    settle(port, 1);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);

    /* Both IPv6 addresses and more in one key: too much, with a device that takes 32 octets. */
    struct doca_flow_match wide = { 0 };
    struct doca_flow_pipe *none;
    wide.outer.l3_type = DOCA_FLOW_L3_TYPE_IP6;
    memset(wide.outer.ip6.src_ip, 0xff, 16);
    memset(wide.outer.ip6.dst_ip, 0xff, 16);
    wide.outer.ip6.next_proto = 6;
    doca_emulator_limit(DOCA_EMULATOR_LIMIT_KEY_OCTETS, 32);
    cfg = pipe_cfg(port, "wide", DOCA_FLOW_PIPE_BASIC, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &wide, NULL));
    RESULT(doca_flow_pipe_create(cfg, TO_DROP, TO_DROP, &none), DOCA_ERROR_TOO_BIG);
    doca_emulator_limit(DOCA_EMULATOR_LIMIT_KEY_OCTETS, 64);
    doca_emulator_limit(DOCA_EMULATOR_LIMIT_PIPES, 2);
    OK(doca_flow_pipe_create(cfg, TO_DROP, TO_DROP, &none));
    RESULT(doca_flow_pipe_create(cfg, TO_DROP, TO_DROP, &none), DOCA_ERROR_DRIVER);
    OK(doca_flow_pipe_cfg_destroy(cfg));
    down();
    return harness_done();
}
