/*
 * What is there, and its metadata: lookup, attributes, links' targets. Nothing here is opened for reading: what is looked at is
 * held by a descriptor without rights, and what is changed is changed through /proc/self/fd, which names exactly that file.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "vaultfs.h"

/* How long the kernel may answer by itself. A change of what is judged by takes everything back at once (volume_refresh). */
const double ATTR_SECONDS = 1.0;

#ifndef FS_CASEFOLD_FL
#define FS_CASEFOLD_FL 0x40000000
#endif

/* What root makes is root's, who the daemon is by itself. */
static bool is_root(fuse_req_t req)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);

    return context->uid == 0 && context->gid == 0;
}

void as_caller(fuse_req_t req)
{
    if (is_root(req))
        return;
    setfsgid(fuse_req_ctx(req)->gid);
    setfsuid(fuse_req_ctx(req)->uid);
}

void as_daemon(fuse_req_t req)
{
    if (is_root(req))
        return;
    setfsuid(0);
    setfsgid(0);
}

/* In a directory that folds case, two spellings are one file, and rules tell spellings apart. */
static bool folds_case(const struct volume *volume, int fd)
{
    char link[64];
    long flags = 0;
    int directory;
    bool folds;

    if (!volume->folds)
        return false;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    directory = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return true;
    folds = ioctl(directory, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_CASEFOLD_FL) != 0;
    close(directory);
    return folds;
}

int entry_meet(struct volume *volume, struct node *parent, const char *name, int fd, const struct stat *attr,
               struct fuse_entry_param *entry)
{
    struct node *node;

    memset(entry, 0, sizeof(*entry));
    entry->attr = *attr;
    if (attr->st_dev != volume->dev || (S_ISDIR(attr->st_mode) && folds_case(volume, fd)))
        return EXDEV;
    node = tree_meet(volume, parent, name, &entry->attr);
    if (node == NULL)
        return ENOMEM;
    entry->ino = (fuse_ino_t)(uintptr_t)node;
    entry->attr_timeout = ATTR_SECONDS;
    entry->entry_timeout = ATTR_SECONDS;
    return 0;
}

int entry_fill(struct volume *volume, struct node *parent, const char *name, int fd, struct fuse_entry_param *entry)
{
    struct stat attr;
    int error = fstat(fd, &attr) != 0 ? errno : entry_meet(volume, parent, name, fd, &attr, entry);

    close(fd);
    return error;
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct volume *volume = volume_of(req);
    struct fuse_entry_param entry;
    struct reach reach;
    struct stat attr;
    int error, fd;

    ENTER(volume);
    error = reach_judge(&reach, req, parent, name, VAULT_OP_LOOKUP);
    if (error == 0) {
        struct node *directory = reach.node;

        reach.node = &volume->top; /* an entry is no node yet, and its directory not to be mistaken for it */
        fd = reach_open(&reach, O_PATH | O_NOFOLLOW, &attr);
        error = fd < 0 ? -fd : entry_meet(volume, directory, name, fd, &attr, &entry);
        if (fd >= 0)
            close(fd);
    }
    if (error == ENOENT) {
        memset(&entry, 0, sizeof(entry));
        entry.entry_timeout = ATTR_SECONDS;
        fuse_reply_entry(req, &entry);
    } else if (error != 0) {
        fuse_reply_err(req, reach_errno(volume, req, VAULT_OP_LOOKUP, reach.path, error));
    } else {
        fuse_reply_entry(req, &entry);
    }
    LEAVE(volume);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
    struct volume *volume = volume_of(req);

    tree_forget(volume, tree_node(volume, ino), lookups);
    fuse_reply_none(req);
}

static void do_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    struct volume *volume = volume_of(req);

    for (size_t i = 0; i < count; i++)
        tree_forget(volume, tree_node(volume, forgets[i].ino), forgets[i].nlookup);
    fuse_reply_none(req);
}

int open_judged(fuse_req_t req, fuse_ino_t ino, enum vault_op op, int flags, struct stat *attr, struct reach *reach)
{
    struct volume *volume = volume_of(req);
    int fd, error = reach_judge(reach, req, ino, NULL, op);

    if (error != 0)
        return -error;
    fd = reach_open(reach, flags, attr);
    if (fd < 0)
        return -reach_errno(volume, req, op, reach->path, -fd);
    if (reach->node != &volume->top && reach->node->names != NULL &&
        (attr->st_ino != reach->node->ino || attr->st_dev != reach->node->dev)) {
        close(fd);
        return -ESTALE;
    }
    return fd;
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    struct volume *volume = volume_of(req);
    struct reach reach;
    struct stat attr;
    int fd;

    (void)info;
    ENTER(volume);
    fd = open_judged(req, ino, VAULT_OP_GETATTR, O_PATH | O_NOFOLLOW, &attr, &reach);
    if (fd < 0) {
        fuse_reply_err(req, -fd);
    } else {
        fuse_reply_attr(req, &attr, ATTR_SECONDS);
        close(fd);
    }
    LEAVE(volume);
}

static int set_times(int fd, const struct stat *attr, int set)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};

    if ((set & FUSE_SET_ATTR_ATIME_NOW) != 0)
        times[0].tv_nsec = UTIME_NOW;
    else if ((set & FUSE_SET_ATTR_ATIME) != 0)
        times[0] = attr->st_atim;
    if ((set & FUSE_SET_ATTR_MTIME_NOW) != 0)
        times[1].tv_nsec = UTIME_NOW;
    else if ((set & FUSE_SET_ATTR_MTIME) != 0)
        times[1] = attr->st_mtim;
    return utimensat(fd, "", times, AT_EMPTY_PATH);
}

/* `fd` is O_PATH; through /proc, because most calls want more than that. */
static int change(int fd, const struct reach *reach, struct stat *attr, int set, struct handle *handle)
{
    char link[64];
    struct stat found;
    int file;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if ((set & FUSE_SET_ATTR_MODE) != 0 && chmod(link, attr->st_mode & 07777) != 0)
        return errno;
    if ((set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0 &&
        fchownat(fd, "", (set & FUSE_SET_ATTR_UID) != 0 ? attr->st_uid : (uid_t)-1,
                 (set & FUSE_SET_ATTR_GID) != 0 ? attr->st_gid : (gid_t)-1, AT_EMPTY_PATH) != 0)
        return errno;
    if ((set & FUSE_SET_ATTR_SIZE) != 0) {
        if (handle != NULL) {
            if (ftruncate(handle->fd, attr->st_size) != 0)
                return errno;
        } else {
            file = reach_open(reach, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, &found);
            if (file < 0)
                return -file;
            if (!S_ISREG(found.st_mode) || (reach->node->names != NULL && found.st_ino != reach->node->ino)) {
                close(file);
                return ESTALE;
            }
            if (ftruncate(file, attr->st_size) != 0) {
                int error = errno;

                close(file);
                return error;
            }
            close(file);
        }
    }
    if ((set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW)) != 0 &&
        set_times(fd, attr, set) != 0)
        return errno;
    return 0;
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set, struct fuse_file_info *info)
{
    struct volume *volume = volume_of(req);
    struct handle *handle = info != NULL && (set & FUSE_SET_ATTR_SIZE) != 0 ? (struct handle *)(uintptr_t)info->fh : NULL;
    struct reach reach;
    struct stat found;
    int fd, error;

    ENTER(volume);
    fd = open_judged(req, ino, VAULT_OP_SETATTR, O_PATH | O_NOFOLLOW, &found, &reach);
    error = fd < 0 ? -fd : change(fd, &reach, attr, set, handle);
    if (error == 0 && fstat(fd, &found) != 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    if (error != 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_attr(req, &found, ATTR_SECONDS);
    LEAVE(volume);
}

static void do_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct volume *volume = volume_of(req);
    char target[PATH_ROOM];
    struct reach reach;
    struct stat attr;
    ssize_t length = 0;
    int fd;

    ENTER(volume);
    fd = open_judged(req, ino, VAULT_OP_READLINK, O_PATH | O_NOFOLLOW, &attr, &reach);
    if (fd >= 0)
        length = readlinkat(fd, "", target, sizeof(target) - 1);
    if (fd < 0) {
        fuse_reply_err(req, -fd);
    } else if (length < 0) {
        fuse_reply_err(req, errno);
    } else {
        target[length] = 0;
        fuse_reply_readlink(req, target);
    }
    if (fd >= 0)
        close(fd);
    LEAVE(volume);
}

static void do_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct volume *volume = volume_of(req);
    struct statvfs found;
    struct reach reach;
    int error;

    (void)ino;
    ENTER(volume);
    error = reach_judge(&reach, req, FUSE_ROOT_ID, NULL, VAULT_OP_STATFS);
    if (error == 0 && fstatvfs(volume->root, &found) != 0)
        error = errno;
    if (error != 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_statfs(req, &found);
    LEAVE(volume);
}

void ops_meta(struct fuse_lowlevel_ops *ops)
{
    ops->lookup = do_lookup;
    ops->forget = do_forget;
    ops->forget_multi = do_forget_multi;
    ops->getattr = do_getattr;
    ops->setattr = do_setattr;
    ops->readlink = do_readlink;
    ops->statfs = do_statfs;
}
