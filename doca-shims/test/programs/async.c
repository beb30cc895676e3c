/* Nothing is in force before entries are processed; buffered operations wait for one that is pushed; a queue is as deep as it
 * was made; a call completes as many as it was told. */
#include "../harness.h"

static struct doca_flow_pipe *pipe;

static doca_error_t add(uint32_t address, uint32_t flags, struct doca_flow_pipe_entry **entry)
{
    struct doca_flow_match match = { 0 };
    match.outer.ip4.dst_ip = DOCA_HTOBE32(address);
    return doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, flags, NULL, entry);
}

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 0);
    struct doca_flow_match match = { 0 };
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "queued", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    pipe = create(cfg, TO_PORT(0), TO_DROP);
    struct doca_flow_pipe_entry *first;
    OK(add(0x01000001, DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, &first));
    OK(add(0x01000002, DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, NULL));
    RESULT(add(0x01000003, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT | DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH, NULL),
           DOCA_ERROR_INVALID_VALUE);
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    CHECK(successes() == 0);
    CHECK(doca_flow_pipe_entry_get_status(first) == DOCA_FLOW_ENTRY_STATUS_IN_PROCESS);
    DROPS(1, udp4("9.9.9.9", "1.0.0.1", 1, 2));
    OK(add(0x01000003, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, NULL));
    DROPS(1, udp4("9.9.9.9", "1.0.0.3", 1, 2));
    OK(doca_flow_entries_process(port, 0, 10000, 2));
    CHECK(successes() == 2);
    CHECK(doca_flow_pipe_entry_get_status(first) == DOCA_FLOW_ENTRY_STATUS_SUCCESS);
    PORT(1, udp4("9.9.9.9", "1.0.0.2", 1, 2), 0);
    DROPS(1, udp4("9.9.9.9", "1.0.0.3", 1, 2));
    settle(port, 3);
    PORT(1, udp4("9.9.9.9", "1.0.0.3", 1, 2), 0);

    /* 128 deep. */
    for (uint32_t i = 0; i < 128; i++)
        OK(add(0x02000000 + i, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, NULL));
    RESULT(add(0x03000000, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, NULL), DOCA_ERROR_AGAIN);
    settle(port, 128);
    OK(add(0x03000000, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, NULL));
    settle(port, 1);

    /* A removal waits like an addition; the second one is an error, before and after. */
    OK(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, first));
    RESULT(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, first), DOCA_ERROR_INVALID_VALUE);
    PORT(1, udp4("9.9.9.9", "1.0.0.1", 1, 2), 0);
    settle(port, 1);
    DROPS(1, udp4("9.9.9.9", "1.0.0.1", 1, 2));
    RESULT(doca_flow_pipe_remove_entry(0, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, first), DOCA_ERROR_INVALID_VALUE);
    /* No such queue. */
    RESULT(doca_flow_entries_process(port, 1, 0, 0), DOCA_ERROR_INVALID_VALUE);
    /* One key, two entries: the callback says no. */
    OK(add(0x01000002, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, NULL));
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    CHECK(errors() == 1);
    down();
    return harness_done();
}
