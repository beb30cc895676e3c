/*
 * Refused operations: counted exactly, and shown as far as the bucket of their volume and the ring allow. What is not shown is
 * counted as lost, so that a flood of attempts costs neither memory nor the sight of other workspaces.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vaultfs.h"

#define SLOTS 4096u
#define BURST 256u
#define PER_SECOND 128u
#define ALIKE 32u /* of the newest, among which a like one is looked for */

struct event {
    int64_t at_ms;
    uint64_t generation;
    uint32_t uid, pid;
    uint32_t count; /* alike, this one included */
    uint8_t op, verdict;
    char workspace[256];
    char volume[64];
    char clause[80];
    char path[512]; /* its end, where it is longer */
};

static struct event ring[SLOTS];
static uint32_t first, held;
static uint64_t lost;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool spend(struct volume *volume)
{
    struct timespec now;
    uint64_t ns, more;

    clock_gettime(CLOCK_MONOTONIC, &now);
    ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (volume->filled_ns == 0) {
        volume->filled_ns = ns;
        volume->tokens = BURST;
    }
    more = (ns - volume->filled_ns) * PER_SECOND / 1000000000u;
    if (more > 0) {
        volume->tokens = volume->tokens + more > BURST ? BURST : volume->tokens + (uint32_t)more;
        volume->filled_ns = ns;
    }
    if (volume->tokens == 0)
        return false;
    volume->tokens--;
    return true;
}

/* One that waits and says the same; NULL when there is none. */
static struct event *alike(const struct volume *volume, uint32_t uid, enum vault_op op, int verdict, const char *tail)
{
    for (uint32_t i = 0; i < held && i < ALIKE; i++) {
        struct event *event = &ring[(first + held - 1 - i) % SLOTS];

        if (event->op == op && event->verdict == verdict && event->uid == uid && strcmp(event->path, tail) == 0 &&
            strcmp(event->volume, volume->name) == 0 && strcmp(event->workspace, volume->workspace) == 0)
            return event;
    }
    return NULL;
}

void event_put(struct volume *volume, fuse_req_t req, enum vault_op op, int verdict, const char *path, const char *clause,
               uint64_t generation)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    size_t length = strlen(path);
    struct event *event;
    struct timespec now;

    atomic_fetch_add(&volume->counts.by[verdict], 1);
    if (length >= sizeof(event->path))
        path += length + 1 - sizeof(event->path);
    pthread_mutex_lock(&lock);
    /* The same attempt again and again is one event with a count: it cannot hide another. */
    event = alike(volume, context->uid, op, verdict, path);
    if (event != NULL) {
        event->count++;
        pthread_mutex_unlock(&lock);
        return;
    }
    if (held == SLOTS || !spend(volume)) {
        lost++;
        pthread_mutex_unlock(&lock);
        return;
    }
    event = &ring[(first + held++) % SLOTS];
    clock_gettime(CLOCK_REALTIME, &now);
    event->at_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
    event->generation = generation;
    event->uid = context->uid;
    event->pid = (uint32_t)context->pid;
    event->count = 1;
    event->op = (uint8_t)op;
    event->verdict = (uint8_t)verdict;
    snprintf(event->workspace, sizeof(event->workspace), "%s", volume->workspace);
    snprintf(event->volume, sizeof(event->volume), "%s", volume->name);
    snprintf(event->clause, sizeof(event->clause), "%s", clause);
    snprintf(event->path, sizeof(event->path), "%s", path);
    pthread_mutex_unlock(&lock);
}

size_t put_escaped(char *text, const char *from)
{
    size_t used = 0;

    for (; *from != 0; from++) {
        unsigned char octet = (unsigned char)*from;

        if (octet > ' ' && octet < 127 && octet != '%')
            text[used++] = (char)octet;
        else
            used += (size_t)sprintf(text + used, "%%%02X", octet);
    }
    return used;
}

size_t event_take(char *text, size_t room, uint64_t *lost_out)
{
    size_t used = 0;

    pthread_mutex_lock(&lock);
    while (held > 0 && room - used > 4096) {
        const struct event *event = &ring[first];

        used += (size_t)sprintf(text + used, "%lld %llu %u %u %u %u ", (long long)event->at_ms,
                                (unsigned long long)event->generation, event->uid, event->pid, event->op, event->verdict);
        used += (size_t)sprintf(text + used, "%s %s %s ", event->workspace, event->volume, event->clause[0] ? event->clause : "-");
        used += (size_t)sprintf(text + used, "%u ", event->count);
        used += put_escaped(text + used, event->path);
        text[used++] = '\n';
        first = (first + 1) % SLOTS;
        held--;
    }
    *lost_out = lost;
    lost = 0;
    pthread_mutex_unlock(&lock);
    return used;
}
