/*
 * Directories. A listing shows what may be looked up, and nothing else: neither the name of what is denied, nor a number of what
 * lies above the volume. Entries come straight from the kernel, so that a position stays one when entries come and go.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vaultfs.h"

#define LIST_ROOM (64u << 10)

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    struct volume *volume = volume_of(req);
    struct reach reach;
    struct stat attr;
    int fd;

    ENTER(volume);
    fd = open_judged(req, ino, VAULT_OP_LIST, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &attr, &reach);
    handle_reply(req, reach.node, fd, info);
    LEAVE(volume);
}

struct kernel_entry {
    uint64_t ino;
    int64_t next;
    unsigned short size;
    unsigned char type;
    char name[];
};

/* One entry into the answer; 0 when it does not fit, -1 when it is not to be seen. */
static ssize_t put_entry(fuse_req_t req, struct reach *reach, struct handle *handle, const struct kernel_entry *found, char *text,
                         size_t room, bool plus)
{
    struct volume *volume = reach->volume;
    struct fuse_entry_param entry = {.attr = {.st_ino = found->ino, .st_mode = (mode_t)found->type << 12}};
    int length = reach->length == 1 ? 0 : reach->length;
    size_t size = strlen(found->name), need;
    bool dots = strcmp(found->name, ".") == 0 || strcmp(found->name, "..") == 0;
    int verdict, fd;

    if (dots) {
        entry.attr.st_ino = handle->node->ino; /* what lies above the volume has no number here */
        return (ssize_t)(plus ? fuse_add_direntry_plus(req, text, room, found->name, &entry, found->next)
                              : fuse_add_direntry(req, text, room, found->name, &entry.attr, found->next));
    }
    if ((size_t)length + 1 + size > VAULT_PATH)
        return -1;
    reach->path[length] = '/';
    memcpy(reach->path + length + 1, found->name, size + 1);
    verdict = sluice_vault_decide(volume->judge, volume->index, standing_of(volume), VAULT_OP_LOOKUP, reach->path, (uint32_t)(length + 1) + (uint32_t)size, NULL, NULL);
    if (verdict != VAULT_ALLOW)
        return -1;
    if (!plus)
        return (ssize_t)fuse_add_direntry(req, text, room, found->name, &entry.attr, found->next);
    need = fuse_add_direntry_plus(req, NULL, 0, found->name, NULL, 0);
    if (need > room)
        return 0;
    fd = reach_entry(volume, handle->fd, found->name, O_PATH | O_NOFOLLOW);
    /* Gone meanwhile, or a mount: named without attributes, and the lookup says why. */
    if (fd >= 0 && entry_fill(volume, handle->node, found->name, fd, &entry) != 0) {
        memset(&entry, 0, sizeof(entry));
        entry.attr.st_ino = found->ino;
        entry.attr.st_mode = (mode_t)found->type << 12;
    }
    return (ssize_t)fuse_add_direntry_plus(req, text, room, found->name, &entry, found->next);
}

static void list(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *info, bool plus)
{
    struct volume *volume = volume_of(req);
    struct handle *handle = handle_of(info);
    fuse_ino_t ino = handle->node == &volume->top ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)handle->node;
    char *text = malloc(size), *entries = malloc(LIST_ROOM);
    struct reach reach;
    size_t used = 0;
    bool full = false;
    int error;

    ENTER(volume);
    error = text == NULL || entries == NULL ? ENOMEM : reach_judge(&reach, req, ino, NULL, VAULT_OP_LIST);
    pthread_mutex_lock(&handle->lock);
    if (error == 0 && handle->position != offset && lseek(handle->fd, offset, SEEK_SET) < 0)
        error = errno;
    handle->position = offset;
    while (error == 0 && !full) {
        long got = syscall(SYS_getdents64, handle->fd, entries, LIST_ROOM < size ? LIST_ROOM : size);

        if (got <= 0) {
            error = got < 0 && used == 0 ? errno : 0;
            break;
        }
        for (long at = 0; at < got && !full;) {
            const struct kernel_entry *found = (const struct kernel_entry *)(entries + at);
            ssize_t put = put_entry(req, &reach, handle, found, text + used, size - used, plus);

            full = put == 0 || (put > 0 && (size_t)put > size - used);
            if (full)
                break;
            used += put < 0 ? 0 : (size_t)put;
            handle->position = found->next;
            at += found->size;
        }
    }
    /* What was read and did not fit is read again. */
    if (full)
        lseek(handle->fd, handle->position, SEEK_SET);
    pthread_mutex_unlock(&handle->lock);
    if (error != 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_buf(req, text, used);
    LEAVE(volume);
    free(text);
    free(entries);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    (void)ino;
    list(req, size, offset, info, false);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    (void)ino;
    list(req, size, offset, info, true);
}

void ops_list(struct fuse_lowlevel_ops *ops)
{
    ops->opendir = do_opendir;
    ops->releasedir = handle_release;
    ops->fsyncdir = handle_fsync;
    ops->readdir = do_readdir;
    ops->readdirplus = do_readdirplus;
}
