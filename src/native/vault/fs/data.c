/*
 * Open files. A verdict on a handle holds until something that it was judged by changes; then the next
 * operation asks again. Answers leave while the gate is held, so that after a change nothing that was read before it comes
 * later. Writes go through to the file at once: what write(2) answered survives the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vaultfs.h"

#define SMALL_READ (64u << 10) /* below, one copy is cheaper than two pipes */
/* A copy is made under the gate, that a flag and every other volume's change of plan wait for: longer ones are answered short. */
#define LONGEST_COPY (4u << 20)

static int backing_flags(int flags)
{
    return (flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC)) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
}

/* Whether what the kernel has cached of the file is still what is there. */
static bool is_unchanged(struct volume *volume, struct node *node, const struct stat *attr)
{
    bool same;

    pthread_mutex_lock(&volume->tree);
    same = node->mtime.tv_sec == attr->st_mtim.tv_sec && node->mtime.tv_nsec == attr->st_mtim.tv_nsec && node->size == attr->st_size;
    node->mtime = attr->st_mtim;
    node->size = attr->st_size;
    pthread_mutex_unlock(&volume->tree);
    return same;
}

/* Past the kernel's cache, for what is only written. A write that takes setuid away changes what the kernel knows of the mode, so it
 * shall see it. */
static bool may_be_direct(const struct volume *volume, const struct fuse_file_info *info, const struct stat *attr)
{
    return volume->direct && (info->flags & O_ACCMODE) == O_WRONLY && (attr->st_mode & (S_ISUID | S_ISGID)) == 0;
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    struct volume *volume = volume_of(req);
    bool writes = (info->flags & O_ACCMODE) != O_RDONLY || (info->flags & O_TRUNC) != 0;
    struct reach reach;
    struct stat attr;
    int fd, error = 0;

    ENTER(volume);
    /* Truncated only once it is known to be the right file. */
    fd = open_judged(req, ino, writes ? VAULT_OP_OPEN_WRITE : VAULT_OP_OPEN, backing_flags(info->flags) & ~O_TRUNC, &attr, &reach);
    if (fd >= 0 && !S_ISREG(attr.st_mode))
        error = ESTALE;
    else if (fd >= 0 && (info->flags & O_TRUNC) != 0 && ftruncate(fd, 0) != 0)
        error = errno;
    if (error != 0) {
        close(fd);
        fd = -error;
    }
    info->keep_cache = fd >= 0 && (info->flags & O_TRUNC) == 0 && is_unchanged(volume, reach.node, &attr);
    info->noflush = 1;
    info->direct_io = fd >= 0 && may_be_direct(volume, info, &attr);
    handle_reply(req, reach.node, fd, info);
    LEAVE(volume);
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info)
{
    struct volume *volume = volume_of(req);
    struct fuse_entry_param entry;
    struct handle *handle = NULL;
    struct reach reach;
    struct stat attr;
    int directory = -1, fd = -1, error;

    ENTER(volume);
    error = reach_judge(&reach, req, parent, name, VAULT_OP_CREATE);
    if (error == 0) {
        directory = reach_parent(&reach);
        error = directory < 0 ? -directory : 0;
    }
    if (error == 0) {
        /* Not through a mount nor a link: what was opened is the entry. */
        as_caller(req);
        fd = reach_create(directory, name, backing_flags(info->flags) | (info->flags & O_EXCL), mode);
        as_daemon(req);
        error = fd < 0 ? -fd : fstat(fd, &attr) != 0 ? errno : !S_ISREG(attr.st_mode) ? EXDEV : 0;
    }
    if (error == 0)
        error = entry_meet(volume, reach.node, name, fd, &attr, &entry);
    if (error == 0) {
        handle = handle_make(volume, tree_node(volume, entry.ino), fd);
        if (handle == NULL) {
            tree_forget(volume, tree_node(volume, entry.ino), 1);
            error = ENOMEM;
        }
    }
    if (directory >= 0)
        close(directory);
    if (error != 0) {
        if (fd >= 0)
            close(fd);
        fuse_reply_err(req, reach_errno(volume, req, VAULT_OP_CREATE, reach.path, error));
    } else {
        info->fh = (uint64_t)(uintptr_t)handle;
        info->noflush = 1;
        info->direct_io = may_be_direct(volume, info, &attr);
        if (answer_create(req, &entry, info, handle) == -ENOENT) {
            handle_end(volume, handle);
            tree_forget(volume, tree_node(volume, entry.ino), 1);
        }
    }
    LEAVE(volume);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    static _Thread_local char buffer[SMALL_READ];
    struct volume *volume = volume_of(req);
    struct handle *handle = handle_of(info);
    int error;

    (void)ino;
    ENTER(volume);
    error = reach_handle(req, handle, VAULT_OP_READ, false);
    if (error != 0) {
        fuse_reply_err(req, error);
    } else if (size <= sizeof(buffer)) {
        ssize_t got = pread(handle->fd, buffer, size, offset);

        if (got < 0)
            fuse_reply_err(req, errno);
        else
            fuse_reply_buf(req, buffer, (size_t)got);
    } else {
        struct fuse_bufvec out = FUSE_BUFVEC_INIT(size);

        out.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
        out.buf[0].fd = handle->fd;
        out.buf[0].pos = offset;
        fuse_reply_data(req, &out, FUSE_BUF_SPLICE_MOVE);
    }
    LEAVE(volume);
}

/* A write takes setuid and setgid away. The kernel asks for that by setattr where it knows of them and writes through its cache; otherwise
 * it leaves it to whoever writes, which here has every right and would keep what was set since, or from outside. */
static void drop_privilege(int fd)
{
    struct stat attr;

    if (fstat(fd, &attr) == 0 && (attr.st_mode & (S_ISUID | S_ISGID)) != 0)
        fchmod(fd, attr.st_mode & 07777 & ~(mode_t)(S_ISUID | ((attr.st_mode & S_IXGRP) != 0 ? S_ISGID : 0)));
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *from, size_t size, off_t offset, struct fuse_file_info *info)
{
    struct volume *volume = volume_of(req);
    struct handle *handle = handle_of(info);
    ssize_t done = 0;
    int error;

    (void)ino;
    ENTER(volume);
    error = reach_handle(req, handle, VAULT_OP_WRITE, true);
    if (error == 0) {
        done = pwrite(handle->fd, from, size, offset);
        if (done < 0)
            error = errno;
        else
            drop_privilege(handle->fd);
    }
    if (error != 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_write(req, (size_t)done);
    LEAVE(volume);
}

static void do_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *info)
{
    struct volume *volume = volume_of(req);
    int error;

    (void)ino;
    ENTER(volume);
    error = reach_handle(req, handle_of(info), VAULT_OP_FALLOCATE, true);
    if (error == 0 && fallocate(handle_of(info)->fd, mode, offset, length) != 0)
        error = errno;
    fuse_reply_err(req, error);
    LEAVE(volume);
}

static void do_copy(fuse_req_t req, fuse_ino_t in, off_t from, struct fuse_file_info *source, fuse_ino_t out, off_t to,
                    struct fuse_file_info *target, size_t length, int flags)
{
    struct volume *volume = volume_of(req);
    ssize_t done = 0;
    int error;

    (void)in;
    (void)out;
    if (length > LONGEST_COPY)
        length = LONGEST_COPY;
    ENTER(volume);
    error = reach_handle(req, handle_of(source), VAULT_OP_READ, false);
    if (error == 0)
        error = reach_handle(req, handle_of(target), VAULT_OP_COPY, true);
    if (error == 0) {
        done = copy_file_range(handle_of(source)->fd, &from, handle_of(target)->fd, &to, length, (unsigned)flags);
        if (done < 0)
            error = errno;
    }
    if (error != 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_write(req, (size_t)done);
    LEAVE(volume);
}

static void do_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *info)
{
    struct volume *volume = volume_of(req);
    off_t found;
    int error;

    (void)ino;
    ENTER(volume);
    error = reach_handle(req, handle_of(info), VAULT_OP_READ, false);
    found = error == 0 ? lseek(handle_of(info)->fd, offset, whence) : 0;
    if (error != 0 || found < 0)
        fuse_reply_err(req, error != 0 ? error : errno);
    else
        fuse_reply_lseek(req, found);
    LEAVE(volume);
}

/* The kernel asks what a file's flags are before it sets any: without an answer nobody here would see that somebody tried. */
static void get_flags(fuse_req_t req, fuse_ino_t ino, struct handle *handle, unsigned int command, size_t room)
{
    union {
        long flags; /* the kernel writes an int of it, and says long */
        struct fsxattr more;
    } found = {0};
    size_t size = command == FS_IOC_FSGETXATTR ? sizeof(found.more) : room < sizeof(found.flags) ? sizeof(int) : sizeof(found.flags);
    struct reach reach;
    int error = reach_judge(&reach, req, ino, NULL, VAULT_OP_GETATTR);

    if (error == 0 && room < size)
        error = EINVAL;
    if (error == 0 && ioctl(handle->fd, command, &found) != 0)
        error = errno;
    if (error != 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_ioctl(req, 0, &found, size);
}

static void do_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *argument, struct fuse_file_info *info,
                     unsigned flags, const void *in, size_t in_size, size_t out_size)
{
    struct volume *volume = volume_of(req);
    char path[PATH_ROOM] = "/";

    (void)argument;
    (void)flags;
    (void)in;
    (void)in_size;
    /* What programs ask of every file to see what it is; there is nothing to deny in it. */
    if (command == 0x5401 /* TCGETS */) {
        fuse_reply_err(req, ENOTTY);
        return;
    }
    ENTER(volume);
    if (command == FS_IOC_GETFLAGS || command == FS_IOC_FSGETXATTR) {
        get_flags(req, ino, handle_of(info), command, out_size);
    } else {
        if (tree_path(volume, handle_of(info)->node, 0, path) <= 0)
            memcpy(path, "/", 2);
        reach_deny(volume, req, VAULT_OP_IOCTL, VAULT_NEVER, path, VAULT_NONE, VAULT_NONE);
        fuse_reply_err(req, EACCES);
    }
    LEAVE(volume);
}

void ops_data(struct fuse_lowlevel_ops *ops)
{
    ops->open = do_open;
    ops->create = do_create;
    ops->release = handle_release;
    ops->read = do_read;
    ops->write = do_write;
    ops->fsync = handle_fsync;
    ops->fallocate = do_fallocate;
    ops->copy_file_range = do_copy;
    ops->lseek = do_lseek;
    ops->ioctl = do_ioctl;
}
