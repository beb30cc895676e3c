/*
 * Answers of the operations, as the structures of virtio-fs have them. Nodes and open files go out as numbers. Nothing that is
 * answered may be remembered by the guest: no validity of entries and attributes, no kept cache, direct IO, so that the next
 * operation is judged again (there is no way to take anything back from a guest's cache).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vault_device.h"

void *fuse_req_userdata(fuse_req_t req)
{
    return req->device->volume;
}

const struct fuse_ctx *fuse_req_ctx(fuse_req_t req)
{
    return &req->context;
}

/* `structures`: octets of the answer's own structures; `data`: octets of the slot behind them. */
static int answer(fuse_req_t req, int error, size_t structures, size_t data)
{
    if (req->out != NULL) {
        req->out->unique = req->in.unique;
        req->out->error = -error;
        req->out->len = (uint32_t)(sizeof(*req->out) + (error == 0 ? structures + data : 0));
    }
    req->answer = error == 0 ? (uint32_t)data : 0;
    order_answer(req);
    return 0;
}

int fuse_reply_err(fuse_req_t req, int error)
{
    return answer(req, error, 0, 0);
}

void fuse_reply_none(fuse_req_t req)
{
    answer(req, 0, 0, 0);
}

static void put_attr(struct fuse_attr *to, const struct stat *from)
{
    memset(to, 0, sizeof(*to));
    to->ino = from->st_ino;
    to->size = (uint64_t)from->st_size;
    to->blocks = (uint64_t)from->st_blocks;
    to->atime = (uint64_t)from->st_atim.tv_sec;
    to->atimensec = (uint32_t)from->st_atim.tv_nsec;
    to->mtime = (uint64_t)from->st_mtim.tv_sec;
    to->mtimensec = (uint32_t)from->st_mtim.tv_nsec;
    to->ctime = (uint64_t)from->st_ctim.tv_sec;
    to->ctimensec = (uint32_t)from->st_ctim.tv_nsec;
    to->mode = from->st_mode;
    to->nlink = (uint32_t)from->st_nlink;
    to->uid = from->st_uid;
    to->gid = from->st_gid;
    to->rdev = (uint32_t)from->st_rdev;
    to->blksize = (uint32_t)from->st_blksize;
}

/* False: there is no number for it, and the lookup has been given back. */
static bool put_entry(fuse_req_t req, struct fuse_entry_out *to, const struct fuse_entry_param *from)
{
    struct node *node = (struct node *)(uintptr_t)from->ino;

    memset(to, 0, sizeof(*to));
    if (node == NULL) /* nothing is there, or it is named only */
        return true;
    to->nodeid = numbers_of(&req->device->nodes, node);
    if (to->nodeid == 0) {
        tree_forget(req->device->volume, node, 1);
        return false;
    }
    put_attr(&to->attr, &from->attr);
    return true;
}

int fuse_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry)
{
    if (!put_entry(req, req->body, entry))
        return answer(req, ENOMEM, 0, 0);
    /* A name without a node would be remembered as absent. */
    return entry->ino == 0 ? answer(req, ENOENT, 0, 0) : answer(req, 0, sizeof(struct fuse_entry_out), 0);
}

static bool put_open(fuse_req_t req, struct fuse_open_out *to, const struct fuse_file_info *info)
{
    memset(to, 0, sizeof(*to));
    to->fh = numbers_of(&req->device->handles, (void *)(uintptr_t)info->fh);
    to->open_flags = FOPEN_DIRECT_IO;
    return to->fh != 0;
}

int fuse_reply_open(fuse_req_t req, const struct fuse_file_info *info)
{
    if (!put_open(req, req->body, info)) {
        answer(req, ENOMEM, 0, 0);
        return -ENOENT;
    }
    return answer(req, 0, sizeof(struct fuse_open_out), 0);
}

int fuse_reply_create(fuse_req_t req, const struct fuse_entry_param *entry, const struct fuse_file_info *info)
{
    struct fuse_open_out opened;

    /* On -ENOENT the caller gives back handle and lookup: neither may have a number then. */
    if (!put_open(req, &opened, info)) {
        answer(req, ENOMEM, 0, 0);
        return -ENOENT;
    }
    memcpy(req->more, &opened, sizeof(opened));
    memset(req->body, 0, sizeof(struct fuse_entry_out));
    ((struct fuse_entry_out *)req->body)->nodeid = numbers_of(&req->device->nodes, (void *)(uintptr_t)entry->ino);
    if (((struct fuse_entry_out *)req->body)->nodeid == 0) {
        numbers_drop(&req->device->handles, opened.fh, 1);
        answer(req, ENOMEM, 0, 0);
        return -ENOENT;
    }
    put_attr(&((struct fuse_entry_out *)req->body)->attr, &entry->attr);
    return answer(req, 0, sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out), 0);
}

int fuse_reply_attr(fuse_req_t req, const struct stat *attr, double timeout)
{
    struct fuse_attr_out *to = req->body;

    (void)timeout;
    memset(to, 0, sizeof(*to));
    put_attr(&to->attr, attr);
    return answer(req, 0, sizeof(*to), 0);
}

int fuse_reply_write(fuse_req_t req, size_t count)
{
    struct fuse_write_out *to = req->body;

    memset(to, 0, sizeof(*to));
    to->size = (uint32_t)count;
    return answer(req, 0, sizeof(*to), 0);
}

int fuse_reply_buf(fuse_req_t req, const char *from, size_t size)
{
    size_t room = req->room < SLOT_SIZE ? req->room : SLOT_SIZE;

    if (size > room || (size > 0 && req->slot == NULL))
        return answer(req, ERANGE, 0, 0);
    if (size > 0)
        memmove(req->slot->text, from, size);
    return answer(req, 0, 0, size);
}

int fuse_reply_data(fuse_req_t req, struct fuse_bufvec *from, int flags)
{
    size_t room = req->slot == NULL ? 0 : req->room < PAYLOAD ? req->room : PAYLOAD;
    ssize_t got;

    (void)flags;
    got = pread(from->buf[0].fd, room == 0 ? NULL : req->slot->text, from->buf[0].size < room ? from->buf[0].size : room, from->buf[0].pos);
    return got < 0 ? answer(req, errno, 0, 0) : answer(req, 0, 0, (size_t)got);
}

int fuse_reply_readlink(fuse_req_t req, const char *target)
{
    return fuse_reply_buf(req, target, strlen(target));
}

int fuse_reply_statfs(fuse_req_t req, const struct statvfs *found)
{
    struct fuse_statfs_out *to = req->body;

    memset(to, 0, sizeof(*to));
    to->st.blocks = found->f_blocks;
    to->st.bfree = found->f_bfree;
    to->st.bavail = found->f_bavail;
    to->st.files = found->f_files;
    to->st.ffree = found->f_ffree;
    to->st.bsize = (uint32_t)found->f_bsize;
    to->st.namelen = (uint32_t)found->f_namemax;
    to->st.frsize = (uint32_t)found->f_frsize;
    return answer(req, 0, sizeof(*to), 0);
}

int fuse_reply_xattr(fuse_req_t req, size_t count)
{
    struct fuse_getxattr_out *to = req->body;

    memset(to, 0, sizeof(*to));
    to->size = (uint32_t)count;
    return answer(req, 0, sizeof(*to), 0);
}

int fuse_reply_ioctl(fuse_req_t req, int result, const void *from, size_t size)
{
    struct fuse_ioctl_out *to = req->body;

    if (size > req->room || req->slot == NULL)
        return answer(req, ERANGE, 0, 0);
    memset(to, 0, sizeof(*to));
    to->result = result;
    memcpy(req->slot->text, from, size);
    return answer(req, 0, sizeof(*to), size);
}

int fuse_reply_lseek(fuse_req_t req, off_t found)
{
    (void)found;
    return answer(req, ENOSYS, 0, 0); /* virtio-fs of DevEmu has no such request */
}

size_t fuse_add_direntry(fuse_req_t req, char *text, size_t room, const char *name, const struct stat *attr, off_t next)
{
    size_t length = strlen(name), size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
    struct fuse_dirent *to = (struct fuse_dirent *)text;

    (void)req;
    if (size > room)
        return size;
    memset(text, 0, size);
    to->ino = attr->st_ino;
    to->off = (uint64_t)next;
    to->namelen = (uint32_t)length;
    to->type = (attr->st_mode & S_IFMT) >> 12;
    memcpy(to->name, name, length);
    return size;
}

size_t fuse_add_direntry_plus(fuse_req_t req, char *text, size_t room, const char *name, const struct fuse_entry_param *entry,
                              off_t next)
{
    size_t size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + strlen(name));
    struct fuse_direntplus *to = (struct fuse_direntplus *)text;

    if (size > room)
        return size;
    memset(text, 0, size);
    put_entry(req, &to->entry_out, entry); /* without a number it is named only */
    fuse_add_direntry(req, (char *)&to->dirent, size - offsetof(struct fuse_direntplus, dirent), name, &entry->attr, next);
    return size;
}
