/*
 * Files that are handed to the kernel (FUSE passthrough, Linux 6.9): it reads, writes and maps the file below by itself and asks nobody,
 * at the speed of the bare directory, until the file is closed. So nothing that happens later reaches what is open: not a quarantine,
 * not another plan, not the end of this daemon. Only volumes whose policy says so (`open_files: until-closed`) are served like that.
 *
 * libfuse 3.14 knows nothing of it, so that its words of the protocol (linux/fuse.h from 7.40 on) stand here. An inode is either
 * handed over or goes through the kernel's cache, for all who have it open; what cannot be handed over goes through the cache.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vaultfs.h"

#define OPEN_NOFLUSH (1u << 5)
#define OPEN_PASSTHROUGH (1u << 7)

struct backing_map {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

struct open_out {
    uint64_t fh;
    uint32_t flags;
    int32_t backing;
};

/* The kernel reads and writes the file below with the rights of whoever hands it over. Without CAP_FSETID every write takes setuid and
 * setgid away, whoever writes and whenever they were set. Of this thread alone; the effective set, or 0 when it could not be done. */
static uint64_t effective(uint64_t set)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint64_t before;

    if (syscall(SYS_capget, &header, data) != 0)
        return 0;
    before = data[0].effective | (uint64_t)data[1].effective << 32;
    if (set == 0)
        set = before & ~(1ull << CAP_FSETID);
    data[0].effective = (uint32_t)set;
    data[1].effective = (uint32_t)(set >> 32);
    return syscall(SYS_capset, &header, data) == 0 ? before : 0;
}

static int32_t hand_over(struct volume *volume, int fd)
{
    struct backing_map map = {.fd = fd};
    uint64_t before = effective(0);
    int number;

    if (before == 0)
        return 0;
    number = ioctl(fuse_session_fd(volume->session), BACKING_OPEN, &map);
    effective(before);
    return number > 0 ? number : 0;
}

/* The kernel's number of the file below, for all who have it open; 0 when it goes through the cache. */
static int32_t lend(struct volume *volume, struct handle *handle)
{
    struct node *node = handle->node;
    int32_t lent;

    if (!volume->lasts || node->type == S_IFDIR)
        return 0;
    pthread_mutex_lock(&volume->tree);
    if (node->lent == 0 && node->handles == 1 && left_note(volume->workspace) == 0)
        node->lent = hand_over(volume, handle->fd);
    lent = node->lent;
    handle->lent = lent > 0;
    volume->lent += handle->lent;
    pthread_mutex_unlock(&volume->tree);
    return lent;
}

void answer_release(struct volume *volume, struct handle *handle)
{
    struct node *node = handle->node;

    pthread_mutex_lock(&volume->tree);
    volume->lent -= handle->lent;
    /* The kernel has let go of it before it said so, and whoever opens the file next hands over another number. */
    if (handle->lent && node->handles == 1) {
        uint32_t number = (uint32_t)node->lent;

        node->lent = 0;
        if (!atomic_load(&volume->over) && ioctl(fuse_session_fd(volume->session), BACKING_CLOSE, &number) != 0)
            fprintf(stderr, "sluice-vaultfs: a file that was handed over stays open: %s\n", strerror(errno));
    }
    pthread_mutex_unlock(&volume->tree);
}

static struct open_out opened(const struct handle *handle, int32_t lent)
{
    return (struct open_out){(uint64_t)(uintptr_t)handle, OPEN_PASSTHROUGH | OPEN_NOFLUSH, lent};
}

int answer_open(fuse_req_t req, struct fuse_file_info *info, struct handle *handle)
{
    int32_t lent = lend(volume_of(req), handle);
    struct open_out out = opened(handle, lent);

    return lent > 0 ? fuse_reply_buf(req, (const char *)&out, sizeof(out)) : fuse_reply_open(req, info);
}

static void put_time(double seconds, uint64_t *whole, uint32_t *rest)
{
    *whole = (uint64_t)seconds;
    *rest = (uint32_t)((seconds - (double)*whole) * 1e9);
}

int answer_create(fuse_req_t req, const struct fuse_entry_param *entry, struct fuse_file_info *info, struct handle *handle)
{
    int32_t lent = lend(volume_of(req), handle);
    const struct stat *attr = &entry->attr;
    struct {
        struct fuse_entry_out entry;
        struct open_out open;
    } out = {.open = opened(handle, lent)};

    if (lent == 0)
        return fuse_reply_create(req, entry, info);
    out.entry.nodeid = entry->ino;
    out.entry.generation = entry->generation;
    put_time(entry->entry_timeout, &out.entry.entry_valid, &out.entry.entry_valid_nsec);
    put_time(entry->attr_timeout, &out.entry.attr_valid, &out.entry.attr_valid_nsec);
    out.entry.attr = (struct fuse_attr){
        .ino = attr->st_ino,
        .size = (uint64_t)attr->st_size,
        .blocks = (uint64_t)attr->st_blocks,
        .atime = (uint64_t)attr->st_atim.tv_sec,
        .mtime = (uint64_t)attr->st_mtim.tv_sec,
        .ctime = (uint64_t)attr->st_ctim.tv_sec,
        .atimensec = (uint32_t)attr->st_atim.tv_nsec,
        .mtimensec = (uint32_t)attr->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)attr->st_ctim.tv_nsec,
        .mode = attr->st_mode,
        .nlink = (uint32_t)attr->st_nlink,
        .uid = attr->st_uid,
        .gid = attr->st_gid,
        .rdev = (uint32_t)attr->st_rdev,
        .blksize = (uint32_t)attr->st_blksize,
    };
    return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}
