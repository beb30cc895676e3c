/*
 * One decision: standing, path, rights. The walk goes down the segments of the path as far as rules speak of them and collects
 * what they say; nothing is remembered, allocated or locked. src/plan/evaluate-file.ts says what it means.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "vault.h"

enum need { SEE, READ, WRITE, NEVER };

static const struct {
    uint8_t need;
    uint8_t moves;
} OPERATIONS[VAULT_OPS] = {
    [VAULT_OP_LOOKUP] = {SEE, 0},
    [VAULT_OP_GETATTR] = {SEE, 0},
    [VAULT_OP_STATFS] = {SEE, 0},
    [VAULT_OP_LIST] = {SEE, 0},
    [VAULT_OP_READLINK] = {READ, 0},
    [VAULT_OP_OPEN] = {READ, 0},
    [VAULT_OP_OPEN_WRITE] = {WRITE, 0},
    [VAULT_OP_GETXATTR] = {READ, 0},
    [VAULT_OP_CREATE] = {WRITE, 0},
    [VAULT_OP_MKDIR] = {WRITE, 0},
    [VAULT_OP_MKNOD] = {WRITE, 0},
    [VAULT_OP_SYMLINK] = {WRITE, 0},
    [VAULT_OP_UNLINK] = {WRITE, 1},
    [VAULT_OP_RMDIR] = {WRITE, 1},
    [VAULT_OP_RENAME_FROM] = {WRITE, 1},
    [VAULT_OP_RENAME_TO] = {WRITE, 1},
    [VAULT_OP_LINK_FROM] = {WRITE, 0},
    [VAULT_OP_LINK_TO] = {WRITE, 1},
    [VAULT_OP_SETATTR] = {WRITE, 0},
    [VAULT_OP_SETXATTR] = {WRITE, 0},
    [VAULT_OP_WRITE] = {WRITE, 0},
    [VAULT_OP_READ] = {READ, 0},
    [VAULT_OP_FALLOCATE] = {WRITE, 0},
    [VAULT_OP_COPY] = {WRITE, 0},
    [VAULT_OP_MAKE_DEVICE] = {NEVER, 0},
    [VAULT_OP_SET_PRIVILEGE] = {NEVER, 0},
    [VAULT_OP_IOCTL] = {NEVER, 0},
    [VAULT_OP_OPEN_HANDLE] = {NEVER, 0},
};

static bool path_is_plain(const char *path, uint32_t length)
{
    uint32_t begin = 1;

    if (length == 0 || length > VAULT_PATH || path[0] != '/' || memchr(path, 0, length) != NULL)
        return false;
    if (length == 1)
        return true;
    for (uint32_t i = 1; i <= length; i++) {
        uint32_t size;

        if (i < length && path[i] != '/')
            continue;
        size = i - begin;
        if (size == 0 || size > VAULT_NAME || (size == 1 && path[begin] == '.') ||
            (size == 2 && path[begin] == '.' && path[begin + 1] == '.'))
            return false;
        begin = i + 1;
    }
    return true;
}

static uint32_t child_of(const struct vault_table *table, const struct vault_node *node, const char *name, uint32_t length)
{
    uint32_t low = 0, high = node->children;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct vault_node *child = vault_node_at(table, node->child + middle);
        uint32_t shorter = child->name.length < length ? child->name.length : length;
        int order = memcmp(vault_text_at(table, child->name), name, shorter);

        if (order == 0)
            order = (child->name.length > length) - (child->name.length < length);
        if (order == 0)
            return node->child + middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return VAULT_NONE;
}

/* The nearest node with each right, and the node of the path itself where rules speak of it or of something below. */
struct walk {
    uint32_t with[3];
    uint32_t here;
};

static void collect(struct walk *walk, uint32_t index, const struct vault_node *node)
{
    for (uint32_t i = 0; i < 3; i++)
        if ((node->rights & (1u << i)) != 0)
            walk->with[i] = index;
}

static void follow(struct walk *walk, const struct vault_table *table, uint32_t root, const char *path, uint32_t length)
{
    uint32_t begin = 1, index = root;

    collect(walk, index, vault_node_at(table, index));
    while (begin < length) {
        const char *end = memchr(path + begin, '/', length - begin);
        uint32_t size = end == NULL ? length - begin : (uint32_t)(end - path) - begin;

        index = child_of(table, vault_node_at(table, index), path + begin, size);
        if (index == VAULT_NONE)
            return;
        collect(walk, index, vault_node_at(table, index));
        begin += size + 1;
    }
    walk->here = index;
}

static int judge(const struct vault_table *table, uint32_t volume, uint32_t standing, uint32_t op, const char *path,
                 uint32_t length, uint32_t *node, uint32_t *right)
{
    struct walk walk = {{VAULT_NONE, VAULT_NONE, VAULT_NONE}, VAULT_NONE};
    uint32_t deny, read, write;

    if ((standing & VAULT_IS_QUARANTINED) != 0)
        return VAULT_QUARANTINED;
    if ((standing & VAULT_IS_SUSPENDED) != 0)
        return VAULT_SUSPENDED;
    if (volume >= vault_header_of(table)->volumes)
        return VAULT_NO_VOLUME;
    if (!path_is_plain(path, length))
        return VAULT_BAD_PATH;
    if (op >= VAULT_OPS || OPERATIONS[op].need == NEVER)
        return VAULT_NEVER;
    follow(&walk, table, vault_volume_at(table, volume)->root, path, length);
    deny = walk.with[0];
    read = walk.with[1];
    write = walk.with[2];
    if (deny != VAULT_NONE) {
        *node = deny;
        *right = 0;
        return VAULT_DENIED;
    }
    if (read == VAULT_NONE && write == VAULT_NONE) {
        bool leads = walk.here != VAULT_NONE && vault_node_at(table, walk.here)->leads == 1;

        return OPERATIONS[op].need == SEE && leads ? VAULT_ALLOW : VAULT_NO_RULE;
    }
    *node = write != VAULT_NONE ? write : read;
    *right = write != VAULT_NONE ? 2 : 1;
    if (OPERATIONS[op].need != WRITE)
        return VAULT_ALLOW;
    if (write == VAULT_NONE)
        return VAULT_READ_ONLY;
    return OPERATIONS[op].moves && walk.here != VAULT_NONE ? VAULT_ANCHORED : VAULT_ALLOW;
}

int sluice_vault_decide(const struct vault_table *table, uint32_t volume, uint32_t standing, uint32_t op, const char *path,
                        uint32_t length, uint32_t *node, uint32_t *right)
{
    uint32_t at = VAULT_NONE, which = VAULT_NONE;
    int verdict = judge(table, volume, standing, op, path, length, &at, &which);

    if (node != NULL)
        *node = at;
    if (right != NULL)
        *right = which;
    return verdict;
}

int sluice_vault_errno(int verdict)
{
    return verdict == VAULT_ALLOW ? 0 : verdict == VAULT_READ_ONLY ? EROFS : EACCES;
}
