/*
 * What runs in a workspace that is a cgroup, told after it began (raw tracepoint sched_process_exec, which kernels without BPF LSM and
 * without fentry have too): the file, the caller, the head of the arguments, and where standard input and output lead. It stops
 * nothing. What the ring buffer has no room for is counted.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "sensor.h"

#define LEVELS 16
#define INET 2
#define INET6 10

/* Of the kernel's own, the fields that are read; libbpf finds where they are on the kernel that runs. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct super_block {
    __u32 s_dev;
};
struct inode {
    unsigned short i_mode;
    struct super_block *i_sb;
    unsigned long i_ino;
    unsigned int i_nlink;
};
struct in6_addr {
    __u8 octets[16];
};
struct sock_common {
    __u32 skc_daddr;
    __u16 skc_dport;
    unsigned short skc_family;
    struct in6_addr skc_v6_daddr;
};
struct sock {
    struct sock_common __sk_common;
};
struct socket {
    struct sock *sk;
};
struct file {
    struct inode *f_inode;
    void *private_data;
};
struct fdtable {
    unsigned int max_fds;
    struct file **fd;
};
struct files_struct {
    struct fdtable *fdt;
};
struct mm_struct {
    unsigned long arg_start;
    unsigned long arg_end;
};
struct task_struct {
    int tgid;
    struct task_struct *real_parent;
    struct files_struct *files;
    struct mm_struct *mm;
};
struct linux_binprm {
    struct file *file;
    const char *filename;
};
#pragma clang attribute pop

char _license[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sensor_state);
} sensor_state SEC(".maps");

/* Cgroups that are workspaces. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, SENSOR_TENANTS);
    __type(key, __u64);
    __type(value, __u32);
} sensor_tenants SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4 << 20);
} sensor_events SEC(".maps");

/* Told, and lost. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} sensor_counts SEC(".maps");

static __always_inline void count(__u32 what)
{
    __u64 *counter = bpf_map_lookup_elem(&sensor_counts, &what);

    if (counter)
        __sync_fetch_and_add(counter, 1);
}

static __always_inline void look_at(struct file **files, __u32 number, struct sensor_end *end)
{
    struct file *file = 0;
    struct socket *socket;
    struct sock *sock;

    end->family = 0;
    if (bpf_probe_read_kernel(&file, sizeof(file), &files[number]) || !file)
        return;
    /* S_IFSOCK */
    if ((BPF_CORE_READ(file, f_inode, i_mode) & 0170000) != 0140000)
        return;
    socket = BPF_CORE_READ(file, private_data);
    sock = BPF_CORE_READ(socket, sk);
    if (!sock)
        return;
    end->family = BPF_CORE_READ(sock, __sk_common.skc_family);
    end->port = BPF_CORE_READ(sock, __sk_common.skc_dport);
    if (end->family == INET)
        BPF_CORE_READ_INTO((__u32 *)end->peer, sock, __sk_common.skc_daddr);
    else if (end->family == INET6)
        BPF_CORE_READ_INTO((struct in6_addr *)end->peer, sock, __sk_common.skc_v6_daddr);
}

SEC("raw_tp/sched_process_exec")
int sensor_exec(struct bpf_raw_tracepoint_args *context)
{
    struct task_struct *task = (struct task_struct *)context->args[0];
    struct linux_binprm *bprm = (struct linux_binprm *)context->args[2];
    struct sensor_event *event;
    struct file **files;
    unsigned long from, to;
    __u64 cgroup = 0;
    __u32 length;

    for (int level = LEVELS; level >= 1; level--) {
        __u64 id = bpf_get_current_ancestor_cgroup_id(level);

        if (id && bpf_map_lookup_elem(&sensor_tenants, &id)) {
            cgroup = id;
            break;
        }
    }
    if (!cgroup)
        return 0;
    event = bpf_ringbuf_reserve(&sensor_events, sizeof(*event), 0);
    if (!event) {
        count(1);
        return 0;
    }
    __builtin_memset(event, 0, sizeof(*event));
    event->at_ns = bpf_ktime_get_boot_ns();
    event->cgroup = cgroup;
    event->inode = BPF_CORE_READ(bprm, file, f_inode, i_ino);
    event->device = BPF_CORE_READ(bprm, file, f_inode, i_sb, s_dev);
    event->links = BPF_CORE_READ(bprm, file, f_inode, i_nlink);
    event->pid = bpf_get_current_pid_tgid() >> 32;
    event->parent = BPF_CORE_READ(task, real_parent, tgid);
    event->uid = (__u32)bpf_get_current_uid_gid();
    bpf_get_current_comm(event->comm, sizeof(event->comm));
    bpf_probe_read_kernel_str(event->path, sizeof(event->path), BPF_CORE_READ(bprm, filename));
    files = BPF_CORE_READ(task, files, fdt, fd);
    look_at(files, 0, &event->ends[0]);
    look_at(files, 1, &event->ends[1]);
    from = BPF_CORE_READ(task, mm, arg_start);
    to = BPF_CORE_READ(task, mm, arg_end);
    length = to - from < SENSOR_ARGUMENTS - 1 ? to - from : SENSOR_ARGUMENTS - 1;
    if (!bpf_probe_read_user(event->arguments, length & (SENSOR_ARGUMENTS - 1), (void *)from))
        event->arguments_length = length;
    bpf_ringbuf_submit(event, 0);
    count(0);
    return 0;
}
