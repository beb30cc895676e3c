/* Entries without traffic are reported after as many seconds as each was given; the program takes them away. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 0);
    struct doca_flow_match match = { 0 };
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    struct doca_flow_monitor each = { .aging_sec = UINT32_MAX };
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "ages", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_monitor(cfg, &each));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(0), TO_DROP);
    struct doca_flow_pipe_entry *short_lived, *busy;
    struct doca_flow_monitor five = { .aging_sec = 5 };
    match.outer.ip4.dst_ip = ip4("1.0.0.1");
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, &five, NULL, 0, NULL, &short_lived));
    match.outer.ip4.dst_ip = ip4("1.0.0.2");
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, &five, NULL, 0, NULL, &busy));
    settle(port, 2);
    doca_emulator_advance(4000);
    CHECK(doca_flow_aging_handle(port, 0, 0, 0) == -1 && aged() == 0);
    PORT(1, udp4("9.9.9.9", "1.0.0.2", 1, 2), 0);
    doca_emulator_advance(2000);
    CHECK(doca_flow_aging_handle(port, 0, 0, 0) == 1 && aged() == 1);
    CHECK(doca_flow_aging_handle(port, 0, 0, 0) == -1);
    PORT(1, udp4("9.9.9.9", "1.0.0.1", 1, 2), 0); /* reported is not removed */
    OK(doca_flow_pipe_remove_entry(0, 0, short_lived));
    settle(port, 1);
    DROPS(1, udp4("9.9.9.9", "1.0.0.1", 1, 2));
    PORT(1, udp4("9.9.9.9", "1.0.0.2", 1, 2), 0);
    down();
    return harness_done();
}
