/*
 * Surroundings: the BPF file system that outlives this process, the network namespace and its interfaces, the clock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/magic.h>

#include "sluice_ebpf.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

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
