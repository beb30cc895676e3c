/*
 * What the fence tells: drops by reason for each CPU, and a sample of refused packets and of observed flows through the ring buffer. A token bucket
 * for each workspace keeps one from filling the buffer for all; what is kept back, and what finds the buffer full, is counted.
 */
#ifndef FENCE_REPORT_H
#define FENCE_REPORT_H

#include "fence_judge.h"

/* `told`: enum fence_told in the second octet, the reason in the first. */
static __noinline void tell(struct scene *s, const struct packet *p, __u32 tenant, __u32 told)
{
    struct fence_bucket *bucket;
    struct fence_event *event;

    if (!s || !p)
        return;
    bucket = bpf_map_lookup_elem(&buckets, &tenant);
    if (!bucket || !take_token(&bucket->events_ns, s->now, FENCE_EVENT_EVERY, FENCE_EVENT_BURST)) {
        count(FENCE_COUNT_EVENTS_UNSENT);
        return;
    }
    event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event) {
        count(FENCE_COUNT_EVENTS_FULL);
        return;
    }
    event->at_ns = bpf_ktime_get_boot_ns();
    event->word = s->word;
    event->tenant = tenant;
    event->attachment = s->attachment;
    event->direction = told >> 8;
    event->reason = told & 0xff;
    event->protocol = p->protocol;
    event->family = p->family;
    event->source_port = p->source_port;
    event->destination_port = p->destination_port;
    copy_address(event->source, p->source);
    copy_address(event->destination, p->destination);
    bpf_ringbuf_submit(event, 0);
}

static __always_inline void report_drop(struct scene *s, const struct packet *p, __u32 tenant, __u32 to_and_reason)
{
    __u32 reason = to_and_reason & 0xff;

    count(reason);
    /* Noise is what every host says: nobody wants to hear of it. */
    if (reason != FENCE_NOISE)
        tell(s, p, tenant, to_and_reason);
}

/* What passed although nothing grants it: when it begins, and when it is answered for the first time. */
static __always_inline void report_observed(struct scene *s, const struct packet *p, __u32 tenant, __u32 told)
{
    if (told == FENCE_TOLD_OBSERVED)
        count(FENCE_COUNT_OBSERVED);
    tell(s, p, tenant, told << 8 | FENCE_NO_GRANT);
}

#endif
