/* What can go wrong on a card, made to: an entry that the device refuses, completions that are late, a pipe that cannot be made,
 * a device that was reset. Nothing of it lets a packet pass that did not pass before. */
#include "../harness.h"

static struct doca_flow_pipe *pipe;

static doca_error_t add(uint32_t address, struct doca_flow_pipe_entry **entry)
{
    struct doca_flow_match match = { 0 };
    match.outer.ip4.dst_ip = DOCA_HTOBE32(address);
    return doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, entry);
}

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 0);
    struct doca_flow_match match = { 0 };
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "faulty", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    doca_emulator_fault(DOCA_EMULATOR_FAULT_PIPE_CREATE, 1);
    RESULT(doca_flow_pipe_create(cfg, TO_PORT(0), TO_DROP, &pipe), DOCA_ERROR_DRIVER);
    pipe = create(cfg, TO_PORT(0), TO_DROP);
    doca_emulator_fault(DOCA_EMULATOR_FAULT_ENTRY, 2);
    struct doca_flow_pipe_entry *refused;
    OK(add(0x01000001, NULL));
    OK(add(0x01000002, &refused));
    OK(add(0x01000003, NULL));
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    CHECK(successes() == 2 && errors() == 1);
    CHECK(doca_flow_pipe_entry_get_status(refused) == DOCA_FLOW_ENTRY_STATUS_ERROR);
    PORT(1, udp4("9.9.9.9", "1.0.0.1", 1, 2), 0);
    DROPS(1, udp4("9.9.9.9", "1.0.0.2", 1, 2));
    PORT(1, udp4("9.9.9.9", "1.0.0.3", 1, 2), 0);

    doca_emulator_fault(DOCA_EMULATOR_FAULT_LATE, 2);
    OK(add(0x01000004, NULL));
    OK(doca_flow_entries_process(port, 0, 10000, 1));
    OK(doca_flow_entries_process(port, 0, 10000, 1));
    CHECK(successes() == 2);
    DROPS(1, udp4("9.9.9.9", "1.0.0.4", 1, 2));
    OK(doca_flow_entries_process(port, 0, 10000, 1));
    CHECK(successes() == 3);
    PORT(1, udp4("9.9.9.9", "1.0.0.4", 1, 2), 0);

    doca_emulator_fault(DOCA_EMULATOR_FAULT_RESET, 0);
    DROPS(1, udp4("9.9.9.9", "1.0.0.1", 1, 2));
    RESULT(add(0x01000005, NULL), DOCA_ERROR_DRIVER);
    RESULT(doca_flow_entries_process(port, 0, 10000, 0), DOCA_ERROR_DRIVER);
    down();
    /* A fresh start works. */
    port = up_switch(1, 0);
    cfg = pipe_cfg(port, "again", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    pipe = create(cfg, TO_PORT(0), TO_DROP);
    OK(add(0x01000001, NULL));
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    PORT(1, udp4("9.9.9.9", "1.0.0.1", 1, 2), 0);
    down();
    return harness_done();
}
