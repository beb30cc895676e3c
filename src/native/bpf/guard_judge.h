/*
 * The verdict on one operation on an entry: the meaning of src/plan/evaluate-file.ts, by what guard_tree.h found; and the event that tells
 * of a refusal.
 */
#ifndef SLUICE_GUARD_JUDGE_H
#define SLUICE_GUARD_JUDGE_H

#include "guard_tree.h"

#define EACCES 13
#define EROFS 30

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} guard_file_events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, GUARD_FILE_COUNTS);
    __type(key, __u32);
    __type(value, __u64);
} guard_file_counts SEC(".maps");

static __always_inline void count(__u32 what)
{
    __u64 *counter = bpf_map_lookup_elem(&guard_file_counts, &what);

    if (counter)
        __sync_fetch_and_add(counter, 1);
}

enum need { SEE, READ, WRITE, NEVER };

/* As FILE_OPERATIONS, but for lists: nobody here can leave out of one what may not be seen. */
static __always_inline enum need need_of(__u32 operation)
{
    switch (operation) {
    case FILE_OP_LOOKUP:
    case FILE_OP_GETATTR:
    case FILE_OP_STATFS:
        return SEE;
    case FILE_OP_LIST:
    case FILE_OP_READLINK:
    case FILE_OP_OPEN:
    case FILE_OP_GETXATTR:
    case FILE_OP_READ:
        return READ;
    case FILE_OP_MAKE_DEVICE:
    case FILE_OP_SET_PRIVILEGE:
    case FILE_OP_IOCTL:
    case FILE_OP_OPEN_HANDLE:
        return NEVER;
    default:
        return WRITE;
    }
}

static __always_inline int moves(__u32 operation)
{
    return operation == FILE_OP_UNLINK || operation == FILE_OP_RMDIR || operation == FILE_OP_RENAME_FROM ||
           operation == FILE_OP_RENAME_TO || operation == FILE_OP_LINK_TO;
}

/* No verdict: whoever asks has no volumes. */
#define NOBODY FILE_VERDICTS

/*
 * The verdict of one side of the maps about an entry, in words of enum file_verdict; what it rests on stays in the task's work. Where it
 * lies on no volume work->volume is 0, and the verdict allows, unless nobody can say where it lies. Memory is asked for after the
 * workspace is known: where there is none, nobody outside may be refused for it.
 */
__attribute__((noinline)) int guard_decide(__u64 entry, __u32 operation, __u32 side)
{
    struct guard_root_key hangs = {.side = side & 1};
    struct guard_state *state;
    enum need need = need_of(operation);
    struct guard_tenant tenant = {};
    __u32 zero = 0, reason;
    __u64 cgroup = 0;
    struct work *work;

    state = bpf_map_lookup_elem(&guard_state, &zero);
    if (!state || !tenant_of(side & 1, &cgroup, &tenant) || !tenant.files)
        return NOBODY;
    work = work_of();
    if (!work)
        return FILE_BAD_PATH;
    work->tenant = tenant;
    work->cgroup = cgroup;
    work->side = side & 1;
    work->volume = 0;
    work->below = 0;
    work->here = 0;
    work->leads = 0;
    work->folds = 0;
    work->with[0] = work->with[1] = work->with[2] = 0;
    if (!entry)
        return FILE_BAD_PATH;
    hangs.tenant = work->tenant.number;
    hangs.device = BPF_CORE_READ((struct dentry *)entry, d_sb, s_dev);
    if (!bpf_map_lookup_elem(&guard_roots, &hangs))
        return FILE_ALLOW;
    work->device = hangs.device;
    work->depth = climb(work, (struct dentry *)entry);
    if (!work->depth)
        return FILE_BAD_PATH;
    descend(work);
    if (!work->volume)
        return FILE_ALLOW;
    reason = barred(state, &work->tenant, work->cgroup);
    if (reason)
        return reason == GUARD_QUARANTINED ? FILE_QUARANTINED : FILE_SUSPENDED;
    if (work->folds)
        return FILE_BAD_PATH;
    if (need == NEVER)
        return FILE_NEVER;
    if (work->with[0])
        return FILE_DENIED;
    if (!work->with[1] && !work->with[2])
        return need == SEE && work->here && work->leads ? FILE_ALLOW : FILE_NO_RULE;
    if (need != WRITE)
        return FILE_ALLOW;
    if (!work->with[2])
        return FILE_READ_ONLY;
    return moves(operation) && work->here ? FILE_ANCHORED : FILE_ALLOW;
}

static __always_inline void write_path(struct work *work, struct guard_file_event *event)
{
    __u32 at = 0;

    event->path[0] = '/';
    event->path[1] = 0;
    for (__u32 i = 0; i < GUARD_DEPTH; i++) {
        struct dentry *entry;
        long size;

        if (i >= work->below || at >= GUARD_FILE_PATH - 1)
            break;
        entry = (struct dentry *)work->chain[(work->below - 1 - i) & (GUARD_DEPTH - 1)];
        /* The verifier is to see the bound where it is needed; the compiler would leave it out. */
        asm volatile("" : "+r"(at));
        at &= GUARD_FILE_PATH - 1;
        event->path[at] = '/';
        size = bpf_probe_read_kernel_str(&event->path[at + 1], GUARD_NAME - 1, BPF_CORE_READ(entry, d_name.name));
        if (size <= 1)
            break;
        at += (__u32)size;
    }
}

static __always_inline void tell(struct work *work, __u32 operation, __u32 verdict, __u32 turn)
{
    struct guard_file_event *event;
    __u32 right = verdict == FILE_DENIED ? 0 : work->with[2] ? 2 : 1;

    count(verdict);
    event = bpf_ringbuf_reserve(&guard_file_events, sizeof(*event), 0);
    if (!event) {
        count(GUARD_FILES_LOST);
        return;
    }
    event->at_ns = bpf_ktime_get_boot_ns();
    event->cgroup = work->cgroup;
    event->pid = bpf_get_current_pid_tgid() >> 32;
    event->uid = (__u32)bpf_get_current_uid_gid();
    event->volume = work->volume;
    event->operation = operation;
    event->verdict = verdict;
    event->right = right;
    event->node = verdict == FILE_DENIED || verdict == FILE_READ_ONLY || verdict == FILE_ANCHORED
                      ? work->with[right]
                      : 0;
    event->turn = turn;
    write_path(work, event);
    bpf_ringbuf_submit(event, 0);
}

#define OUTSIDE 0
#define INSIDE 1
#define UNKNOWN 2

/*
 * One operation on one entry, told if it is denied. `other`: where the other entry of the same operation lies, between which and a volume
 * nothing goes; UNKNOWN where there is none. Gives OUTSIDE, INSIDE, -EACCES or -EROFS.
 */
__attribute__((noinline)) int guard_judge(__u64 entry, __u32 operation, __u32 other)
{
    struct guard_state *state;
    struct work *work;
    __u32 zero = 0, verdict = 0;
    __u64 turn = 0;

    state = bpf_map_lookup_elem(&guard_state, &zero);
    if (!state)
        return OUTSIDE;
    for (int look = 0; look < LOOKS; look++) {
        turn = turn_of(state);
        verdict = (__u32)guard_decide(entry, operation, (__u32)turn & 1);
        /* Side and turn are the same as before: what was read is of one plan (guard.h). */
        if (turn == turn_of(state))
            break;
    }
    if (verdict == NOBODY)
        return OUTSIDE;
    work = work_of();
    if (!work) {
        count(FILE_BAD_PATH);
        count(GUARD_FILES_LOST);
        return -EACCES;
    }
    if (verdict == FILE_ALLOW && other != UNKNOWN && (work->volume != 0) != (other == INSIDE))
        verdict = FILE_NO_VOLUME;
    if (verdict == FILE_ALLOW)
        return work->volume ? INSIDE : OUTSIDE;
    tell(work, operation, verdict, (__u32)(turn >> 32));
    return verdict == FILE_READ_ONLY ? -EROFS : -EACCES;
}

/* Two entries of one operation: each by itself, and both on volumes or neither. */
static __always_inline int judge_pair(__u64 from, __u32 leaves, __u64 to, __u32 comes)
{
    int at = guard_judge(from, leaves, UNKNOWN), result;

    if (at < 0)
        return at;
    result = guard_judge(to, comes, (__u32)at & 1);
    return result < 0 ? result : 0;
}

static __always_inline int judge(__u64 entry, __u32 operation)
{
    int at = guard_judge(entry, operation, UNKNOWN);

    return at < 0 ? at : 0;
}

#endif
