/*
 * What the guards of executables and of files have in common: the maps that say which cgroups are workspaces and what their standing is,
 * and how one look at them is kept to one plan (guard.h).
 */
#ifndef SLUICE_GUARD_SCENE_H
#define SLUICE_GUARD_SCENE_H

#include "guard.h"

#define LEVELS 16
/* Looks at one program or file, when plans are switched under it. */
#define LOOKS 4

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct guard_state);
} guard_state SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, GUARD_TENANTS);
    __type(key, struct guard_tenant_key);
    __type(value, struct guard_tenant);
} guard_tenants SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, GUARD_TENANTS);
    __type(key, __u64);
    __type(value, __u32);
} guard_flags SEC(".maps");

/* The nearest cgroup above the task that is a workspace, and its row. */
static __always_inline int tenant_of(__u32 side, __u64 *cgroup, struct guard_tenant *tenant)
{
    struct guard_tenant_key key = {.side = side};

    for (int level = LEVELS; level >= 1; level--) {
        struct guard_tenant *found;

        key.cgroup = bpf_get_current_ancestor_cgroup_id(level);
        if (!key.cgroup)
            continue;
        found = bpf_map_lookup_elem(&guard_tenants, &key);
        if (found) {
            *cgroup = key.cgroup;
            *tenant = *found;
            return 1;
        }
    }
    return 0;
}

/* Which side is live, and the number of the commit that made it so: one read. */
static __always_inline __u64 turn_of(struct guard_state *state)
{
    return *(volatile __u64 *)&state->side;
}

/* Why nothing of this workspace is allowed at all; 0 where that is not so. */
static __always_inline __u32 barred(struct guard_state *state, const struct guard_tenant *tenant, __u64 cgroup)
{
    __u32 *flags = bpf_map_lookup_elem(&guard_flags, &cgroup);

    if (flags && *flags & GUARD_QUARANTINED)
        return GUARD_QUARANTINED;
    if (flags && *flags & GUARD_SUSPENDED)
        return GUARD_SUSPENDED;
    return !tenant->hold && bpf_ktime_get_boot_ns() >= state->deadline_ns ? GUARD_SUSPENDED : 0;
}

#endif
