/*
 * What the guard of executables and the agent share: keys and values of its maps, and its events. Little-endian, no padding that is
 * not named. src/backends/bpf-lsm/layout.ts has the same offsets, and a test compares them.
 *
 * A plan is one side of the maps, and every program is judged by one side: the guard reads once which one, copies what it finds there,
 * and reads again. As long as `side` and `turn` are the same, nobody switched, and since only a side that is not live is ever
 * cleared or filled, everything it found, and everything it missed, is of the plan that was live all the time. If they moved
 * it judges anew. So it may rest anywhere between two reads, and the side may be cleared under it. A commit clears nothing:
 * the side that it leaves is cleared when the next plan is staged there. A cgroup that left the plan still has its row in the old
 * side, which nobody reads, since the side is part of every key; in the new one it has none, and is not judged.
 */
#ifndef SLUICE_GUARD_H
#define SLUICE_GUARD_H

#define GUARD_TENANTS 1024
#define GUARD_PROGRAMS 65536
#define GUARD_PATH 256

/* Flags of a workspace, and reasons of a refusal. */
#define GUARD_QUARANTINED 1u
#define GUARD_SUSPENDED 2u
#define GUARD_UNLISTED 4u

/* Rows of guard_counts. */
#define GUARD_ALLOWED 0
#define GUARD_REFUSED 1
#define GUARD_LOST 2
#define GUARD_COUNTS 3

struct guard_state {
    __u64 generation;
    __u8 digest[32];
    __u64 deadline_ns; /* by the clock that counts sleep */
    __u32 side;        /* which of the two sides of the maps is live */
    __u32 turn;        /* goes on with every commit; read together with the side, at a multiple of eight octets */
};

struct guard_tenant_key {
    __u64 cgroup;
    __u32 side;
    __u32 pad;
};

struct guard_tenant {
    __u32 number;
    __u32 restricted; /* a clause lists what may run */
    __u32 hold;       /* stays as it is when the plan expires */
    __u32 pad;
};

struct guard_program {
    __u64 inode;
    __s64 size;
    __s64 changed_s;
    __u32 changed_ns;
    __u32 device;
    __u32 side;
    __u32 tenant;
};

struct guard_event {
    __u64 at_ns;
    __u64 cgroup; /* of the workspace: it means the same under every plan, which the number does not */
    __u32 pid;
    __u32 uid;
    __u32 tenant;
    __u32 reason;
    char comm[16];
    char path[GUARD_PATH];
};

#endif
