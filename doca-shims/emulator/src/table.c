/* A hash table of entries by key; it doubles when it is three quarters full. Keys are unique: a second one is refused. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 32 bits. */
uint32_t emu_hash(const uint8_t *key, uint32_t length, uint32_t seed)
{
    uint32_t hash = 2166136261u ^ seed;
    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ key[i]) * 16777619u;
    return hash ^ hash >> 15;
}

static bool grow(struct emu_table *table)
{
    uint32_t wanted = table->nr_buckets ? table->nr_buckets * 2 : 16;
    struct doca_flow_pipe_entry **buckets = calloc(wanted, sizeof *buckets);
    if (!buckets)
        return false;
    for (uint32_t i = 0; i < table->nr_buckets; i++) {
        struct doca_flow_pipe_entry *entry = table->buckets[i];
        while (entry) {
            struct doca_flow_pipe_entry *next = entry->next_in_bucket;
            struct doca_flow_pipe_entry **bucket = &buckets[entry->hash & (wanted - 1)];
            entry->next_in_bucket = *bucket;
            *bucket = entry;
            entry = next;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->nr_buckets = wanted;
    return true;
}

/* False: the key is there already, or there is no memory. */
bool emu_table_add(struct emu_table *table, struct doca_flow_pipe_entry *entry)
{
    if (table->nr_buckets && emu_table_find(table, entry->key, entry->key_length, entry->hash))
        return false;
    if (table->count >= table->nr_buckets / 4 * 3 && !grow(table))
        return false;
    struct doca_flow_pipe_entry **bucket = &table->buckets[entry->hash & (table->nr_buckets - 1)];
    entry->next_in_bucket = *bucket;
    *bucket = entry;
    table->count++;
    return true;
}

void emu_table_remove(struct emu_table *table, struct doca_flow_pipe_entry *entry)
{
    if (!table->nr_buckets)
        return;
    struct doca_flow_pipe_entry **at = &table->buckets[entry->hash & (table->nr_buckets - 1)];
    while (*at && *at != entry)
        at = &(*at)->next_in_bucket;
    if (!*at)
        return;
    *at = entry->next_in_bucket;
    table->count--;
}

struct doca_flow_pipe_entry *emu_table_find(const struct emu_table *table, const uint8_t *key, uint8_t length,
                        uint32_t hash)
{
    if (!table->nr_buckets)
        return NULL;
    struct doca_flow_pipe_entry *entry = table->buckets[hash & (table->nr_buckets - 1)];
    while (entry && (entry->hash != hash || entry->key_length != length || memcmp(entry->key, key, length) != 0))
        entry = entry->next_in_bucket;
    return entry;
}

void emu_table_clear(struct emu_table *table)
{
    free(table->buckets);
    *table = (struct emu_table){ 0 };
}
