/*
 * What is live: one table for all volumes, switched under the gates of all of them at once. Volumes that a new table adds are
 * mounted when it is staged, and deny everything until it is committed; those that it leaves out are unmounted after. Flags
 * stand beside the tables, by workspace, in a file that outlives the daemon.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vaultfs.h"

static pthread_mutex_t writer = PTHREAD_MUTEX_INITIALIZER;  /* stage, commit, discard, stop */
/* The list of volumes, the live table, its deadline and the flags: never held for long. */
static pthread_mutex_t serving = PTHREAD_MUTEX_INITIALIZER;
static struct volume *volumes;
static const struct vault_table *live, *staged;
static int64_t ends_ms; /* of the live table, since the machine started: setting the clock moves no deadline */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* When the table to come ends. A deadline that is no later than the live one's comes no later, whatever the clock says by now. */
static int64_t ends_of(const struct vault_table *next)
{
    int64_t deadline = vault_header_of(next)->deadline_ms, now = clock_ms(CLOCK_REALTIME), ends;

    ends = deadline <= now ? 0 : clock_ms(CLOCK_BOOTTIME) + (deadline - now);
    return live != NULL && deadline <= vault_header_of(live)->deadline_ms && ends_ms < ends ? ends_ms : ends;
}

static const char *text_at(const struct vault_table *table, struct vault_text text)
{
    return vault_text_at(table, text);
}

/* The row that a volume serves, or VAULT_NONE: name, source, mount, what serves it, and whether what is open lasts, all the same. */
static uint32_t row_of(const struct vault_table *table, const struct volume *volume)
{
    uint32_t index = sluice_vault_find(table, volume->workspace, volume->name);
    const struct vault_volume *row;

    if (index == VAULT_NONE)
        return VAULT_NONE;
    row = vault_volume_at(table, index);
    return strcmp(text_at(table, row->source), volume->source) == 0 && strcmp(text_at(table, row->mount), volume->mount) == 0 &&
                   volume->lasts == ((row->terms & VAULT_LASTS) != 0) && volume_belongs(volume)
               ? index
               : VAULT_NONE;
}

static bool same_text(const struct vault_table *a, struct vault_text at, const struct vault_table *b, struct vault_text bt)
{
    return at.length == bt.length && memcmp(text_at(a, at), text_at(b, bt), at.length) == 0;
}

/* Whether two trees of rules say the same: then nothing that the kernel has cached is void. */
static bool same_rules(const struct vault_table *a, uint32_t first, const struct vault_table *b, uint32_t second)
{
    const struct vault_node *one = vault_node_at(a, first), *two = vault_node_at(b, second);

    if (one->rights != two->rights || one->children != two->children || !same_text(a, one->name, b, two->name))
        return false;
    for (uint32_t i = 0; i < one->children; i++)
        if (!same_rules(a, one->child + i, b, two->child + i))
            return false;
    return true;
}

static void drop_staged(void)
{
    struct volume *gone = NULL;

    pthread_mutex_lock(&serving);
    for (struct volume **at = &volumes; *at != NULL;) {
        struct volume *volume = *at;

        if (volume->pending) {
            *at = volume->next;
            volume->next = gone;
            gone = volume;
        } else {
            at = &volume->next;
        }
    }
    pthread_mutex_unlock(&serving);
    while (gone != NULL) {
        struct volume *next = gone->next;

        volume_close(gone);
        gone = next;
    }
    free((void *)(uintptr_t)staged);
    staged = NULL;
}

/* Opens what the table has and nobody serves; with `all` false only where no other volume has the place. */
static int open_missing(const struct vault_table *table, bool all, char *why, size_t room)
{
    for (uint32_t i = 0; i < vault_header_of(table)->volumes; i++) {
        const struct vault_volume *row = vault_volume_at(table, i);
        struct volume *volume;
        bool served = false, taken = false;

        for (volume = volumes; volume != NULL; volume = volume->next) {
            /* A volume whose session has ended, or whose mount was taken away, is served anew. */
            if (row_of(table, volume) == i && (volume->pending || volume_stands(volume)))
                served = true;
            else if ((strcmp(volume->mount, text_at(table, row->mount)) == 0 ||
                      /* One that stays has it for good: then opening says so. */
                      (row_of(table, volume) == VAULT_NONE &&
                       volume_holds(volume, text_at(table, row->workspace), text_at(table, row->name)))) &&
                     volume_stands(volume))
                taken = true;
        }
        if (served)
            continue;
        /* What has to wait is refused now all the same if its source is. */
        volume = taken && !all ? volume_make(table, i, why, room) : volume_open(table, i, why, room);
        if (volume == NULL)
            return -EIO;
        if (taken && !all) {
            volume_free(volume);
            continue;
        }
        pthread_mutex_lock(&serving);
        volume->standing = flags_of(volume->workspace);
        volume->next = volumes;
        volumes = volume;
        pthread_mutex_unlock(&serving);
    }
    return 0;
}

int serve_stage(void *block, uint64_t size, char *why, size_t room)
{
    const struct vault_table *table;
    int error = sluice_vault_open(block, size, &table);

    if (error != 0) {
        free(block);
        snprintf(why, room, "the table is not one: %s", strerror(-error));
        return error;
    }
    pthread_mutex_lock(&writer);
    drop_staged();
    staged = table;
    error = open_missing(staged, false, why, room);
    if (error != 0)
        drop_staged();
    pthread_mutex_unlock(&writer);
    return error;
}

void serve_discard(void)
{
    pthread_mutex_lock(&writer);
    drop_staged();
    pthread_mutex_unlock(&writer);
}

/* Judges every volume by `next`, all at once; what it leaves out denies from now on. */
static void switch_all(const struct vault_table *next)
{
    bool past = clock_ms(CLOCK_BOOTTIME) >= ends_ms;

    for (struct volume *volume = volumes; volume != NULL; volume = volume->next)
        pthread_rwlock_wrlock(&volume->gate);
    for (struct volume *volume = volumes; volume != NULL; volume = volume->next) {
        uint32_t index = row_of(next, volume);

        volume->judge = next;
        volume->index = index;
        volume->expired = past && index != VAULT_NONE && (vault_volume_at(next, index)->terms & VAULT_HOLDS) == 0;
        volume->pending = false;
        atomic_fetch_add(&volume->epoch, 1);
    }
    for (struct volume *volume = volumes; volume != NULL; volume = volume->next)
        pthread_rwlock_unlock(&volume->gate);
}

/* Ends what the live table does not have, and what serves nobody any more. */
static void close_rest(void)
{
    struct volume *gone = NULL;

    pthread_mutex_lock(&serving);
    for (struct volume **at = &volumes; *at != NULL;) {
        struct volume *volume = *at;

        if (volume->index == VAULT_NONE || !volume_stands(volume)) {
            *at = volume->next;
            volume->next = gone;
            gone = volume;
        } else {
            at = &volume->next;
        }
    }
    pthread_mutex_unlock(&serving);
    while (gone != NULL) {
        struct volume *next = gone->next;

        volume_close(gone);
        gone = next;
    }
}

int serve_commit(uint64_t generation, char *why, size_t room)
{
    const struct vault_table *before;
    int error, stale = 0;

    pthread_mutex_lock(&writer);
    if (staged == NULL || vault_header_of(staged)->generation != generation) {
        snprintf(why, room, "generation %llu is not what was staged last", (unsigned long long)generation);
        pthread_mutex_unlock(&writer);
        return -ECANCELED;
    }
    before = live;
    pthread_mutex_lock(&serving);
    ends_ms = ends_of(staged);
    switch_all(staged);
    live = staged;
    staged = NULL;
    pthread_mutex_unlock(&serving);
    for (struct volume *volume = volumes; volume != NULL; volume = volume->next) {
        uint32_t was = before == NULL ? VAULT_NONE : row_of(before, volume);

        if (was == VAULT_NONE || volume->index == VAULT_NONE || volume->expired ||
            !same_rules(before, vault_volume_at(before, was)->root, live, vault_volume_at(live, volume->index)->root))
            stale |= volume_refresh(volume);
    }
    close_rest();
    /* What could not be mounted before, because another volume had its place. */
    error = open_missing(live, true, why, room);
    pthread_mutex_lock(&serving);
    switch_all(live);
    pthread_mutex_unlock(&serving);
    if (error == 0 && stale != 0) {
        snprintf(why, room, "it is live, but there was no memory to take all that is cached from the kernel");
        error = -ENOMEM;
    }
    free((void *)(uintptr_t)before);
    pthread_mutex_unlock(&writer);
    return error;
}

int serve_flag(const char *workspace, uint32_t bit, bool on)
{
    struct volume *mine[256];
    size_t count = 0;
    struct flagged *at;
    int error;

    pthread_mutex_lock(&serving);
    at = flags_at(workspace);
    if (at == NULL) {
        pthread_mutex_unlock(&serving);
        return -ENOMEM;
    }
    at->bits = on ? at->bits | bit : at->bits & ~bit;
    for (struct volume *volume = volumes; volume != NULL && count < 256; volume = volume->next) {
        if (strcmp(volume->workspace, workspace) != 0)
            continue;
        pthread_rwlock_wrlock(&volume->gate);
        volume->standing = at->bits;
        atomic_fetch_add(&volume->epoch, 1);
        pthread_rwlock_unlock(&volume->gate);
        mine[count++] = volume;
    }
    /* Fenced first, then written down, then taken from the kernel's caches; the list cannot change under this lock. */
    error = flags_save();
    for (size_t i = 0; on && i < count; i++) {
        int stale = volume_refresh(mine[i]);

        error = error != 0 ? error : stale;
    }
    pthread_mutex_unlock(&serving);
    return error;
}

/* Fences under `serving` alone, so that it waits for no stage and no flag waits for it; what is cached goes after. */
int serve_deadline(void)
{
    bool stale = false;
    int64_t left;

    pthread_mutex_lock(&serving);
    left = live == NULL ? -1 : ends_ms - clock_ms(CLOCK_BOOTTIME);
    for (struct volume *volume = volumes; live != NULL && left <= 0 && volume != NULL; volume = volume->next) {
        stale |= volume->stale;
        if (volume->pending || volume->expired || volume->index == VAULT_NONE ||
            (vault_volume_at(live, volume->index)->terms & VAULT_HOLDS) != 0)
            continue;
        pthread_rwlock_wrlock(&volume->gate);
        volume->expired = true;
        atomic_fetch_add(&volume->epoch, 1);
        pthread_rwlock_unlock(&volume->gate);
        volume->stale = stale = true;
    }
    pthread_mutex_unlock(&serving);
    if (stale) {
        pthread_mutex_lock(&writer); /* the list cannot change under it */
        for (struct volume *volume = volumes; volume != NULL; volume = volume->next)
            if (volume->stale)
                volume->stale = volume_refresh(volume) != 0; /* then again, the next time */
        pthread_mutex_unlock(&writer);
    }
    return left <= 0 ? -1 : left > 60000 ? 60000 : (int)left;
}

size_t serve_observe(char *text, size_t room)
{
    uint64_t counts[VAULT_VERDICTS] = {0};
    size_t used = 0;

    pthread_mutex_lock(&serving);
    if (live != NULL) {
        used += (size_t)sprintf(text + used, "generation %llu\ndigest ", (unsigned long long)vault_header_of(live)->generation);
        for (int i = 0; i < 32; i++)
            used += (size_t)sprintf(text + used, "%02x", vault_header_of(live)->digest[i]);
        text[used++] = '\n';
    }
    for (const struct flagged *at = flags_first(); at != NULL && room - used > 8192; at = at->next)
        if (at->bits != 0)
            used += (size_t)sprintf(text + used, "standing %u %s\n", at->bits, at->workspace);
    for (const struct volume *volume = volumes; volume != NULL && room - used > 65536; volume = volume->next) {
        for (int i = 0; i < VAULT_VERDICTS; i++)
            counts[i] += volume->counts.by[i];
        if (volume->pending)
            continue;
        used += (size_t)sprintf(text + used, "volume %s %s %s ", volume->workspace, volume->name,
                                volume_stands(volume) ? (volume->expired ? "expired" : "serving") : "gone");
        used += put_escaped(text + used, volume->source);
        text[used++] = ' ';
        used += put_escaped(text + used, volume->mount);
        used += (size_t)sprintf(text + used, " %u %s %u %u %u\n", volume->mounted,
                                volume->function[0] != 0 ? volume->function : volume->device, atomic_load(&volume->open),
                                atomic_load(&volume->lent), left_of(volume->workspace) ? 1u : 0u);
    }
    for (int i = 1; i < VAULT_VERDICTS; i++)
        used += (size_t)sprintf(text + used, "count %d %llu\n", i, (unsigned long long)counts[i]);
    pthread_mutex_unlock(&serving);
    return used;
}

void *serve_table(size_t *size)
{
    void *copy = NULL;

    pthread_mutex_lock(&serving);
    *size = live == NULL ? 0 : vault_header_of(live)->size;
    if (live != NULL && (copy = malloc(*size)) != NULL)
        memcpy(copy, live, *size);
    pthread_mutex_unlock(&serving);
    return copy;
}

void serve_stop(void)
{
    const struct vault_table *before;
    struct volume *gone;

    pthread_mutex_lock(&writer);
    drop_staged();
    /* Whoever asks from now on, and the deadline, finds nothing. */
    pthread_mutex_lock(&serving);
    gone = volumes;
    before = live;
    volumes = NULL;
    live = NULL;
    pthread_mutex_unlock(&serving);
    while (gone != NULL) {
        struct volume *next = gone->next;

        volume_close(gone);
        gone = next;
    }
    free((void *)(uintptr_t)before);
    pthread_mutex_unlock(&writer);
}
