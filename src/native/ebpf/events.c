/*
 * Events out of the ring buffer into the caller's memory, several at a time. libbpf counts an event as consumed before it
 * looks at what the callback says, so the callback stores first and stops when there is no room for another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "sluice_ebpf.h"

struct sluice_ebpf_events {
    struct ring_buffer *ring;
    uint32_t event_size;
    uint8_t *records;
    uint32_t capacity;
    uint32_t count;
};

static int store(void *context, void *data, size_t size)
{
    struct sluice_ebpf_events *events = context;

    if (size >= events->event_size) {
        memcpy(events->records + (size_t)events->count * events->event_size, data, events->event_size);
        events->count++;
    }
    return events->count < events->capacity ? 0 : -ENOBUFS;
}

int sluice_ebpf_events_open(int map, uint32_t event_size, struct sluice_ebpf_events **out)
{
    struct sluice_ebpf_events *events = calloc(1, sizeof(*events));

    if (!events)
        return -ENOMEM;
    events->event_size = event_size;
    events->ring = ring_buffer__new(map, store, events, NULL);
    if (!events->ring) {
        int error = -errno;

        free(events);
        return error;
    }
    *out = events;
    return 0;
}

int sluice_ebpf_events_drain(struct sluice_ebpf_events *events, uint8_t *records, uint32_t capacity,
                             uint32_t timeout_ms)
{
    int got;

    if (capacity == 0)
        return -EINVAL;
    events->records = records;
    events->capacity = capacity;
    events->count = 0;
    got = ring_buffer__poll(events->ring, (int)timeout_ms);
    if (got < 0 && got != -ENOBUFS && got != -EINTR)
        return got;
    return events->count;
}

void sluice_ebpf_events_close(struct sluice_ebpf_events *events)
{
    ring_buffer__free(events->ring);
    free(events);
}
