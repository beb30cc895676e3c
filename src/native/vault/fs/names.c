/*
 * What the kernel knows of a volume: nodes by device and inode number, each with the names that it was met by. A file with two
 * names is one node, so that its pages are one, and is judged by all of its names. Two hashes grow together; a node stays while
 * the kernel counts lookups of it, while something open is of it, and while it is anybody's parent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vaultfs.h"

static uint32_t hash_file(dev_t dev, ino_t ino)
{
    uint64_t mixed = (uint64_t)ino * 0x9e3779b97f4a7c15u ^ (uint64_t)dev * 0xc2b2ae3d27d4eb4fu;

    return (uint32_t)(mixed >> 32);
}

static uint32_t hash_name(const struct node *parent, const char *name)
{
    uint64_t mixed = (uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15u;

    for (; *name != 0; name++)
        mixed = (mixed ^ (unsigned char)*name) * 0x100000001b3u;
    return (uint32_t)(mixed ^ mixed >> 32);
}

void tree_init(struct volume *volume)
{
    struct table *known = &volume->known;

    known->count = 1024;
    known->mask = known->count - 1;
    known->nodes = calloc(known->count, sizeof(*known->nodes));
    known->names = calloc(known->count, sizeof(*known->names));
    volume->top.lookups = 1;
    volume->top.orphan = -1;
    volume->top.type = S_IFDIR;
    pthread_mutex_init(&volume->tree, NULL);
}

/* Twice as many places; on lack of memory the chains grow instead. */
static void grow(struct table *known)
{
    uint32_t count = known->count * 2;
    struct node **nodes = calloc(count, sizeof(*nodes));
    struct name **names = calloc(count, sizeof(*names));

    if (nodes == NULL || names == NULL)
        return free(nodes), free(names);
    for (uint32_t i = 0; i < known->count; i++) {
        for (struct node *node = known->nodes[i], *next; node != NULL; node = next) {
            uint32_t at = hash_file(node->dev, node->ino) & (count - 1);

            next = node->chain;
            node->chain = nodes[at];
            nodes[at] = node;
        }
        for (struct name *name = known->names[i], *next; name != NULL; name = next) {
            uint32_t at = hash_name(name->parent, name->text) & (count - 1);

            next = name->chain;
            name->chain = names[at];
            names[at] = name;
        }
    }
    free(known->nodes);
    free(known->names);
    known->nodes = nodes;
    known->names = names;
    known->count = count;
    known->mask = count - 1;
}

struct node *tree_node(struct volume *volume, fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? &volume->top : (struct node *)(uintptr_t)ino;
}

static struct name **place_of(struct volume *volume, const struct node *parent, const char *text)
{
    struct name **at = &volume->known.names[hash_name(parent, text) & volume->known.mask];

    while (*at != NULL && ((*at)->parent != parent || strcmp((*at)->text, text) != 0))
        at = &(*at)->chain;
    return at;
}

static void unhash(struct volume *volume, struct node *node)
{
    struct node **at = &volume->known.nodes[hash_file(node->dev, node->ino) & volume->known.mask];

    while (*at != NULL && *at != node)
        at = &(*at)->chain;
    if (*at == node) {
        *at = node->chain;
        volume->known.used--;
    }
}

/* Its number is another file's, or may become one's: nothing finds it by that any more. */
static void retire(struct volume *volume, struct node *node)
{
    unhash(volume, node);
    node->dev = 0;
    node->ino = 0;
    node->chain = volume->retired;
    node->back = &volume->retired;
    if (node->chain != NULL)
        node->chain->back = &node->chain;
    volume->retired = node;
}

static void release(struct volume *volume, struct node *node);

static void unname(struct volume *volume, struct name *name)
{
    struct name **at = place_of(volume, name->parent, name->text);
    struct name **mine = &name->node->names;
    struct node *parent = name->parent;

    *at = name->chain;
    while (*mine != name)
        mine = &(*mine)->sibling;
    *mine = name->sibling;
    free(name);
    parent->children--;
    release(volume, parent);
}

static void free_node(struct node *node)
{
    if (node->orphan >= 0)
        close(node->orphan);
    free(node->last);
    free(node);
}

/* Frees what nobody means any more, and then its parents. */
static void release(struct volume *volume, struct node *node)
{
    if (node == &volume->top || node->lookups > 0 || node->children > 0 || node->handles > 0)
        return;
    node->lookups = 1; /* its names are taken away below: not to be freed twice */
    while (node->names != NULL)
        unname(volume, node->names);
    if (node->back == NULL) {
        unhash(volume, node);
    } else {
        *node->back = node->chain;
        if (node->chain != NULL)
            node->chain->back = node->back;
    }
    free_node(node);
}

static int path_of(const struct volume *volume, const struct node *parent, const char *text, char *path)
{
    char back[PATH_ROOM];
    size_t at = sizeof(back) - 1, length;

    back[at] = 0;
    for (;;) {
        length = strlen(text);
        if (length + 1 > at)
            return -ENAMETOOLONG;
        at -= length;
        memcpy(back + at, text, length);
        back[--at] = '/';
        if (parent == &volume->top)
            break;
        if (parent->names == NULL) { /* below a removed directory */
            if (parent->last == NULL)
                return -ENOENT;
            length = strlen(parent->last);
            if (length > at)
                return -ENAMETOOLONG;
            at -= length;
            memcpy(back + at, parent->last, length);
            break;
        }
        text = parent->names->text;
        parent = parent->names->parent;
    }
    length = sizeof(back) - 1 - at;
    if (length > VAULT_PATH)
        return -ENAMETOOLONG;
    memcpy(path, back + at, length + 1);
    return (int)length;
}

static struct name *add_name(struct volume *volume, struct node *parent, const char *text, struct node *node)
{
    size_t length = strlen(text);
    struct name *name = malloc(sizeof(*name) + length + 1);
    struct name **at;

    if (name == NULL)
        return NULL;
    memcpy(name->text, text, length + 1);
    name->length = (uint16_t)length;
    name->parent = parent;
    name->node = node;
    name->sibling = node->names;
    node->names = name;
    parent->children++;
    at = &volume->known.names[hash_name(parent, text) & volume->known.mask];
    name->chain = *at;
    *at = name;
    return name;
}

struct node *tree_meet(struct volume *volume, struct node *parent, const char *text, const struct stat *attr)
{
    struct table *known = &volume->known;
    struct name *name;
    struct node *node;

    pthread_mutex_lock(&volume->tree);
    if (known->used > known->count)
        grow(known);
    node = known->nodes[hash_file(attr->st_dev, attr->st_ino) & known->mask];
    while (node != NULL && (node->ino != attr->st_ino || node->dev != attr->st_dev))
        node = node->chain;
    /* Another kind of file under one number: it was replaced from outside, and the number used again. */
    if (node != NULL && node->type != (attr->st_mode & S_IFMT)) {
        retire(volume, node);
        node = NULL;
    }
    if (node == NULL) {
        struct node **at = &known->nodes[hash_file(attr->st_dev, attr->st_ino) & known->mask];

        node = calloc(1, sizeof(*node));
        if (node == NULL)
            goto out;
        node->dev = attr->st_dev;
        node->ino = attr->st_ino;
        node->type = attr->st_mode & S_IFMT;
        node->orphan = -1;
        node->chain = *at;
        *at = node;
        known->used++;
    }
    node->lookups++;
    name = *place_of(volume, parent, text);
    if (name != NULL && name->node != node) { /* replaced from outside */
        unname(volume, name);
        name = NULL;
    }
    /* A directory has one name: an older one was moved from outside. */
    if (name == NULL && node->type == S_IFDIR && node->names != NULL)
        unname(volume, node->names);
    if (name == NULL && add_name(volume, parent, text, node) == NULL) {
        node->lookups--;
        release(volume, node);
        node = NULL;
    }
out:
    pthread_mutex_unlock(&volume->tree);
    return node;
}

void tree_forget(struct volume *volume, struct node *node, uint64_t lookups)
{
    pthread_mutex_lock(&volume->tree);
    node->lookups -= lookups < node->lookups ? lookups : node->lookups;
    if (node == &volume->top)
        node->lookups = 1;
    release(volume, node);
    pthread_mutex_unlock(&volume->tree);
}

void tree_hold(struct volume *volume, struct node *node, int by)
{
    pthread_mutex_lock(&volume->tree);
    node->handles += (uint32_t)by;
    release(volume, node);
    pthread_mutex_unlock(&volume->tree);
}

bool tree_knows(struct volume *volume, struct node *parent, const char *name)
{
    bool knows;

    pthread_mutex_lock(&volume->tree);
    knows = *place_of(volume, parent, name) != NULL;
    pthread_mutex_unlock(&volume->tree);
    return knows;
}

void tree_drop(struct volume *volume, struct node *parent, const char *text, int fd)
{
    struct name *name;
    struct stat attr;
    char path[PATH_ROOM];

    pthread_mutex_lock(&volume->tree);
    name = *place_of(volume, parent, text);
    if (name != NULL) {
        struct node *node = name->node;
        int length = path_of(volume, parent, text, path);

        node->lookups++; /* stays until the end of this */
        unname(volume, name);
        if (node->names == NULL) {
            free(node->last);
            node->last = length > 0 ? strdup(path) : NULL;
            if (fd >= 0 && node->orphan < 0 && fstat(fd, &attr) == 0 && attr.st_ino == node->ino) {
                node->orphan = fd;
                fd = -1;
            }
            if (node->back == NULL)
                retire(volume, node);
        }
        node->lookups--;
        release(volume, node);
    }
    pthread_mutex_unlock(&volume->tree);
    if (fd >= 0)
        close(fd);
}

void tree_move(struct volume *volume, struct node *from, const char *old, struct node *to, const char *new, bool exchange)
{
    struct name *first, *second;
    struct node *moved, *other;

    pthread_mutex_lock(&volume->tree);
    first = *place_of(volume, from, old);
    second = *place_of(volume, to, new);
    moved = first == NULL ? NULL : first->node;
    other = second == NULL || !exchange ? NULL : second->node;
    if (moved != NULL)
        moved->lookups++;
    if (other != NULL)
        other->lookups++;
    if (first != NULL)
        unname(volume, first);
    if (exchange && second != NULL)
        unname(volume, second);
    /* Without memory for a name the node has none: whoever means it is told to look it up again. */
    if (moved != NULL)
        add_name(volume, to, new, moved);
    if (other != NULL)
        add_name(volume, from, old, other);
    if (moved != NULL) {
        moved->lookups--;
        release(volume, moved);
    }
    if (other != NULL) {
        other->lookups--;
        release(volume, other);
    }
    pthread_mutex_unlock(&volume->tree);
}

int tree_path(struct volume *volume, struct node *node, uint32_t nth, char *path)
{
    struct name *name;
    int length = 0;

    pthread_mutex_lock(&volume->tree);
    name = node->names;
    for (uint32_t i = 0; i < nth && name != NULL; i++)
        name = name->sibling;
    if (node == &volume->top && nth == 0) {
        memcpy(path, "/", 2);
        length = 1;
    } else if (name != NULL) {
        length = path_of(volume, name->parent, name->text, path);
    } else if (nth == 0 && node->last != NULL) {
        length = (int)strlen(node->last);
        memcpy(path, node->last, (size_t)length + 1);
    }
    pthread_mutex_unlock(&volume->tree);
    return length;
}

void tree_free(struct volume *volume)
{
    for (uint32_t i = 0; i < volume->known.count; i++) {
        for (struct name *name = volume->known.names[i], *next; name != NULL; name = next) {
            next = name->chain;
            free(name);
        }
        for (struct node *node = volume->known.nodes[i], *next; node != NULL; node = next) {
            next = node->chain;
            free_node(node);
        }
    }
    for (struct node *node = volume->retired, *next; node != NULL; node = next) {
        next = node->chain;
        free_node(node);
    }
    free(volume->known.nodes);
    free(volume->known.names);
    pthread_mutex_destroy(&volume->tree);
}
