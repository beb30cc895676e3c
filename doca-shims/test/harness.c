/* See harness.h. */
#include "harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t checks, good, bad, old;
static struct doca_emulator_result last;

void harness_fail(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, text);
    exit(1);
}

void harness_count(void)
{
    checks++;
}

const char *harness_result(const char *call, doca_error_t got)
{
    static char text[512];
    snprintf(text, sizeof text, "%s gave %s", call, doca_error_get_name(got));
    return text;
}

int harness_done(void)
{
    printf("%u checks\n", checks);
    return 0;
}

static void on_entry(struct doca_flow_pipe_entry *entry, uint16_t queue, enum doca_flow_entry_status status,
             enum doca_flow_entry_op op, void *ctx)
{
    (void)entry;
    (void)queue;
    (void)ctx;
    if (op == DOCA_FLOW_ENTRY_OP_AGED)
        old++;
    else if (status == DOCA_FLOW_ENTRY_STATUS_SUCCESS)
        good++;
    else
        bad++;
}

uint32_t successes(void)
{
    return good;
}

uint32_t errors(void)
{
    return bad;
}

uint32_t aged(void)
{
    return old;
}

void up_library(const char *mode, uint32_t counters)
{
    struct doca_flow_cfg *cfg;
    OK(doca_flow_cfg_create(&cfg));
    OK(doca_flow_cfg_set_pipe_queues(cfg, 1));
    OK(doca_flow_cfg_set_queue_depth(cfg, 128));
    OK(doca_flow_cfg_set_nr_counters(cfg, counters));
    OK(doca_flow_cfg_set_mode_args(cfg, mode));
    OK(doca_flow_cfg_set_cb_entry_process(cfg, on_entry));
    OK(doca_flow_init(cfg));
    OK(doca_flow_cfg_destroy(cfg));
}

struct doca_dev *open_device(uint32_t index)
{
    struct doca_devinfo **list;
    struct doca_dev *dev;
    uint32_t count;
    OK(doca_devinfo_create_list(&list, &count));
    CHECK(index < count);
    OK(doca_dev_open(list[index], &dev));
    OK(doca_devinfo_destroy_list(list));
    return dev;
}

struct doca_dev_rep *open_rep(struct doca_dev *dev, uint32_t index)
{
    struct doca_devinfo_rep **list;
    struct doca_dev_rep *rep;
    uint32_t count;
    OK(doca_devinfo_rep_create_list(dev, DOCA_DEVINFO_REP_FILTER_NET, &list, &count));
    CHECK(index < count);
    OK(doca_dev_rep_open(list[index], &rep));
    OK(doca_devinfo_rep_destroy_list(list));
    return rep;
}

struct doca_flow_port *up_port(uint16_t id, struct doca_dev *dev, struct doca_dev_rep *rep)
{
    struct doca_flow_port_cfg *cfg;
    struct doca_flow_port *port;
    OK(doca_flow_port_cfg_create(&cfg));
    OK(doca_flow_port_cfg_set_port_id(cfg, id));
    OK(doca_flow_port_cfg_set_actions_mem_size(cfg, 1u << 16));
    if (dev)
        OK(doca_flow_port_cfg_set_dev(cfg, dev));
    if (rep)
        OK(doca_flow_port_cfg_set_dev_rep(cfg, rep));
    OK(doca_flow_port_start(cfg, &port));
    OK(doca_flow_port_cfg_destroy(cfg));
    return port;
}

struct doca_flow_port *up_switch(int reps, uint32_t counters)
{
    static char text[32768];
    strcpy(text, "dev 0000:03:00.0 p0");
    for (int i = 0; i < reps; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "\nrep 0000:03:00.0 pf0vf%d VUID%d", i, i);
    }
    CHECK(doca_emulator_topology(text) == 0);
    up_library("switch,hws", counters);
    struct doca_dev *dev = open_device(0);
    struct doca_flow_port *wire = up_port(0, dev, NULL);
    for (int i = 0; i < reps; i++)
        up_port((uint16_t)(i + 1), NULL, open_rep(dev, (uint32_t)i));
    CHECK(doca_flow_port_switch_get(NULL) == wire);
    return wire;
}

void up_vnf(struct doca_flow_port *ports[2], uint32_t counters)
{
    CHECK(doca_emulator_topology("dev 0000:03:00.0 p0; dev 0000:03:00.1 p1") == 0);
    up_library("vnf,hws", counters);
    for (uint16_t i = 0; i < 2; i++)
        ports[i] = up_port(i, open_device(i), NULL);
    OK(doca_flow_port_pair(ports[0], ports[1]));
}

void down(void)
{
    struct doca_emulator_state state;
    doca_flow_destroy();
    doca_emulator_state(&state);
    CHECK(state.entries == 0 && state.pipes == 0 && state.counters_used == 0);
}

void settle(struct doca_flow_port *port, uint32_t count)
{
    static uint32_t seen;
    for (int i = 0; i < 4 && good + bad < seen + count; i++)
        OK(doca_flow_entries_process(port, 0, 10000, 0));
    CHECK(good + bad == seen + count);
    CHECK(bad == 0);
    seen = good + bad;
}

struct doca_flow_pipe_cfg *pipe_cfg(struct doca_flow_port *port, const char *name, enum doca_flow_pipe_type type,
                    bool root)
{
    struct doca_flow_pipe_cfg *cfg;
    OK(doca_flow_pipe_cfg_create(&cfg, port));
    OK(doca_flow_pipe_cfg_set_name(cfg, name));
    OK(doca_flow_pipe_cfg_set_type(cfg, type));
    OK(doca_flow_pipe_cfg_set_is_root(cfg, root));
    return cfg;
}

struct doca_flow_pipe *create(struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
                  const struct doca_flow_fwd *miss)
{
    struct doca_flow_pipe *pipe;
    OK(doca_flow_pipe_create(cfg, fwd, miss, &pipe));
    OK(doca_flow_pipe_cfg_destroy(cfg));
    return pipe;
}

doca_be32_t ip4(const char *text)
{
    doca_be32_t address;
    CHECK(inet_pton(AF_INET, text, &address) == 1);
    return address;
}

void ip6(const char *text, doca_be32_t out[4])
{
    CHECK(inet_pton(AF_INET6, text, out) == 1);
}

static uint16_t sum(const uint8_t *octets, uint32_t length, uint32_t start)
{
    for (uint32_t i = 0; i < length; i++)
        start += (uint32_t)octets[i] << (i % 2 ? 0 : 8);
    while (start >> 16)
        start = (start & 0xffff) + (start >> 16);
    return (uint16_t)~start;
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void reseal(struct frame *frame)
{
    bool v6 = frame->octets[12] == 0x86;
    uint8_t *l3 = frame->octets + 14, *l4 = l3 + (v6 ? 40 : (l3[0] & 15) * 4);
    uint32_t octets = frame->length - (uint32_t)(l4 - frame->octets);
    uint8_t protocol = v6 ? l3[6] : l3[9];
    if (!v6) {
        put16(l3 + 10, 0);
        put16(l3 + 10, sum(l3, (uint32_t)(l3[0] & 15) * 4, 0));
    }
    uint32_t pseudo = protocol + octets;
    for (uint32_t i = 0; i < (v6 ? 32u : 8u); i += 2)
        pseudo += (uint32_t)l3[(v6 ? 8 : 12) + i] << 8 | l3[(v6 ? 8 : 12) + i + 1];
    uint8_t *at = protocol == 6 ? l4 + 16 : protocol == 17 ? l4 + 6 : protocol == 1 ? l4 + 2 : NULL;
    if (!at)
        return;
    put16(at, 0);
    put16(at, sum(l4, octets, protocol == 1 ? 0 : pseudo));
}

static struct frame ip4_frame(const char *source, const char *destination, uint8_t protocol, uint32_t octets)
{
    struct frame frame = { .length = 34 + octets };
    const uint8_t head[14] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0 };
    memcpy(frame.octets, head, 14);
    uint8_t *l3 = frame.octets + 14;
    l3[0] = 0x45;
    put16(l3 + 2, (uint16_t)(20 + octets));
    l3[8] = 64;
    l3[9] = protocol;
    doca_be32_t address = ip4(source);
    memcpy(l3 + 12, &address, 4);
    address = ip4(destination);
    memcpy(l3 + 16, &address, 4);
    return frame;
}

struct frame tcp4(const char *source, const char *destination, uint16_t from, uint16_t to, uint8_t flags)
{
    struct frame frame = ip4_frame(source, destination, 6, 20 + 10);
    uint8_t *l4 = frame.octets + 34;
    put16(l4, from);
    put16(l4 + 2, to);
    l4[12] = 5 << 4;
    l4[13] = flags;
    reseal(&frame);
    return frame;
}

struct frame udp4(const char *source, const char *destination, uint16_t from, uint16_t to)
{
    struct frame frame = ip4_frame(source, destination, 17, 8 + 10);
    uint8_t *l4 = frame.octets + 34;
    put16(l4, from);
    put16(l4 + 2, to);
    put16(l4 + 4, 18);
    reseal(&frame);
    return frame;
}

struct frame icmp4(const char *source, const char *destination, uint8_t type)
{
    struct frame frame = ip4_frame(source, destination, 1, 8 + 10);
    frame.octets[34] = type;
    put16(frame.octets + 38, 77);
    reseal(&frame);
    return frame;
}

struct frame tcp6(const char *source, const char *destination, uint16_t from, uint16_t to)
{
    struct frame frame = { .length = 54 + 20 };
    const uint8_t head[14] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd };
    memcpy(frame.octets, head, 14);
    uint8_t *l3 = frame.octets + 14;
    l3[0] = 0x60;
    put16(l3 + 4, 20);
    l3[6] = 6;
    l3[7] = 64;
    doca_be32_t address[4];
    ip6(source, address);
    memcpy(l3 + 8, address, 16);
    ip6(destination, address);
    memcpy(l3 + 24, address, 16);
    put16(l3 + 40, from);
    put16(l3 + 42, to);
    l3[52] = 5 << 4;
    l3[53] = 2;
    reseal(&frame);
    return frame;
}

struct frame arp(void)
{
    struct frame frame = { .length = 60 };
    const uint8_t octets[22] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };
    memcpy(frame.octets, octets, sizeof octets);
    return frame;
}

struct frame tagged(struct frame frame, uint16_t tci)
{
    memmove(frame.octets + 16, frame.octets + 12, frame.length - 12);
    put16(frame.octets + 12, 0x8100);
    put16(frame.octets + 14, tci);
    frame.length += 4;
    return frame;
}

const struct doca_emulator_result *probe(uint16_t in, struct frame frame)
{
    CHECK(doca_emulator_inject(in, frame.octets, frame.length, &last) == 0);
    return &last;
}

const struct doca_emulator_result *expect(const char *file, int line, uint16_t in, struct frame frame, uint32_t fate,
                      uint16_t where)
{
    static const char *const NAMES[] = { "dropped", "to port", "to queue", "to the kernel", "to the bridge" };
    char text[160];
    probe(in, frame);
    uint16_t got = last.fate == DOCA_EMULATOR_TO_QUEUE ? last.queue : last.port_id;
    harness_count();
    if (last.fate == fate && (fate == DOCA_EMULATOR_DROPPED || got == where))
        return &last;
    snprintf(text, sizeof text, "a frame at port %u was %s %u; wanted %s %u", in, NAMES[last.fate], got,
         NAMES[fate], where);
    harness_fail(file, line, text);
    return &last;
}
