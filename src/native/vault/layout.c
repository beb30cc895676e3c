/*
 * Says the layout of every struct of a table as text, so that a test can compare it with what the agent's code believes. Text,
 * because a difference should be readable.
 */
#include <errno.h>
#include <stdio.h>

#include "vault.h"

#define FIELD(type, name) #name, offsetof(struct type, name)

int sluice_vault_layout(char *text, uint32_t capacity)
{
    int length = snprintf(
        text, capacity,
        "vault_header %zu %s=%zu %s=%zu %s=%zu %s=%zu %s=%zu %s=%zu %s=%zu %s=%zu %s=%zu\n"
        "vault_volume %zu %s=%zu %s=%zu %s=%zu %s=%zu %s=%zu %s=%zu\n"
        "vault_node %zu %s=%zu %s=%zu %s=%zu %s=%zu %s=%zu %s=%zu\n"
        "operations %d\ndenials %d\n",
        sizeof(struct vault_header), FIELD(vault_header, magic), FIELD(vault_header, abi), FIELD(vault_header, generation),
        FIELD(vault_header, digest), FIELD(vault_header, deadline_ms), FIELD(vault_header, volumes),
        FIELD(vault_header, nodes), FIELD(vault_header, text), FIELD(vault_header, size), sizeof(struct vault_volume),
        FIELD(vault_volume, workspace), FIELD(vault_volume, name), FIELD(vault_volume, source), FIELD(vault_volume, mount),
        FIELD(vault_volume, root), FIELD(vault_volume, terms), sizeof(struct vault_node), FIELD(vault_node, name),
        FIELD(vault_node, child), FIELD(vault_node, children), FIELD(vault_node, rights), FIELD(vault_node, leads),
        FIELD(vault_node, clause), VAULT_OPS, VAULT_VERDICTS - 1);

    return length < 0 || (uint32_t)length >= capacity ? -ENOSPC : length;
}
