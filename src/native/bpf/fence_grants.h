/*
 * Who may talk to whom: exact grants by hash, a cache line each; prefixes by longest match, port ranges behind the prefix; what was learnt from
 * names; the class of an address; the live clauses. The answers are those of plan/lookup.ts: the longest prefix with a
 * grant for the port wins, and behind one prefix the narrowest range, which the agent has worked out beforehand.
 */
#ifndef FENCE_GRANTS_H
#define FENCE_GRANTS_H

#include "fence_maps.h"
#include "fence_read.h"

/* Everything that one packet is judged by. */
struct scene {
    __u64 word;
    __u64 now;
    struct fence_workspace *at;
    struct fence_tenant *tenant;
    void *flows; /* the workspace's table */
    __u32 slot;
    __u32 attachment;
};

/* A packet's tuple, seen from the workspace. */
struct tuple {
    __u32 local[4];
    __u32 peer[4];
    __u16 local_port;
    __u16 peer_port;
    __u8 protocol; /* enum fence_protocol */
    __u8 family;
    __u16 zero;
};

static __always_inline __u32 class_of(const __u32 address[4], __u8 family)
{
    struct fence_class_key key = {.bits = family == 4 ? 64 : 160, .family = family};
    __u32 *class;

    copy_address(key.address, address);
    class = bpf_map_lookup_elem(&classes, &key);
    return class ? *class : FENCE_PUBLIC;
}

static __always_inline __u32 *fact_of(__u32 slot, struct fence_exact_key *key)
{
    void *inner = bpf_map_lookup_elem(&facts, &slot);

    return inner ? bpf_map_lookup_elem(inner, key) : 0;
}

static __noinline int facts_hold(__u32 slot, __u32 index, const __u32 *address, __u32 kind, __u32 port_protocol)
{
    struct fence_exact_key key = {
        .index = index, .kind = kind, .port = port_protocol & 0xffff, .protocol = port_protocol >> 16};

    if (!address)
        return 0;
    copy_address(key.address, address);
    return fact_of(slot, &key) != 0;
}

static __always_inline __u8 kind_of(__u32 kind, __u8 family)
{
    return family == 6 ? kind | 0x80 : kind;
}

/* One of the workspace's addresses as the inventory has them; its link-local is a matter of the caller. */
static __always_inline int is_own(struct scene *s, const __u32 address[4], __u8 family)
{
    if (family == 4 ? (s->at->flags & FENCE_HAS_V4) && same_address(s->at->v4, address)
                    : (s->at->flags & FENCE_HAS_V6) && same_address(s->at->v6, address))
        return 1;
    return facts_hold(s->slot, s->at->index, address, kind_of(FENCE_KIND_OWN, family), 0);
}

static __always_inline int is_own_or_link_local(struct scene *s, const __u32 address[4], __u8 family)
{
    if (is_own(s, address, family))
        return 1;
    return family == 6 && (s->at->flags & FENCE_HAS_LINK_LOCAL) && same_address(s->at->link_local, address);
}

static __always_inline int is_gateway(struct scene *s, const __u32 address[4], __u8 family)
{
    if (family == 6 && (s->at->flags & FENCE_HAS_LINK_LAYER) && same_address(s->at->gateway_link_local, address))
        return 1;
    return facts_hold(s->slot, s->at->index, address, kind_of(FENCE_KIND_GATEWAY, family), 0);
}

static __always_inline int is_service(struct scene *s, const struct tuple *t)
{
    if (!(s->at->flags & FENCE_HAS_SERVICES))
        return 0;
    return facts_hold(s->slot, s->at->index, t->peer, kind_of(FENCE_KIND_SERVICE, t->family),
                       t->peer_port | (__u32)t->protocol << 16);
}

static __always_inline int clause_is_live(struct scene *s, const __u8 clause[16])
{
    __u32 address[4];

    __builtin_memcpy(address, clause, 16);
    return facts_hold(s->slot, s->at->index, address, FENCE_KIND_CLAUSE, 0);
}

/*
 * The range of a port among `count` sorted ranges from `first` on: 1 + its grant, or 0. A function of its own for the
 * verifier, which would otherwise walk its halvings once for every prefix length.
 */
__noinline int fence_range_of(__u32 slot, __u32 first, __u32 count, __u32 port)
{
    void *inner = bpf_map_lookup_elem(&ranges, &slot);
    __u32 low = first, high = first + count;
    int i;

    if (!inner)
        return 0;
    for (i = 0; i < FENCE_RANGE_STEPS && low < high; i++) {
        __u32 middle = low + (high - low) / 2;
        struct fence_range *range = bpf_map_lookup_elem(inner, &middle);

        if (!range)
            return 0;
        if (port < range->from)
            high = middle;
        else if (port > range->to)
            low = middle + 1;
        else
            return range->grant + 1;
    }
    return 0;
}

static __always_inline __u16 granted_port(const struct tuple *t, __u32 direction)
{
    return direction == FENCE_EGRESS ? t->peer_port : t->local_port;
}

/* One more word of a key. src/backends/ebpf/buckets.ts has the same. */
static __always_inline __u32 stir(__u32 hash, __u32 word)
{
    hash = (hash ^ word) * 0x9e3779b1u;
    return hash ^ hash >> 15;
}

static __always_inline __u32 stirred(__u32 hash)
{
    hash *= 0x85ebca6bu;
    return hash ^ hash >> 13;
}

/* The grant in the bucket of a key, without the mark of a full one; `more`: it may be in `facts`. */
static __always_inline __u32 bucket4_find(void *buckets, __u32 mask, const struct fence_exact_key *key, __u32 *more)
{
    __u32 what = key->port | (__u32)key->protocol << 16 | (__u32)key->kind << 24;
    __u32 at = stirred(stir(stir(stir(0, key->address[0]), key->index), what)) & mask;
    struct fence_exact4 *one = bpf_map_lookup_elem(buckets, &at);
    int i;

    if (!one)
        return 0;
#pragma unroll
    for (i = 0; i < FENCE_BUCKET_V4; i++)
        if (one[i].address == key->address[0] && one[i].index == key->index && *(__u32 *)&one[i].port == what)
            return one[i].grant & ~FENCE_BUCKET_FULL;
    *more = one[FENCE_BUCKET_V4 - 1].grant & FENCE_BUCKET_FULL;
    return 0;
}

static __always_inline __u32 bucket6_find(void *buckets, __u32 first, __u32 mask, const struct fence_exact_key *key,
                                          __u32 *more)
{
    __u32 what = key->port | (__u32)key->protocol << 16 | (__u32)key->kind << 24, hash = 0, at;
    struct fence_exact6 *one;
    int i;

#pragma unroll
    for (i = 0; i < 4; i++)
        hash = stir(hash, key->address[i]);
    at = first + (stirred(stir(stir(hash, key->index), what)) & mask);
    one = bpf_map_lookup_elem(buckets, &at);
    if (!one)
        return 0;
#pragma unroll
    for (i = 0; i < FENCE_BUCKET_V6; i++)
        if (same_address(one[i].address, key->address) && one[i].index == key->index &&
            *(__u32 *)&one[i].port == what)
            return one[i].grant & ~FENCE_BUCKET_FULL;
    *more = one[FENCE_BUCKET_V6 - 1].grant & FENCE_BUCKET_FULL;
    return 0;
}

/*
 * 1 + the grant of exactly this address and port, or 0. It is the most specific that there can be. The agent leaves out those
 * that open nothing, so the class of the address need not be known first.
 */
static __noinline __u32 find_exact(struct scene *s, const struct tuple *t, __u32 direction)
{
    struct fence_exact_key key = {
        .index = s->at->index,
        .port = t->protocol == FENCE_ECHO ? 0 : granted_port(t, direction),
        .protocol = t->protocol,
        .kind = kind_of(direction, t->family),
    };
    void *buckets = bpf_map_lookup_elem(&exact, &s->slot);
    __u32 found, more = 0, *grant;

    if (!buckets)
        return 0;
    copy_address(key.address, t->peer);
    found = t->family == 4 ? bucket4_find(buckets, s->at->exact4_mask, &key, &more)
                           : bucket6_find(buckets, s->at->exact4_mask + 1, s->at->exact6_mask, &key, &more);
    if (found || !more)
        return found;
    grant = fact_of(s->slot, &key);
    return grant ? *grant : 0;
}

/* As find_exact, of prefixes with ranges behind them. `direction_opening`: the direction, and 2 when only a grant that opens a
 * reserved address will do, and 4 for ingress that asks for a session. */
static __noinline __u32 find_prefix(__u32 slot, __u32 index, const struct tuple *t, __u32 direction_opening)
{
    __u32 direction = direction_opening & 1;
    __u16 port = granted_port(t, direction);
    struct fence_prefix_key key = {
        .bits = FENCE_PREFIX_BITS + (t->family == 4 ? 32 : 128),
        .index = index,
        .direction = direction_opening & 4 ? FENCE_SESSION : direction,
        .protocol = t->protocol,
        .family = t->family,
    };
    void *inner = bpf_map_lookup_elem(&prefixes, &slot);
    int i;

    if (!inner)
        return 0;
    copy_address(key.address, t->peer);
    for (i = 0; i < FENCE_MAX_PREFIXES; i++) {
        struct fence_prefix *prefix = bpf_map_lookup_elem(inner, &key);
        __u32 found;

        if (!prefix)
            return 0;
        found = direction_opening & 2 ? fence_range_of(slot, prefix->open_first, prefix->open_count, port)
                                      : fence_range_of(slot, prefix->any_first, prefix->any_count, port);
        if (found)
            return found;
        key.bits = prefix->up;
        if (key.bits < FENCE_PREFIX_BITS)
            return 0;
    }
    return 0;
}

/*
 * The static grant that allows the tuple now, and the class of the peer where that had to be asked. Ingress is granted by who
 * comes: the class of a source has no say there.
 */
static __always_inline __u32 grant_for(struct scene *s, const struct tuple *t, __u32 direction, __u32 *class)
{
    __u32 grant = find_exact(s, t, direction);

    *class = FENCE_PUBLIC;
    if (grant)
        return grant;
    if (direction == FENCE_EGRESS) {
        *class = class_of(t->peer, t->family);
        if (*class == FENCE_NEVER)
            return 0;
    }
    return find_prefix(s->slot, s->at->index, t, direction | (*class == FENCE_RESERVED ? 2 : 0));
}

/* 1 + the grant that lets the peer in while it has a session of the workspace, if it has one now (plan/sessions.ts); or 0. */
static __always_inline __u32 session_grant_for(struct scene *s, const struct tuple *t)
{
    struct fence_session_key key = {.tenant = s->at->tenant, .family = t->family};
    struct fence_session *held;

    if (!(s->at->flags & FENCE_HAS_SESSIONS))
        return 0;
    copy_address(key.address, t->peer);
    held = bpf_map_lookup_elem(&sessions, &key);
    if (!held || held->expires_ns <= s->now)
        return 0;
    return find_prefix(s->slot, s->at->index, t, FENCE_INGRESS | 4);
}

/* Whether an unexpired learned grant of a live clause allows the tuple; `clause` is then its clause. */
static __always_inline int learned_for(struct scene *s, const struct tuple *t, __u8 clause[16])
{
    struct fence_learned_key key = {
        .tenant = s->at->tenant, .port = t->peer_port, .protocol = t->protocol, .family = t->family};
    struct fence_learned *held;
    int i;

    copy_address(key.address, t->peer);
    held = bpf_map_lookup_elem(&learned, &key);
    if (!held)
        return 0;
#pragma unroll
    for (i = 0; i < FENCE_CLAUSES; i++) {
        if (held->expires_ns[i] <= s->now)
            continue;
        __builtin_memcpy(clause, held->clause[i], 16);
        if (clause_is_live(s, clause))
            return 1;
    }
    return 0;
}

#endif
