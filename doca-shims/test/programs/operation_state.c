/* A port that nobody holds goes to the bridge underneath: a card as delivered lets its traffic pass, one with a default-deny
 * bridge does not. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 0);
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "v4", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(0), TO_DROP);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);
    PORT(1, udp4("1.1.1.1", "2.2.2.2", 1, 2), 0);
    DROPS(1, arp());
    OK(doca_flow_port_operation_state_modify(port, DOCA_FLOW_PORT_OPERATION_STATE_UNCONNECTED));
    BRIDGE(1, udp4("1.1.1.1", "2.2.2.2", 1, 2));
    BRIDGE(1, arp());
    doca_emulator_bridge(false);
    DROPS(1, udp4("1.1.1.1", "2.2.2.2", 1, 2));
    OK(doca_flow_port_operation_state_modify(port, DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE));
    PORT(1, udp4("1.1.1.1", "2.2.2.2", 1, 2), 0);
    down();
    return harness_done();
}
