/*
 * Where an entry of a file system lies by the trees of rules: from the entry up to the root of its file system, and down again by what hangs
 * there. What is found stays in memory of the task that asks, because whoever judges may be interrupted by another who does.
 */
#ifndef SLUICE_GUARD_TREE_H
#define SLUICE_GUARD_TREE_H

#include "guard_scene.h"
#include "guard_words.h"

#define TASK_STORAGE_CREATE 1
#define FOLDS_CASE (1u << 15) /* S_CASEFOLD */

/* Of the kernel's own, the fields that are read; libbpf finds where they are on the kernel that runs. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct hlist_node {
    void *next;
};
struct hlist_head {
    struct hlist_node *first;
};
struct qstr {
    const unsigned char *name;
};
struct super_block {
    __u32 s_dev;
    struct dentry *s_root;
};
struct inode {
    __u16 i_mode;
    unsigned int i_flags;
    unsigned long i_ino;
    struct super_block *i_sb;
    struct hlist_head i_dentry;
};
struct dentry {
    struct dentry *d_parent;
    struct qstr d_name;
    struct inode *d_inode;
    struct super_block *d_sb;
    union {
        struct hlist_node d_alias;
    } d_u;
};
struct path {
    struct dentry *dentry;
};
struct file {
    unsigned int f_mode;
    struct path f_path;
    struct inode *f_inode;
};
#pragma clang attribute pop

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, GUARD_ROOTS);
    __type(key, struct guard_root_key);
    __type(value, struct guard_node);
} guard_roots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, GUARD_NAMES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct guard_name_key);
    __type(value, struct guard_node);
} guard_names SEC(".maps");

/* One judgement under way: of a task, because whoever judges may be interrupted by another who does. */
struct work {
    __u64 chain[GUARD_DEPTH]; /* entries, the file's own first */
    struct guard_name_key key;
    struct guard_tenant tenant;
    __u64 cgroup;
    __u32 side;
    __u32 volume; /* 0: on none */
    __u32 below;  /* how many entries lie below the volume's root */
    __u32 here;   /* a rule speaks of exactly this path, or of one below it */
    __u32 leads;
    __u32 folds;   /* a directory on the way folds case: there two spellings are one file, and rules tell spellings apart */
    __u32 with[3]; /* the nearest node with each right, or 0 */
    /* Of the way down. In this memory and not in the stack's, of which older verifiers take the first turn of a loop for every one. */
    __u32 depth;
    __u32 device;
    __u32 above;
};

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct work);
} guard_work SEC(".maps");

static __always_inline struct work *work_of(void)
{
    return bpf_task_storage_get(&guard_work, bpf_get_current_task_btf(), 0, TASK_STORAGE_CREATE);
}

/* The entries from the file up to the root of its file system. Gives how many, 0 where that root was not reached. */
static __always_inline __u32 climb(struct work *work, struct dentry *entry)
{
    struct dentry *top = BPF_CORE_READ(entry, d_sb, s_root);

    for (__u32 i = 0; i < GUARD_DEPTH; i++) {
        work->chain[i] = (__u64)entry;
        if (entry == top)
            return i + 1;
        entry = BPF_CORE_READ(entry, d_parent);
    }
    return 0;
}

/* What hangs on this entry: by its name below what hung on the one above, or by its inode. */
static __always_inline struct guard_node *node_of(struct work *work, struct dentry *entry)
{
    struct guard_root_key root = {.device = work->device, .side = work->side, .tenant = work->tenant.number};
    struct inode *inode = BPF_CORE_READ(entry, d_inode);
    struct guard_node *found = NULL, *rooted;
    long size;

    if (work->above) {
        __builtin_memset(&work->key, 0, sizeof(work->key));
        work->key.side = work->side;
        work->key.node = work->above;
        size = bpf_probe_read_kernel_str(work->key.name, GUARD_NAME, BPF_CORE_READ(entry, d_name.name));
        /* One that fills the room may be longer: no rule speaks of it. */
        if (size > 0 && size < GUARD_NAME)
            found = bpf_map_lookup_elem(&guard_names, &work->key);
    }
    if (!inode)
        return found;
    if (BPF_CORE_READ(inode, i_flags) & FOLDS_CASE)
        work->folds = 1;
    root.inode = BPF_CORE_READ(inode, i_ino);
    rooted = root.inode ? bpf_map_lookup_elem(&guard_roots, &root) : NULL;
    return rooted ? rooted : found;
}

struct descent {
    struct work *work;
};

/* One entry further down; 1 ends the loop. */
static long step_down(__u32 i, void *context)
{
    struct work *work = ((struct descent *)context)->work;
    struct guard_node *node;
    __u32 at = work->depth - 1 - i;

    if (i >= work->depth)
        return 1;
    node = node_of(work, (struct dentry *)work->chain[at & (GUARD_DEPTH - 1)]);
    work->here = node != NULL;
    work->above = node ? node->node : 0;
    /* No rule speaks of what lies below. */
    if (!node)
        return work->volume != 0;
    if (node->volume) {
        work->volume = node->volume;
        work->below = at;
        work->with[0] = work->with[1] = work->with[2] = 0;
    }
    work->leads = node->leads;
    if (node->rights & FILE_DENY)
        work->with[0] = node->node;
    if (node->rights & FILE_READ)
        work->with[1] = node->node;
    if (node->rights & FILE_WRITE)
        work->with[2] = node->node;
    return 0;
}

static __always_inline void descend(struct work *work)
{
    struct descent descent = {.work = work};

    work->above = 0;
    bpf_loop(GUARD_DEPTH, step_down, &descent, 0);
}

#endif
