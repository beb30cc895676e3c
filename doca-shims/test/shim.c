/* The flat ABI against the emulator, as a foreign function interface uses it: built in each of the three shapes. What a caller
 * can do wrong is done, and every code is looked at. */
#include <doca_emulator.h>
#include <sluice_doca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <doca_version.h>

static unsigned int checks;
#define CHECK(condition) \
    do { \
        checks++; \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

struct record {
    struct sluice_doca_entry head;
    uint8_t key[8]; /* address, port, padding */
};

static struct sluice_doca_match each(uint8_t field, uint32_t octets)
{
    struct sluice_doca_match match = { .field = field, .each = 1 };
    memset(match.mask, 255, octets);
    return match;
}

static struct sluice_doca_match fixed(uint8_t field, uint8_t value)
{
    struct sluice_doca_match match = { .field = field };
    match.value[0] = value;
    match.mask[0] = 255;
    return match;
}

static struct record allow(uint32_t address, uint16_t port)
{
    struct record record = { .head = { .forward = SLUICE_DOCA_PORT, .forward_port = 0 } };
    const uint8_t key[6] = { (uint8_t)(address >> 24), (uint8_t)(address >> 16), (uint8_t)(address >> 8),
                             (uint8_t)address, (uint8_t)(port >> 8), (uint8_t)port };
    memcpy(record.key, key, sizeof key);
    return record;
}

/* TCP from port 0, no checksums: the pipes here do not look at them. */
static uint32_t fate(uint32_t address, uint16_t port, uint8_t fragment)
{
    static struct doca_emulator_result result;
    uint8_t frame[54] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, fragment, 64, 6, 0, 0, 10, 1, 0, 1 };
    const uint8_t to[4] = { (uint8_t)(address >> 24), (uint8_t)(address >> 16), (uint8_t)(address >> 8),
                            (uint8_t)address };
    memcpy(frame + 30, to, 4);
    frame[36] = (uint8_t)(port >> 8);
    frame[37] = (uint8_t)port;
    frame[46] = 0x50;
    CHECK(doca_emulator_inject(1, frame, sizeof frame, &result) == 0);
    return result.fate;
}

static void contract(void)
{
    uint32_t sizes[8] = { 0 };
    struct sluice_doca_facts facts;
    CHECK(sluice_doca_abi() == SLUICE_DOCA_ABI);
    CHECK(sluice_doca_layout(NULL, 0) == 8);
    CHECK(sluice_doca_layout(sizes, 2) == 8 && sizes[1] == sizeof(struct sluice_doca_representor) && sizes[2] == 0);
    CHECK(sluice_doca_facts(&facts) == 0 && facts.emulated == 1 && facts.shape == DOCA_EMULATED_SHAPE);
    CHECK(facts.tracking == (DOCA_EMULATED_SHAPE >= 33));
    CHECK(strcmp(facts.built_for, facts.running) == 0);
    CHECK(strcmp(sluice_doca_text(SLUICE_DOCA_NO_DEVICE), "no device has that PCI address") == 0);
    CHECK(strcmp(sluice_doca_text(-24), "no room left") == 0);
    CHECK(strcmp(sluice_doca_text(-4242), "no code of this ABI") == 0);
}

static void open_wrongly(struct sluice_doca_device *device)
{
    CHECK(sluice_doca_open(NULL) == SLUICE_DOCA_BAD_ARGUMENT);
    CHECK(sluice_doca_settle(0) == SLUICE_DOCA_BAD_HANDLE);
    CHECK(sluice_doca_representors(NULL, 0) == SLUICE_DOCA_BAD_HANDLE);
    CHECK(sluice_doca_port_start("VUID0", 1) == SLUICE_DOCA_NO_REPRESENTOR);
    strcpy(device->pci, "0000:99:00.0");
    CHECK(sluice_doca_open(device) == SLUICE_DOCA_NO_DEVICE);
    strcpy(device->pci, "0000:03:00.0");
}

static uint64_t make_pipe(void)
{
    struct sluice_doca_pipe spec = { .name = "grants", .kind = SLUICE_DOCA_BASIC, .root = 1, .entries = 1000, .transport = 1,
                                     .counted = 1, .miss_counted = 1, .forward = SLUICE_DOCA_EACH,
                                     .miss = SLUICE_DOCA_DROP, .nr_matches = 4 };
    uint64_t pipe = 0;
    /* "Not a fragment" is a zero that is compared: the shim gives the mask that this needs. */
    spec.matches[0] = fixed(SLUICE_DOCA_FRAGMENT, 0);
    spec.matches[1] = fixed(SLUICE_DOCA_L4, 1);
    spec.matches[2] = each(SLUICE_DOCA_IP4_DST, 4);
    spec.matches[3] = each(SLUICE_DOCA_DST_PORT, 2);
    struct sluice_doca_pipe wrong = spec;
    wrong.matches[3] = each(SLUICE_DOCA_IP6_DST, 16); /* both families in one pipe */
    CHECK(sluice_doca_pipe_create(&wrong, &pipe) == SLUICE_DOCA_BAD_ARGUMENT);
    wrong = spec;
    wrong.matches[0] = fixed(SLUICE_DOCA_FRAGMENT, 255); /* all ones is the entries' */
    CHECK(sluice_doca_pipe_create(&wrong, &pipe) == SLUICE_DOCA_BAD_ARGUMENT);
    wrong = spec;
    wrong.transport = 3; /* ports of ICMP */
    CHECK(sluice_doca_pipe_create(&wrong, &pipe) == SLUICE_DOCA_BAD_ARGUMENT);
    wrong = spec;
    wrong.miss = SLUICE_DOCA_PIPE;
    wrong.miss_pipe = 77;
    CHECK(sluice_doca_pipe_create(&wrong, &pipe) == SLUICE_DOCA_BAD_HANDLE);
    CHECK(pipe == 0);
    CHECK(sluice_doca_pipe_create(&spec, &pipe) == 0);
    CHECK(sluice_doca_pipe_create(&spec, &pipe) == -6); /* a second root */
    return pipe;
}

static void entries(uint64_t pipe)
{
    enum { MANY = 600 };
    static struct record records[MANY];
    static uint64_t handles[MANY];
    static uint8_t states[MANY];
    int32_t refused = 0;
    for (uint32_t i = 0; i < MANY; i++)
        records[i] = allow(0x01000000 + i, 443);
    CHECK(sizeof records[0] == 40);
    CHECK(sluice_doca_entries_add(pipe, (uint8_t *)records, sizeof records - 1, MANY, handles, &refused) ==
          SLUICE_DOCA_BAD_ARGUMENT);
    CHECK(sluice_doca_entries_add(pipe, (uint8_t *)records, sizeof records, MANY, handles, &refused) == MANY);
    CHECK(refused == 0);
    CHECK(sluice_doca_entries_state(handles, MANY, states) == 0 && states[MANY - 1] == 1);
    CHECK(sluice_doca_pipe_destroy(pipe) == -3); /* under way */
    CHECK(sluice_doca_settle(1000) == MANY);
    CHECK(sluice_doca_entries_state(handles, MANY, states) == 0 && states[0] == 2 && states[MANY - 1] == 2);
    CHECK(fate(0x01000000, 443, 0) == DOCA_EMULATOR_TO_PORT && fate(0x01000257, 443, 0) == DOCA_EMULATOR_TO_PORT);
    CHECK(fate(0x01000258, 443, 0) == DOCA_EMULATOR_DROPPED && fate(0x01000000, 80, 0) == DOCA_EMULATOR_DROPPED);
    CHECK(fate(0x01000000, 443, 8) == DOCA_EMULATOR_DROPPED);
    struct sluice_doca_count counts[2];
    doca_emulator_advance(1000);
    CHECK(sluice_doca_entries_count(handles, 1, counts) == 0 && counts[0].packets == 1 && counts[0].octets == 54);
    CHECK(sluice_doca_pipe_missed(pipe, counts) == 0 && counts[0].packets == 3);

    /* A key that is there already: queued, and refused by callback. */
    CHECK(sluice_doca_entries_add(pipe, (uint8_t *)records, sizeof records, 1, handles, &refused) == 1);
    CHECK(sluice_doca_settle(1000) == SLUICE_DOCA_ENTRY_FAILED);
    CHECK(sluice_doca_entries_state(handles, 1, states) == 0 && states[0] == 3);
    CHECK(sluice_doca_settle(1000) == 0);
    /* More than fits: what did is said, and why the next did not. */
    for (uint32_t i = 0; i < MANY; i++)
        records[i] = allow(0x03000000 + i, 443);
    CHECK(sluice_doca_entries_add(pipe, (uint8_t *)records, sizeof records, MANY, handles, &refused) == 400);
    CHECK(refused == -24);
    CHECK(sluice_doca_settle(1000) == 400);
    CHECK(sluice_doca_entries_remove(handles, 400, &refused) == 400 && refused == 0);
    CHECK(sluice_doca_settle(1000) == 400);
}

static void change(uint64_t pipe)
{
    struct record record = allow(0x02000000, 443);
    struct sluice_doca_entry drop = { .forward = SLUICE_DOCA_DROP };
    uint64_t handle = 0, stale;
    int32_t refused = 0;
    doca_emulator_fault(DOCA_EMULATOR_FAULT_LATE, 3);
    CHECK(sluice_doca_entries_add(pipe, (uint8_t *)&record, sizeof record, 1, &handle, &refused) == 1);
    CHECK(sluice_doca_settle(1000) == 1); /* late is not lost */
#if DOCA_EMULATED_SHAPE == 32
    CHECK(sluice_doca_entry_update(handle, &drop) == SLUICE_DOCA_NO_UPDATE);
#else
    CHECK(sluice_doca_entry_update(handle, &drop) == 0);
    CHECK(fate(0x02000000, 443, 0) == DOCA_EMULATOR_TO_PORT);
    CHECK(sluice_doca_settle(1000) == 1);
    CHECK(fate(0x02000000, 443, 0) == DOCA_EMULATOR_DROPPED); /* and the old rule is gone as well */
#endif
    CHECK(sluice_doca_entries_remove(&handle, 1, &refused) == 1);
    CHECK(sluice_doca_entries_remove(&handle, 1, &refused) == 0 && refused == SLUICE_DOCA_BAD_HANDLE);
    CHECK(sluice_doca_settle(1000) == 1);
    stale = handle;
    CHECK(sluice_doca_entries_add(pipe, (uint8_t *)&record, sizeof record, 1, &handle, &refused) == 1);
    CHECK(sluice_doca_settle(1000) == 1);
    CHECK(stale != handle);
    CHECK(sluice_doca_entry_update(stale, &drop) == SLUICE_DOCA_BAD_HANDLE);
    struct sluice_doca_count count;
    CHECK(sluice_doca_entries_count(&stale, 1, &count) == SLUICE_DOCA_BAD_HANDLE);
    doca_emulator_fault(DOCA_EMULATOR_FAULT_LATE, 1000000000);
    CHECK(sluice_doca_entries_remove(&handle, 1, &refused) == 1);
    CHECK(sluice_doca_settle(20) == SLUICE_DOCA_NOT_COMPLETED);
    doca_emulator_fault(DOCA_EMULATOR_FAULT_LATE, 0);
    CHECK(sluice_doca_settle(1000) == 1);
}

/* What is forwarded to the queue is there to be taken once, shortened; what finds it full is lost. */
static void queue(uint64_t pipe)
{
    enum { FLOOD = 300, QUEUED = 256, STRIDE = 48 };
    static uint8_t taken[FLOOD * STRIDE];
    struct record record = allow(0x05060708, 443);
    record.head.forward = SLUICE_DOCA_QUEUE;
    record.head.forward_port = 1;
    uint64_t handle;
    int32_t refused = 0;
#if DOCA_EMULATED_SHAPE < 33
    CHECK(sluice_doca_queue_open(1, 2048) == -4);
    CHECK(sluice_doca_queue_take(1, taken, STRIDE, 1) == -4);
    (void)handle;
    (void)record;
    (void)pipe;
    (void)refused;
#else
    uint32_t head[2];
    CHECK(sluice_doca_queue_take(1, taken, STRIDE, 1) == SLUICE_DOCA_BAD_HANDLE);
    CHECK(sluice_doca_queue_open(3, 2048) == SLUICE_DOCA_BAD_ARGUMENT);
    CHECK(sluice_doca_queue_open(1, 63) == SLUICE_DOCA_BAD_ARGUMENT);
    CHECK(sluice_doca_queue_open(1, 2048) == 0);
    CHECK(sluice_doca_queue_open(1, 2048) == SLUICE_DOCA_BAD_HANDLE);
    CHECK(sluice_doca_queue_open(2, 9216) == 0);
    CHECK(sluice_doca_queue_take(1, NULL, STRIDE, 1) == SLUICE_DOCA_BAD_ARGUMENT);
    CHECK(sluice_doca_queue_take(1, taken, 8, 1) == SLUICE_DOCA_BAD_ARGUMENT);
    CHECK(sluice_doca_queue_take(1, taken, STRIDE, 0) == SLUICE_DOCA_BAD_ARGUMENT);
    record.head.forward_port = 3;
    CHECK(sluice_doca_entries_add(pipe, (uint8_t *)&record, sizeof record, 1, &handle, &refused) == 0);
    CHECK(refused == SLUICE_DOCA_BAD_ARGUMENT);
    record.head.forward_port = 1;
    CHECK(sluice_doca_entries_add(pipe, (uint8_t *)&record, sizeof record, 1, &handle, &refused) == 1);
    CHECK(sluice_doca_settle(1000) == 1);
    CHECK(sluice_doca_queue_take(1, taken, STRIDE, FLOOD) == 0);
    CHECK(fate(0x05060708, 443, 0) == DOCA_EMULATOR_TO_QUEUE);
    CHECK(sluice_doca_queue_take(2, taken, STRIDE, FLOOD) == 0); /* it is in the other one */
    CHECK(sluice_doca_queue_take(1, taken, STRIDE, FLOOD) == 1);
    memcpy(head, taken, sizeof head);
    CHECK(head[0] == 54 && head[1] == STRIDE - 8 && taken[8 + 30] == 5 && taken[8 + 33] == 8);
    CHECK(sluice_doca_queue_take(1, taken, STRIDE, FLOOD) == 0);
    for (int i = 0; i < FLOOD; i++)
        fate(0x05060708, 443, 0);
    CHECK(sluice_doca_queue_take(1, taken, STRIDE, FLOOD) == QUEUED);
    CHECK(sluice_doca_queue_take(1, taken, STRIDE, FLOOD) == 0);
    CHECK(sluice_doca_entries_remove(&handle, 1, &refused) == 1);
    CHECK(sluice_doca_settle(1000) == 1);
#endif
    uint8_t frame[60] = { 0 };
    CHECK(sluice_doca_send("VUID0", frame, 13) == SLUICE_DOCA_BAD_ARGUMENT);
    CHECK(sluice_doca_send("VUID9", frame, sizeof frame) == SLUICE_DOCA_NO_NETDEVICE);
}

#if DOCA_EMULATED_SHAPE >= 33
/* 10.1.0.1:0, as in `fate`, to 9.9.9.9:443 and back, in a zone. */
static struct sluice_doca_connection connection(uint32_t zone)
{
    return (struct sluice_doca_connection){ .source = { 10, 1, 0, 1 },
                                            .destination = { 9, 9, 9, 9 },
                                            .source_port = { 0, 0 },
                                            .destination_port = { 443 >> 8, 443 & 255 },
                                            .protocol = 6,
                                            .zone = zone,
                                            .idle_s = 60 };
}

/* Connections are found in their zone only, counted each way, told of once when they are idle, and gone when they are removed. */
static void connections(uint64_t pipe)
{
    const struct record out = allow(0x09090909, 443);
    struct sluice_doca_pipe spec = { .name = "ends", .entries = 8, .transport = 1, .forward = SLUICE_DOCA_EACH,
                                     .miss = SLUICE_DOCA_DROP, .nr_matches = 2 };
    struct sluice_doca_connection list[2] = { connection(7), connection(8) };
    uint64_t hit, miss, front, tracker, handles[2], told[4], entry;
    int32_t refused = 0;
    spec.matches[0] = each(SLUICE_DOCA_IP4_DST, 4);
    spec.matches[1] = each(SLUICE_DOCA_DST_PORT, 2);
    CHECK(sluice_doca_pipe_create(&spec, &hit) == 0);
    CHECK(sluice_doca_entries_add(hit, (const uint8_t *)&out, sizeof out, 1, &entry, &refused) == 1);
    CHECK(sluice_doca_tracker_create(hit, 0, &tracker) == SLUICE_DOCA_BAD_HANDLE);
    CHECK(sluice_doca_pipe_create(&spec, &miss) == 0);
    CHECK(sluice_doca_tracker_create(hit, miss, &tracker) == 0);
    /* In front of it, the zone: port 443 of that address is in 7. */
    spec.sets_meta = 1;
    CHECK(sluice_doca_pipe_create(&spec, &front) == 0);
    struct record led = out;
    led.head = (struct sluice_doca_entry){ .forward = SLUICE_DOCA_PIPE, .forward_pipe = tracker, .meta = 7 };
    CHECK(sluice_doca_entries_add(front, (const uint8_t *)&led, sizeof led, 1, &entry, &refused) == 1);
    struct record lead = out;
    lead.head = (struct sluice_doca_entry){ .forward = SLUICE_DOCA_PIPE, .forward_pipe = front };
    CHECK(sluice_doca_entries_add(pipe, (const uint8_t *)&lead, sizeof lead, 1, &entry, &refused) == 1);
    CHECK(sluice_doca_settle(1000) == 3);
    CHECK(fate(0x09090909, 443, 0) == DOCA_EMULATOR_DROPPED);

    CHECK(sluice_doca_connections_add(hit, list, 1, handles, &refused) == SLUICE_DOCA_BAD_HANDLE);
    CHECK(sluice_doca_connections_add(tracker, NULL, 1, handles, &refused) == SLUICE_DOCA_BAD_ARGUMENT);
    CHECK(sluice_doca_connections_add(tracker, &list[1], 1, handles, &refused) == 1 && refused == 0);
    CHECK(sluice_doca_settle(1000) == 1);
    CHECK(fate(0x09090909, 443, 0) == DOCA_EMULATOR_DROPPED); /* another zone's */
    CHECK(sluice_doca_connections_add(tracker, list, 2, told, &refused) == 1 && refused == -23);
    handles[1] = told[0];
    CHECK(fate(0x09090909, 443, 0) == DOCA_EMULATOR_DROPPED); /* not reported yet */
    CHECK(sluice_doca_settle(1000) == 1);
    CHECK(fate(0x09090909, 443, 0) == DOCA_EMULATOR_TO_PORT);
    doca_emulator_advance(1000);
    struct sluice_doca_count counts[4];
    CHECK(sluice_doca_connections_count(handles, 2, counts) == 0);
    CHECK(counts[0].packets == 0 && counts[2].packets == 1 && counts[2].octets == 54 && counts[3].packets == 0);
    CHECK(sluice_doca_connections_count(&entry, 1, counts) == SLUICE_DOCA_BAD_HANDLE);

    CHECK(sluice_doca_connections_aged(told, 4) == 0);
    doca_emulator_advance(59500);
    CHECK(fate(0x09090909, 443, 0) == DOCA_EMULATOR_TO_PORT);
    doca_emulator_advance(1000);
    CHECK(sluice_doca_connections_aged(told, 4) == 1 && told[0] == handles[0]);
    CHECK(sluice_doca_connections_aged(told, 4) == 0);
    CHECK(sluice_doca_connections_remove(handles, 2, &refused) == 2 && refused == 0);
    CHECK(sluice_doca_connections_remove(handles, 1, &refused) == 0 && refused == SLUICE_DOCA_BAD_HANDLE);
    CHECK(sluice_doca_settle(1000) == 2);
    CHECK(fate(0x09090909, 443, 0) == DOCA_EMULATOR_DROPPED);

    /* One that the device refuses leaves nothing behind, and neither does one that does not fit. */
    doca_emulator_fault(DOCA_EMULATOR_FAULT_ENTRY, 1);
    CHECK(sluice_doca_connections_add(tracker, list, 1, handles, &refused) == 1);
    CHECK(sluice_doca_settle(1000) == SLUICE_DOCA_ENTRY_FAILED);
    CHECK(sluice_doca_connections_remove(handles, 1, &refused) == 1);
    CHECK(sluice_doca_connections_remove(handles, 1, &refused) == 0);
    enum { MORE = 20 };
    struct sluice_doca_connection many[MORE];
    uint64_t given[MORE];
    for (uint8_t i = 0; i < MORE; i++) {
        many[i] = connection(9);
        many[i].source_port[1] = i;
    }
    CHECK(sluice_doca_connections_add(tracker, many, MORE, given, &refused) == 16 && refused == -24);
    CHECK(sluice_doca_settle(1000) == 16);
    CHECK(sluice_doca_entries_remove(&entry, 1, &refused) == 1);
    CHECK(sluice_doca_settle(1000) == 1);
    CHECK(sluice_doca_pipe_destroy(front) == 0 && sluice_doca_pipe_destroy(tracker) == 0);
    CHECK(sluice_doca_connections_count(given, 1, counts) == SLUICE_DOCA_BAD_HANDLE);
    CHECK(sluice_doca_pipe_destroy(miss) == 0 && sluice_doca_pipe_destroy(hit) == 0);
}
#endif

int main(void)
{
    struct sluice_doca_device device = { .queue_depth = 64, .counters = 4096, .actions_memory = 1 << 16 };
    struct sluice_doca_representor reps[2];
    char pci[2][16];
    CHECK(doca_emulator_topology("dev 0000:03:00.0 p0; rep 0000:03:00.0 pf0vf0 VUID0; rep 0000:03:00.0 pf0vf1 VUID1") == 0);
    contract();
    CHECK(sluice_doca_devices(pci, 2) == 1 && strcmp(pci[0], "0000:03:00.0") == 0);
    open_wrongly(&device);
#if DOCA_EMULATED_SHAPE >= 33
    device.connections = 16;
    device.zones = 0xffff;
#else
    device.connections = 1;
    CHECK(sluice_doca_open(&device) == -4);
    device.connections = 0;
#endif
    for (int again = 0; again < 2; again++) {
        CHECK(sluice_doca_open(&device) == 0);
        CHECK(sluice_doca_open(&device) == -18);
        CHECK(sluice_doca_representors(reps, 2) == 2);
        CHECK(strcmp(reps[1].vuid, "VUID1") == 0 && strcmp(reps[1].interface_name, "pf0vf1") == 0);
        CHECK(sluice_doca_port_start("VUID9", 1) == SLUICE_DOCA_NO_REPRESENTOR);
        CHECK(sluice_doca_port_start("VUID0", 1) == 0);
        CHECK(sluice_doca_port_start("VUID0", 2) == -23);
        CHECK(sluice_doca_default_miss(1) == (DOCA_EMULATED_SHAPE >= 32 ? 0 : -4));
        uint64_t pipe = make_pipe();
        entries(pipe);
        change(pipe);
        queue(pipe);
#if DOCA_EMULATED_SHAPE >= 33
        connections(pipe);
#endif
        CHECK(sluice_doca_pipe_destroy(pipe) == 0);
        CHECK(sluice_doca_pipe_destroy(pipe) == SLUICE_DOCA_BAD_HANDLE);
        CHECK(fate(0x01000000, 443, 0) == DOCA_EMULATOR_DROPPED);
        CHECK(sluice_doca_close() == 0);
    }
    printf("%u checks\n", checks);
    return 0;
}
