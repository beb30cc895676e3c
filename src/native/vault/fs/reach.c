/*
 * Judging an operation and opening what was judged. Resolution never follows a symbolic link, never leaves the root, never
 * enters another mount (openat2(2)), so that a path means what the authorizer took it for. What the file system below refuses
 * for one of these reasons is a refusal of ours, and told like one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vaultfs.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)

struct volume *volume_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

uint32_t standing_of(const struct volume *volume)
{
    return volume->standing | (volume->expired || volume->pending ? VAULT_IS_SUSPENDED : 0);
}

void reach_deny(struct volume *volume, fuse_req_t req, enum vault_op op, int verdict, const char *path, uint32_t node,
                uint32_t right)
{
    const char *clause = "";

    if (node != VAULT_NONE && right < 3)
        clause = vault_text_at(volume->judge, vault_node_at(volume->judge, node)->clause[right]);
    event_put(volume, req, op, verdict, path, clause, vault_header_of(volume->judge)->generation);
}

static int judge_path(struct volume *volume, fuse_req_t req, enum vault_op op, const char *path, int length)
{
    uint32_t node = VAULT_NONE, right = VAULT_NONE;
    int verdict = sluice_vault_decide(volume->judge, volume->index, standing_of(volume), op, path, (uint32_t)length, &node, &right);

    if (verdict == VAULT_ALLOW)
        return 0;
    reach_deny(volume, req, op, verdict, path, node, right);
    return sluice_vault_errno(verdict);
}

/* An entry as a path has it. The kernel sends no other; a guest's kernel is not to be believed. */
static bool is_entry(const char *name)
{
    return name[0] != 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strchr(name, '/') == NULL;
}

int reach_judge(struct reach *reach, fuse_req_t req, fuse_ino_t ino, const char *name, enum vault_op op)
{
    struct volume *volume = volume_of(req);
    char other[PATH_ROOM];
    int length, error;

    reach->volume = volume;
    reach->node = tree_node(volume, ino);
    length = tree_path(volume, reach->node, 0, reach->path);
    if (length <= 0) {
        /* In quarantine nothing is said, not even that a file is gone. */
        error = judge_path(volume, req, op, "/", 1);
        return error != 0 && standing_of(volume) != 0 ? error : length == 0 ? ESTALE : -length;
    }
    if (name != NULL) {
        size_t size = strlen(name);

        if (!is_entry(name)) {
            reach_deny(volume, req, VAULT_OP_OPEN_HANDLE, VAULT_NEVER, reach->path, VAULT_NONE, VAULT_NONE);
            return EACCES;
        }
        if (size > VAULT_NAME || (size_t)length + 1 + size > VAULT_PATH)
            return ENAMETOOLONG;
        if (length > 1)
            reach->path[length++] = '/';
        memcpy(reach->path + length, name, size + 1);
        length += (int)size;
    }
    reach->length = length;
    error = judge_path(volume, req, op, reach->path, length);
    /* A file is judged by every name that it was met by. */
    for (uint32_t i = 1; error == 0 && name == NULL && reach->node->type != S_IFDIR; i++) {
        int more = tree_path(volume, reach->node, i, other);

        if (more <= 0)
            break;
        error = judge_path(volume, req, op, other, more);
    }
    return error;
}

int reach_handle(fuse_req_t req, struct handle *handle, enum vault_op op, bool write)
{
    struct volume *volume = volume_of(req);
    _Atomic uint32_t *judged = write ? &handle->judged_write : &handle->judged_read;
    uint32_t epoch = atomic_load(&volume->epoch);
    struct reach reach;
    int error;

    if (atomic_load(judged) == epoch)
        return 0;
    error = reach_judge(&reach, req, handle->node == &volume->top ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)handle->node, NULL, op);
    if (error == 0)
        atomic_store(judged, epoch);
    return error;
}

static int beneath(int directory, const char *path, int flags, mode_t mode)
{
    struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC, .mode = mode, .resolve = BENEATH};
    int fd;

    /* EAGAIN: somebody renamed something below meanwhile, and the kernel cannot be sure of `..`, which we never use. */
    for (int i = 0; i < 64; i++) {
        fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd < 0 ? -errno : fd;
}

int reach_entry(const struct volume *volume, int directory, const char *name, int flags)
{
    (void)volume;
    return beneath(directory, name, flags, 0);
}

int reach_create(int directory, const char *name, int flags, mode_t mode)
{
    return beneath(directory, name, flags | O_CREAT, mode & 07777);
}

int reach_open(const struct reach *reach, int flags, struct stat *attr)
{
    struct volume *volume = reach->volume;
    const char *path = reach->length == 1 ? "." : reach->path + 1;
    int fd;

    if (reach->node->orphan >= 0 && reach->node->names == NULL) {
        char link[64];

        if ((flags & O_PATH) != 0)
            fd = fcntl(reach->node->orphan, F_DUPFD_CLOEXEC, 0);
        else {
            /* Removed, and still known: by its own descriptor, which only this process can name. */
            snprintf(link, sizeof(link), "/proc/self/fd/%d", reach->node->orphan);
            fd = open(link, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
        }
        if (fd < 0)
            return -errno;
    } else {
        fd = beneath(volume->root, path, flags, 0);
        if (fd < 0)
            return fd;
    }
    if (fstat(fd, attr) != 0) {
        int error = errno;

        close(fd);
        return -error;
    }
    return fd;
}

int reach_parent(const struct reach *reach)
{
    char path[PATH_ROOM];
    const char *end = strrchr(reach->path, '/');
    size_t length = (size_t)(end - reach->path);

    if (length == 0)
        return beneath(reach->volume->root, ".", O_PATH | O_DIRECTORY, 0);
    memcpy(path, reach->path + 1, length - 1);
    path[length - 1] = 0;
    return beneath(reach->volume->root, path, O_PATH | O_DIRECTORY, 0);
}

int reach_errno(struct volume *volume, fuse_req_t req, enum vault_op op, const char *path, int error)
{
    /* EXDEV: a mount lies on the way. ELOOP: a link does, put there from outside since the kernel looked. */
    if (error != EXDEV && error != ELOOP)
        return error;
    reach_deny(volume, req, op, VAULT_NEVER, path, VAULT_NONE, VAULT_NONE);
    return EACCES;
}
