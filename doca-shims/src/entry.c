/* Entries: batches are queued with one crossing, and completed by settle. An operation counts as done when the callback has
 * said so, never before. */
#include <string.h>
#include <time.h>

#include "calls.h"

/* Runs on the caller's thread, inside entries_process. */
void shim_on_entry(struct doca_flow_pipe_entry *doca, uint16_t queue, enum doca_flow_entry_status status,
                   enum doca_flow_entry_op op, void *context)
{
    struct shim_entry *entry = context;
    (void)doca;
    (void)queue;
    if (op == DOCA_FLOW_ENTRY_OP_AGED)
        shim_on_aged(entry);
    if (op == DOCA_FLOW_ENTRY_OP_AGED || status == DOCA_FLOW_ENTRY_STATUS_IN_PROCESS)
        return;
    /* A connection is two rules: a release that reports each of them is heard once. */
    if (!entry->used || (op == DOCA_FLOW_ENTRY_OP_ADD && entry->state != 1))
        return;
    shim.outstanding--;
    shim.completed++;
    bool gone = (op == DOCA_FLOW_ENTRY_OP_ADD) != (status == DOCA_FLOW_ENTRY_STATUS_SUCCESS);
    if (gone && op != DOCA_FLOW_ENTRY_OP_UPD)
        shim.pipes[entry->pipe - 1].count--;
    if (status != DOCA_FLOW_ENTRY_STATUS_SUCCESS) {
        shim.failed++;
        entry->state = op == DOCA_FLOW_ENTRY_OP_ADD ? 3 : 2;
        entry->removing = false;
        return;
    }
    if (op == DOCA_FLOW_ENTRY_OP_DEL)
        shim_entry_free(entry);
    else
        entry->state = 2;
}

static int32_t process(void)
{
    int32_t code = code_of(doca_flow_entries_process(shim.wire, QUEUE, 10000, 0));
    return code != 0 ? code : shim_tracking_process();
}

/* Half a queue is pushed at a time, so that there is always room for the next. */
static int32_t make_room(void)
{
    for (int tries = 0; shim.outstanding >= shim.depth - 1; tries++) {
        if (tries == 100)
            return SLUICE_DOCA_NOT_COMPLETED;
        int32_t code = process();
        if (code != 0)
            return code;
    }
    return 0;
}

static int32_t read_key(const struct shim_pipe *pipe, uint32_t transport, const uint8_t *octets,
                        struct doca_flow_match *match)
{
    for (uint8_t i = 0; i < pipe->nr_fields; i++) {
        if (!shim_field_put(match, pipe->fields[i], transport, octets))
            return SLUICE_DOCA_BAD_ARGUMENT;
        octets += shim_field_octets(pipe->fields[i]);
    }
    return 0;
}

/* One record made ready for DOCA. */
struct prepared {
    int32_t code;
    uint32_t transport;
    struct sluice_doca_entry head;
    struct doca_flow_match match, mask;
    struct doca_flow_actions actions;
    struct doca_flow_fwd fwd;
};

static void prepare(const struct shim_pipe *pipe, const uint8_t *record, struct prepared *out)
{
    memset(out, 0, sizeof *out);
    memcpy(&out->head, record, sizeof out->head);
    const struct sluice_doca_entry *head = &out->head;
    const uint8_t *key = record + sizeof *head;
    bool acl = pipe->kind == SLUICE_DOCA_ACL;
    out->transport = acl ? head->transport : pipe->transport;
    out->code = shim_forward(head->forward, head->forward_port, head->forward_pipe, &out->fwd);
    if (out->code == 0)
        out->code = read_key(pipe, out->transport, key, &out->match);
    if (out->code == 0 && pipe->kind != SLUICE_DOCA_BASIC)
        out->code = read_key(pipe, out->transport, key + pipe->key_octets, &out->mask);
    if (out->code != 0)
        return;
    shim_select(&out->match, pipe->l3, out->transport);
    shim_select(&out->mask, pipe->l3, out->transport);
    if (acl) {
        /* The selector does not look at the protocol: the rule itself must. */
        out->match.parser_meta.outer_l4_type = out->transport == 1 ? DOCA_FLOW_L4_META_TCP : DOCA_FLOW_L4_META_UDP;
        out->mask.parser_meta.outer_l4_type = (enum doca_flow_l4_meta)UINT32_MAX;
    }
    /* Metadata is in network order over there. */
    const uint8_t meta[4] = { (uint8_t)(head->meta >> 24), (uint8_t)(head->meta >> 16), (uint8_t)(head->meta >> 8),
                              (uint8_t)head->meta };
    memcpy(&out->actions.meta.pkt_meta, meta, sizeof meta);
}

static int32_t issue(struct shim_pipe *pipe, const struct prepared *one, bool push, uint64_t *handle)
{
    const struct doca_flow_monitor monitor = { .counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED };
    uint64_t given;
    struct shim_entry *entry = shim_entry_new(pipe, &given);
    if (!entry)
        return code_of(DOCA_ERROR_NO_MEMORY);
    entry->state = 1;
    struct call call = { .pipe = pipe->pipe,
                         .match = &one->match,
                         .mask = &one->mask,
                         .actions = pipe->sets_meta ? &one->actions : NULL,
                         .fwd = one->head.forward == SLUICE_DOCA_NONE ? NULL : &one->fwd,
                         .priority = one->head.priority,
                         .push = push,
                         .context = entry,
                         .entry = &entry->entry };
    doca_error_t result = pipe->kind == SLUICE_DOCA_BASIC     ? call_basic(&call)
                          : pipe->kind == SLUICE_DOCA_CONTROL ? call_control(&call, pipe->counted ? &monitor : NULL)
                          : pipe->kind == SLUICE_DOCA_LPM     ? call_lpm(&call)
                                                              : call_acl(&call);
    if (result != DOCA_SUCCESS) {
        shim_entry_free(entry);
        return code_of(result);
    }
    pipe->count++;
    shim.outstanding++;
    *handle = given;
    return 0;
}

int32_t sluice_doca_entries_add(uint64_t handle, const uint8_t *batch, uint32_t octets, uint32_t count,
                                uint64_t *handles, int32_t *refused)
{
    struct shim_pipe *pipe = shim_pipe_of(handle);
    if (!pipe)
        return SLUICE_DOCA_BAD_HANDLE;
    uint32_t behind = pipe->key_octets * (pipe->kind == SLUICE_DOCA_BASIC ? 1 : 2);
    size_t each = (sizeof(struct sluice_doca_entry) + behind + 7) & ~(size_t)7;
    if (!batch || !handles || !refused || count == 0 || octets / each < count)
        return SLUICE_DOCA_BAD_ARGUMENT;
    /* What is buffered is pushed by the next that is pushed, and by nothing else. So a record is only buffered when it is known
     * that the one after it will follow. */
    struct prepared two[2];
    prepare(pipe, batch, &two[0]);
    uint32_t done = 0;
    int32_t code = 0;
    for (; done < count; done++) {
        struct prepared *now = &two[done % 2], *next = &two[(done + 1) % 2];
        code = now->code != 0                ? now->code
               : pipe->count == pipe->room   ? code_of(DOCA_ERROR_FULL)
                                             : make_room();
        if (code != 0)
            break;
        bool last = done + 1 == count || pipe->count + 1 == pipe->room;
        if (done + 1 < count)
            prepare(pipe, batch + (done + 1) * each, next);
        bool push = last || next->code != 0 || (done + 1) % (shim.depth / 2) == 0;
        code = issue(pipe, now, push, &handles[done]);
        if (code != 0)
            break;
    }
    *refused = code;
    return (int32_t)done;
}

int32_t sluice_doca_entries_remove(const uint64_t *handles, uint32_t count, int32_t *refused)
{
    if (!handles || !refused || count == 0)
        return SLUICE_DOCA_BAD_ARGUMENT;
    uint32_t done = 0;
    int32_t code = 0;
    for (; done < count; done++) {
        struct shim_entry *entry = shim_entry_of(handles[done]);
        if (!entry || entry->state != 2 || entry->removing) {
            code = SLUICE_DOCA_BAD_HANDLE;
            break;
        }
        if ((code = make_room()) != 0)
            break;
        code = code_of(doca_flow_pipe_remove_entry(QUEUE, PUSH, entry->entry));
        if (code != 0)
            break;
        entry->removing = true;
        shim.outstanding++;
    }
    *refused = code;
    return (int32_t)done;
}

int32_t sluice_doca_entry_update(uint64_t handle, const struct sluice_doca_entry *change)
{
    struct shim_entry *entry = shim_entry_of(handle);
    struct doca_flow_fwd fwd;
    if (!entry || entry->state != 2 || entry->removing)
        return SLUICE_DOCA_BAD_HANDLE;
    if (!change || shim.pipes[entry->pipe - 1].kind != SLUICE_DOCA_BASIC)
        return SLUICE_DOCA_BAD_ARGUMENT;
    if (!CAN_UPDATE)
        return SLUICE_DOCA_NO_UPDATE;
    int32_t code = shim_forward(change->forward, change->forward_port, change->forward_pipe, &fwd);
    if (code == 0)
        code = make_room();
    if (code == 0)
        code = code_of(call_update(shim_pipe_behind(entry), &fwd, entry->entry));
    if (code != 0)
        return code;
    entry->state = 1;
    shim.outstanding++;
    shim.updated = true;
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int32_t sluice_doca_settle(uint32_t timeout_ms)
{
    if (!shim.wire_started)
        return SLUICE_DOCA_BAD_HANDLE;
    uint64_t deadline = now_ms() + timeout_ms;
    /* Once in any case: a device that is gone says so here. */
    do {
        int32_t code = process();
        if (code != 0)
            return code;
        if (shim.outstanding > 0 && now_ms() > deadline)
            return SLUICE_DOCA_NOT_COMPLETED;
    } while (shim.outstanding > 0);
    if (shim.updated) {
        /* The callback of an update can come before the hardware has let go of the old rule: once more. */
        int32_t code = process();
        if (code != 0)
            return code;
        shim.updated = false;
    }
    int32_t done = (int32_t)shim.completed;
    bool failed = shim.failed > 0;
    shim.completed = shim.failed = 0;
    return failed ? SLUICE_DOCA_ENTRY_FAILED : done;
}

int32_t sluice_doca_entries_state(const uint64_t *handles, uint32_t count, uint8_t *states)
{
    if (!handles || !states)
        return SLUICE_DOCA_BAD_ARGUMENT;
    for (uint32_t i = 0; i < count; i++) {
        struct shim_entry *entry = shim_entry_of(handles[i]);
        states[i] = entry ? entry->state : 0;
    }
    return 0;
}

int32_t sluice_doca_entries_count(const uint64_t *handles, uint32_t count, struct sluice_doca_count *out)
{
    if (!handles || !out)
        return SLUICE_DOCA_BAD_ARGUMENT;
    for (uint32_t i = 0; i < count; i++) {
        struct shim_entry *entry = shim_entry_of(handles[i]);
        struct doca_flow_resource_query query;
        if (!entry)
            return SLUICE_DOCA_BAD_HANDLE;
        doca_error_t result = doca_flow_resource_query_entry(entry->entry, &query);
        if (result != DOCA_SUCCESS)
            return code_of(result);
        out[i].packets = query.counter.total_pkts;
        out[i].octets = query.counter.total_bytes;
    }
    return 0;
}
