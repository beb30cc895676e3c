/* Handles: an index and a serial number, so that a handle that was kept too long names nothing. Entries stay where they are
 * while they live, since DOCA gives their addresses back in callbacks. */
#include <stdlib.h>
#include <string.h>

#include "shim.h"

#define CHUNK 4096

struct shim shim;

static uint64_t handle_of(uint32_t serial, uint32_t index)
{
    return (uint64_t)serial << 32 | (index + 1);
}

static struct shim_entry *entry_at(uint32_t index)
{
    return &shim.chunks[index / CHUNK][index % CHUNK];
}

struct shim_pipe *shim_pipe_new(uint64_t *handle)
{
    uint32_t index = 0;
    while (index < shim.nr_pipes && shim.pipes[index].live)
        index++;
    if (index == shim.nr_pipes) {
        struct shim_pipe *grown = realloc(shim.pipes, (index + 1) * sizeof *grown);
        if (!grown)
            return NULL;
        shim.pipes = grown;
        shim.nr_pipes++;
    }
    struct shim_pipe *pipe = &shim.pipes[index];
    *pipe = (struct shim_pipe){ .live = true, .serial = ++shim.serial };
    *handle = handle_of(pipe->serial, index);
    return pipe;
}

struct shim_pipe *shim_pipe_of(uint64_t handle)
{
    uint32_t index = (uint32_t)handle - 1;
    if (index >= shim.nr_pipes || !shim.pipes[index].live || shim.pipes[index].serial != handle >> 32)
        return NULL;
    return &shim.pipes[index];
}

static bool grow(void)
{
    uint32_t chunk = shim.nr_entries / CHUNK;
    struct shim_entry **chunks = realloc(shim.chunks, (chunk + 1) * sizeof *chunks);
    if (!chunks)
        return false;
    shim.chunks = chunks;
    if (!(chunks[chunk] = calloc(CHUNK, sizeof **chunks)))
        return false;
    for (uint32_t i = CHUNK; i-- > 0;) {
        chunks[chunk][i].next = shim.free_entry;
        shim.free_entry = shim.nr_entries + i + 1;
    }
    shim.nr_entries += CHUNK;
    return true;
}

struct shim_entry *shim_entry_new(struct shim_pipe *pipe, uint64_t *handle)
{
    if (!shim.free_entry && !grow())
        return NULL;
    uint32_t index = shim.free_entry - 1;
    struct shim_entry *entry = entry_at(index);
    shim.free_entry = entry->next;
    *entry = (struct shim_entry){ .serial = ++shim.serial,
                                  .pipe = (uint32_t)(pipe - shim.pipes) + 1,
                                  .next = pipe->first_entry,
                                  .used = true };
    if (pipe->first_entry)
        entry_at(pipe->first_entry - 1)->previous = index + 1;
    pipe->first_entry = index + 1;
    *handle = handle_of(entry->serial, index);
    return entry;
}

struct shim_entry *shim_entry_of(uint64_t handle)
{
    uint32_t index = (uint32_t)handle - 1;
    if (index >= shim.nr_entries)
        return NULL;
    struct shim_entry *entry = entry_at(index);
    return entry->used && entry->serial == handle >> 32 ? entry : NULL;
}

static uint32_t index_of(const struct shim_entry *entry)
{
    for (uint32_t chunk = 0; chunk < shim.nr_entries / CHUNK; chunk++)
        if (entry >= shim.chunks[chunk] && entry < shim.chunks[chunk] + CHUNK)
            return chunk * CHUNK + (uint32_t)(entry - shim.chunks[chunk]);
    abort(); /* an entry that no chunk holds: memory is corrupt */
}

uint64_t shim_entry_handle(const struct shim_entry *entry)
{
    return handle_of(entry->serial, index_of(entry));
}

void shim_entry_free(struct shim_entry *entry)
{
    uint32_t index = index_of(entry);
    if (entry->previous)
        entry_at(entry->previous - 1)->next = entry->next;
    else
        shim.pipes[entry->pipe - 1].first_entry = entry->next;
    if (entry->next)
        entry_at(entry->next - 1)->previous = entry->previous;
    entry->used = false;
    entry->next = shim.free_entry;
    shim.free_entry = index + 1;
}

void shim_pipe_free(struct shim_pipe *pipe)
{
    while (pipe->first_entry)
        shim_entry_free(entry_at(pipe->first_entry - 1));
    pipe->live = false;
}

struct doca_flow_pipe *shim_pipe_behind(const struct shim_entry *entry)
{
    return shim.pipes[entry->pipe - 1].pipe;
}

void shim_tables_free(void)
{
    for (uint32_t chunk = 0; chunk < shim.nr_entries / CHUNK; chunk++)
        free(shim.chunks[chunk]);
    free(shim.chunks);
    free(shim.pipes);
    shim.chunks = NULL;
    shim.pipes = NULL;
    shim.nr_entries = shim.nr_pipes = shim.free_entry = 0;
}
