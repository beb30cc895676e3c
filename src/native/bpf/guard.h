/*
 * What the guard of executables, the guard of files and the agent share: keys and values of their maps, and their events.
 * Little-endian, no padding that is not named. src/backends/bpf-lsm/layout.ts has the same offsets, and a test compares them.
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
    __u32 files;      /* has volumes that are judged where they lie */
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

/*
 * Files. The paths that rules speak of are trees of names, a node for each, numbered through a side; a volume hangs in the kernel's own
 * tree of a file system where the inode of its root is, and under its name below the inode above.
 */
#define GUARD_ROOTS 8192
#define GUARD_NAMES 65536
/* Entries of the tree of a file system from its root to a file; what lies deeper cannot be judged, and is denied. */
#define GUARD_DEPTH 64
/* Octets of a name that a rule speaks of, with the NUL. */
#define GUARD_NAME 128
#define GUARD_FILE_PATH 512

/* Rows of guard_file_counts beside those of enum file_verdict. */
#define GUARD_FILES_LOST 10
#define GUARD_FILE_COUNTS 11

struct guard_root_key {
    __u64 inode; /* 0: whether anything hangs on this device */
    __u32 device;
    __u32 side;
    __u32 tenant;
    __u32 pad;
};

struct guard_name_key {
    __u32 side;
    __u32 node; /* above */
    char name[GUARD_NAME];
};

struct guard_node {
    __u32 node;
    __u32 rights; /* bits of enum file_right: of the rules at exactly this path */
    __u32 leads;  /* 1: something that may be read lies here or below */
    __u32 volume; /* 1 and up: this is the root of that volume of the workspace */
};

struct guard_file_event {
    __u64 at_ns;
    __u64 cgroup;
    __u32 pid;
    __u32 uid;
    __u32 volume;
    __u32 operation; /* enum file_op */
    __u32 verdict;   /* enum file_verdict */
    __u32 node;      /* whose rule it is, or 0 */
    __u32 right;     /* which of its rules: 0, 1, 2 for deny, read, write */
    __u32 turn;      /* of the plan that judged; the node is one of its own */
    char path[GUARD_FILE_PATH + GUARD_NAME]; /* from the volume's root; cut off where it is longer */
};

#endif
