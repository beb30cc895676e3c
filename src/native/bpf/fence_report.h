/*
 * What the fence tells: drops by reason for each CPU, and a sample of refused packets through the ring buffer. A token bucket
 * for each workspace keeps one from filling the buffer for all; what is kept back, and what finds the buffer full, is counted.
 */
#ifndef FENCE_REPORT_H
#define FENCE_REPORT_H

#include "fence_judge.h"

static __noinline void report_drop(struct scene *s, const struct packet *p, __u32 tenant, __u32 to_and_reason)
{
    __u32 reason = to_and_reason & 0xff;
    struct fence_bucket *bucket;
    struct fence_event *event;

    if (!s || !p)
        return;
    count(reason);
    /* Noise is what every host says: nobody wants to hear of it. */
    if (reason == FENCE_NOISE)
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
    event->direction = to_and_reason >> 8;
    event->reason = reason;
    event->protocol = p->protocol;
    event->family = p->family;
    event->source_port = p->source_port;
    event->destination_port = p->destination_port;
    copy_address(event->source, p->source);
    copy_address(event->destination, p->destination);
    bpf_ringbuf_submit(event, 0);
}

#endif
