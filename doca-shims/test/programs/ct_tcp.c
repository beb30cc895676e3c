/* Connection tracking: a connection is prepared and added in two steps, is seen in both directions once it has been processed,
 * and the rest goes the way of a miss. Order and capacity are kept. */
#include <doca_flow_ct.h>

#include "../harness.h"

static void ct_up(uint32_t nr_ipv4, uint32_t nr_ipv6)
{
    struct doca_flow_ct_cfg *cfg;
    struct doca_flow_meta zone = { 0 };
    struct doca_flow_ct_meta change = { 0 };
    OK(doca_flow_ct_cfg_create(&cfg));
    OK(doca_flow_ct_cfg_set_flags(cfg, DOCA_FLOW_CT_FLAG_NO_AGING));
    OK(doca_flow_ct_cfg_set_queues(cfg, 1));
    OK(doca_flow_ct_cfg_set_ctrl_queues(cfg, 1));
    OK(doca_flow_ct_cfg_set_connections(cfg, nr_ipv4, nr_ipv6, 0));
    RESULT(doca_flow_ct_init(cfg), DOCA_ERROR_INVALID_VALUE); /* both directions are to be said */
    OK(doca_flow_ct_cfg_set_direction(cfg, false, false, &zone, &change));
    OK(doca_flow_ct_cfg_set_direction(cfg, true, false, &zone, &change));
    OK(doca_flow_ct_init(cfg));
    RESULT(doca_flow_ct_init(cfg), DOCA_ERROR_BAD_STATE);
    OK(doca_flow_ct_cfg_destroy(cfg));
}

static struct doca_flow_ct_match tuple(const char *source, const char *destination, uint16_t from, uint16_t to)
{
    struct doca_flow_ct_match match = { 0 };
    match.ipv4.src_ip = ip4(source);
    match.ipv4.dst_ip = ip4(destination);
    match.ipv4.l4_port.src_port = DOCA_HTOBE16(from);
    match.ipv4.l4_port.dst_port = DOCA_HTOBE16(to);
    match.ipv4.next_proto = DOCA_FLOW_PROTO_TCP;
    return match;
}

static struct doca_flow_pipe *plain(struct doca_flow_port *port, const char *name, const struct doca_flow_fwd *fwd,
                    bool root)
{
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, name, DOCA_FLOW_PIPE_BASIC, root);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *pipe = create(cfg, fwd, TO_DROP);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 1);
    return pipe;
}

int main(void)
{
    CHECK(doca_emulator_topology("dev 0000:03:00.0 p0; rep 0000:03:00.0 pf0vf0 V0; rep 0000:03:00.0 pf0vf1 V1") == 0);
    up_library("switch,hws", 8);
    ct_up(2, 0);
    struct doca_dev *dev = open_device(0);
    OK(doca_flow_ct_cap_is_dev_supported(doca_dev_as_devinfo(dev)));
    struct doca_flow_port *port = up_port(0, dev, NULL);
    up_port(1, NULL, open_rep(dev, 0));
    up_port(2, NULL, open_rep(dev, 1));

    struct doca_flow_pipe *known = plain(port, "known", TO_PORT(0), false);
    struct doca_flow_pipe *unknown = plain(port, "unknown", TO_PORT(2), false);
    struct doca_flow_match empty = { 0 };
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "ct", DOCA_FLOW_PIPE_CT, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &empty, &empty));
    struct doca_flow_pipe *ct = create(cfg, TO_PIPE(known), TO_PIPE(unknown));
    plain(port, "front", TO_PIPE(ct), true);

    struct frame out = tcp4("10.1.0.1", "8.8.8.8", 1000, 443, 2), back = tcp4("8.8.8.8", "10.1.0.1", 443, 1000, 18);
    PORT(1, out, 2);
    struct doca_flow_ct_match origin = tuple("10.1.0.1", "8.8.8.8", 1000, 443),
                  reply = tuple("8.8.8.8", "10.1.0.1", 443, 1000);
    struct doca_flow_pipe_entry *entry, *again;
    bool found = true;
    const uint32_t alloc = DOCA_FLOW_CT_ENTRY_FLAGS_ALLOC_ON_MISS;
    const uint32_t both = DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT | DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN |
                  DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_ORIGIN |
                  DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_REPLY;
    /* The CT queue is the one after the pipe queues. */
    RESULT(doca_flow_ct_entry_prepare(0, ct, alloc, &origin, 0, &reply, 0, &entry, &found),
           DOCA_ERROR_INVALID_VALUE);
    OK(doca_flow_ct_entry_prepare(1, ct, alloc, &origin, 0, &reply, 0, &entry, &found));
    CHECK(!found);
    OK(doca_flow_ct_add_entry(1, ct, both, &origin, &reply, NULL, NULL, 0, 0, 0, NULL, entry));
    PORT(1, out, 2); /* not processed */
    uint32_t room = 0;
    OK(doca_flow_ct_entries_process(port, 1, 2, 2, &room));
    CHECK(successes() == 4 && room == 512);
    PORT(1, out, 0);
    PORT(2, back, 0);
    PORT(1, tcp4("10.1.0.1", "8.8.8.8", 1001, 443, 2), 2);
    PORT(1, udp4("10.1.0.1", "8.8.8.8", 1000, 443), 2);
    OK(doca_flow_ct_entry_prepare(1, ct, alloc, &origin, 0, &reply, 0, &again, &found));
    CHECK(found && again == entry);
    struct doca_flow_resource_query counted[2];
    doca_emulator_advance(1000);
    OK(doca_flow_ct_query_entry(1, ct, 0, entry, &counted[0], &counted[1], NULL));
    CHECK(counted[0].counter.total_pkts == 1 && counted[1].counter.total_pkts == 1);

    /* Two connections fit. */
    struct doca_flow_ct_match second = tuple("10.1.0.1", "8.8.8.8", 1001, 443),
                  second_reply = tuple("8.8.8.8", "10.1.0.1", 443, 1001),
                  third = tuple("10.1.0.1", "8.8.8.8", 1002, 443);
    OK(doca_flow_ct_entry_prepare(1, ct, alloc, &second, 0, &second_reply, 0, &again, &found));
    struct doca_flow_pipe_entry *none;
    RESULT(doca_flow_ct_entry_prepare(1, ct, alloc, &third, 0, &reply, 0, &none, &found), DOCA_ERROR_FULL);
    RESULT(doca_flow_ct_add_entry(1, ct, both, &third, &reply, NULL, NULL, 0, 0, 0, NULL, again),
           DOCA_ERROR_INVALID_VALUE); /* not what was prepared */
    RESULT(doca_flow_ct_add_entry(1, ct, both, &second, &second_reply, NULL, NULL, 0, 0, 60, NULL, again),
           DOCA_ERROR_INVALID_VALUE); /* a timeout, and aging is off */
    OK(doca_flow_ct_entry_prepare_rollback(1, ct, again));
    RESULT(doca_flow_ct_entry_prepare_rollback(1, ct, again), DOCA_ERROR_INVALID_VALUE);

    OK(doca_flow_ct_rm_entry(1, ct, DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT, entry));
    OK(doca_flow_ct_entries_process(port, 1, 2, 2, NULL));
    PORT(1, out, 2);
    PORT(2, back, 2);
    RESULT(doca_flow_ct_rm_entry(1, ct, 0, entry), DOCA_ERROR_INVALID_VALUE);
    doca_flow_pipe_destroy(ct);
    for (uint16_t i = 0; i < 3; i++)
        CHECK(doca_flow_port_switch_get(NULL) == port);
    down();
    doca_flow_ct_destroy();
    return harness_done();
}
