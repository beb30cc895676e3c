/*
 * Forgets flows: those whose workspace was cut, that lost their grant at a change of plan, that were idle for too long, or that
 * both ends have closed; and brings what flows have counted to their grants. Judged with the same functions as packets are, so that there is one meaning. The agent
 * runs it after every commit, so that a grant given again later revives nothing, and every second, so that the table has room.
 *
 * Of a flow that stays it takes the counts and nothing else. Packets do not wait for it: what it has not reached yet is judged by the new generation
 * all the same.
 */
#ifndef FENCE_SWEEP_H
#define FENCE_SWEEP_H

#include "fence_flow.h"

struct sweep {
    struct scene s;
    __u64 closed_ns;
    __u32 kept;
    __u32 forgotten;
};

static long sweep_one(void *map, const void *key_, void *value_, void *context)
{
    const struct fence_flow_key *key = key_;
    struct fence_flow *flow = value_;
    struct sweep *sweep = context;
    struct scene *s = &sweep->s;
    int basis = BASIS_NONE;
    struct tuple t;

    /* Suspended by its own deadline: that cuts as a flag does. */
    if (s->at->deadline_ns && s->now >= s->at->deadline_ns)
        goto forget;
    if (!flow_is_live(flow, s, key->protocol))
        goto forget;
    if (flow->closed == (FENCE_CLOSED_LOCAL | FENCE_CLOSED_PEER) && s->now > flow->last_ns + sweep->closed_ns)
        goto forget;
    if (flow->word == s->word) {
        basis = flow->grant;
    } else {
        copy_address(t.local, key->local);
        copy_address(t.peer, key->peer);
        t.local_port = key->local_port;
        t.peer_port = key->peer_port;
        t.protocol = key->protocol;
        t.family = key->family;
        t.zero = 0;
        if (!is_own_or_link_local(s, t.local, t.family))
            goto forget;
        basis = basis_of(s, flow, &t);
        if (basis == BASIS_NONE)
            goto forget;
    }
    if (basis > 0)
        settle_counts(s->slot, flow, basis);
    sweep->kept++;
    return 0;
forget:
    if (flow->word == s->word)
        settle_counts(s->slot, flow, flow->grant);
    bpf_map_delete_elem(map, key);
    sweep->forgotten++;
    return 0;
}

/*
 * One workspace in a run: the agent says where it is (skb->mark), and how long closed flows may stay, in milliseconds, so that
 * it can press when the table fills (skb->priority). What was found is in skb->cb[0] and cb[1].
 */
SEC("tc")
int fence_sweep(struct __sk_buff *skb)
{
    struct sweep sweep = {};
    struct scene *s = &sweep.s;
    __u32 zero = 0, at = skb->mark;
    __u64 *word = bpf_map_lookup_elem(&live, &zero);
    void *inner;

    if (!word)
        return TC_ACT_SHOT;
    s->word = *(volatile __u64 *)word;
    s->slot = s->word & 1;
    s->now = bpf_ktime_get_boot_ns();
    inner = bpf_map_lookup_elem(&workspaces, &s->slot);
    if (!inner)
        return TC_ACT_SHOT;
    s->at = bpf_map_lookup_elem(inner, &at);
    if (!s->at)
        return TC_ACT_SHOT;
    s->tenant = bpf_map_lookup_elem(&tenants, &s->at->tenant);
    inner = bpf_map_lookup_elem(&flows, &s->at->tenant);
    if (!s->tenant || !inner)
        return TC_ACT_SHOT;
    sweep.closed_ns = skb->priority ? skb->priority * 1000000ull : CLOSED_NS;
    bpf_for_each_map_elem(inner, sweep_one, &sweep, 0);
    skb->cb[0] = sweep.kept;
    skb->cb[1] = sweep.forgotten;
    return TC_ACT_OK;
}

#endif
