/*
 * Surroundings and programs: the BPF file system, loading with pinned maps, attaching, and test runs. tcx links are made with
 * the system call itself, because the library of this distribution is older than they are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <net/if.h>

#include "sluice_ebpf.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define TCX_INGRESS 46
#define BEFORE (1u << 3) /* BPF_F_BEFORE without a neighbour: first of all */

/* Our clsact filters: the first to be asked. */
#define FILTER_PRIORITY 1
#define FILTER_HANDLE 0x51

uint32_t sluice_ebpf_abi(void)
{
    return SLUICE_EBPF_ABI;
}

int sluice_ebpf_cpus(void)
{
    return libbpf_num_possible_cpus();
}

uint64_t sluice_ebpf_boot_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec;
}

int sluice_ebpf_net_cookie(uint64_t *cookie)
{
    int handle = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
    socklen_t size = sizeof(*cookie);
    uint64_t found;

    if (handle < 0)
        return -errno;
    if (getsockopt(handle, SOL_SOCKET, SO_NETNS_COOKIE, &found, &size))
        error = -errno;
    else
        *cookie = found;
    close(handle);
    return error;
}

static int is_bpffs(const char *path)
{
    struct statfs info;

    return statfs(path, &info) == 0 && (uint32_t)info.f_type == BPF_FS_MAGIC;
}

/* The parent of a process; 0 when it cannot be told. */
static int parent_of(int pid)
{
    char path[64], text[512], *after;
    int handle, parent = 0;
    ssize_t length;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    handle = open(path, O_RDONLY | O_CLOEXEC);
    if (handle < 0)
        return 0;
    length = read(handle, text, sizeof(text) - 1);
    close(handle);
    if (length <= 0)
        return 0;
    text[length] = 0;
    /* The name is in parentheses and may hold anything; state and parent follow the last of them. */
    after = strrchr(text, ')');
    if (!after || sscanf(after + 1, " %*c %d", &parent) != 1)
        return 0;
    return parent;
}

/*
 * The process whose mounts outlive ours: process 1, or the oldest of our ancestors that we may look at. 0 when their mounts
 * are ours too.
 */
static int keeper_of_mounts(void)
{
    int pid = getpid(), keeper = 0;
    struct stat ours, theirs;
    char path[64];

    if (stat("/proc/self/ns/mnt", &ours))
        return 0;
    for (int i = 0; i < 64 && (pid = parent_of(pid)) > 0; i++) {
        snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
        if (stat(path, &theirs))
            continue;
        keeper = theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev ? 0 : pid;
    }
    return keeper;
}

struct mounting {
    int pid;
    int error;
};

/* On a thread of its own, which enters the other mount namespace and ends there. */
static void *mount_there(void *argument)
{
    struct mounting *m = argument;
    char path[64];
    int space = -1;

    m->error = 0;
    if (m->pid) {
        snprintf(path, sizeof(path), "/proc/%d/ns/mnt", m->pid);
        space = open(path, O_RDONLY | O_CLOEXEC);
        if (space < 0 || unshare(CLONE_FS) || setns(space, CLONE_NEWNS))
            m->error = -errno;
    }
    if (!m->error && !is_bpffs("/sys/fs/bpf") && mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700"))
        m->error = -errno;
    if (space >= 0)
        close(space);
    return NULL;
}

int sluice_ebpf_bpffs(char *path, uint32_t capacity)
{
    struct mounting m = {.pid = keeper_of_mounts()};
    char at[64] = "/sys/fs/bpf";
    pthread_t thread;

    if (m.pid)
        snprintf(at, sizeof(at), "/proc/%d/root/sys/fs/bpf", m.pid);
    if (!is_bpffs(at)) {
        /* A container that was given a BPF file system of its own. */
        if (is_bpffs("/sys/fs/bpf")) {
            strcpy(at, "/sys/fs/bpf");
        } else {
            if (pthread_create(&thread, NULL, mount_there, &m))
                return -EAGAIN;
            pthread_join(thread, NULL);
            if (m.error)
                return m.error;
        }
    }
    if (strlen(at) + 1 > capacity)
        return -ENAMETOOLONG;
    strcpy(path, at);
    return 0;
}

/* libbpf's own words go where the verifier's do; one load at a time. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static char *said;
static uint32_t said_left;

static int listen_to(enum libbpf_print_level level, const char *format, va_list arguments)
{
    int wrote;

    if (level == LIBBPF_DEBUG || !said || said_left < 2)
        return 0;
    wrote = vsnprintf(said, said_left, format, arguments);
    if (wrote > 0) {
        uint32_t used = (uint32_t)wrote < said_left ? (uint32_t)wrote : said_left - 1;

        said += used;
        said_left -= used;
    }
    return 0;
}

static int keep_silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    return 0;
}

/* Nothing of this library writes to the process's standard error by itself. */
__attribute__((constructor)) static void begin_silent(void)
{
    libbpf_set_print(keep_silent);
}

static int pin_maps(struct bpf_object *object, const char *folder)
{
    struct bpf_map *map;
    char path[512];

    bpf_object__for_each_map(map, object)
    {
        if (bpf_map__is_internal(map))
            continue;
        if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, bpf_map__name(map)) >= sizeof(path))
            return -ENAMETOOLONG;
        if (bpf_map__set_pin_path(map, path))
            return -errno;
    }
    return 0;
}

static int pin_programs(struct bpf_object *object, const char *folder)
{
    struct bpf_program *program;
    char path[512];

    bpf_object__for_each_program(program, object)
    {
        if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, bpf_program__name(program)) >= sizeof(path))
            return -ENAMETOOLONG;
        if (unlink(path) && errno != ENOENT)
            return -errno;
        if (bpf_obj_pin(bpf_program__fd(program), path))
            return -errno;
    }
    return 0;
}

/* The object's one read-only variable: which workspace it stands at, where the hook does not say. */
static int set_attachment(struct bpf_object *object, uint32_t attachment)
{
    struct bpf_map *map;

    bpf_object__for_each_map(map, object)
    {
        if (!bpf_map__is_internal(map) || !strstr(bpf_map__name(map), ".rodata") ||
            bpf_map__value_size(map) != sizeof(attachment))
            continue;
        if (bpf_map__set_initial_value(map, &attachment, sizeof(attachment)))
            return -errno;
    }
    return 0;
}

int sluice_ebpf_load(const char *path, const char *maps, const char *programs, uint32_t attachment, char *log,
                     uint32_t log_capacity)
{
    LIBBPF_OPTS(bpf_object_open_opts, options);
    struct bpf_object *object;
    int error;

    if (log_capacity == 0)
        return -EINVAL;
    pthread_mutex_lock(&loading);
    log[0] = 0;
    said = log;
    said_left = log_capacity;
    libbpf_set_print(listen_to);
    object = bpf_object__open_file(path, &options);
    if (!object) {
        error = -errno;
    } else {
        error = pin_maps(object, maps);
        if (!error)
            error = set_attachment(object, attachment);
        if (!error)
            error = bpf_object__load(object);
        if (!error)
            error = pin_programs(object, programs);
        bpf_object__close(object);
    }
    libbpf_set_print(keep_silent);
    said = NULL;
    pthread_mutex_unlock(&loading);
    return error;
}

int sluice_ebpf_program_info(int program, struct sluice_ebpf_program_info *out)
{
    struct bpf_prog_info info = {};
    uint32_t size = sizeof(info);

    if (bpf_obj_get_info_by_fd(program, &info, &size))
        return -errno;
    memcpy(out->tag, info.tag, 8);
    out->id = info.id;
    out->instructions = info.xlated_prog_len;
    return 0;
}

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

int sluice_ebpf_ifindex(const char *name)
{
    unsigned int found = if_nametoindex(name);

    return found ? (int)found : errno == ENODEV || errno == ENXIO ? 0 : -errno;
}

int sluice_ebpf_interfaces(char *text, uint32_t capacity)
{
    struct if_nameindex *all = if_nameindex();
    uint32_t length = 0;

    if (!all)
        return -errno;
    for (struct if_nameindex *one = all; one->if_index; one++) {
        int wrote = snprintf(text + length, capacity - length, "%u %s\n", one->if_index, one->if_name);

        if (wrote < 0 || (uint32_t)wrote >= capacity - length) {
            if_freenameindex(all);
            return -ENOSPC;
        }
        length += wrote;
    }
    if_freenameindex(all);
    return (int)length;
}
