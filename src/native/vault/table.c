/*
 * Takes a block of octets for a table after looking at every number in it: whatever is wrong is found here, once, so that
 * deciding can follow numbers without asking. A node's children lie behind it, so that no walk can go round.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "vault.h"

uint32_t sluice_vault_abi(void)
{
    return VAULT_ABI;
}

const struct vault_header *vault_header_of(const struct vault_table *table)
{
    return (const struct vault_header *)table;
}

const struct vault_volume *vault_volume_at(const struct vault_table *table, uint32_t volume)
{
    return (const struct vault_volume *)(vault_header_of(table) + 1) + volume;
}

const struct vault_node *vault_node_at(const struct vault_table *table, uint32_t node)
{
    return (const struct vault_node *)vault_volume_at(table, vault_header_of(table)->volumes) + node;
}

const char *vault_text_at(const struct vault_table *table, struct vault_text text)
{
    return (const char *)vault_node_at(table, vault_header_of(table)->nodes) + text.at;
}

static bool text_is_whole(const struct vault_table *table, struct vault_text text)
{
    const struct vault_header *header = vault_header_of(table);

    return text.at < header->text && text.length < header->text - text.at && vault_text_at(table, text)[text.length] == 0;
}

static int compare_text(const struct vault_table *table, struct vault_text a, struct vault_text b)
{
    uint32_t shorter = a.length < b.length ? a.length : b.length;
    int order = memcmp(vault_text_at(table, a), vault_text_at(table, b), shorter);

    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static bool node_is_whole(const struct vault_table *table, uint32_t index)
{
    const struct vault_header *header = vault_header_of(table);
    const struct vault_node *node = vault_node_at(table, index);

    if (!text_is_whole(table, node->name) || node->name.length > VAULT_NAME || node->rights > 7 || node->leads > 1)
        return false;
    for (uint32_t i = 0; i < 3; i++)
        if (!text_is_whole(table, node->clause[i]))
            return false;
    if (node->children == 0)
        return true;
    if (node->child <= index || node->child >= header->nodes || node->children > header->nodes - node->child)
        return false;
    for (uint32_t i = 1; i < node->children; i++)
        if (compare_text(table, vault_node_at(table, node->child + i - 1)->name, vault_node_at(table, node->child + i)->name) >= 0)
            return false;
    return true;
}

int sluice_vault_open(const void *block, uint64_t size, const struct vault_table **out)
{
    const struct vault_header *header = block;
    const struct vault_table *table = block;
    uint64_t whole;

    if (size < sizeof(*header) || ((uintptr_t)block & 7) != 0)
        return -EINVAL;
    if (header->magic != VAULT_MAGIC || header->abi != VAULT_ABI)
        return -EPROTO;
    whole = sizeof(*header) + (uint64_t)header->volumes * sizeof(struct vault_volume) +
            (uint64_t)header->nodes * sizeof(struct vault_node) + header->text;
    if (header->size != size || whole != size || header->text == 0)
        return -EINVAL;
    for (uint32_t i = 0; i < header->nodes; i++)
        if (vault_node_at(table, i)->name.at >= header->text) /* names are compared below, so all must be there first */
            return -EINVAL;
    for (uint32_t i = 0; i < header->nodes; i++)
        if (!text_is_whole(table, vault_node_at(table, i)->name))
            return -EINVAL;
    for (uint32_t i = 0; i < header->nodes; i++)
        if (!node_is_whole(table, i))
            return -EINVAL;
    for (uint32_t i = 0; i < header->volumes; i++) {
        const struct vault_volume *volume = vault_volume_at(table, i);

        if (!text_is_whole(table, volume->workspace) || !text_is_whole(table, volume->name) ||
            !text_is_whole(table, volume->source) || !text_is_whole(table, volume->mount) ||
            volume->root >= header->nodes || volume->terms > (VAULT_HOLDS | VAULT_LASTS))
            return -EINVAL;
    }
    *out = table;
    return 0;
}

uint32_t sluice_vault_find(const struct vault_table *table, const char *workspace, const char *volume)
{
    for (uint32_t i = 0; i < vault_header_of(table)->volumes; i++) {
        const struct vault_volume *at = vault_volume_at(table, i);

        if (strcmp(vault_text_at(table, at->workspace), workspace) == 0 && strcmp(vault_text_at(table, at->name), volume) == 0)
            return i;
    }
    return VAULT_NONE;
}
