/* Counters are shown once a second, cost one of what was reserved, and can be shared by entries of several pipes. */
#include "../harness.h"

static struct doca_flow_pipe *pipe_of(struct doca_flow_port *port, bool root, const struct doca_flow_monitor *monitor)
{
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "counted", DOCA_FLOW_PIPE_BASIC, root);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    if (monitor)
        OK(doca_flow_pipe_cfg_set_monitor(cfg, monitor));
    return create(cfg, TO_PORT(0), TO_DROP);
}

static struct doca_flow_pipe_entry *add(struct doca_flow_pipe *pipe, const char *address,
                    const struct doca_flow_monitor *monitor)
{
    struct doca_flow_match match = { 0 };
    struct doca_flow_pipe_entry *entry;
    match.outer.ip4.dst_ip = ip4(address);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, monitor, NULL, 0, NULL, &entry));
    return entry;
}

static uint64_t packets(struct doca_flow_pipe_entry *entry)
{
    struct doca_flow_resource_query query;
    OK(doca_flow_resource_query_entry(entry, &query));
    return query.counter.total_pkts;
}

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 3);
    struct doca_flow_pipe *pipe = pipe_of(port, true, COUNTED);
    struct doca_flow_pipe_entry *one = add(pipe, "1.0.0.1", NULL);
    settle(port, 1);
    doca_emulator_advance(1000);
    CHECK(packets(one) == 0);
    for (int i = 0; i < 5; i++)
        PORT(1, udp4("9.9.9.9", "1.0.0.1", 1, 2), 0);
    CHECK(packets(one) == 0); /* the last refresh was before */
    doca_emulator_advance(1000);
    CHECK(packets(one) == 5);

    /* A shared one: taken by id, then named by entries. */
    uint32_t id;
    struct doca_flow_shared_resource_cfg shared_cfg = { 0 };
    OK(doca_flow_port_shared_resource_get(port, DOCA_FLOW_SHARED_RESOURCE_COUNTER, &id));
    OK(doca_flow_port_shared_resource_set_cfg(port, DOCA_FLOW_SHARED_RESOURCE_COUNTER, id, &shared_cfg));
    struct doca_flow_monitor shared = { .counter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED };
    shared.shared_counter.shared_counter_id = id;
    add(pipe, "1.0.0.2", &shared);
    settle(port, 1);
    PORT(1, udp4("9.9.9.9", "1.0.0.2", 1, 2), 0);
    doca_emulator_advance(1000);
    struct doca_flow_resource_query query;
    OK(doca_flow_port_shared_resources_query(port, DOCA_FLOW_SHARED_RESOURCE_COUNTER, &id, &query, 1));
    CHECK(query.counter.total_pkts == 1);
    shared.shared_counter.shared_counter_id = 2;
    struct doca_flow_match match = { 0 };
    RESULT(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, &shared, NULL, 0, NULL, NULL),
           DOCA_ERROR_INVALID_VALUE); /* nobody took that id */

    /* Three were reserved and all are taken: one per counted entry, one shared. The next entry fails, and it is the callback
     * that says so. */
    add(pipe, "1.0.0.3", NULL);
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    CHECK(errors() == 1);
    RESULT(doca_flow_port_shared_resource_get(port, DOCA_FLOW_SHARED_RESOURCE_COUNTER, &id), DOCA_ERROR_EMPTY);
    down();

    /* Nothing was reserved: entries are taken, and count nothing for ever. */
    port = up_switch(1, 0);
    pipe = pipe_of(port, true, COUNTED);
    one = add(pipe, "1.0.0.1", NULL);
    OK(doca_flow_entries_process(port, 0, 10000, 0));
    PORT(1, udp4("9.9.9.9", "1.0.0.1", 1, 2), 0);
    doca_emulator_advance(5000);
    CHECK(packets(one) == 0);
    down();
    return harness_done();
}
