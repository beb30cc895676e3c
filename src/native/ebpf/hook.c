/*
 * Where programs hang: tcx links, clsact filters, cgroups; and test runs. tcx links are made with the system call itself,
 * because the library of this distribution is older than they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "sluice_ebpf.h"

#define TCX_INGRESS 46
#define BEFORE (1u << 3) /* BPF_F_BEFORE without a neighbour: first of all */

/* Our clsact filters: the first to be asked. */
#define FILTER_PRIORITY 1
#define FILTER_HANDLE 0x51

static int attach_tcx(int program, uint32_t ifindex, uint32_t egress, const char *pin)
{
    union bpf_attr attr = {};
    int link, error = 0;

    attr.link_create.prog_fd = program;
    attr.link_create.target_ifindex = ifindex;
    attr.link_create.attach_type = TCX_INGRESS + !!egress;
    attr.link_create.flags = BEFORE;
    link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
    if (link < 0)
        return -errno;
    if (bpf_obj_pin(link, pin))
        error = -errno;
    close(link);
    return error;
}

static struct bpf_tc_hook hook_of(uint32_t ifindex, uint32_t egress)
{
    return (struct bpf_tc_hook){.sz = sizeof(struct bpf_tc_hook),
                                .ifindex = (int)ifindex,
                                .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS};
}

static int attach_clsact(int program, uint32_t ifindex, uint32_t egress)
{
    struct bpf_tc_hook hook = hook_of(ifindex, egress);
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY, .prog_fd = program,
                .flags = BPF_TC_F_REPLACE);
    int error = bpf_tc_hook_create(&hook);

    if (error && error != -EEXIST)
        return error;
    return bpf_tc_attach(&hook, &options);
}

int sluice_ebpf_attach(int program, uint32_t ifindex, uint32_t egress, const char *pin, uint32_t only)
{
    int error = only == SLUICE_EBPF_CLSACT ? -EINVAL : attach_tcx(program, ifindex, egress, pin);

    if (!error)
        return SLUICE_EBPF_TCX;
    /* A kernel before 6.6 does not know the attach type. */
    if (error != -EINVAL || only == SLUICE_EBPF_TCX)
        return error;
    error = attach_clsact(program, ifindex, egress);
    return error ? error : SLUICE_EBPF_CLSACT;
}

int sluice_ebpf_detach_clsact(uint32_t ifindex, uint32_t egress)
{
    struct bpf_tc_hook hook = hook_of(ifindex, egress);
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

    return bpf_tc_detach(&hook, &options);
}

int sluice_ebpf_clsact_program(uint32_t ifindex, uint32_t egress)
{
    struct bpf_tc_hook hook = hook_of(ifindex, egress);
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
    int error = bpf_tc_query(&hook, &options);

    /* No qdisc, or no filter of ours on it. */
    if (error == -ENOENT || error == -EINVAL)
        return 0;
    return error ? error : (int)options.prog_id;
}

int sluice_ebpf_attach_cgroup(int program, const char *cgroup, uint32_t attach_type, const char *pin)
{
    int group = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), link, error = 0;

    if (group < 0)
        return -errno;
    link = bpf_link_create(program, group, attach_type, NULL);
    if (link < 0)
        error = -errno;
    else if (bpf_obj_pin(link, pin))
        error = -errno;
    if (link >= 0)
        close(link);
    close(group);
    return error;
}

/* The kernel's words for it; this distribution's header is older. */
#define NETFILTER 45
struct netfilter_link {
    uint32_t program, target, attach_type, flags;
    uint32_t family, hook;
    int32_t priority;
    uint32_t netfilter_flags;
};

int sluice_ebpf_attach_netfilter(int program, uint32_t family, uint32_t hook, int32_t priority, const char *pin)
{
    /* As large as the kernel of today knows it, so that none is missed; what follows is zero. */
    union {
        struct netfilter_link link;
        char room[64];
    } attr = {.link = {.program = (uint32_t)program,
                       .attach_type = NETFILTER,
                       .family = family,
                       .hook = hook,
                       .priority = priority}};
    int link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)), error = 0;

    if (link < 0)
        return -errno;
    if (bpf_obj_pin(link, pin))
        error = -errno;
    close(link);
    return error;
}

int sluice_ebpf_attach_tracing(int program, const char *pin)
{
    int link = bpf_raw_tracepoint_open(NULL, program), error = 0;

    if (link < 0)
        return -errno;
    if (bpf_obj_pin(link, pin))
        error = -errno;
    close(link);
    return error;
}

int sluice_ebpf_attach_raw(int program, const char *tracepoint, const char *pin)
{
    int link = bpf_raw_tracepoint_open(tracepoint, program), error = 0;

    if (link < 0)
        return -errno;
    if (bpf_obj_pin(link, pin))
        error = -errno;
    close(link);
    return error;
}

/* As the kernel lays out struct bpf_link_info; its union is older in this distribution's header. */
struct link_info {
    uint32_t type, id, program, padding;
    uint32_t first[16];
};

int sluice_ebpf_link_info(int link, uint32_t *ifindex, uint32_t *program_id)
{
    struct link_info info = {};
    union bpf_attr attr = {};

    attr.info.bpf_fd = link;
    attr.info.info_len = sizeof(info);
    attr.info.info = (uintptr_t)&info;
    if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
        return -errno;
    *ifindex = info.first[0];
    *program_id = info.program;
    return 0;
}

int sluice_ebpf_link_update(int link, int program)
{
    return bpf_link_update(link, program, NULL) ? -errno : 0;
}

int sluice_ebpf_run(int program, const uint8_t *frame, uint32_t length, struct sluice_ebpf_run *run, uint8_t *out,
                    uint32_t out_capacity)
{
    struct __sk_buff context = {.ifindex = run->ifindex,
                                .ingress_ifindex = run->ingress_ifindex,
                                .mark = run->mark,
                                .priority = run->priority},
                     after = {};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = length, .data_out = out,
                .data_size_out = out_capacity, .ctx_in = &context, .ctx_size_in = sizeof(context), .ctx_out = &after,
                .ctx_size_out = sizeof(after), .repeat = (int)(run->repeat ? run->repeat : 1));

    if (bpf_prog_test_run_opts(program, &options) && errno != ENOSPC)
        return -errno;
    run->verdict = (int32_t)options.retval;
    run->nanoseconds = options.duration;
    run->cb[0] = after.cb[0];
    run->cb[1] = after.cb[1];
    run->mark_out = after.mark;
    run->out_length = options.data_size_out;
    return 0;
}
