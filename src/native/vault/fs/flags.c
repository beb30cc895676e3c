/*
 * Flags of workspaces, beside and above every table, in a file that outlives the daemon: written as a whole, made durable, then
 * put in the place of the old one. Whoever calls holds the lock of the volumes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vaultfs.h"

static struct flagged *flags;
static int directory = -1;

const struct flagged *flags_first(void)
{
    return flags;
}

uint32_t flags_of(const char *workspace)
{
    for (const struct flagged *at = flags; at != NULL; at = at->next)
        if (strcmp(at->workspace, workspace) == 0)
            return at->bits;
    return 0;
}

int flags_save(void)
{
    int fd = openat(directory, "standing.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    int error = 0;

    if (file == NULL)
        return -errno;
    for (const struct flagged *at = flags; at != NULL; at = at->next)
        if (at->bits != 0 && fprintf(file, "%u %s\n", at->bits, at->workspace) < 0)
            error = -EIO;
    if (fflush(file) != 0 || fsync(fd) != 0)
        error = -errno;
    fclose(file);
    if (error == 0 && (renameat(directory, "standing.new", directory, "standing") != 0 || fsync(directory) != 0))
        error = -errno;
    return error;
}

struct flagged *flags_at(const char *workspace)
{
    struct flagged *at;

    for (at = flags; at != NULL; at = at->next)
        if (strcmp(at->workspace, workspace) == 0)
            return at;
    at = calloc(1, sizeof(*at) + strlen(workspace) + 1);
    if (at != NULL) {
        strcpy(at->workspace, workspace);
        at->next = flags;
        flags = at;
    }
    return at;
}

int flags_open(const char *path)
{
    char *line = NULL, workspace[4096];
    size_t room = 0;
    unsigned bits;
    FILE *file;
    int fd;

    /* Of an earlier directory of this process. */
    while (flags != NULL) {
        struct flagged *next = flags->next;

        free(flags);
        flags = next;
    }
    if (directory >= 0)
        close(directory);
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -errno;
    fd = openat(directory, "standing", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    file = fdopen(fd, "r");
    while (file != NULL && getline(&line, &room, file) > 0)
        if (sscanf(line, "%u %4095s", &bits, workspace) == 2) {
            struct flagged *at = flags_at(workspace);

            if (at == NULL)
                return -ENOMEM;
            at->bits = bits;
        }
    free(line);
    if (file != NULL)
        fclose(file);
    return 0;
}

