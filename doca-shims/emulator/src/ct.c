/* Connection tracking: tuples of both directions in one hash table of the pipe. A connection is prepared (found, or made room
 * for), then added through a CT queue; only what has been added and processed is seen by packets. A zone is bits of pkt_meta,
 * the same for both directions; zones elsewhere, per-connection actions and forwards of their own are refused. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 8192
#define KEY 41 /* protocol, addresses, ports, zone */

struct emu_ct_node {
    struct emu_ct_node *next;
    struct doca_flow_pipe_entry *entry;
    uint8_t key[KEY];
    uint32_t hash;
    bool used; /* this direction was added */
    struct emu_counter counter;
};
struct emu_ct_entry {
    struct emu_ct_node directions[2]; /* origin, reply */
    bool v6;
};

bool emu_ct_prepare_pipe(struct doca_flow_pipe *pipe)
{
    pipe->tuples = calloc(BUCKETS, sizeof *pipe->tuples);
    return pipe->tuples != NULL;
}

/* Protocol, source, destination, ports; one layout for both families. */
static void tuple(uint8_t *key, uint8_t protocol, const void *source, const void *destination, uint32_t octets,
                  const void *ports, uint32_t zone)
{
    memset(key, 0, KEY);
    zone &= emu.ct.zone;
    memcpy(key + 37, &zone, 4);
    key[0] = protocol;
    memcpy(key + 1, source, octets);
    memcpy(key + 17, destination, octets);
    memcpy(key + 33, ports, 4);
}

static void key_of_match(const struct doca_flow_ct_match *match, bool v6, uint8_t *key)
{
    if (v6)
        tuple(key, match->ipv6.next_proto, match->ipv6.src_ip, match->ipv6.dst_ip, 16, &match->ipv6.l4_port,
              match->ipv6.metadata);
    else
        tuple(key, match->ipv4.next_proto, &match->ipv4.src_ip, &match->ipv4.dst_ip, 4,
              &match->ipv4.l4_port, match->ipv4.metadata);
}

static struct emu_ct_node *find(struct doca_flow_pipe *pipe, const uint8_t *key)
{
    uint32_t hash = emu_hash(key, KEY, 0);
    struct emu_ct_node *node = pipe->tuples[hash % BUCKETS];
    while (node && (node->hash != hash || memcmp(node->key, key, KEY) != 0))
        node = node->next;
    return node;
}

static void insert(struct doca_flow_pipe *pipe, struct emu_ct_node *node)
{
    node->hash = emu_hash(node->key, KEY, 0);
    struct emu_ct_node **bucket = &pipe->tuples[node->hash % BUCKETS];
    node->next = *bucket;
    *bucket = node;
}

/* Both tuples are in the table from prepare to release; `used` and the entry's state say what packets see. */
void emu_ct_index(struct doca_flow_pipe_entry *entry, bool in)
{
    (void)entry;
    (void)in;
}

void emu_ct_release(struct doca_flow_pipe_entry *entry)
{
    for (int i = 0; i < 2; i++) {
        struct emu_ct_node *node = &entry->ct->directions[i];
        struct emu_ct_node **at = &entry->pipe->tuples[node->hash % BUCKETS];
        while (*at && *at != node)
            at = &(*at)->next;
        if (*at)
            *at = node->next;
        if (node->counter.present)
            emu_counter_give(entry->pipe->port, &node->counter);
    }
    if (entry->ct->v6)
        emu.ct.nr6--;
    else
        emu.ct.nr4--;
    free(entry->ct);
    entry->ct = NULL;
}

struct doca_flow_pipe_entry *emu_ct_lookup(struct doca_flow_pipe *pipe, struct emu_packet *packet, int *direction)
{
    bool ports = packet->l4 == DOCA_FLOW_L4_META_TCP || packet->l4 == DOCA_FLOW_L4_META_UDP;
    if (!ports || !packet->l4_ok || packet->fragmented)
        return NULL;
    uint8_t key[KEY];
    const uint8_t *l3 = packet->data + packet->l3_at;
    if (packet->l3 == DOCA_FLOW_L3_META_IPV6)
        tuple(key, packet->protocol, l3 + 8, l3 + 24, 16, packet->data + packet->l4_at,
              packet->pkt_meta);
    else
        tuple(key, packet->protocol, l3 + 12, l3 + 16, 4, packet->data + packet->l4_at,
              packet->pkt_meta);
    struct emu_ct_node *node = find(pipe, key);
    if (!node || !node->used ||
        (node->entry->state != EMU_ENTRY_LIVE && node->entry->state != EMU_ENTRY_REMOVING))
        return NULL;
    *direction = node == &node->entry->ct->directions[1];
    if (node->counter.present)
        emu_counter_add(&node->counter, packet->length);
    return node->entry;
}

static bool usable(uint16_t queue, const struct doca_flow_pipe *pipe)
{
    return emu.ct_initialised && emu_pipe_known(pipe) && pipe->type == DOCA_FLOW_PIPE_CT &&
           queue >= emu.cfg.pipe_queues && queue < emu.cfg.pipe_queues + emu.ct.queues;
}

doca_error_t doca_flow_ct_entry_prepare(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
                    struct doca_flow_ct_match *match_origin, uint32_t hash_origin,
                    struct doca_flow_ct_match *match_reply, uint32_t hash_reply,
                    struct doca_flow_pipe_entry **entry, bool *found)
{
    EMU_LOCKED;
    (void)hash_origin;
    (void)hash_reply;
    if (!usable(queue, pipe) || !match_origin || !entry || !found)
        return DOCA_ERROR_INVALID_VALUE;
    bool v6 = flags & DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_ORIGIN;
    bool v6_reply = flags & DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_REPLY;
    if (match_reply && v6 != v6_reply)
        return DOCA_ERROR_NOT_SUPPORTED;
    uint8_t key[KEY];
    key_of_match(match_origin, v6, key);
    if (key[0] != DOCA_FLOW_PROTO_TCP && key[0] != DOCA_FLOW_PROTO_UDP)
        return DOCA_ERROR_INVALID_VALUE;
    struct emu_ct_node *node = find(pipe, key);
    *found = node != NULL;
    *entry = node ? node->entry : NULL;
    if (node || !(flags & DOCA_FLOW_CT_ENTRY_FLAGS_ALLOC_ON_MISS))
        return DOCA_SUCCESS;
    if (!match_reply)
        return DOCA_ERROR_INVALID_VALUE;
    if (v6 ? emu.ct.nr6 == emu.ct.nr_ipv6 : emu.ct.nr4 == emu.ct.nr_ipv4)
        return DOCA_ERROR_FULL;
    struct doca_flow_pipe_entry *made = emu_entry_take();
    struct emu_ct_entry *ct = calloc(1, sizeof *ct);
    if (!made || !ct) {
        if (made)
            emu_entry_give(made);
        free(ct);
        return DOCA_ERROR_NO_MEMORY;
    }
    made->pipe = pipe;
    made->queue = queue;
    made->state = EMU_ENTRY_PREPARED;
    made->shared_counter = UINT32_MAX;
    made->route = pipe->fwd;
    made->ct = ct;
    made->next = pipe->entries;
    if (pipe->entries)
        pipe->entries->previous = made;
    pipe->entries = made;
    pipe->count++;
    emu.nr_entries++;
    ct->v6 = v6;
    memcpy(ct->directions[0].key, key, sizeof key);
    key_of_match(match_reply, v6, ct->directions[1].key);
    for (int i = 0; i < 2; i++) {
        ct->directions[i].entry = made;
        insert(pipe, &ct->directions[i]);
    }
    if (v6)
        emu.ct.nr6++;
    else
        emu.ct.nr4++;
    *entry = made;
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_entry_prepare_rollback(uint16_t queue, struct doca_flow_pipe *pipe,
                         struct doca_flow_pipe_entry *entry)
{
    EMU_LOCKED;
    if (!usable(queue, pipe) || !emu_entry_known(entry) || entry->pipe != pipe ||
        (entry->state != EMU_ENTRY_PREPARED && entry->state != EMU_ENTRY_FAILED))
        return DOCA_ERROR_INVALID_VALUE;
    emu_entry_release(entry);
    return DOCA_SUCCESS;
}

static bool plain(const struct doca_flow_ct_actions *actions)
{
    return !actions || actions->resource_type == DOCA_FLOW_RESOURCE_TYPE_NONE;
}

doca_error_t doca_flow_ct_add_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
                    struct doca_flow_ct_match *match_origin, struct doca_flow_ct_match *match_reply,
                    const struct doca_flow_ct_actions *actions_origin,
                    const struct doca_flow_ct_actions *actions_reply, uint32_t fwd_handle_origin,
                    uint32_t fwd_handle_reply, uint32_t timeout_s, void *usr_ctx,
                    struct doca_flow_pipe_entry *entry)
{
    EMU_LOCKED;
    if (!usable(queue, pipe) || !emu_entry_known(entry) || entry->pipe != pipe ||
        entry->state != EMU_ENTRY_PREPARED || !match_origin || !match_reply)
        return DOCA_ERROR_INVALID_VALUE;
    if (!plain(actions_origin) || !plain(actions_reply) || fwd_handle_origin || fwd_handle_reply)
        return DOCA_ERROR_NOT_SUPPORTED;
    if (!(flags & (DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN | DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY)))
        return DOCA_ERROR_INVALID_VALUE;
    if (timeout_s && (emu.ct.flags & DOCA_FLOW_CT_FLAG_NO_AGING))
        return DOCA_ERROR_INVALID_VALUE;
    uint8_t key[KEY];
    key_of_match(match_origin, entry->ct->v6, key);
    if (memcmp(key, entry->ct->directions[0].key, sizeof key) != 0)
        return DOCA_ERROR_INVALID_VALUE; /* not what was prepared */
    if (emu.reset)
        return DOCA_ERROR_DRIVER;
    if (!emu_queue_has_room(pipe->port, queue))
        return DOCA_ERROR_AGAIN;
    const uint32_t wants[2] = { DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_ORIGIN, DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_REPLY };
    const uint32_t directions[2] = { DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN, DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY };
    for (int i = 0; i < 2; i++) {
        struct emu_ct_node *node = &entry->ct->directions[i];
        node->used = flags & directions[i];
        if ((flags & wants[i]) && !node->counter.present && !emu_counter_take(pipe->port, &node->counter))
            return DOCA_ERROR_NO_MEMORY;
    }
    entry->usr_ctx = usr_ctx;
    entry->aging_sec = timeout_s;
    entry->state = EMU_ENTRY_ADDING;
    return emu_queue_put(pipe->port, queue,
                 &(struct emu_operation){ .entry = entry,
                              .serial = entry->serial,
                              .op = DOCA_FLOW_ENTRY_OP_ADD,
                              .pushed = flags & DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT });
}

doca_error_t doca_flow_ct_rm_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
                   struct doca_flow_pipe_entry *entry)
{
    EMU_LOCKED;
    if (!usable(queue, pipe) || !emu_entry_known(entry) || entry->pipe != pipe || entry->state != EMU_ENTRY_LIVE)
        return DOCA_ERROR_INVALID_VALUE;
    if (!emu_queue_has_room(pipe->port, queue))
        return DOCA_ERROR_AGAIN;
    entry->state = EMU_ENTRY_REMOVING;
    return emu_queue_put(pipe->port, queue,
                 &(struct emu_operation){ .entry = entry,
                              .serial = entry->serial,
                              .op = DOCA_FLOW_ENTRY_OP_DEL,
                              .pushed = flags & DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT });
}

doca_error_t doca_flow_ct_query_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
                      struct doca_flow_pipe_entry *entry, struct doca_flow_resource_query *origin,
                      struct doca_flow_resource_query *reply, uint64_t *last_hit_s)
{
    EMU_LOCKED;
    (void)flags;
    if (!usable(queue, pipe) || !emu_entry_known(entry) || entry->pipe != pipe || !entry->ct)
        return DOCA_ERROR_INVALID_VALUE;
    if (origin)
        emu_counter_read(&entry->ct->directions[0].counter, origin);
    if (reply)
        emu_counter_read(&entry->ct->directions[1].counter, reply);
    if (last_hit_s)
        *last_hit_s = (emu_now_ms() - entry->last_hit_ms) / 1000;
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_entries_process(struct doca_flow_port *port, uint16_t queue, uint32_t min_room,
                      uint32_t max_processed, uint32_t *room)
{
    EMU_LOCKED;
    (void)min_room; /* everything pushed completes in one call, which makes all the room there can be */
    struct emu_queue *at = port && emu.ct_initialised && queue >= emu.cfg.pipe_queues ? emu_queue_of(port, queue)
                                              : NULL;
    if (!at)
        return DOCA_ERROR_INVALID_VALUE;
    emu_queue_run(port, queue, max_processed);
    if (room)
        *room = at->depth - at->count;
    return emu.reset ? DOCA_ERROR_DRIVER : DOCA_SUCCESS;
}
