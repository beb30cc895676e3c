/*
 * Volumes on functions of a card, for src/native/vault/fs/serve.c, and the flat calls of sluice_doca_vault.h. A guest's cache holds
 * nothing that could be taken back, so that a change is complete once the answers that were under way have left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sluice_doca_vault.h"
#include "vault_device.h"

struct place {
    struct place *next;
    char *workspace, *volume;
    char pci[DOCA_DEVINFO_PCI_ADDR_SIZE], vuid[DOCA_DEVINFO_REP_VUID_SIZE], tag[DOCA_VFS_TAG_SIZE];
};

static pthread_mutex_t placing = PTHREAD_MUTEX_INITIALIZER;
static struct place *places;

static pthread_mutex_t timing = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t timed = PTHREAD_COND_INITIALIZER;
static pthread_t timer;
static bool runs, ends;

/* The deadline has to hold whatever becomes of whoever set it, as long as the volumes are served. */
static void *keep_deadline(void *data)
{
    struct timespec until;

    (void)data;
    pthread_mutex_lock(&timing);
    while (!ends) {
        int left;

        pthread_mutex_unlock(&timing);
        left = serve_deadline();
        clock_gettime(CLOCK_MONOTONIC, &until);
        /* A commit wakes nobody: a look once a quarter of a second finds its deadline. */
        until.tv_nsec += (left < 0 || left > 250 ? 250 : left) * 1000000l;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_mutex_lock(&timing);
        if (!ends)
            pthread_cond_clockwait(&timed, &timing, CLOCK_MONOTONIC, &until);
    }
    pthread_mutex_unlock(&timing);
    return NULL;
}

static struct place *place_of(const char *workspace, const char *volume)
{
    for (struct place *at = places; at != NULL; at = at->next)
        if (strcmp(at->workspace, workspace) == 0 && strcmp(at->volume, volume) == 0)
            return at;
    return NULL;
}

static struct device *device_of(const struct volume *volume)
{
    return (struct device *)(void *)volume->session;
}

/* Under `placing`. */
static bool same_function(const struct volume *volume, const struct place *at)
{
    return strcmp(device_of(volume)->pci, at->pci) == 0 && strcmp(device_of(volume)->vuid, at->vuid) == 0;
}

/* A signed inventory that moves a function changes no row: what serves is then served by the wrong machine. */
bool volume_belongs(const struct volume *volume)
{
    const struct place *at;
    bool same;

    pthread_mutex_lock(&placing);
    at = place_of(volume->workspace, volume->name);
    same = at != NULL && same_function(volume, at) && strcmp(device_of(volume)->tag, at->tag) == 0;
    pthread_mutex_unlock(&placing);
    return same;
}

bool volume_holds(const struct volume *volume, const char *workspace, const char *name)
{
    const struct place *at;
    bool same;

    pthread_mutex_lock(&placing);
    at = place_of(workspace, name);
    same = at != NULL && same_function(volume, at);
    pthread_mutex_unlock(&placing);
    return same;
}

struct volume *volume_open(const struct vault_table *table, uint32_t index, char *why, size_t room)
{
    struct volume *volume = volume_make(table, index, why, room);
    struct place place = {0};
    const struct place *found;

    if (volume == NULL)
        return NULL;
    pthread_mutex_lock(&placing);
    found = place_of(volume->workspace, volume->name);
    if (found != NULL)
        place = *found;
    pthread_mutex_unlock(&placing);
    if (found == NULL)
        snprintf(why, room, "no function serves the volume %s of %s", volume->name, volume->workspace);
    else
        volume->session = (struct fuse_session *)(void *)device_begin(volume, place.pci, place.vuid, place.tag, why, room);
    if (volume->session == NULL) {
        volume_free(volume);
        return NULL;
    }
    snprintf(volume->function, sizeof(volume->function), "%s#%s", place.pci, place.vuid);
    return volume;
}

bool volume_stands(const struct volume *volume)
{
    return !atomic_load(&device_of(volume)->over);
}

void volume_close(struct volume *volume)
{
    device_end(device_of(volume));
    volume_free(volume);
}

/* Until the answers have left that were begun by now. Later ones are counted on the other side, so that a guest that always has some
 * under way holds nobody up; twice, because one may still go by the side that it read before the turn. */
int volume_refresh(struct volume *volume)
{
    struct timespec pause = {.tv_nsec = 20000};
    struct device *device = device_of(volume);

    pthread_mutex_lock(&device->turning);
    for (int i = 0; i < 2; i++) {
        uint32_t before = atomic_fetch_xor(&device->side, 1);

        while (atomic_load(&device->under_way[before]) > 0 && volume_stands(volume))
            nanosleep(&pause, NULL);
    }
    pthread_mutex_unlock(&device->turning);
    return 0;
}

/* Nothing is handed over here: a card reads and writes for its guest, and every octet is judged. */
int answer_open(fuse_req_t req, struct fuse_file_info *info, struct handle *handle)
{
    (void)handle;
    return fuse_reply_open(req, info);
}

int answer_create(fuse_req_t req, const struct fuse_entry_param *entry, struct fuse_file_info *info, struct handle *handle)
{
    (void)handle;
    return fuse_reply_create(req, entry, info);
}

void answer_release(struct volume *volume, struct handle *handle)
{
    (void)volume;
    (void)handle;
}

/* ---- the flat calls --------------------------------------------------------------------------------------------------- */

uint32_t sluice_doca_vault_abi(void)
{
    return SLUICE_DOCA_VAULT_ABI;
}

/* Of the emulator, where it is linked in. */
extern void emulated_card(const char *pci, const char *vuids) __attribute__((weak));

uint32_t sluice_doca_vault_emulated(void)
{
    return emulated_card != NULL;
}

int32_t sluice_doca_vault_card(const char *pci)
{
    return device_card(pci);
}

int32_t sluice_doca_vault_open(const char *directory, char *why, uint32_t room)
{
    int error = flags_open(directory);

    if (error != 0) {
        snprintf(why, room, "the flags of workspaces: %s", strerror(-error));
        return error;
    }
    pthread_mutex_lock(&timing);
    ends = false;
    if (!runs) {
        error = -pthread_create(&timer, NULL, keep_deadline, NULL);
        runs = error == 0;
    }
    pthread_mutex_unlock(&timing);
    if (error != 0)
        snprintf(why, room, "nobody keeps the deadline: %s", strerror(-error));
    return error;
}

int32_t sluice_doca_vault_place(const char *workspace, const char *volume, const char *pci, const char *vuid, const char *tag)
{
    struct place *at;

    if (strlen(pci) >= sizeof(at->pci) || strlen(vuid) >= sizeof(at->vuid) || strlen(tag) >= sizeof(at->tag) || tag[0] == 0)
        return -EINVAL;
    pthread_mutex_lock(&placing);
    at = place_of(workspace, volume);
    if (at == NULL && (at = calloc(1, sizeof(*at))) != NULL) {
        at->workspace = strdup(workspace);
        at->volume = strdup(volume);
        at->next = places;
        places = at;
    }
    if (at != NULL) {
        strcpy(at->pci, pci);
        strcpy(at->vuid, vuid);
        strcpy(at->tag, tag);
    }
    pthread_mutex_unlock(&placing);
    return at == NULL ? -ENOMEM : 0;
}

int32_t sluice_doca_vault_stage(const uint8_t *table, uint64_t size, char *why, uint32_t room)
{
    void *block = aligned_alloc(8, (size + 7) & ~(uint64_t)7);

    if (block == NULL)
        return -ENOMEM;
    memcpy(block, table, size);
    return serve_stage(block, size, why, room);
}

int32_t sluice_doca_vault_commit(uint64_t generation, char *why, uint32_t room)
{
    return serve_commit(generation, why, room);
}

void sluice_doca_vault_discard(void)
{
    serve_discard();
}

int32_t sluice_doca_vault_flag(const char *workspace, const char *flag, uint32_t on)
{
    bool quarantined = strcmp(flag, "quarantined") == 0;

    if (!quarantined && strcmp(flag, "suspended") != 0)
        return -EINVAL;
    return serve_flag(workspace, quarantined ? VAULT_IS_QUARANTINED : VAULT_IS_SUSPENDED, on != 0);
}

uint32_t sluice_doca_vault_observe(char *text, uint32_t room)
{
    return (uint32_t)serve_observe(text, room);
}

uint32_t sluice_doca_vault_events(char *text, uint32_t room, uint64_t *lost)
{
    return (uint32_t)event_take(text, room, lost);
}

uint64_t sluice_doca_vault_table(uint8_t *table, uint64_t room)
{
    size_t size;
    void *live = serve_table(&size);

    if (live != NULL && size <= room)
        memcpy(table, live, size);
    free(live);
    return size;
}

void sluice_doca_vault_close(void)
{
    pthread_t mine = timer;
    bool ran;

    pthread_mutex_lock(&timing);
    ran = runs;
    runs = false;
    ends = true;
    pthread_cond_signal(&timed);
    pthread_mutex_unlock(&timing);
    if (ran)
        pthread_join(mine, NULL);
    serve_stop();
    pthread_mutex_lock(&placing);
    while (places != NULL) {
        struct place *next = places->next;

        free(places->workspace);
        free(places->volume);
        free(places);
        places = next;
    }
    pthread_mutex_unlock(&placing);
}
