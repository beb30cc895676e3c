/* Pipes and entries live in slabs that stay until doca_flow_destroy, and a slot is used again only after many others have
 * been. So a handle that a program kept too long points at something that says "not alive", and never at freed memory. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define SLAB_PIPES 16
#define SLAB_ENTRIES 1024
/* Free slots that wait before one is used again. */
#define REST_PIPES 64
#define REST_ENTRIES 4096

struct pool {
    void **slabs;
    size_t nr_slabs, in_slab, size, rest;
    void *first_free, *last_free;
    size_t nr_free;
    uint64_t serial;
};

static struct pool pipes = { .in_slab = SLAB_PIPES, .size = sizeof(struct doca_flow_pipe), .rest = REST_PIPES };
static struct pool entries = { .in_slab = SLAB_ENTRIES,
                   .size = sizeof(struct doca_flow_pipe_entry),
                   .rest = REST_ENTRIES };

/* The link of a free slot stands where the object's own `next` is: the first member of both. */
static void **link_of(void *slot)
{
    return (void **)slot;
}

static void put_last(struct pool *pool, void *slot)
{
    *link_of(slot) = NULL;
    if (pool->last_free)
        *link_of(pool->last_free) = slot;
    else
        pool->first_free = slot;
    pool->last_free = slot;
    pool->nr_free++;
}

static bool grow(struct pool *pool)
{
    void **slabs = realloc(pool->slabs, (pool->nr_slabs + 1) * sizeof *slabs);
    if (!slabs)
        return false;
    pool->slabs = slabs;
    uint8_t *slab = calloc(pool->in_slab, pool->size);
    if (!slab)
        return false;
    slabs[pool->nr_slabs++] = slab;
    /* Fresh slots go first, so that used ones rest. */
    for (size_t i = pool->in_slab; i-- > 0;) {
        void *slot = slab + i * pool->size;
        *link_of(slot) = pool->first_free;
        if (!pool->first_free)
            pool->last_free = slot;
        pool->first_free = slot;
        pool->nr_free++;
    }
    return true;
}

static void *take(struct pool *pool)
{
    if (pool->nr_free <= pool->rest && !grow(pool))
        return NULL;
    void *slot = pool->first_free;
    pool->first_free = *link_of(slot);
    if (!pool->first_free)
        pool->last_free = NULL;
    pool->nr_free--;
    memset(slot, 0, pool->size);
    return slot;
}

static bool known(const struct pool *pool, const void *slot)
{
    const uint8_t *at = slot;
    for (size_t i = 0; i < pool->nr_slabs; i++) {
        const uint8_t *slab = pool->slabs[i];
        if (at >= slab && at < slab + pool->in_slab * pool->size)
            return (size_t)(at - slab) % pool->size == 0;
    }
    return false;
}

static void clear(struct pool *pool)
{
    for (size_t i = 0; i < pool->nr_slabs; i++)
        free(pool->slabs[i]);
    free(pool->slabs);
    pool->slabs = NULL;
    pool->nr_slabs = pool->nr_free = 0;
    pool->first_free = pool->last_free = NULL;
}

struct doca_flow_pipe *emu_pipe_take(void)
{
    struct doca_flow_pipe *pipe = take(&pipes);
    if (pipe)
        pipe->serial = ++pipes.serial;
    return pipe;
}

void emu_pipe_give(struct doca_flow_pipe *pipe)
{
    pipe->alive = false;
    put_last(&pipes, pipe);
}

struct doca_flow_pipe_entry *emu_entry_take(void)
{
    struct doca_flow_pipe_entry *entry = take(&entries);
    if (entry)
        entry->serial = ++entries.serial;
    return entry;
}

void emu_entry_give(struct doca_flow_pipe_entry *entry)
{
    entry->state = EMU_ENTRY_FREE;
    put_last(&entries, entry);
}

bool emu_pipe_known(const struct doca_flow_pipe *pipe)
{
    return pipe && known(&pipes, pipe) && pipe->alive;
}

bool emu_entry_known(const struct doca_flow_pipe_entry *entry)
{
    return entry && known(&entries, entry) && entry->state != EMU_ENTRY_FREE;
}

void emu_pools_clear(void)
{
    clear(&pipes);
    clear(&entries);
}
