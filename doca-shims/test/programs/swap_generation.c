/* Changing a live pipeline: a second chain is built beside the first, the parent's entry is pointed at it, and the first may go
 * only after entries were processed once more, since hardware lets go of an old rule later than it says. A packet that still
 * goes there is lost, and the emulator counts it. */
#include "../harness.h"

static struct doca_flow_port *port;

static struct doca_flow_pipe *chain(const char *allowed, uint16_t out)
{
    struct doca_flow_match match = { 0 };
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "chain", DOCA_FLOW_PIPE_BASIC, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(out), TO_DROP);
    match.outer.ip4.dst_ip = ip4(allowed);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);
    return pipe;
}

static uint64_t violations(void)
{
    struct doca_emulator_state state;
    doca_emulator_state(&state);
    return state.violations;
}

int main(void)
{
    port = up_switch(1, 0);
    struct doca_flow_pipe *old = chain("1.0.0.1", 0);
    struct doca_flow_match match = { 0 };
    match.parser_meta.port_id = UINT16_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "parent", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *parent = create(cfg, EACH, TO_DROP);
    match.parser_meta.port_id = 1;
    struct doca_flow_pipe_entry *entry;
    OK(doca_flow_pipe_basic_add_entry(0, parent, &match, 0, NULL, NULL, TO_PIPE(old), 0, NULL, &entry));
    settle(port, 1);
    struct frame was = udp4("9.9.9.9", "1.0.0.1", 1, 2), is = udp4("9.9.9.9", "1.0.0.2", 1, 2);
    PORT(1, was, 0);
    DROPS(1, is);

    struct doca_flow_pipe *new = chain("1.0.0.2", 0);
    OK(doca_flow_pipe_basic_update_entry(0, parent, 0, NULL, NULL, TO_PIPE(new), 0, entry));
    PORT(1, was, 0);
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    CHECK(successes() == 4);
    PORT(1, was, 0); /* said to be done, and the old rule still stands */
    DROPS(1, is);
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    DROPS(1, was);
    PORT(1, is, 0);
    doca_flow_pipe_destroy(old);
    PORT(1, is, 0);
    CHECK(violations() == 0);

    /* Too early: the chain goes while the old rule stands. */
    struct doca_flow_pipe *third = chain("1.0.0.1", 0);
    OK(doca_flow_pipe_basic_update_entry(0, parent, 0, NULL, NULL, TO_PIPE(third), 0, entry));
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    doca_flow_pipe_destroy(new);
    DROPS(1, was);
    CHECK(violations() == 1);
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    PORT(1, was, 0);
    /* A pipe that is gone is no destination. */
    RESULT(doca_flow_pipe_basic_update_entry(0, parent, 0, NULL, NULL, TO_PIPE(new), 0, entry),
           DOCA_ERROR_INVALID_VALUE);
    down();
    return harness_done();
}
