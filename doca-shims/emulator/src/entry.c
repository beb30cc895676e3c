/* Entries: what a program asks for is checked and made ready here; it is queued, and in force when the queue says so. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define CONTROL_PRIORITY_MAX 7
#define ACL_PRIORITY_MAX 1024

static doca_error_t monitor(struct doca_flow_pipe_entry *entry, const struct doca_flow_monitor *asked)
{
    struct doca_flow_pipe *pipe = entry->pipe;
    bool counts = pipe->counts;
    entry->shared_counter = pipe->shared_counter;
    entry->aging_sec = pipe->aging_sec;
    if (asked) {
        if (asked->meter_type != DOCA_FLOW_RESOURCE_TYPE_NONE)
            return DOCA_ERROR_NOT_SUPPORTED;
        counts |= asked->counter_type == DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
        if (asked->counter_type == DOCA_FLOW_RESOURCE_TYPE_SHARED)
            entry->shared_counter = asked->shared_counter.shared_counter_id;
        if (pipe->ages_changeable || pipe->type == DOCA_FLOW_PIPE_CONTROL)
            entry->aging_sec = asked->aging_sec;
    }
    if (entry->shared_counter != UINT32_MAX) {
        if (pipe->type == DOCA_FLOW_PIPE_LPM || pipe->type == DOCA_FLOW_PIPE_ACL)
            return DOCA_ERROR_NOT_SUPPORTED;
        if (entry->shared_counter >= pipe->port->nr_counters ||
            !pipe->port->shared[entry->shared_counter].present)
            return DOCA_ERROR_INVALID_VALUE;
    }
    entry->counter.present = counts;
    return DOCA_SUCCESS;
}

static doca_error_t actions(struct doca_flow_pipe_entry *entry, const struct emu_request *request)
{
    static const struct doca_flow_actions NONE;
    struct doca_flow_pipe *pipe = entry->pipe;
    if (pipe->type == DOCA_FLOW_PIPE_CONTROL) {
        if (!request->actions)
            return DOCA_SUCCESS;
        entry->own = calloc(1, sizeof *entry->own);
        if (!entry->own)
            return DOCA_ERROR_NO_MEMORY;
        doca_error_t result = emu_action_compile(request->actions, request->actions_mask, entry->own);
        return result != DOCA_SUCCESS ? result
                          : emu_action_values(entry->own, request->actions, &entry->values);
    }
    if (pipe->nr_actions == 0)
        /* Something to do where the pipe does nothing would be lost. */
        return request->action_index != 0 ||
                       (request->actions && memcmp(request->actions, &NONE, sizeof NONE) != 0)
                   ? DOCA_ERROR_INVALID_VALUE
                   : DOCA_SUCCESS;
    if (request->action_index >= pipe->nr_actions)
        return DOCA_ERROR_INVALID_VALUE;
    entry->action_index = request->action_index;
    return emu_action_values(&pipe->actions[request->action_index], request->actions, &entry->values);
}

static doca_error_t exact(struct doca_flow_pipe_entry *entry, const struct emu_request *request)
{
    if (!request->match)
        return entry->pipe->nr_changeable == 0 ? DOCA_SUCCESS : DOCA_ERROR_INVALID_VALUE;
    emu_match_key(entry->pipe, request->match, entry->key);
    return DOCA_SUCCESS;
}

/* Bits of a mask that is a prefix; -1 for any other. */
static int prefix_of(const uint8_t *mask, uint32_t octets)
{
    int bits = 0;
    uint32_t i = 0;
    for (; i < octets && mask[i] == 0xff; i++)
        bits += 8;
    if (i < octets && mask[i]) {
        uint8_t inverse = (uint8_t)~mask[i];
        if (inverse & (inverse + 1))
            return -1;
        bits += __builtin_popcount(mask[i++]);
    }
    for (; i < octets; i++)
        if (mask[i])
            return -1;
    return bits;
}

static doca_error_t prefix(struct doca_flow_pipe_entry *entry, const struct emu_request *request)
{
    struct doca_flow_pipe *pipe = entry->pipe;
    uint8_t mask[EMU_KEY_MAX];
    if (!request->match || !request->mask)
        return DOCA_ERROR_INVALID_VALUE;
    emu_match_key(pipe, request->match, entry->key);
    emu_match_key(pipe, request->mask, mask);
    int bits = prefix_of(mask, pipe->lpm_octets);
    if (bits < 0)
        return DOCA_ERROR_INVALID_VALUE;
    for (int i = 0; i < pipe->lpm_octets; i++)
        entry->key[i] &= mask[i];
    entry->prefix_length = (uint8_t)bits;
    return DOCA_SUCCESS;
}

static doca_error_t keep_probes(struct doca_flow_pipe_entry *entry, const struct emu_probe *probes, uint16_t count)
{
    entry->probes = malloc((count + 1u) * sizeof *probes);
    if (!entry->probes)
        return DOCA_ERROR_NO_MEMORY;
    memcpy(entry->probes, probes, count * sizeof *probes);
    entry->nr_probes = count;
    return DOCA_SUCCESS;
}

static doca_error_t prioritised(struct doca_flow_pipe_entry *entry, const struct emu_request *request)
{
    struct emu_probe probes[EMU_KEY_MAX];
    uint16_t count;
    if (!request->match || request->priority > CONTROL_PRIORITY_MAX)
        return DOCA_ERROR_INVALID_VALUE;
    entry->priority = request->priority;
    doca_error_t result = emu_match_selector(request->match, &entry->selector);
    if (result == DOCA_SUCCESS)
        result = emu_match_probes(request->match, request->mask, entry->selector, probes, &count);
    return result != DOCA_SUCCESS ? result : keep_probes(entry, probes, count);
}

/* A port of an ACL rule: mask equal to it is exact, 0 any, above it the end of a range; below it, an error. */
static bool port_range(struct doca_flow_pipe_entry *entry, int which, doca_be16_t port, doca_be16_t mask)
{
    uint16_t low = DOCA_BETOH16(port), high = DOCA_BETOH16(mask);
    entry->ports[which].used = high != 0;
    entry->ports[which].low = low;
    entry->ports[which].high = high;
    return high == 0 || high >= low;
}

/* Every octet that the rule compares must be one that the pipe declared; the protocol, each rule may say. */
static bool declared(const struct doca_flow_pipe *pipe, uint16_t at)
{
    size_t protocol = offsetof(struct doca_flow_match, parser_meta.outer_l4_type);
    if (at >= protocol && at < protocol + sizeof(enum doca_flow_l4_meta))
        return true;
    for (uint16_t i = 0; i < pipe->nr_changeable; i++)
        if (pipe->changeable[i].at == at)
            return true;
    for (uint16_t i = 0; i < pipe->nr_constant; i++)
        if (pipe->constant[i].at == at)
            return true;
    return false;
}

static bool addresses_are_prefixes(const struct doca_flow_match *mask, uint8_t l3)
{
    const struct doca_flow_header_format *outer = &mask->outer;
    if (l3 == DOCA_FLOW_L3_TYPE_IP4)
        return prefix_of((const uint8_t *)&outer->ip4.src_ip, 4) >= 0 &&
               prefix_of((const uint8_t *)&outer->ip4.dst_ip, 4) >= 0;
    return prefix_of((const uint8_t *)outer->ip6.src_ip, 16) >= 0 &&
           prefix_of((const uint8_t *)outer->ip6.dst_ip, 16) >= 0;
}

static doca_error_t rule(struct doca_flow_pipe_entry *entry, const struct emu_request *request)
{
    struct emu_probe probes[EMU_KEY_MAX];
    uint16_t count;
    if (!request->match || !request->mask || request->priority > ACL_PRIORITY_MAX)
        return DOCA_ERROR_INVALID_VALUE;
    entry->priority = request->priority;
    struct doca_flow_match match = *request->match, mask = *request->mask;
    doca_error_t result = emu_match_selector(&match, &entry->selector);
    if (result != DOCA_SUCCESS)
        return result;
    if (entry->selector.l3 != entry->pipe->selector.l3 || entry->selector.l4 == 0)
        return DOCA_ERROR_INVALID_VALUE;
    /* The ports stand first in every arm that has any. */
    if (!port_range(entry, 0, match.outer.transport.src_port, mask.outer.transport.src_port) ||
        !port_range(entry, 1, match.outer.transport.dst_port, mask.outer.transport.dst_port))
        return DOCA_ERROR_INVALID_VALUE;
    mask.outer.transport.src_port = mask.outer.transport.dst_port = 0;
    if (!addresses_are_prefixes(&mask, entry->selector.l3))
        return DOCA_ERROR_INVALID_VALUE;
    uint16_t port = offsetof(struct doca_flow_match, outer.transport.src_port);
    if ((entry->ports[0].used && !declared(entry->pipe, port)) ||
        (entry->ports[1].used && !declared(entry->pipe, (uint16_t)(port + 2))))
        return DOCA_ERROR_INVALID_VALUE;
    result = emu_match_probes(&match, &mask, entry->selector, probes, &count);
    for (uint16_t i = 0; result == DOCA_SUCCESS && i < count; i++)
        if (!declared(entry->pipe, probes[i].at))
            result = DOCA_ERROR_INVALID_VALUE;
    return result != DOCA_SUCCESS ? result : keep_probes(entry, probes, count);
}

static doca_error_t matching(struct doca_flow_pipe_entry *entry, const struct emu_request *request)
{
    struct doca_flow_pipe *pipe = entry->pipe;
    doca_error_t result = DOCA_SUCCESS;
    switch (pipe->type) {
    case DOCA_FLOW_PIPE_CONTROL:
        return prioritised(entry, request);
    case DOCA_FLOW_PIPE_ACL:
        return rule(entry, request);
    case DOCA_FLOW_PIPE_LPM:
        result = prefix(entry, request);
        break;
    case DOCA_FLOW_PIPE_HASH:
        entry->priority = request->index;
        return request->index < pipe->nr_entries ? DOCA_SUCCESS : DOCA_ERROR_INVALID_VALUE;
    default:
        result = exact(entry, request);
    }
    entry->key_length = (uint8_t)pipe->nr_changeable;
    entry->hash = emu_hash(entry->key, entry->key_length, entry->prefix_length);
    return result;
}

static doca_error_t check(enum doca_flow_pipe_type type, const struct emu_request *request)
{
    struct doca_flow_pipe *pipe = request->pipe;
    if (!emu_pipe_known(pipe) || pipe->type != type || request->queue >= emu.cfg.pipe_queues)
        return DOCA_ERROR_INVALID_VALUE;
    if (emu.reset)
        return DOCA_ERROR_DRIVER;
    return emu_queue_has_room(pipe->port, request->queue) ? DOCA_SUCCESS : DOCA_ERROR_AGAIN;
}

doca_error_t emu_entry_add(enum doca_flow_pipe_type type, const struct emu_request *request)
{
    EMU_LOCKED;
    struct doca_flow_pipe *pipe = request->pipe;
    doca_error_t result = check(type, request);
    if (result != DOCA_SUCCESS)
        return result;
    if (pipe->count == pipe->nr_entries)
        return DOCA_ERROR_FULL;
    if (emu.nr_entries >= emu.limits[DOCA_EMULATOR_LIMIT_ENTRIES])
        return DOCA_ERROR_NO_MEMORY;
    struct doca_flow_pipe_entry *entry = emu_entry_take();
    if (!entry)
        return DOCA_ERROR_NO_MEMORY;
    entry->pipe = pipe;
    entry->queue = request->queue;
    entry->usr_ctx = request->usr_ctx;
    entry->state = EMU_ENTRY_ADDING;
    entry->next = pipe->entries;
    if (pipe->entries)
        pipe->entries->previous = entry;
    pipe->entries = entry;
    pipe->count++;
    emu.nr_entries++;
    result = emu_route_of_entry(pipe, request->fwd, &entry->route);
    if (result == DOCA_SUCCESS)
        result = monitor(entry, request->monitor);
    if (result == DOCA_SUCCESS)
        result = matching(entry, request);
    if (result == DOCA_SUCCESS)
        result = actions(entry, request);
    if (result != DOCA_SUCCESS) {
        pipe->count--;
        entry->state = EMU_ENTRY_FAILED;
        entry->counter.present = false;
        emu_entry_release(entry);
        return result;
    }
    if (request->entry)
        *request->entry = entry;
    return emu_queue_put(pipe->port, request->queue,
                 &(struct emu_operation){ .entry = entry,
                              .serial = entry->serial,
                              .op = DOCA_FLOW_ENTRY_OP_ADD,
                              .pushed = !request->batch });
}

/* A new forward, and new values for the actions, of an entry that is live. */
doca_error_t emu_entry_update(enum doca_flow_pipe_type type, const struct emu_request *request,
                  struct doca_flow_pipe_entry *entry)
{
    EMU_LOCKED;
    doca_error_t result = check(type, request);
    if (result != DOCA_SUCCESS)
        return result;
    struct doca_flow_pipe *pipe = request->pipe;
    if (!emu_entry_known(entry) || entry->pipe != pipe || entry->state != EMU_ENTRY_LIVE ||
        entry->queue != request->queue)
        return DOCA_ERROR_INVALID_VALUE;
    if (request->monitor)
        return DOCA_ERROR_NOT_SUPPORTED;
    struct emu_operation operation = { .entry = entry,
                       .serial = entry->serial,
                       .op = DOCA_FLOW_ENTRY_OP_UPD,
                       .pushed = !request->batch,
                       .action_index = entry->action_index };
    result = request->fwd ? emu_route_of_entry(pipe, request->fwd, &operation.route) : DOCA_SUCCESS;
    if (!request->fwd)
        operation.route = entry->route;
    if (result != DOCA_SUCCESS)
        return result;
    if (request->actions && pipe->nr_actions > 0) {
        if (request->action_index >= pipe->nr_actions)
            return DOCA_ERROR_INVALID_VALUE;
        operation.action_index = request->action_index;
        result = emu_action_values(&pipe->actions[request->action_index], request->actions,
                       &operation.values);
        if (result != DOCA_SUCCESS)
            return result;
    }
    return emu_queue_put(pipe->port, request->queue, &operation);
}

/* Out of its pipe and back to the pool. */
void emu_entry_release(struct doca_flow_pipe_entry *entry)
{
    struct doca_flow_pipe *pipe = entry->pipe;
    if (entry->state == EMU_ENTRY_LIVE || entry->state == EMU_ENTRY_REMOVING)
        emu_index_remove(entry);
    if (entry->state != EMU_ENTRY_FAILED)
        pipe->count--;
    if (entry->counter.present)
        emu_counter_give(pipe->port, &entry->counter);
    if (entry->ct)
        emu_ct_release(entry);
    if (entry->own)
        emu_action_clear(entry->own);
    free(entry->own);
    free(entry->values);
    free(entry->probes);
    if (entry->previous)
        entry->previous->next = entry->next;
    else
        pipe->entries = entry->next;
    if (entry->next)
        entry->next->previous = entry->previous;
    emu.nr_entries--;
    emu_entry_give(entry);
}
