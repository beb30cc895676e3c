/* Connection tracking: a pipe that knows five-tuples in a zone, both directions of each. A connection is prepared, then added, and
 * counts when the callback has said so. It needs the software queues, since somebody has to see first packets: so 3.3 and
 * later. Which packets may begin a connection, and when one ends, is not decided here. */
#include <string.h>

#include "shim.h"

#if SHAPE >= 33
#include <doca_flow_ct.h>

#define AGED_MAX 1024

static struct {
    uint64_t handles[AGED_MAX];
    uint32_t count;
} aged;

bool shim_can_track(void)
{
    struct doca_devinfo **list;
    uint32_t count;
    if (doca_devinfo_create_list(&list, &count) != DOCA_SUCCESS)
        return false;
    bool all = count > 0;
    for (uint32_t i = 0; i < count; i++)
        all = all && doca_flow_ct_cap_is_dev_supported(list[i]) == DOCA_SUCCESS;
    doca_devinfo_destroy_list(list);
    return all;
}

int32_t shim_tracking_open(const struct sluice_doca_device *device)
{
    if (device->connections == 0)
        return 0;
    struct doca_flow_ct_cfg *cfg;
    struct doca_flow_meta zone = { .pkt_meta = DOCA_HTOBE32(device->zones) };
    struct doca_flow_ct_meta unchanged;
    memset(&unchanged, 0, sizeof unchanged);
    doca_error_t result = doca_flow_ct_cfg_create(&cfg);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    DOCA_ERROR_PROPAGATE(result, doca_flow_ct_cfg_set_queues(cfg, 1));
    DOCA_ERROR_PROPAGATE(result, doca_flow_ct_cfg_set_ctrl_queues(cfg, 1));
    DOCA_ERROR_PROPAGATE(result, doca_flow_ct_cfg_set_queue_depth(cfg, device->queue_depth));
    DOCA_ERROR_PROPAGATE(result, doca_flow_ct_cfg_set_aging_core(cfg, 2));
    DOCA_ERROR_PROPAGATE(result, doca_flow_ct_cfg_set_connections(cfg, device->connections, device->connections, 0));
    DOCA_ERROR_PROPAGATE(result, doca_flow_ct_cfg_set_direction(cfg, false, false, &zone, &unchanged));
    DOCA_ERROR_PROPAGATE(result, doca_flow_ct_cfg_set_direction(cfg, true, false, &zone, &unchanged));
    DOCA_ERROR_PROPAGATE(result, doca_flow_ct_init(cfg));
    shim.tracking = result == DOCA_SUCCESS;
    doca_flow_ct_cfg_destroy(cfg);
    return code_of(result);
}

void shim_tracking_close(void)
{
    if (shim.tracking)
        doca_flow_ct_destroy();
    aged.count = 0;
}

int32_t shim_tracking_process(void)
{
    return shim.tracking ? code_of(doca_flow_ct_entries_process(shim.wire, CT_QUEUE, 2, shim.depth, NULL)) : 0;
}

int32_t sluice_doca_tracker_create(uint64_t hit, uint64_t miss, uint64_t *handle)
{
    struct doca_flow_fwd to_hit, to_miss;
    struct doca_flow_match nothing;
    memset(&nothing, 0, sizeof nothing);
    if (!handle)
        return SLUICE_DOCA_BAD_ARGUMENT;
    if (!shim.tracking || !shim.wire_started)
        return SLUICE_DOCA_BAD_HANDLE;
    int32_t code = shim_forward(SLUICE_DOCA_PIPE, 0, hit, &to_hit);
    if (code == 0)
        code = shim_forward(SLUICE_DOCA_PIPE, 0, miss, &to_miss);
    if (code != 0)
        return code;
    struct doca_flow_pipe_cfg *cfg;
    struct doca_flow_pipe *made;
    doca_error_t result = doca_flow_pipe_cfg_create(&cfg, shim.wire);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_name(cfg, "connections"));
    DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_type(cfg, DOCA_FLOW_PIPE_CT));
    DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_match(cfg, &nothing, &nothing));
    DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_create(cfg, &to_hit, &to_miss, &made));
    doca_flow_pipe_cfg_destroy(cfg);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    uint64_t given;
    struct shim_pipe *pipe = shim_pipe_new(&given);
    if (!pipe) {
        doca_flow_pipe_destroy(made);
        return code_of(DOCA_ERROR_NO_MEMORY);
    }
    pipe->pipe = made;
    pipe->kind = DOCA_FLOW_PIPE_CT;
    *handle = given;
    return 0;
}

/* One direction; the other is the same with its ends changed over. */
static struct doca_flow_ct_match match_of(const struct sluice_doca_connection *one, bool reply)
{
    struct doca_flow_ct_match match;
    const uint8_t *source = reply ? one->destination : one->source;
    const uint8_t *destination = reply ? one->source : one->destination;
    const uint8_t *from = reply ? one->destination_port : one->source_port;
    const uint8_t *to = reply ? one->source_port : one->destination_port;
    memset(&match, 0, sizeof match);
    if (one->ip6) {
        memcpy(match.ipv6.src_ip, source, 16);
        memcpy(match.ipv6.dst_ip, destination, 16);
        memcpy(&match.ipv6.l4_port.src_port, from, 2);
        memcpy(&match.ipv6.l4_port.dst_port, to, 2);
        match.ipv6.metadata = DOCA_HTOBE32(one->zone);
        match.ipv6.next_proto = one->protocol;
    } else {
        memcpy(&match.ipv4.src_ip, source, 4);
        memcpy(&match.ipv4.dst_ip, destination, 4);
        memcpy(&match.ipv4.l4_port.src_port, from, 2);
        memcpy(&match.ipv4.l4_port.dst_port, to, 2);
        match.ipv4.metadata = DOCA_HTOBE32(one->zone);
        match.ipv4.next_proto = one->protocol;
    }
    return match;
}

/* One connection is two rules, and the queue has to hold both. */
static int32_t make_room(void)
{
    for (int tries = 0; 2 * shim.outstanding + 2 > shim.depth; tries++) {
        if (tries == 100)
            return SLUICE_DOCA_NOT_COMPLETED;
        int32_t code = shim_tracking_process();
        if (code == 0)
            code = code_of(doca_flow_entries_process(shim.wire, QUEUE, 10000, 0));
        if (code != 0)
            return code;
    }
    return 0;
}

static int32_t add(struct shim_pipe *pipe, const struct sluice_doca_connection *one, uint64_t *handle)
{
    struct doca_flow_ct_match origin = match_of(one, false), reply = match_of(one, true);
    const uint32_t family = one->ip6 ? DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_ORIGIN | DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_REPLY : 0;
    const uint32_t flags = family | DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT | DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN |
                           DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY | DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_ORIGIN |
                           DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_REPLY;
    uint64_t given;
    bool found = false;
    struct shim_entry *entry = shim_entry_new(pipe, &given);
    if (!entry)
        return code_of(DOCA_ERROR_NO_MEMORY);
    entry->state = 1;
    doca_error_t result =
        doca_flow_ct_entry_prepare(CT_QUEUE, pipe->pipe, family | DOCA_FLOW_CT_ENTRY_FLAGS_ALLOC_ON_MISS, &origin, 0,
                                   &reply, 0, &entry->entry, &found);
    if (result == DOCA_SUCCESS && found)
        result = DOCA_ERROR_ALREADY_EXIST;
    else if (result == DOCA_SUCCESS) {
        result = doca_flow_ct_add_entry(CT_QUEUE, pipe->pipe, flags, &origin, &reply, NULL, NULL, 0, 0, one->idle_s,
                                        entry, entry->entry);
        if (result != DOCA_SUCCESS)
            doca_flow_ct_entry_prepare_rollback(CT_QUEUE, pipe->pipe, entry->entry);
    }
    if (result != DOCA_SUCCESS) {
        shim_entry_free(entry);
        return code_of(result);
    }
    pipe->count++;
    shim.outstanding++;
    *handle = given;
    return 0;
}

int32_t sluice_doca_connections_add(uint64_t tracker, const struct sluice_doca_connection *list, uint32_t count,
                                    uint64_t *handles, int32_t *refused)
{
    struct shim_pipe *pipe = shim_pipe_of(tracker);
    if (!pipe || pipe->kind != DOCA_FLOW_PIPE_CT)
        return SLUICE_DOCA_BAD_HANDLE;
    if (!list || !handles || !refused || count == 0)
        return SLUICE_DOCA_BAD_ARGUMENT;
    uint32_t done = 0;
    int32_t code = 0;
    for (; done < count; done++)
        if ((code = make_room()) != 0 || (code = add(pipe, &list[done], &handles[done])) != 0)
            break;
    *refused = code;
    return (int32_t)done;
}

static struct shim_entry *connection_of(uint64_t handle)
{
    struct shim_entry *entry = shim_entry_of(handle);
    return entry && shim.pipes[entry->pipe - 1].kind == DOCA_FLOW_PIPE_CT ? entry : NULL;
}

int32_t sluice_doca_connections_remove(const uint64_t *handles, uint32_t count, int32_t *refused)
{
    if (!handles || !refused || count == 0)
        return SLUICE_DOCA_BAD_ARGUMENT;
    uint32_t done = 0;
    int32_t code = 0;
    for (; done < count; done++) {
        struct shim_entry *entry = connection_of(handles[done]);
        bool failed = entry && entry->state == 3;
        code = !entry || entry->state < 2 || entry->removing ? SLUICE_DOCA_BAD_HANDLE : failed ? 0 : make_room();
        if (failed) {
            code = code_of(doca_flow_ct_entry_prepare_rollback(CT_QUEUE, shim_pipe_behind(entry), entry->entry));
            if (code != 0)
                break;
            shim_entry_free(entry);
            continue;
        }
        if (code == 0)
            code = code_of(doca_flow_ct_rm_entry(CT_QUEUE, shim_pipe_behind(entry), DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT,
                                                 entry->entry));
        if (code != 0)
            break;
        entry->removing = true;
        shim.outstanding++;
    }
    *refused = code;
    return (int32_t)done;
}

int32_t sluice_doca_connections_count(const uint64_t *handles, uint32_t count, struct sluice_doca_count *out)
{
    if (!handles || !out)
        return SLUICE_DOCA_BAD_ARGUMENT;
    for (uint32_t i = 0; i < count; i++) {
        struct shim_entry *entry = connection_of(handles[i]);
        struct doca_flow_resource_query ways[2];
        if (!entry || entry->state != 2)
            return SLUICE_DOCA_BAD_HANDLE;
        doca_error_t result = doca_flow_ct_query_entry(CT_QUEUE, shim_pipe_behind(entry), 0, entry->entry, &ways[0],
                                                       &ways[1], NULL);
        if (result != DOCA_SUCCESS)
            return code_of(result);
        for (uint32_t way = 0; way < 2; way++) {
            out[2 * i + way].packets = ways[way].counter.total_pkts;
            out[2 * i + way].octets = ways[way].counter.total_bytes;
        }
    }
    return 0;
}

void shim_on_aged(struct shim_entry *entry)
{
    if (entry->aged || aged.count == AGED_MAX)
        return;
    entry->aged = true;
    aged.handles[aged.count++] = shim_entry_handle(entry);
}

int32_t sluice_doca_connections_aged(uint64_t *handles, uint32_t room)
{
    if (!shim.tracking || !shim.wire_started)
        return SLUICE_DOCA_BAD_HANDLE;
    if (!handles || room == 0)
        return SLUICE_DOCA_BAD_ARGUMENT;
    const uint32_t most = room < AGED_MAX ? room : AGED_MAX;
    aged.count = 0;
    if (doca_flow_aging_handle(shim.wire, CT_QUEUE, 0, most) < -1)
        return code_of(DOCA_ERROR_DRIVER);
    memcpy(handles, aged.handles, aged.count * sizeof *handles);
    return (int32_t)aged.count;
}
#else
bool shim_can_track(void)
{
    return false;
}

int32_t shim_tracking_open(const struct sluice_doca_device *device)
{
    return device->connections == 0 ? 0 : code_of(DOCA_ERROR_NOT_SUPPORTED);
}

void shim_tracking_close(void)
{
}

int32_t shim_tracking_process(void)
{
    return 0;
}

void shim_on_aged(struct shim_entry *entry)
{
    (void)entry;
}

int32_t sluice_doca_tracker_create(uint64_t hit, uint64_t miss, uint64_t *handle)
{
    (void)hit;
    (void)miss;
    (void)handle;
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
}

int32_t sluice_doca_connections_add(uint64_t tracker, const struct sluice_doca_connection *list, uint32_t count,
                                    uint64_t *handles, int32_t *refused)
{
    (void)tracker;
    (void)list;
    (void)count;
    (void)handles;
    (void)refused;
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
}

int32_t sluice_doca_connections_remove(const uint64_t *handles, uint32_t count, int32_t *refused)
{
    (void)handles;
    (void)count;
    (void)refused;
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
}

int32_t sluice_doca_connections_count(const uint64_t *handles, uint32_t count, struct sluice_doca_count *out)
{
    (void)handles;
    (void)count;
    (void)out;
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
}

int32_t sluice_doca_connections_aged(uint64_t *handles, uint32_t room)
{
    (void)handles;
    (void)room;
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
}
#endif
