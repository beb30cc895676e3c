/* Two ports without a switch: each has a root of its own, what is not matched is dropped, and no port is a switch port. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *ports[2];
    up_vnf(ports, 4);
    CHECK(doca_flow_port_switch_get(NULL) == NULL);
    for (uint16_t i = 0; i < 2; i++) {
        struct doca_flow_match match = { 0 };
        match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
        struct doca_flow_pipe_cfg *cfg = pipe_cfg(ports[i], "cross", DOCA_FLOW_PIPE_BASIC, true);
        OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
        struct doca_flow_pipe *pipe = create(cfg, TO_PORT(i ^ 1), NULL);
        DROPS(i, tcp4("1.1.1.1", "2.2.2.2", 1, 2, 2));
        OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, NULL));
        settle(ports[i], 1);
    }
    PORT(0, tcp4("1.1.1.1", "2.2.2.2", 1, 2, 2), 1);
    PORT(1, tcp4("2.2.2.2", "1.1.1.1", 2, 1, 0x12), 0);
    DROPS(0, udp4("1.1.1.1", "2.2.2.2", 1, 2));
    DROPS(1, arp());
    OK(doca_flow_port_stop(ports[1]));
    down();
    return harness_done();
}
