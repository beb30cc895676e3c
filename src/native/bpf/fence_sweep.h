/*
 * Forgets flows: those whose workspace is gone or was cut, that lost their grant at a change of plan, that were idle for too
 * long, or that both ends have closed. Judged with the same functions as packets are, so that there is one meaning. The agent
 * runs it after every commit, so that a grant given again later revives nothing, and every second, so that the table has room.
 *
 * It never writes to a flow that stays. Packets do not wait for it: what it has not reached yet is judged by the new generation
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

/* What a run found, for the agent: in skb->cb[0] and cb[1]. */
static long sweep_one(void *map, const void *key_, void *value_, void *context)
{
    const struct fence_flow_key *key = key_;
    struct fence_flow *flow = value_;
    struct sweep *sweep = context;
    struct scene *s = &sweep->s;
    __u32 tenant_number = key->tenant, *attachment;
    struct tuple t;
    void *inner;

    (void)map;
    attachment = bpf_map_lookup_elem(&attachments, &tenant_number);
    inner = bpf_map_lookup_elem(&workspaces, &s->slot);
    if (!attachment || !inner)
        goto forget;
    s->at = bpf_map_lookup_elem(inner, attachment);
    s->tenant = bpf_map_lookup_elem(&tenants, &tenant_number);
    if (!s->at || !s->tenant || s->at->tenant != tenant_number)
        goto forget;
    /* Suspended by its own deadline: that cuts as a flag does. */
    if (s->at->deadline_ns && s->now >= s->at->deadline_ns)
        goto forget;
    if (!flow_is_live(flow, s, key->protocol))
        goto forget;
    if (flow->closed == (FENCE_CLOSED_LOCAL | FENCE_CLOSED_PEER) && s->now > flow->last_ns + sweep->closed_ns)
        goto forget;
    if (flow->word != s->word) {
        copy_address(t.local, key->local);
        copy_address(t.peer, key->peer);
        t.local_port = key->local_port;
        t.peer_port = key->peer_port;
        t.protocol = key->protocol;
        t.family = key->family;
        t.zero = 0;
        if (!is_own_or_link_local(s, t.local, t.family) || basis_of(s, flow, &t) == BASIS_NONE)
            goto forget;
    }
    sweep->kept++;
    return 0;
forget:
    bpf_map_delete_elem(&flows, key);
    sweep->forgotten++;
    return 0;
}

SEC("tc")
int fence_sweep(struct __sk_buff *skb)
{
    struct sweep sweep = {};
    __u32 zero = 0;
    __u64 *word = bpf_map_lookup_elem(&live, &zero);

    if (!word)
        return TC_ACT_SHOT;
    sweep.s.word = *(volatile __u64 *)word;
    sweep.s.slot = sweep.s.word & 1;
    sweep.s.now = bpf_ktime_get_boot_ns();
    /* The agent says how long closed flows may stay, in milliseconds, so that it can press when the table fills. */
    sweep.closed_ns = skb->priority ? skb->priority * 1000000ull : CLOSED_NS;
    bpf_for_each_map_elem(&flows, sweep_one, &sweep, 0);
    skb->cb[0] = sweep.kept;
    skb->cb[1] = sweep.forgotten;
    return TC_ACT_OK;
}

#endif
