/* Connection tracking in zones: one tuple is another connection in another zone, which packets carry in metadata that a pipe in front
 * has written; and aging: who was silent for too long is told of once, and stays until the program removes it. */
#include <doca_flow_ct.h>

#include "../harness.h"

#define CT_QUEUE 1

static void ct_up(void)
{
    struct doca_flow_ct_cfg *cfg;
    struct doca_flow_meta zone = { .pkt_meta = UINT32_MAX }, elsewhere = { .u32 = { UINT32_MAX } }, less = { .pkt_meta = 255 };
    struct doca_flow_ct_meta change = { 0 };
    OK(doca_flow_ct_cfg_create(&cfg));
    OK(doca_flow_ct_cfg_set_queues(cfg, 1));
    OK(doca_flow_ct_cfg_set_connections(cfg, 8, 8, 0));
    RESULT(doca_flow_ct_cfg_set_direction(cfg, false, false, &elsewhere, &change), DOCA_ERROR_NOT_SUPPORTED);
    OK(doca_flow_ct_cfg_set_direction(cfg, false, false, &zone, &change));
    OK(doca_flow_ct_cfg_set_direction(cfg, true, false, &less, &change));
    RESULT(doca_flow_ct_init(cfg), DOCA_ERROR_NOT_SUPPORTED); /* a connection has one zone */
    OK(doca_flow_ct_cfg_set_direction(cfg, true, false, &zone, &change));
    OK(doca_flow_ct_init(cfg));
    OK(doca_flow_ct_cfg_destroy(cfg));
}

static struct doca_flow_ct_match tuple(const char *source, const char *destination, uint16_t from, uint16_t to, uint32_t zone)
{
    struct doca_flow_ct_match match = { 0 };
    match.ipv4.src_ip = ip4(source);
    match.ipv4.dst_ip = ip4(destination);
    match.ipv4.l4_port.src_port = DOCA_HTOBE16(from);
    match.ipv4.l4_port.dst_port = DOCA_HTOBE16(to);
    match.ipv4.metadata = DOCA_HTOBE32(zone);
    match.ipv4.next_proto = DOCA_FLOW_PROTO_UDP;
    return match;
}

/* By the port that a packet came in by: `zones` writes that port as the zone on the way to `next`; else they leave by `leave`. */
static struct doca_flow_pipe *by_port(struct doca_flow_port *port, const char *name, bool root, struct doca_flow_pipe *next,
                                      uint16_t leave)
{
    struct doca_flow_match match = { 0 };
    struct doca_flow_actions write = { .meta = { .pkt_meta = UINT32_MAX } }, *list[] = { &write };
    match.parser_meta.port_id = UINT16_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, name, DOCA_FLOW_PIPE_BASIC, root);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    if (next)
        OK(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 1));
    struct doca_flow_pipe *pipe = create(cfg, next ? TO_PIPE(next) : TO_PORT(leave), TO_DROP);
    for (uint16_t in = 0; in < 3; in++) {
        struct doca_flow_actions own = { .meta = { .pkt_meta = DOCA_HTOBE32(in) } };
        match.parser_meta.port_id = in;
        OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, next ? &own : NULL, NULL, NULL, 0, NULL, NULL));
    }
    settle(port, 3);
    return pipe;
}

static struct doca_flow_pipe_entry *connect_in(struct doca_flow_port *port, struct doca_flow_pipe *ct, uint32_t zone)
{
    struct doca_flow_ct_match origin = tuple("10.1.0.1", "8.8.8.8", 1000, 53, zone),
                              reply = tuple("8.8.8.8", "10.1.0.1", 53, 1000, zone);
    struct doca_flow_pipe_entry *entry;
    bool found = true;
    OK(doca_flow_ct_entry_prepare(CT_QUEUE, ct, DOCA_FLOW_CT_ENTRY_FLAGS_ALLOC_ON_MISS, &origin, 0, &reply, 0, &entry, &found));
    CHECK(!found);
    OK(doca_flow_ct_add_entry(CT_QUEUE, ct,
                              DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT | DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN |
                                  DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY,
                              &origin, &reply, NULL, NULL, 0, 0, 30, NULL, entry));
    OK(doca_flow_ct_entries_process(port, CT_QUEUE, 2, 2, NULL));
    return entry;
}

int main(void)
{
    CHECK(doca_emulator_topology("dev 0000:03:00.0 p0; rep 0000:03:00.0 pf0vf0 V0; rep 0000:03:00.0 pf0vf1 V1") == 0);
    up_library("switch,hws", 8);
    ct_up();
    struct doca_dev *dev = open_device(0);
    struct doca_flow_port *port = up_port(0, dev, NULL);
    up_port(1, NULL, open_rep(dev, 0));
    up_port(2, NULL, open_rep(dev, 1));
    struct doca_flow_pipe *known = by_port(port, "known", false, NULL, 0);
    struct doca_flow_pipe *unknown = by_port(port, "unknown", false, NULL, 2);
    struct doca_flow_match nothing = { 0 };
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "ct", DOCA_FLOW_PIPE_CT, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &nothing, &nothing));
    struct doca_flow_pipe *ct = create(cfg, TO_PIPE(known), TO_PIPE(unknown));
    by_port(port, "front", true, ct, 0);

    const struct frame out = udp4("10.1.0.1", "8.8.8.8", 1000, 53), back = udp4("8.8.8.8", "10.1.0.1", 53, 1000);
    struct doca_flow_pipe_entry *first = connect_in(port, ct, 1);
    PORT(1, out, 0);
    PORT(1, back, 0);
    PORT(2, out, 2); /* the same packet, in a zone that knows nothing of it */
    PORT(0, back, 2);
    struct doca_flow_pipe_entry *second = connect_in(port, ct, 2);
    CHECK(first != second);
    PORT(2, out, 0);

    /* Both directions keep it alive. */
    doca_emulator_advance(20000);
    PORT(1, back, 0);
    doca_emulator_advance(20000);
    CHECK(doca_flow_aging_handle(port, CT_QUEUE, 0, 0) == 1);
    CHECK(aged() == 1);
    PORT(2, out, 0); /* told of, and still there */
    CHECK(doca_flow_aging_handle(port, CT_QUEUE, 0, 0) == -1);
    OK(doca_flow_ct_rm_entry(CT_QUEUE, ct, DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT, second));
    OK(doca_flow_ct_entries_process(port, CT_QUEUE, 2, 2, NULL));
    PORT(2, out, 2);
    PORT(1, out, 0);
    doca_flow_pipe_destroy(ct);
    down();
    doca_flow_ct_destroy();
    return harness_done();
}
