/*
 * The maps of the fence. Those of a generation are inner maps, chosen by the generation word's lowest bit; they are made and
 * filled by the agent before the word changes, and never change afterwards. The others live as long as the fence.
 */
#ifndef FENCE_MAPS_H
#define FENCE_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "fence.h"

/* ---- of a generation ------------------------------------------------------------------------------------------------ */

/* Mappable, because only then does a row of an array begin at a cache line. */
struct exact_inner {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, FENCE_BUCKET);
};
struct facts_inner {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(struct fence_exact_key));
    __uint(value_size, sizeof(__u32));
};
struct prefixes_inner {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(key_size, sizeof(struct fence_prefix_key));
    __uint(value_size, sizeof(struct fence_prefix));
};
struct ranges_inner {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_INNER_MAP);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(struct fence_range));
};
struct workspaces_inner {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(struct fence_workspace));
};
/* A row for each grant. Packets are counted in their flow and brought here by the sweep (fence_flow.h). */
struct counters_inner {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_INNER_MAP);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(struct fence_counter));
};

#define GENERATIONS(name)                          \
    struct {                                       \
        __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);  \
        __uint(max_entries, FENCE_SLOTS);          \
        __type(key, __u32);                        \
        __array(values, struct name##_inner);      \
    } name SEC(".maps")

GENERATIONS(exact);
GENERATIONS(facts);
GENERATIONS(prefixes);
GENERATIONS(ranges);
GENERATIONS(workspaces);
GENERATIONS(counters);

/* ---- of the fence --------------------------------------------------------------------------------------------------- */

/* The generation word: generation * 2 + slot. 0: nothing is live, everything is dropped. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} live SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct fence_about);
} about SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, FENCE_TENANTS);
    __type(key, __u32);
    __type(value, struct fence_tenant);
} tenants SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, FENCE_TENANTS);
    __type(key, __u32);
    __type(value, struct fence_bucket);
} buckets SEC(".maps");

/*
 * Flows, in a table for each workspace: its size is what the workspace may hold, so that none can take another's room. The
 * agent makes it before the workspace is live for the first time and takes it away, with every flow, when it is no more.
 */
struct flows_inner {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(key_size, sizeof(struct fence_flow_key));
    __uint(value_size, sizeof(struct fence_flow));
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, FENCE_TENANTS);
    __type(key, __u32);
    __array(values, struct flows_inner);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, FENCE_LEARNED);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct fence_learned_key);
    __type(value, struct fence_learned);
} learned SEC(".maps");

/* Beside the generations, as flags are: who has a session, and until when. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, FENCE_SESSIONS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct fence_session_key);
    __type(value, struct fence_session);
} sessions SEC(".maps");

/* Reserved ranges, from base/reserved.ts; what is not in here is public. */
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 256);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct fence_class_key);
    __type(value, __u32);
} classes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct fence_clock);
} clocks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, FENCE_COUNTS);
    __type(key, __u32);
    __type(value, __u64);
} counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, FENCE_EVENTS);
} events SEC(".maps");

#endif
