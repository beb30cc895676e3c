/*
 * What is open: a descriptor of the file below and the node that it is of, from the answer to an open until its release. The
 * kernel gives its address back with every operation on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vaultfs.h"

struct handle *handle_of(const struct fuse_file_info *info)
{
    return (struct handle *)(uintptr_t)info->fh;
}

struct handle *handle_make(struct volume *volume, struct node *node, int fd)
{
    struct handle *handle = calloc(1, sizeof(*handle));

    if (handle == NULL)
        return NULL;
    handle->fd = fd;
    handle->node = node;
    handle->judged_read = handle->judged_write = atomic_load(&volume->epoch) - 1;
    pthread_mutex_init(&handle->lock, NULL);
    tree_hold(volume, node, 1);
    pthread_mutex_lock(&volume->tree);
    handle->next = volume->handles;
    handle->link = &volume->handles;
    if (handle->next != NULL)
        handle->next->link = &handle->next;
    volume->handles = handle;
    pthread_mutex_unlock(&volume->tree);
    atomic_fetch_add(&volume->open, 1);
    return handle;
}

void handle_end(struct volume *volume, struct handle *handle)
{
    answer_release(volume, handle);
    close(handle->fd);
    pthread_mutex_lock(&volume->tree);
    *handle->link = handle->next;
    if (handle->next != NULL)
        handle->next->link = handle->link;
    pthread_mutex_unlock(&volume->tree);
    tree_hold(volume, handle->node, -1);
    atomic_fetch_sub(&volume->open, 1);
    pthread_mutex_destroy(&handle->lock);
    free(handle);
}

void handle_reply(fuse_req_t req, struct node *node, int fd, struct fuse_file_info *info)
{
    struct volume *volume = volume_of(req);
    struct handle *handle = fd < 0 ? NULL : handle_make(volume, node, fd);

    if (handle == NULL) {
        if (fd >= 0)
            close(fd);
        fuse_reply_err(req, fd < 0 ? -fd : ENOMEM);
        return;
    }
    info->fh = (uint64_t)(uintptr_t)handle;
    if (answer_open(req, info, handle) == -ENOENT)
        handle_end(volume, handle);
}

void handle_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    (void)ino;
    handle_end(volume_of(req), handle_of(info));
    fuse_reply_err(req, 0);
}

void handle_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
    int fd = handle_of(info)->fd;

    (void)ino;
    /* Nothing is read or changed by it, and it may take long: no gate. */
    fuse_reply_err(req, (datasync ? fdatasync(fd) : fsync(fd)) == 0 ? 0 : errno);
}
