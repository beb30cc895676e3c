/*
 * One volume on a node: its mount and the threads that serve it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "vaultfs.h"

#define MOUNT_TYPE "fuse.vaultfs"

/* From 7.39 on (Linux 6.6) a write past the cache takes the pages that it writes over out of the cache, for those who read. */
#define DIRECT_WRITES_MINOR 39

static void on_init(void *data, struct fuse_conn_info *connection)
{
    ((struct volume *)data)->direct = connection->proto_minor >= DIRECT_WRITES_MINOR;
    connection->max_write = LONGEST_WRITE;
    connection->max_readahead = 1u << 20;
    /* Handles are no paths. Privileged bits are cleared by the kernel, which asks for it by setattr. Data is written through. */
    connection->want &= ~(unsigned)(FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_WRITEBACK_CACHE |
                                    FUSE_CAP_SPLICE_READ | FUSE_CAP_POSIX_ACL);
    connection->want |= connection->capable & (FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE | FUSE_CAP_READDIRPLUS |
                                               FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ATOMIC_O_TRUNC);
}

/* Nobody takes requests any more, so that nobody may wait for an answer: with its last descriptor the kernel ends the connection and tells
 * all who asked. The number becomes a pipe that nobody reads, for those who still write to it, and for libfuse, which by its POLLERR
 * knows that it has nothing to unmount. */
static void hang_up(const struct volume *volume)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        fprintf(stderr, "sluice-vaultfs: %s: not hung up: %s\n", volume->mount, strerror(errno));
        return;
    }
    if (dup3(ends[1], fuse_session_fd(volume->session), O_CLOEXEC) < 0)
        fprintf(stderr, "sluice-vaultfs: %s: not hung up: %s\n", volume->mount, strerror(errno));
    close(ends[0]);
    close(ends[1]);
}

static void *serve(void *data)
{
    struct volume *volume = data;

    loop_run(volume->loop);
    atomic_store(&volume->over, true);
    hang_up(volume);
    return NULL;
}

/* \040 and its like, as mountinfo writes what would end a word. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *at = text; *at != 0;) {
        if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] != 0 && at[3] != 0) {
            *to++ = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            at += 4;
        } else {
            *to++ = *at++;
        }
    }
    *to = 0;
}

char volume_label[32] = "sluice";

int volume_clear(void)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL, place[8192], type[64], source[64];
    size_t room = 0;
    int cleared = 0;

    if (file == NULL)
        return -errno;
    while (getline(&line, &room, file) > 0) {
        const char *rest = strstr(line, " - ");

        if (rest == NULL || sscanf(line, "%*s %*s %*s %*s %8191s", place) != 1 || sscanf(rest + 3, "%63s %63s", type, source) != 2 ||
            strcmp(type, MOUNT_TYPE) != 0 || strcmp(source, volume_label) != 0)
            continue;
        unescape(place);
        if (umount2(place, MNT_DETACH) == 0)
            cleared++;
    }
    free(line);
    fclose(file);
    return cleared;
}

/* The last mount at that place: its number, its device as text and whether it is of our kind. 0 when there is none. */
static uint32_t find_mount(const char *mount, char device[24], bool *ours)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL, place[8192], type[64], at[24];
    size_t room = 0;
    uint32_t found = 0, number;

    if (file == NULL)
        return 0;
    while (getline(&line, &room, file) > 0) {
        const char *rest = strstr(line, " - ");

        if (rest == NULL || sscanf(line, "%u %*s %23s %*s %8191s", &number, at, place) != 3 || sscanf(rest + 3, "%63s", type) != 1)
            continue;
        unescape(place);
        if (strcmp(place, mount) != 0)
            continue;
        found = number;
        memcpy(device, at, sizeof(at));
        *ours = strcmp(type, MOUNT_TYPE) == 0;
    }
    free(line);
    fclose(file);
    return found;
}

static bool is_mounted(const struct volume *volume)
{
    char device[24];
    bool ours;

    return find_mount(volume->mount, device, &ours) != 0 && strcmp(device, volume->device) == 0;
}

bool volume_stands(const struct volume *volume)
{
    return !atomic_load(&volume->over) && is_mounted(volume);
}

/* A mount is all that it is served by, and its row has that. */
bool volume_belongs(const struct volume *volume)
{
    (void)volume;
    return true;
}

bool volume_holds(const struct volume *volume, const char *workspace, const char *name)
{
    (void)volume;
    (void)workspace;
    (void)name;
    return false;
}

/* What a daemon left that was killed: dead, and in the way. Anything else there is somebody's, and refused. */
static int clear_place(const char *mount)
{
    char device[24];
    bool ours;

    while (find_mount(mount, device, &ours) != 0) {
        if (!ours)
            return EBUSY;
        if (umount2(mount, MNT_DETACH) != 0)
            return errno;
    }
    return 0;
}

/* Reads ahead as far as one request may be long: the kernel's default is an eighth of that. Without sysfs it stays so. */
static void read_ahead(const char *device)
{
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "/sys/class/bdi/%s/read_ahead_kb", device);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "1024", 4) != 4)
        fprintf(stderr, "sluice-vaultfs: %s keeps its default\n", path);
    close(fd);
}

/* In one place at a time: what another mount shows under the same spelling is another file. */
static int attach(struct volume *volume)
{
    char options[160];
    struct fuse_lowlevel_ops ops = {.init = on_init};
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    bool ours;

    ops_meta(&ops);
    ops_tree(&ops);
    ops_data(&ops);
    ops_list(&ops);
    ops_xattr(&ops);
    snprintf(options, sizeof(options), "fsname=%s,subtype=vaultfs,allow_other,default_permissions,nosuid,nodev", volume_label);
    if (fuse_opt_add_arg(&args, "vaultfs") != 0 || fuse_opt_add_arg(&args, "-o") != 0 || fuse_opt_add_arg(&args, options) != 0)
        return ENOMEM;
    volume->session = fuse_session_new(&args, &ops, sizeof(ops), volume);
    fuse_opt_free_args(&args);
    if (volume->session == NULL)
        return EINVAL;
    if (fuse_session_mount(volume->session, volume->mount) != 0 ||
        (volume->mounted = find_mount(volume->mount, volume->device, &ours)) == 0) {
        fuse_session_destroy(volume->session);
        return EIO;
    }
    read_ahead(volume->device);
    volume->loop = loop_make(volume->session);
    if (volume->loop == NULL || init_begin(volume) != 0 ||
        pthread_create(&volume->thread, NULL, serve, volume) != 0) {
        if (volume->loop != NULL)
            loop_free(volume->loop);
        fuse_session_unmount(volume->session);
        fuse_session_destroy(volume->session);
        return EAGAIN;
    }
    return 0;
}

struct volume *volume_open(const struct vault_table *table, uint32_t index, char *why, size_t room)
{
    struct volume *volume = volume_make(table, index, why, room);
    int error;

    if (volume == NULL)
        return NULL;
    error = clear_place(volume->mount);
    if (error == 0)
        error = attach(volume);
    if (error == 0)
        return volume;
    snprintf(why, room, "the mount %s: %s", volume->mount, strerror(error));
    volume_free(volume);
    return NULL;
}

void volume_close(struct volume *volume)
{
    /* Of a session that ended by itself the mount is gone or another's: its device may have the same number. */
    bool served = !atomic_load(&volume->over);

    loop_stop(volume->loop);
    pthread_join(volume->thread, NULL);
    if (served && is_mounted(volume) && umount2(volume->mount, MNT_DETACH) != 0)
        fprintf(stderr, "sluice-vaultfs: %s: not unmounted: %s\n", volume->mount, strerror(errno));
    fuse_session_unmount(volume->session);
    fuse_session_destroy(volume->session);
    loop_free(volume->loop);
    volume_free(volume);
}

/* What the kernel may have cached: nodes, or entries by parent and name. The caller frees the list and the names. */
struct known {
    fuse_ino_t node; /* of an entry: its parent */
    bool entry;
    char *name; /* of an entry; NULL without memory */
};

static fuse_ino_t number_of(const struct volume *volume, const struct node *node)
{
    return node == &volume->top ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

/* Entries first, so that nothing is found by one again; removed files last, that may still be open or mapped. */
static struct known *all_known(struct volume *volume, size_t *count)
{
    const struct table *known = &volume->known;
    struct known *list;
    size_t room = 1, used = 0;

    pthread_mutex_lock(&volume->tree);
    for (uint32_t i = 0; i < known->count; i++) {
        for (const struct name *name = known->names[i]; name != NULL; name = name->chain)
            room++;
        for (const struct node *node = known->nodes[i]; node != NULL; node = node->chain)
            room++;
    }
    for (const struct node *node = volume->retired; node != NULL; node = node->chain)
        room++;
    list = calloc(room, sizeof(*list));
    if (list != NULL) {
        for (uint32_t i = 0; i < known->count; i++)
            for (const struct name *name = known->names[i]; name != NULL; name = name->chain)
                list[used++] = (struct known){number_of(volume, name->parent), true, strdup(name->text)};
        list[used++] = (struct known){FUSE_ROOT_ID, false, NULL};
        for (uint32_t i = 0; i < known->count; i++)
            for (const struct node *node = known->nodes[i]; node != NULL; node = node->chain)
                list[used++] = (struct known){number_of(volume, node), false, NULL};
        for (const struct node *node = volume->retired; node != NULL; node = node->chain)
            list[used++] = (struct known){number_of(volume, node), false, NULL};
    }
    pthread_mutex_unlock(&volume->tree);
    *count = used;
    return list;
}

int volume_refresh(struct volume *volume)
{
    size_t count;
    struct known *known = all_known(volume, &count);
    int error = known == NULL ? -ENOMEM : 0;

    for (size_t i = 0; known != NULL && i < count; i++) {
        /* ENOENT: the kernel has forgotten it by itself. */
        if (!known[i].entry)
            fuse_lowlevel_notify_inval_inode(volume->session, known[i].node, 0, 0);
        else if (known[i].name != NULL)
            fuse_lowlevel_notify_inval_entry(volume->session, known[i].node, known[i].name, strlen(known[i].name));
        else
            error = -ENOMEM;
        free(known[i].name);
    }
    free(known);
    return error;
}
