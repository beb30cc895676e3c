/*
 * What may run in a workspace that is a cgroup, judged before it runs (BPF LSM, bprm_check_security). A program is the file that is
 * mapped, known by device, inode, change time and size: another name for it is the same program, and another file under its name, or
 * one that was written since, is not. What is written through a mapping need not change the time: other content is kept out for
 * certain only of a file that nobody in the workspace may write to. The kernel asks once for a script and again for its
 * interpreter, and both must be allowed.
 *
 * Gives -EPERM and an event for whatever is not in the map: an empty map, a map that was never filled and a file that changed since
 * all deny. Only cgroups that the map of tenants names are judged, with everything below them.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "guard_scene.h"

#define EPERM 1
/* Since 6.13 the top bit says that somebody asked for the time (include/linux/fs.h, I_CTIME_QUERIED), as the agent does; it is no part of it. */
#define CTIME_QUERIED (1u << 31)

/* Of the kernel's own, the fields that are read; libbpf finds where they are on the kernel that runs. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct super_block {
    __u32 s_dev;
};
struct timespec64 {
    __s64 tv_sec;
    long tv_nsec;
};
struct inode {
    struct super_block *i_sb;
    unsigned long i_ino;
    __s64 i_size;
    struct timespec64 i_ctime;
};
struct path {
    void *mnt;
    void *dentry;
};
struct file {
    struct path f_path;
    struct inode *f_inode;
};
struct linux_binprm {
    struct file *file;
};
/* 6.6 and 6.13 renamed what 6.1 calls i_ctime. */
struct inode___6_6 {
    struct timespec64 __i_ctime;
};
struct inode___6_13 {
    __s64 i_ctime_sec;
    __u32 i_ctime_nsec;
};
#pragma clang attribute pop

char _license[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, GUARD_PROGRAMS);
    __type(key, struct guard_program);
    __type(value, __u32);
} guard_programs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} guard_events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, GUARD_COUNTS);
    __type(key, __u32);
    __type(value, __u64);
} guard_counts SEC(".maps");

static __always_inline void count(__u32 what)
{
    __u64 *counter = bpf_map_lookup_elem(&guard_counts, &what);

    if (counter)
        __sync_fetch_and_add(counter, 1);
}

static __always_inline void identify(struct inode *inode, struct guard_program *program)
{
    program->device = BPF_CORE_READ(inode, i_sb, s_dev);
    program->inode = BPF_CORE_READ(inode, i_ino);
    program->size = BPF_CORE_READ(inode, i_size);
    if (bpf_core_field_exists(inode->i_ctime)) {
        program->changed_s = BPF_CORE_READ(inode, i_ctime.tv_sec);
        program->changed_ns = BPF_CORE_READ(inode, i_ctime.tv_nsec);
    } else if (bpf_core_field_exists(((struct inode___6_6 *)inode)->__i_ctime)) {
        program->changed_s = BPF_CORE_READ((struct inode___6_6 *)inode, __i_ctime.tv_sec);
        program->changed_ns = BPF_CORE_READ((struct inode___6_6 *)inode, __i_ctime.tv_nsec);
    } else {
        program->changed_s = BPF_CORE_READ((struct inode___6_13 *)inode, i_ctime_sec);
        program->changed_ns = BPF_CORE_READ((struct inode___6_13 *)inode, i_ctime_nsec) & ~CTIME_QUERIED;
    }
}

/* Why it may not run by this side: 0 where it may, or where nobody asked. */
static __always_inline __u32 judge(struct guard_state *state, __u32 side, struct inode *inode,
                                   struct guard_tenant *tenant, __u64 *cgroup)
{
    struct guard_program program = {.side = side};
    __u32 reason;

    tenant->number = 0;
    if (!tenant_of(side, cgroup, tenant))
        return 0;
    reason = barred(state, tenant, *cgroup);
    if (reason || !tenant->restricted)
        return reason;
    program.tenant = tenant->number;
    identify(inode, &program);
    return bpf_map_lookup_elem(&guard_programs, &program) ? 0 : GUARD_UNLISTED;
}

/* The macro hands over the raw context too. */
#pragma clang diagnostic ignored "-Wunused-parameter"
SEC("lsm.s/bprm_check_security")
int BPF_PROG(guard_exec, struct linux_binprm *bprm, int before)
{
    struct guard_tenant tenant = {};
    struct guard_state *state;
    struct guard_event *event;
    __u64 turn, cgroup = 0;
    __u32 zero = 0, reason = 0;

    if (before)
        return before;
    state = bpf_map_lookup_elem(&guard_state, &zero);
    if (!state)
        return 0;
    for (int look = 0; look < LOOKS; look++) {
        turn = turn_of(state);
        reason = judge(state, (__u32)turn & 1, bprm->file->f_inode, &tenant, &cgroup);
        /* Side and turn are the same as before: what was read is of one plan (guard.h). */
        if (turn == turn_of(state))
            break;
    }
    if (!reason) {
        if (tenant.number && tenant.restricted)
            count(GUARD_ALLOWED);
        return 0;
    }
    count(GUARD_REFUSED);
    event = bpf_ringbuf_reserve(&guard_events, sizeof(*event), 0);
    if (!event) {
        count(GUARD_LOST);
        return -EPERM;
    }
    event->at_ns = bpf_ktime_get_boot_ns();
    event->cgroup = cgroup;
    event->pid = bpf_get_current_pid_tgid() >> 32;
    event->uid = (__u32)bpf_get_current_uid_gid();
    event->tenant = tenant.number;
    event->reason = reason;
    bpf_get_current_comm(event->comm, sizeof(event->comm));
    event->path[0] = 0;
    bpf_d_path((struct path *)&bprm->file->f_path, event->path, sizeof(event->path));
    bpf_ringbuf_submit(event, 0);
    return -EPERM;
}
