/* Entries into the order in which their pipe finds them, and the finding: exact keys, longest prefixes, priorities, hash
 * places. An entry is in here from its completed ADD until its completed DEL. */
#include "internal.h"

#include <string.h>

static bool lower_first(struct doca_flow_pipe_entry *entry)
{
    /* Of equal priority the older wins. */
    struct doca_flow_pipe_entry **at = &entry->pipe->sorted;
    while (*at && (*at)->priority <= entry->priority)
        at = &(*at)->next_in_bucket;
    entry->next_in_bucket = *at;
    *at = entry;
    return true;
}

bool emu_index_add(struct doca_flow_pipe_entry *entry)
{
    struct doca_flow_pipe *pipe = entry->pipe;
    switch (pipe->type) {
    case DOCA_FLOW_PIPE_CONTROL:
    case DOCA_FLOW_PIPE_ACL:
        return lower_first(entry);
    case DOCA_FLOW_PIPE_HASH:
        if (pipe->indexed[entry->priority])
            return false;
        pipe->indexed[entry->priority] = entry;
        return true;
    case DOCA_FLOW_PIPE_CT:
        emu_ct_index(entry, true);
        return true;
    default:
        if (!emu_table_add(&pipe->table, entry))
            return false;
        pipe->prefixes[entry->prefix_length]++;
        return true;
    }
}

void emu_index_remove(struct doca_flow_pipe_entry *entry)
{
    struct doca_flow_pipe *pipe = entry->pipe;
    struct doca_flow_pipe_entry **at = &pipe->sorted;
    switch (pipe->type) {
    case DOCA_FLOW_PIPE_CONTROL:
    case DOCA_FLOW_PIPE_ACL:
        while (*at && *at != entry)
            at = &(*at)->next_in_bucket;
        if (*at)
            *at = entry->next_in_bucket;
        return;
    case DOCA_FLOW_PIPE_HASH:
        pipe->indexed[entry->priority] = NULL;
        return;
    case DOCA_FLOW_PIPE_CT:
        emu_ct_index(entry, false);
        return;
    default:
        emu_table_remove(&pipe->table, entry);
        pipe->prefixes[entry->prefix_length]--;
    }
}

static void cut(uint8_t *address, uint8_t octets, uint32_t bits)
{
    for (uint32_t i = 0; i < octets; i++) {
        uint32_t keep = bits >= 8 ? 8 : bits;
        address[i] &= (uint8_t)(0xff00u >> keep);
        bits -= keep;
    }
}

static struct doca_flow_pipe_entry *longest(struct doca_flow_pipe *pipe, const struct doca_flow_match *view)
{
    uint8_t whole[EMU_KEY_MAX], key[EMU_KEY_MAX];
    emu_match_key(pipe, view, whole);
    for (int bits = pipe->lpm_octets * 8; bits >= 0; bits--) {
        if (pipe->prefixes[bits] == 0)
            continue;
        memcpy(key, whole, pipe->nr_changeable);
        cut(key + pipe->lpm_at, pipe->lpm_octets, (uint32_t)bits);
        struct doca_flow_pipe_entry *entry = emu_table_find(
            &pipe->table, key, (uint8_t)pipe->nr_changeable,
            emu_hash(key, pipe->nr_changeable, (uint32_t)bits));
        if (entry && entry->prefix_length == bits)
            return entry;
    }
    return NULL;
}

static bool ports_hit(const struct doca_flow_pipe_entry *entry, const struct doca_flow_match *view)
{
    const uint16_t have[2] = { DOCA_BETOH16(view->outer.transport.src_port),
                   DOCA_BETOH16(view->outer.transport.dst_port) };
    for (int i = 0; i < 2; i++)
        if (entry->ports[i].used && (have[i] < entry->ports[i].low || have[i] > entry->ports[i].high))
            return false;
    return true;
}

static struct doca_flow_pipe_entry *first(struct doca_flow_pipe *pipe, struct emu_packet *packet)
{
    for (struct doca_flow_pipe_entry *entry = pipe->sorted; entry; entry = entry->next_in_bucket) {
        const struct doca_flow_match *view = emu_packet_view(packet, entry->selector);
        if (emu_match_hits(entry->probes, entry->nr_probes, view) && ports_hit(entry, view))
            return entry;
    }
    return NULL;
}

uint32_t emu_hash_of_packet(const struct doca_flow_pipe *pipe, const struct doca_flow_match *view)
{
    uint8_t key[EMU_KEY_MAX];
    emu_match_key(pipe, view, key);
    return emu_hash(key, pipe->nr_changeable, 0);
}

struct doca_flow_pipe_entry *emu_lookup(struct doca_flow_pipe *pipe, struct emu_packet *packet)
{
    if (pipe->type == DOCA_FLOW_PIPE_CONTROL)
        return first(pipe, packet);
    const struct doca_flow_match *view = emu_packet_view(packet, pipe->selector);
    if (!emu_match_hits(pipe->constant, pipe->nr_constant, view))
        return NULL;
    uint8_t key[EMU_KEY_MAX];
    switch (pipe->type) {
    case DOCA_FLOW_PIPE_ACL:
        return first(pipe, packet);
    case DOCA_FLOW_PIPE_LPM:
        return longest(pipe, view);
    case DOCA_FLOW_PIPE_HASH:
        return pipe->indexed[emu_hash_of_packet(pipe, view) % pipe->nr_entries];
    default:
        emu_match_key(pipe, view, key);
        return emu_table_find(&pipe->table, key, (uint8_t)pipe->nr_changeable,
                      emu_hash(key, pipe->nr_changeable, 0));
    }
}
