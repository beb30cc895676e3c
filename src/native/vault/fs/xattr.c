/*
 * Extended attributes. Only `user.` ones are data; the others (capabilities, labels, ACLs) are more than that: they are not shown,
 * and may not be set from a workspace.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vaultfs.h"

static bool is_data(const char *attribute)
{
    return strncmp(attribute, "user.", 5) == 0;
}

static void do_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct volume *volume = volume_of(req);
    struct reach reach;
    struct stat attr;
    char link[64];
    char *value = NULL;
    ssize_t length = -1;
    int fd = -ENODATA;

    ENTER(volume);
    /* The kernel asks for `security.capability` at every write: whoever does not set any has none. */
    if (is_data(name))
        fd = open_judged(req, ino, VAULT_OP_GETXATTR, O_PATH | O_NOFOLLOW, &attr, &reach);
    if (fd >= 0) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        value = malloc(size + 1);
        length = value == NULL ? -1 : getxattr(link, name, size == 0 ? NULL : value, size);
        fd = length < 0 ? (close(fd), -errno) : fd;
    }
    if (length < 0) {
        fuse_reply_err(req, -fd);
    } else {
        if (size == 0)
            fuse_reply_xattr(req, (size_t)length);
        else
            fuse_reply_buf(req, value, (size_t)length);
        close(fd);
    }
    free(value);
    LEAVE(volume);
}

static void do_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    struct volume *volume = volume_of(req);
    static const size_t most = 65536;
    struct reach reach;
    struct stat attr;
    char link[64];
    char *names = malloc(most);
    ssize_t length = -1;
    size_t kept = 0;
    int fd, error;

    ENTER(volume);
    fd = open_judged(req, ino, VAULT_OP_GETXATTR, O_PATH | O_NOFOLLOW, &attr, &reach);
    error = fd < 0 ? -fd : names == NULL ? ENOMEM : 0;
    if (error == 0) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        length = listxattr(link, names, most);
        error = length < 0 ? errno : 0;
    }
    for (ssize_t at = 0; at < length;) {
        size_t one = strlen(names + at) + 1;

        if (is_data(names + at)) {
            memmove(names + kept, names + at, one);
            kept += one;
        }
        at += (ssize_t)one;
    }
    if (error == 0 && size > 0 && kept > size)
        error = ERANGE;
    if (error != 0)
        fuse_reply_err(req, error);
    else if (size == 0)
        fuse_reply_xattr(req, kept);
    else
        fuse_reply_buf(req, names, kept);
    if (fd >= 0)
        close(fd);
    free(names);
    LEAVE(volume);
}

static void change_xattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    struct volume *volume = volume_of(req);
    struct reach reach;
    struct stat attr;
    char link[64];
    int fd, error;

    ENTER(volume);
    fd = open_judged(req, ino, is_data(name) ? VAULT_OP_SETXATTR : VAULT_OP_SET_PRIVILEGE, O_PATH | O_NOFOLLOW, &attr, &reach);
    error = fd < 0 ? -fd : 0;
    if (error == 0) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if ((value == NULL ? removexattr(link, name) : setxattr(link, name, value, size, flags)) != 0)
            error = errno;
        close(fd);
    }
    fuse_reply_err(req, error);
    LEAVE(volume);
}

static void do_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    change_xattr(req, ino, name, value, size, flags);
}

static void do_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    change_xattr(req, ino, name, NULL, 0, 0);
}

void ops_xattr(struct fuse_lowlevel_ops *ops)
{
    ops->getxattr = do_getxattr;
    ops->listxattr = do_listxattr;
    ops->setxattr = do_setxattr;
    ops->removexattr = do_removexattr;
}
