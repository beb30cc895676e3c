/*
 * Workspaces of which files were handed to the kernel since the machine started, in a file that outlives the daemon. What was handed over
 * outlives its mount and its daemon, and nobody counts it any more: then nobody may say that everything is refused. It is written down
 * before the first file is handed over, and holds until the machine starts again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vaultfs.h"

struct lender {
    struct lender *next;
    bool left; /* by a mount or a daemon that is gone */
    char workspace[];
};

static pthread_mutex_t noting = PTHREAD_MUTEX_INITIALIZER;
static struct lender *lenders;
static int file = -1;

static struct lender *lender_of(const char *workspace)
{
    for (struct lender *at = lenders; at != NULL; at = at->next)
        if (strcmp(at->workspace, workspace) == 0)
            return at;
    return NULL;
}

static struct lender *add(const char *workspace, bool left)
{
    struct lender *at = calloc(1, sizeof(*at) + strlen(workspace) + 1);

    if (at == NULL)
        return NULL;
    strcpy(at->workspace, workspace);
    at->left = left;
    at->next = lenders;
    lenders = at;
    return at;
}

static int put_line(const char *text)
{
    char line[4098];
    int length = snprintf(line, sizeof(line), "%s\n", text);

    if (length >= (int)sizeof(line))
        return -ENAMETOOLONG;
    return write(file, line, (size_t)length) != length ? -EIO : fdatasync(file) != 0 ? -errno : 0;
}

int left_open(const char *directory)
{
    char path[4096], boot[64] = "", line[4098];
    FILE *from = fopen("/proc/sys/kernel/random/boot_id", "re");
    int error = 0;

    if (from == NULL || fscanf(from, "%63s", boot) != 1)
        error = -EIO;
    if (from != NULL)
        fclose(from);
    snprintf(path, sizeof(path), "%s/lent", directory);
    file = error != 0 ? -1 : open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0)
        return error != 0 ? error : -errno;
    from = fopen(path, "re");
    if (from == NULL)
        return -errno;
    if (fscanf(from, "%4097s", line) == 1 && strcmp(line, boot) == 0) {
        while (error == 0 && fscanf(from, "%4097s", line) == 1)
            if (lender_of(line) == NULL && add(line, true) == NULL)
                error = -ENOMEM;
    } else {
        error = ftruncate(file, 0) != 0 ? -errno : put_line(boot);
    }
    fclose(from);
    return error;
}

int left_note(const char *workspace)
{
    int error = 0;

    pthread_mutex_lock(&noting);
    if (lender_of(workspace) == NULL) {
        error = put_line(workspace);
        if (error == 0 && add(workspace, false) == NULL)
            error = -ENOMEM;
    }
    pthread_mutex_unlock(&noting);
    return error;
}

void left_behind(const char *workspace)
{
    struct lender *at;

    pthread_mutex_lock(&noting);
    at = lender_of(workspace);
    if (at != NULL)
        at->left = true;
    pthread_mutex_unlock(&noting);
}

bool left_of(const char *workspace)
{
    const struct lender *at;
    bool left;

    pthread_mutex_lock(&noting);
    at = lender_of(workspace);
    left = at != NULL && at->left;
    pthread_mutex_unlock(&noting);
    return left;
}
