/*
 * Requests of a guest, carried out by the operations of vaultfs once what they brought is here. Numbers that nobody was given, names
 * that do not end where they should, and operations that there are none for are refused before anything is judged.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vault_device.h"

/* untrusted: a number. The node as the operations take it, 0 when nobody was given it. */
static fuse_ino_t node_of(const struct fuse_req *req, uint64_t number)
{
    return number == FUSE_ROOT_ID ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)numbers_find(&req->device->nodes, number);
}

/* untrusted: a number. False when nothing is open by it, or something of another node or kind. */
static bool handle_by(const struct fuse_req *req, uint64_t number, bool directory, struct fuse_file_info *info)
{
    struct handle *handle = numbers_find(&req->device->handles, number);
    fuse_ino_t ino = node_of(req, req->in.nodeid);
    struct node *node = ino == FUSE_ROOT_ID ? &req->device->volume->top : (struct node *)(uintptr_t)ino;

    info->fh = (uint64_t)(uintptr_t)handle;
    return handle != NULL && handle->node == node && (node->type == S_IFDIR) == directory;
}

/* The n-th text of what came, which ends with a NUL inside of it; NULL otherwise. `end` takes what follows. */
static const char *text_at(const struct fuse_req *req, uint32_t from, uint32_t *end)
{
    const char *text, *stop;

    if (req->slot == NULL || from >= req->given)
        return NULL;
    text = req->slot->text + from;
    stop = memchr(text, 0, req->given - from);
    if (stop == NULL || stop == text)
        return NULL;
    *end = from + (uint32_t)(stop - text) + 1;
    return text;
}

static void run_init(struct fuse_req *req)
{
    struct fuse_init_out *to = req->body;
    uint32_t flags = FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS;

    memset(to, 0, sizeof(*to));
    to->major = FUSE_KERNEL_VERSION;
    to->minor = FUSE_KERNEL_MINOR_VERSION;
    to->max_readahead = 0;
    to->flags = flags & req->arg.init.flags;
    to->max_background = 64;
    to->congestion_threshold = 48;
    to->max_write = PAYLOAD;
    to->time_gran = 1;
    req->out->unique = req->in.unique;
    req->out->error = 0;
    req->out->len = sizeof(*req->out) + sizeof(*to);
    order_answer(req);
}

static void forget(struct fuse_req *req, fuse_ino_t node)
{
    uint64_t counted = node == FUSE_ROOT_ID ? 0 : numbers_drop(&req->device->nodes, req->in.nodeid, req->arg.forget.nlookup);

    if (node == 0 || counted == 0)
        fuse_reply_none(req);
    else
        req->device->ops.forget(req, node, counted);
}

static void set_attributes(struct fuse_req *req, fuse_ino_t node)
{
    const struct fuse_setattr_in *arg = &req->arg.setattr;
    struct stat attr = {.st_mode = arg->mode, .st_uid = arg->uid, .st_gid = arg->gid, .st_size = (off_t)arg->size};
    struct fuse_file_info info = {0};
    bool open = (arg->valid & FATTR_FH) != 0;

    attr.st_atim = (struct timespec){.tv_sec = (time_t)arg->atime, .tv_nsec = arg->atimensec};
    attr.st_mtim = (struct timespec){.tv_sec = (time_t)arg->mtime, .tv_nsec = arg->mtimensec};
    if ((open && !handle_by(req, arg->fh, false, &info)) || arg->size > INT64_MAX)
        fuse_reply_err(req, EBADF);
    else
        req->device->ops.setattr(req, node, &attr, (int)(arg->valid & 0x1ff), open ? &info : NULL);
}

/* Operations on what is open. */
static void run_open(struct fuse_req *req, fuse_ino_t node)
{
    const struct fuse_lowlevel_ops *ops = &req->device->ops;
    uint32_t code = req->in.opcode, size = req->arg.read.size;
    bool directory = code == FUSE_READDIR || code == FUSE_READDIRPLUS || code == FUSE_RELEASEDIR;
    struct fuse_file_info info = {0};
    /* Each of these structures begins with the number. */
    uint64_t number = req->arg.read.fh, offset = req->arg.read.offset;

    if (!handle_by(req, number, directory, &info) && !(code == FUSE_IOCTL && handle_by(req, number, true, &info))) {
        fuse_reply_err(req, EBADF);
        return;
    }
    size = size < PAYLOAD ? size : PAYLOAD;
    size = size < req->room ? size : req->room;
    switch (code) {
    case FUSE_READ:
        ops->read(req, node, size, (off_t)(offset & INT64_MAX), &info);
        break;
    case FUSE_READDIR:
        ops->readdir(req, node, size, (off_t)(offset & INT64_MAX), &info);
        break;
    case FUSE_READDIRPLUS:
        ops->readdirplus(req, node, size, (off_t)(offset & INT64_MAX), &info);
        break;
    case FUSE_WRITE:
        if (req->slot == NULL || req->arg.write.size > req->given)
            fuse_reply_err(req, EINVAL);
        else
            ops->write(req, node, req->slot->text, req->arg.write.size, (off_t)(req->arg.write.offset & INT64_MAX), &info);
        break;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        numbers_drop(&req->device->handles, number, UINT64_MAX);
        ops->release(req, node, &info);
        break;
    case FUSE_FSYNC:
        ops->fsync(req, node, (int)(req->arg.fsync.fsync_flags & 1), &info);
        break;
    case FUSE_FALLOCATE:
        ops->fallocate(req, node, (int)req->arg.fallocate.mode, (off_t)(req->arg.fallocate.offset & INT64_MAX),
                       (off_t)(req->arg.fallocate.length & INT64_MAX), &info);
        break;
    default:
        ops->ioctl(req, node, req->arg.ioctl.cmd, NULL, &info, req->arg.ioctl.flags, req->slot == NULL ? NULL : req->slot->text,
                   req->given, req->room < req->arg.ioctl.out_size ? req->room : req->arg.ioctl.out_size);
    }
}

/* Operations that name an entry of `node`. */
static void run_named(struct fuse_req *req, fuse_ino_t node)
{
    const struct fuse_lowlevel_ops *ops = &req->device->ops;
    struct fuse_file_info info = {.flags = (int)req->arg.create.flags};
    uint32_t end = 0, second_end = 0, code = req->in.opcode;
    bool two = code == FUSE_RENAME || code == FUSE_RENAME2 || code == FUSE_SYMLINK;
    const char *name = text_at(req, 0, &end), *second = two ? text_at(req, end, &second_end) : NULL;
    fuse_ino_t other = 0;

    if (name == NULL || (two && second == NULL)) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    if (code == FUSE_RENAME || code == FUSE_RENAME2 || code == FUSE_LINK) {
        /* All three structures begin with it: the new directory, or the file that is linked. */
        other = node_of(req, req->arg.rename.newdir);
        if (other == 0) {
            fuse_reply_err(req, ESTALE);
            return;
        }
    }
    switch (code) {
    case FUSE_LOOKUP:
        ops->lookup(req, node, name);
        break;
    case FUSE_CREATE:
        ops->create(req, node, name, req->arg.create.mode & ~req->arg.create.umask, &info);
        break;
    case FUSE_MKNOD:
        ops->mknod(req, node, name, req->arg.mknod.mode & ~req->arg.mknod.umask, req->arg.mknod.rdev);
        break;
    case FUSE_MKDIR:
        ops->mkdir(req, node, name, req->arg.mkdir.mode & ~req->arg.mkdir.umask);
        break;
    case FUSE_UNLINK:
        ops->unlink(req, node, name);
        break;
    case FUSE_RMDIR:
        ops->rmdir(req, node, name);
        break;
    case FUSE_SYMLINK:
        ops->symlink(req, second, node, name);
        break;
    case FUSE_LINK:
        ops->link(req, other, node, name);
        break;
    case FUSE_RENAME:
        ops->rename(req, node, name, other, second, 0);
        break;
    case FUSE_RENAME2:
        ops->rename(req, node, name, other, second, req->arg.rename2.flags);
        break;
    case FUSE_SETXATTR:
        if (req->arg.setxattr.size > req->given - end)
            fuse_reply_err(req, EINVAL);
        else
            ops->setxattr(req, node, name, name + end, req->arg.setxattr.size, (int)req->arg.setxattr.flags);
        break;
    case FUSE_GETXATTR:
        ops->getxattr(req, node, name, req->arg.getxattr.size < PAYLOAD ? req->arg.getxattr.size : PAYLOAD);
        break;
    default:
        ops->removexattr(req, node, name);
    }
}

void requests_run(struct fuse_req *req)
{
    const struct fuse_lowlevel_ops *ops = &req->device->ops;
    struct fuse_file_info info = {.flags = (int)req->arg.open.flags};
    fuse_ino_t node = node_of(req, req->in.nodeid);
    uint32_t code = req->in.opcode;

    if (code == FUSE_INIT) {
        run_init(req);
        return;
    }
    if (code == FUSE_FORGET) {
        forget(req, node);
        return;
    }
    if (node == 0) {
        fuse_reply_err(req, code == FUSE_DESTROY ? 0 : ESTALE);
        return;
    }
    switch (code) {
    case FUSE_GETATTR:
        ops->getattr(req, node, NULL);
        break;
    case FUSE_SETATTR:
        set_attributes(req, node);
        break;
    case FUSE_READLINK:
        ops->readlink(req, node);
        break;
    case FUSE_STATFS:
        ops->statfs(req, node);
        break;
    case FUSE_OPEN:
        ops->open(req, node, &info);
        break;
    case FUSE_OPENDIR:
        ops->opendir(req, node, &info);
        break;
    case FUSE_LISTXATTR:
        ops->listxattr(req, node, req->arg.getxattr.size < PAYLOAD ? req->arg.getxattr.size : PAYLOAD);
        break;
    case FUSE_DESTROY:
    case FUSE_FLUSH: /* writes have gone through to the file */
        fuse_reply_err(req, 0);
        break;
    case FUSE_SYNCFS:
        fuse_reply_err(req, syncfs(req->device->volume->root) == 0 ? 0 : errno);
        break;
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
    case FUSE_WRITE:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_FSYNC:
    case FUSE_FALLOCATE:
    case FUSE_IOCTL:
        run_open(req, node);
        break;
    case FUSE_LOOKUP:
    case FUSE_CREATE:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_SYMLINK:
    case FUSE_LINK:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_SETXATTR:
    case FUSE_GETXATTR:
    case FUSE_REMOVEXATTR:
        run_named(req, node);
        break;
    default:
        fuse_reply_err(req, EACCES);
    }
}
