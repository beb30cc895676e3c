/*
 * What one packet is judged by: the generation that is live now, the workspace at this attachment, the clock. And step 1 of the
 * meaning of a plan, which is stronger than everything else.
 */
#ifndef FENCE_SCENE_H
#define FENCE_SCENE_H

#include "fence_grants.h"

/*
 * The boot-time clock, which goes on while the machine sleeps, to the tick: reading it costs a quarter of a packet, so a CPU
 * reads it once a tick.
 */
static __always_inline __u64 boot_time(void)
{
    __u64 tick = bpf_jiffies64();
    __u32 zero = 0;
    struct fence_clock *clock = bpf_map_lookup_elem(&clocks, &zero);

    if (!clock)
        return bpf_ktime_get_boot_ns();
    if (clock->jiffies != tick) {
        clock->boot_ns = bpf_ktime_get_boot_ns();
        clock->jiffies = tick;
    }
    return clock->boot_ns;
}

/* Fills in the generation and the workspace; otherwise the reason why there is none. */
static __always_inline int find_scene(struct scene *s, __u32 attachment, __u32 *tenant)
{
    __u32 zero = 0;
    __u64 *word = bpf_map_lookup_elem(&live, &zero);
    void *inner;

    s->attachment = attachment;
    s->now = boot_time();
    /* One read: the compiler must not look again and see another generation. */
    s->word = word ? *(volatile __u64 *)word : 0;
    s->slot = s->word & 1;
    s->at = 0;
    if (!s->word)
        return FENCE_NOT_ATTACHED;
    inner = bpf_map_lookup_elem(&workspaces, &s->slot);
    if (!inner)
        return FENCE_NOT_ATTACHED;
    s->at = bpf_map_lookup_elem(inner, &attachment);
    if (!s->at)
        return FENCE_NOT_ATTACHED;
    *tenant = s->at->tenant;
    s->tenant = bpf_map_lookup_elem(&tenants, &s->at->tenant);
    if (!s->tenant)
        return FENCE_NOT_ATTACHED;
    /* Step 1: stronger than everything else, ARP and neighbour discovery included. */
    if (s->tenant->flags & FENCE_FLAG_QUARANTINED)
        return FENCE_QUARANTINED;
    if (s->tenant->flags & FENCE_FLAG_SUSPENDED)
        return FENCE_SUSPENDED;
    if (s->at->deadline_ns && s->now >= s->at->deadline_ns)
        return FENCE_SUSPENDED;
    return -1;
}

#endif
