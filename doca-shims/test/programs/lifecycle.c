/* Calls out of order, arguments that are not there, things given twice: each has its own answer. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_cfg *cfg;
    struct doca_flow_port_cfg *port_cfg;
    struct doca_flow_port *port;
    CHECK(doca_emulator_topology("dev 0000:03:00.0 p0\nrep 0000:03:00.0 pf0vf0 MT2542X7VF0") == 0);
    CHECK(doca_emulator_topology("rep 0000:99:00.0 pf0vf0 X") == -1);
    CHECK(doca_emulator_topology("dev 0000:03:00.0 p0\nrep 0000:03:00.0 pf0vf0 MT2542X7VF0") == 0);
    RESULT(doca_flow_cfg_create(NULL), DOCA_ERROR_INVALID_VALUE);
    OK(doca_flow_port_cfg_create(&port_cfg));
    OK(doca_flow_port_cfg_set_port_id(port_cfg, 0));
    RESULT(doca_flow_port_start(port_cfg, &port), DOCA_ERROR_BAD_STATE); /* before the library */
    OK(doca_flow_cfg_create(&cfg));
    RESULT(doca_flow_init(cfg), DOCA_ERROR_INVALID_VALUE); /* no queues */
    OK(doca_flow_cfg_set_pipe_queues(cfg, 2));
    OK(doca_flow_cfg_set_mode_args(cfg, "remote-vnf"));
    RESULT(doca_flow_init(cfg), DOCA_ERROR_NOT_SUPPORTED);
    OK(doca_flow_cfg_set_mode_args(cfg, "switch,hws"));
    OK(doca_flow_init(cfg));
    RESULT(doca_flow_init(cfg), DOCA_ERROR_BAD_STATE);
    CHECK(doca_emulator_topology("dev 0000:03:00.0 p0") == -1); /* not while it runs */

    struct doca_dev *dev = open_device(0);
    struct doca_dev_rep *rep = open_rep(dev, 0);
    uint8_t equal = 0;
    char text[DOCA_DEVINFO_REP_VUID_SIZE];
    OK(doca_devinfo_is_equal_pci_addr(doca_dev_as_devinfo(dev), "03:00.0", &equal));
    CHECK(equal == 1);
    OK(doca_devinfo_is_equal_pci_addr(doca_dev_as_devinfo(dev), "0000:03:00.1", &equal));
    CHECK(equal == 0);
    OK(doca_devinfo_rep_get_vuid(doca_dev_rep_as_devinfo(rep), text, sizeof text));
    CHECK(strcmp(text, "MT2542X7VF0") == 0);
    RESULT(doca_devinfo_rep_get_vuid(doca_dev_rep_as_devinfo(rep), text, 4), DOCA_ERROR_INVALID_VALUE);

    RESULT(doca_flow_port_start(port_cfg, &port), DOCA_ERROR_INVALID_VALUE); /* neither device nor representor */
    OK(doca_flow_port_cfg_set_dev_rep(port_cfg, rep));
    RESULT(doca_flow_port_start(port_cfg, &port), DOCA_ERROR_BAD_STATE); /* the wire comes first */
    OK(doca_flow_port_cfg_set_dev(port_cfg, dev));
    RESULT(doca_flow_port_start(port_cfg, &port), DOCA_ERROR_INVALID_VALUE); /* both */
    RESULT(doca_flow_port_cfg_set_actions_mem_size(port_cfg, 100), DOCA_ERROR_INVALID_VALUE);
    OK(doca_flow_port_cfg_destroy(port_cfg));
    struct doca_flow_port *wire = up_port(0, dev, NULL), *vf = up_port(1, NULL, rep);
    RESULT(doca_flow_port_stop(wire), DOCA_ERROR_IN_USE); /* and goes last */
    RESULT(doca_dev_close(dev), DOCA_ERROR_IN_USE);

    struct doca_flow_pipe_cfg *pipe = pipe_cfg(wire, "root", DOCA_FLOW_PIPE_BASIC, true);
    struct doca_flow_pipe *made;
    struct doca_flow_match match = { 0 };
    match.outer.eth.type = UINT16_MAX;
    RESULT(doca_flow_pipe_create(pipe, TO_DROP, NULL, &made), DOCA_ERROR_INVALID_VALUE); /* no match */
    OK(doca_flow_pipe_cfg_set_match(pipe, &match, NULL));
    RESULT(doca_flow_pipe_create(pipe, NULL, NULL, &made), DOCA_ERROR_INVALID_VALUE); /* no forward */
    RESULT(doca_flow_pipe_create(pipe, TO_DROP, NULL, NULL), DOCA_ERROR_INVALID_VALUE);
    OK(doca_flow_pipe_cfg_set_domain(pipe, DOCA_FLOW_PIPE_DOMAIN_DEFAULT));
    RESULT(doca_flow_pipe_cfg_set_domain(pipe, DOCA_FLOW_PIPE_DOMAIN_DEFAULT), DOCA_ERROR_ALREADY_EXIST);
    OK(doca_flow_pipe_create(pipe, TO_DROP, NULL, &made));
    RESULT(doca_flow_pipe_create(pipe, TO_DROP, NULL, &made), DOCA_ERROR_INVALID_VALUE); /* a second root */
    OK(doca_flow_pipe_cfg_destroy(pipe));
    pipe = pipe_cfg(vf, "elsewhere", DOCA_FLOW_PIPE_BASIC, false);
    OK(doca_flow_pipe_cfg_set_match(pipe, &match, NULL));
    RESULT(doca_flow_pipe_create(pipe, TO_DROP, NULL, &made), DOCA_ERROR_INVALID_VALUE); /* pipes are the switch's */
    OK(doca_flow_pipe_cfg_destroy(pipe));
    for (int type = 0; type <= DOCA_FLOW_PIPE_HASH; type++) {
        pipe = pipe_cfg(wire, "root", (enum doca_flow_pipe_type)type, true);
        OK(doca_flow_pipe_cfg_set_match(pipe, &match, NULL));
        CHECK(doca_flow_pipe_create(pipe, EACH, TO_DROP, &made) != DOCA_SUCCESS);
        OK(doca_flow_pipe_cfg_destroy(pipe));
    }
    /* What is not emulated is refused by name. */
    pipe = pipe_cfg(wire, "tunnel", DOCA_FLOW_PIPE_BASIC, false);
    match.tun.type = DOCA_FLOW_TUN_VXLAN;
    OK(doca_flow_pipe_cfg_set_match(pipe, &match, NULL));
    RESULT(doca_flow_pipe_create(pipe, TO_DROP, NULL, &made), DOCA_ERROR_NOT_SUPPORTED);
    OK(doca_flow_pipe_cfg_destroy(pipe));
    RESULT(doca_flow_port_stop(NULL), DOCA_ERROR_INVALID_VALUE);
    OK(doca_flow_port_stop(vf));
    OK(doca_flow_port_stop(wire));
    OK(doca_dev_rep_close(rep));
    OK(doca_dev_close(dev));
    OK(doca_flow_cfg_destroy(cfg));
    down();
    return harness_done();
}
