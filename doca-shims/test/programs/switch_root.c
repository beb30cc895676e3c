/* One root for all representors of a switch; parser_meta.port_id, in host order, tells them apart. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(300, 0);
    struct doca_flow_match match = { 0 };
    match.parser_meta.port_id = UINT16_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "who", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *pipe = create(cfg, EACH, TO_DROP);
    struct doca_flow_match from = { 0 };
    from.parser_meta.port_id = 258; /* in the other order this would be 513 */
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &from, 0, NULL, NULL, TO_PORT(0), 0, NULL, NULL));
    from.parser_meta.port_id = 0;
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &from, 0, NULL, NULL, TO_PORT(258), 0, NULL, NULL));
    settle(port, 2);
    PORT(258, arp(), 0);
    PORT(0, arp(), 258);
    DROPS(1, arp());
    DROPS(2, tcp4("1.1.1.1", "2.2.2.2", 1, 2, 2));
    /* A port forward names a port that has been started. */
    from.parser_meta.port_id = 3;
    RESULT(doca_flow_pipe_basic_add_entry(0, pipe, &from, 0, NULL, NULL, TO_PORT(301), 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE);
    down();
    return harness_done();
}
