/*
 * Flow state (plan/flow.ts). A flow is kept under its tuple seen from the workspace, with the direction of its first packet
 * in the value: while a flow of one direction lives none of the other can begin, so one entry is enough for both.
 *
 * Its cached grant is void when the generation that judged it is. Its epoch is void when the workspace was quarantined or
 * suspended since: one write by the agent cuts every flow for good.
 *
 * Packets are counted in their flow, whose cache line they need anyway, and added to their grant when the flow ends, when
 * the agent looks, and once a second: so what a packet costs does not grow with the number of grants.
 */
#ifndef FENCE_FLOW_H
#define FENCE_FLOW_H

#include "fence_grants.h"

/* What keeps a flow alive now. */
#define BASIS_NONE (-1)
#define BASIS_CLAUSE 0 /* learned; larger values are 1 + grant */

static __always_inline void count(__u32 row)
{
    __u64 *value = bpf_map_lookup_elem(&counts, &row);

    if (value)
        (*value)++;
}

/* Takes one token; 0 when there is none. Two CPUs at once may both take the last: the limit is of rate, not of number. */
static __always_inline int take_token(__u64 *full_at, __u64 now, __u64 every, __u64 burst)
{
    __u64 at = *full_at > now ? *full_at : now;

    if (at + every > now + burst)
        return 0;
    *full_at = at + every;
    return 1;
}

static __always_inline void flow_key_of(struct fence_flow_key *key, const struct tuple *t)
{
    copy_address(key->local, t->local);
    copy_address(key->peer, t->peer);
    key->local_port = t->local_port;
    key->peer_port = t->peer_port;
    key->protocol = t->protocol;
    key->family = t->family;
    key->zero = 0;
}

static __always_inline int flow_is_live(const struct fence_flow *flow, struct scene *s, __u8 protocol)
{
    __u64 limit = protocol == FENCE_TCP ? s->at->tcp_ns : protocol == FENCE_UDP ? s->at->udp_ns : s->at->icmp_ns;

    if (flow->epoch != s->tenant->epoch)
        return 0;
    /* Another CPU may have stamped it after our clock was read. */
    return s->now <= flow->last_ns || s->now - flow->last_ns <= limit;
}

/* Adds what a flow has counted to a grant of the live generation (1 + index); two at once each add what they took. */
static __noinline void settle_counts(__u32 slot, struct fence_flow *flow, __u32 grant)
{
    struct fence_counter *counter;
    __u64 packets, octets;
    __u32 row = grant - 1;
    void *inner;

    if (!flow || !grant || !flow->packets)
        return;
    inner = bpf_map_lookup_elem(&counters, &slot);
    if (!inner)
        return;
    counter = bpf_map_lookup_elem(inner, &row);
    if (!counter)
        return;
    packets = __sync_lock_test_and_set(&flow->packets, 0);
    octets = __sync_lock_test_and_set(&flow->octets, 0);
    __sync_fetch_and_add(&counter->packets, packets);
    __sync_fetch_and_add(&counter->octets, octets);
}

/* The flow of a tuple if it lives. One that is dead, and may be overwritten, settles its counts. */
static __always_inline struct fence_flow *live_flow(struct scene *s, const struct fence_flow_key *key)
{
    struct fence_flow *flow;

    s->flows = bpf_map_lookup_elem(&flows, &s->at->tenant);
    if (!s->flows)
        return 0;
    flow = bpf_map_lookup_elem(s->flows, key);
    if (!flow || flow_is_live(flow, s, key->protocol))
        return flow;
    if (flow->word == s->word)
        settle_counts(s->slot, flow, flow->grant);
    return 0;
}

/* Whether what nothing grants passes now. The end is on the boot-time clock, as the workspace's own deadline is. */
static __always_inline int observes(const struct scene *s)
{
    return s->at->observe_ns && s->now < s->at->observe_ns;
}

static __always_inline int same_clause(const __u8 *a, const __u8 *b)
{
    const __u64 *one = (const __u64 *)a, *other = (const __u64 *)b;

    return one[0] == other[0] && one[1] == other[1];
}

/* The static grant of its original tuple, the grant of a session that is open, or the live clause that it was learnt from or
 * observed by. */
static __always_inline int basis_of(struct scene *s, struct fence_flow *flow, const struct tuple *t)
{
    __u32 class, grant = grant_for(s, t, flow->direction, &class);
    __u8 clause[16];

    if (grant)
        return grant;
    if (flow->direction == FENCE_INGRESS) {
        grant = session_grant_for(s, t);
        if (!grant)
            return BASIS_NONE;
        flow->basis = FENCE_BASIS_SESSION;
        return grant;
    }
    if (flow->basis == FENCE_BASIS_OBSERVED)
        return observes(s) && same_clause(flow->clause, s->at->observe) ? BASIS_CLAUSE : BASIS_NONE;
    if (flow->basis != FENCE_BASIS_LEARNED)
        return BASIS_NONE;
    __builtin_memcpy(clause, flow->clause, 16);
    return clause_is_live(s, clause) ? BASIS_CLAUSE : BASIS_NONE;
}

/* As basis_of, from the cache where the generation is the same. */
static __always_inline int judge_flow(struct scene *s, struct fence_flow *flow, const struct tuple *t)
{
    int basis;

    if (flow->word == s->word)
        return flow->grant;
    basis = basis_of(s, flow, t);
    if (basis == BASIS_NONE)
        return basis;
    flow->grant = basis;
    /* What is observed or a session let in ends in the middle of a generation: it must be looked at each time. */
    if ((basis == BASIS_CLAUSE && flow->basis == FENCE_BASIS_OBSERVED) || flow->basis == FENCE_BASIS_SESSION)
        return basis;
    /* A tuple that is now one of the fence's services is not judged by its flow: it must be looked at each time. */
    if (!is_service(s, t))
        flow->word = s->word;
    return basis;
}

/*
 * The flow if something keeps it alive now. Otherwise it is destroyed and the packet is judged as if there had been none: the
 * sweep after a change of plan does the same, and whoever comes first must not matter.
 */
static __always_inline struct fence_flow *granted_flow(struct scene *s, struct fence_flow *flow,
                                                       const struct fence_flow_key *key, const struct tuple *t,
                                                       int *basis)
{
    *basis = BASIS_NONE;
    if (!flow)
        return 0;
    *basis = judge_flow(s, flow, t);
    if (*basis != BASIS_NONE)
        return flow;
    /* The generation that counted it is gone, and its counters with it. */
    if (s->flows)
        bpf_map_delete_elem(s->flows, key);
    return 0;
}

/* Counts a packet, perhaps on two CPUs at once. */
static __always_inline void count_packet(struct fence_flow *flow, __u32 octets)
{
    __sync_fetch_and_add(&flow->packets, 1);
    __sync_fetch_and_add(&flow->octets, octets);
}

/* Marks the flow as seen. A TCP flow that both ends have closed is forgotten early (fence_sweep.h). */
static __always_inline void touch_flow(struct scene *s, struct fence_flow *flow, __u8 tcp_flags, __u8 side,
                                       __u32 octets)
{
    flow->last_ns = s->now;
    count_packet(flow, octets);
    if (tcp_flags & TCP_RST)
        flow->closed = FENCE_CLOSED_LOCAL | FENCE_CLOSED_PEER;
    else if (tcp_flags & TCP_FIN)
        flow->closed |= side;
    else if ((tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
        flow->closed = 0;
}

/* 0, or -1 when the table is full: then the packet must not pass. */
static __always_inline int open_flow(struct scene *s, const struct fence_flow_key *key, __u8 direction, __u8 basis,
                                     __u32 grant, const __u8 *clause, __u32 octets)
{
    struct fence_flow flow = {
        .word = basis >= FENCE_BASIS_OBSERVED ? 0 : s->word,
        .last_ns = s->now,
        .epoch = s->tenant->epoch,
        .packets = 1,
        .octets = octets,
        .grant = grant,
        .direction = direction,
        .basis = basis,
    };

    if (clause)
        __builtin_memcpy(flow.clause, clause, 16);
    if (s->flows && bpf_map_update_elem(s->flows, key, &flow, BPF_ANY) == 0)
        return 0;
    count(FENCE_COUNT_FLOWS_FULL);
    return -1;
}

#endif
