/*
 * A volume before anybody serves it: what it is called and the root that it shows. The root is reached without symbolic links, as
 * the signed inventory names it; a file system that folds case is refused, because rules tell spellings apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vaultfs.h"

static const uint32_t FOLDING[] = {0x4d44, 0x2011bab0, 0x5346544e, 0x7366746e, 0x4244, 0x482b, 0xff534d42, 0xfe534d42, 0xf15f};
static const uint32_t MAY_FOLD[] = {0xef53, 0xf2f52010, 0x01021994};

static bool is_among(uint32_t magic, const uint32_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == magic)
            return true;
    return false;
}

static int open_root(const char *source)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, source, &how, sizeof(how));

    return fd < 0 ? -errno : fd;
}

struct volume *volume_make(const struct vault_table *table, uint32_t index, char *why, size_t room)
{
    const struct vault_volume *row = vault_volume_at(table, index);
    struct volume *volume = calloc(1, sizeof(*volume));
    pthread_rwlockattr_t kind;
    struct statfs system;
    struct stat attr;

    if (volume == NULL)
        return NULL;
    volume->workspace = strdup(vault_text_at(table, row->workspace));
    volume->name = strdup(vault_text_at(table, row->name));
    volume->source = strdup(vault_text_at(table, row->source));
    volume->mount = strdup(vault_text_at(table, row->mount));
    volume->judge = table;
    volume->index = index;
    volume->lasts = (row->terms & VAULT_LASTS) != 0;
    volume->pending = true;
    volume->epoch = 1;
    pthread_rwlockattr_init(&kind);
    pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&volume->gate, &kind);
    tree_init(volume);
    volume->root = open_root(volume->source);
    if (volume->root < 0) {
        snprintf(why, room, "the source %s: %s", volume->source, strerror(-volume->root));
    } else if (fstat(volume->root, &attr) != 0 || fstatfs(volume->root, &system) != 0) {
        snprintf(why, room, "the source %s: %s", volume->source, strerror(errno));
    } else if (is_among((uint32_t)system.f_type, FOLDING, sizeof(FOLDING) / sizeof(*FOLDING))) {
        snprintf(why, room, "the source %s lies on a file system that folds case", volume->source);
    } else {
        volume->dev = attr.st_dev;
        volume->folds = is_among((uint32_t)system.f_type, MAY_FOLD, sizeof(MAY_FOLD) / sizeof(*MAY_FOLD));
        volume->top.dev = attr.st_dev;
        volume->top.ino = attr.st_ino;
        return volume;
    }
    volume_free(volume);
    return NULL;
}

void volume_free(struct volume *volume)
{
    if (volume->lent > 0)
        left_behind(volume->workspace);
    /* What was open when its session ended: nobody is left to release it. */
    while (volume->handles != NULL)
        handle_end(volume, volume->handles);
    if (volume->root >= 0)
        close(volume->root);
    tree_free(volume);
    pthread_rwlock_destroy(&volume->gate);
    free(volume->workspace);
    free(volume->name);
    free(volume->source);
    free(volume->mount);
    free(volume);
}
