/*
 * Making, removing, moving and linking. What is made belongs to who makes it (the thread's filesystem user); what is removed or
 * replaced keeps a descriptor while the kernel knows it. A rename runs alone in its volume, so that no path changes its
 * meaning between being judged and being used.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vaultfs.h"

static const char *leaf(const struct reach *reach)
{
    return strrchr(reach->path, '/') + 1;
}

/* Answers with what was just made under a directory. */
static void reply_made(fuse_req_t req, const struct reach *reach, enum vault_op op, int directory, int error)
{
    struct volume *volume = reach->volume;
    struct fuse_entry_param entry;
    int fd;

    if (error == 0) {
        fd = reach_entry(volume, directory, leaf(reach), O_PATH | O_NOFOLLOW);
        error = fd < 0 ? -fd : entry_fill(volume, reach->node, leaf(reach), fd, &entry);
    }
    if (error != 0)
        fuse_reply_err(req, reach_errno(volume, req, op, reach->path, error));
    else
        fuse_reply_entry(req, &entry);
}

/* Judges an entry and opens its directory; -errno. */
static int open_directory(fuse_req_t req, fuse_ino_t parent, const char *name, enum vault_op op, struct reach *reach)
{
    int directory, error = reach_judge(reach, req, parent, name, op);

    if (error != 0)
        return -error;
    directory = reach_parent(reach);
    return directory < 0 ? -reach_errno(reach->volume, req, op, reach->path, -directory) : directory;
}

static void do_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    struct volume *volume = volume_of(req);
    enum vault_op op = S_ISCHR(mode) || S_ISBLK(mode) ? VAULT_OP_MAKE_DEVICE : VAULT_OP_MKNOD;
    struct reach reach;
    int directory, error = 0;

    (void)device;
    ENTER(volume);
    directory = open_directory(req, parent, name, op, &reach);
    if (directory < 0) {
        fuse_reply_err(req, -directory);
    } else {
        as_caller(req);
        if (mknodat(directory, name, mode, 0) != 0)
            error = errno;
        as_daemon(req);
        reply_made(req, &reach, op, directory, error);
        close(directory);
    }
    LEAVE(volume);
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct volume *volume = volume_of(req);
    struct reach reach;
    int directory, error = 0;

    ENTER(volume);
    directory = open_directory(req, parent, name, VAULT_OP_MKDIR, &reach);
    if (directory < 0) {
        fuse_reply_err(req, -directory);
    } else {
        as_caller(req);
        if (mkdirat(directory, name, mode) != 0)
            error = errno;
        as_daemon(req);
        reply_made(req, &reach, VAULT_OP_MKDIR, directory, error);
        close(directory);
    }
    LEAVE(volume);
}

static void do_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    struct volume *volume = volume_of(req);
    struct reach reach;
    int directory, error = 0;

    ENTER(volume);
    directory = open_directory(req, parent, name, VAULT_OP_SYMLINK, &reach);
    if (directory < 0) {
        fuse_reply_err(req, -directory);
    } else {
        as_caller(req);
        if (symlinkat(target, directory, name) != 0)
            error = errno;
        as_daemon(req);
        reply_made(req, &reach, VAULT_OP_SYMLINK, directory, error);
        close(directory);
    }
    LEAVE(volume);
}

static void remove_entry(fuse_req_t req, fuse_ino_t parent, const char *name, enum vault_op op, int flags)
{
    struct volume *volume = volume_of(req);
    struct reach reach;
    int directory, kept = -1, error = 0;

    ENTER(volume);
    directory = open_directory(req, parent, name, op, &reach);
    if (directory < 0) {
        error = -directory;
    } else {
        if (tree_knows(volume, reach.node, name))
            kept = reach_entry(volume, directory, name, O_PATH | O_NOFOLLOW);
        if (unlinkat(directory, name, flags) != 0)
            error = errno;
        close(directory);
        if (error == 0)
            tree_drop(volume, reach.node, name, kept);
        else if (kept >= 0)
            close(kept);
    }
    fuse_reply_err(req, error);
    LEAVE(volume);
}

static void do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    remove_entry(req, parent, name, VAULT_OP_UNLINK, 0);
}

static void do_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    remove_entry(req, parent, name, VAULT_OP_RMDIR, AT_REMOVEDIR);
}

static int move(fuse_req_t req, const struct reach *from, const struct reach *to, unsigned int flags)
{
    struct volume *volume = from->volume;
    int old, new, kept = -1, error = 0;

    old = reach_parent(from);
    if (old < 0)
        return reach_errno(volume, req, VAULT_OP_RENAME_FROM, from->path, -old);
    /* The tree cannot change meanwhile: one directory is one path. */
    new = from->node == to->node ? old : reach_parent(to);
    if (new < 0) {
        close(old);
        return reach_errno(volume, req, VAULT_OP_RENAME_TO, to->path, -new);
    }
    if ((flags & RENAME_EXCHANGE) == 0 && tree_knows(volume, to->node, leaf(to)))
        kept = reach_entry(volume, new, leaf(to), O_PATH | O_NOFOLLOW);
    if (renameat2(old, leaf(from), new, leaf(to), flags) != 0)
        error = errno;
    close(old);
    if (new != old)
        close(new);
    if (error != 0) {
        if (kept >= 0)
            close(kept);
        return reach_errno(volume, req, VAULT_OP_RENAME_FROM, from->path, error);
    }
    if ((flags & RENAME_EXCHANGE) == 0)
        tree_drop(volume, to->node, leaf(to), kept);
    tree_move(volume, from->node, leaf(from), to->node, leaf(to), (flags & RENAME_EXCHANGE) != 0);
    return 0;
}

static void do_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
                      unsigned int flags)
{
    struct volume *volume = volume_of(req);
    struct reach from, to;
    int error;

    pthread_rwlock_wrlock(&volume->gate);
    if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
        error = EINVAL;
    else
        error = reach_judge(&from, req, parent, name, VAULT_OP_RENAME_FROM);
    if (error == 0)
        error = reach_judge(&to, req, newparent, newname, VAULT_OP_RENAME_TO);
    /* In an exchange each is moved to where the other was. */
    if (error == 0 && (flags & RENAME_EXCHANGE) != 0) {
        error = reach_judge(&to, req, newparent, newname, VAULT_OP_RENAME_FROM);
        if (error == 0)
            error = reach_judge(&from, req, parent, name, VAULT_OP_RENAME_TO);
    }
    /* Renaming a name to another of the same file does nothing, and takes no name away. */
    if (error == 0 && strcmp(from.path, to.path) != 0)
        error = move(req, &from, &to, flags);
    fuse_reply_err(req, error);
    LEAVE(volume);
}

static void do_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    struct volume *volume = volume_of(req);
    struct reach source, target;
    struct stat attr;
    char link[64];
    int directory = -1, file = -1, error;

    ENTER(volume);
    error = reach_judge(&source, req, ino, NULL, VAULT_OP_LINK_FROM);
    if (error == 0) {
        directory = open_directory(req, parent, name, VAULT_OP_LINK_TO, &target);
        error = directory < 0 ? -directory : 0;
    }
    if (error == 0) {
        file = reach_open(&source, O_PATH | O_NOFOLLOW, &attr);
        if (file < 0)
            error = reach_errno(volume, req, VAULT_OP_LINK_FROM, source.path, -file);
        else if (source.node->names != NULL && attr.st_ino != source.node->ino)
            error = ESTALE;
    }
    if (error != 0) {
        fuse_reply_err(req, error);
    } else {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
        if (linkat(AT_FDCWD, link, directory, name, AT_SYMLINK_FOLLOW) != 0)
            error = errno;
        reply_made(req, &target, VAULT_OP_LINK_TO, directory, error);
    }
    if (file >= 0)
        close(file);
    if (directory >= 0)
        close(directory);
    LEAVE(volume);
}

void ops_tree(struct fuse_lowlevel_ops *ops)
{
    ops->mknod = do_mknod;
    ops->mkdir = do_mkdir;
    ops->symlink = do_symlink;
    ops->unlink = do_unlink;
    ops->rmdir = do_rmdir;
    ops->rename = do_rename;
    ops->link = do_link;
}
