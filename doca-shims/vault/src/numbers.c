/*
 * Numbers that a guest is given in place of addresses. One that was never given, or was given back, is nobody's: the salt in its
 * upper half is another one each time that a place is used again.
 */
#include <stdlib.h>
#include <string.h>

#include "vault_device.h"

#define FIRST 64u

bool numbers_init(struct numbers *numbers)
{
    memset(numbers, 0, sizeof(*numbers));
    numbers->list = calloc(FIRST, sizeof(*numbers->list));
    numbers->hash = calloc(2 * FIRST, sizeof(*numbers->hash));
    numbers->count = FIRST;
    numbers->mask = 2 * FIRST - 1;
    for (uint32_t i = 0; numbers->list != NULL && i < FIRST; i++)
        numbers->list[i].next = i + 1;
    return numbers->list != NULL && numbers->hash != NULL;
}

void numbers_free(struct numbers *numbers)
{
    free(numbers->list);
    free(numbers->hash);
    memset(numbers, 0, sizeof(*numbers));
}

static uint32_t place_of(const struct numbers *numbers, const void *of)
{
    uint64_t mixed = (uint64_t)(uintptr_t)of * 0x9e3779b97f4a7c15u;
    uint32_t at = (uint32_t)(mixed >> 32) & numbers->mask;

    while (numbers->hash[at] != 0 && numbers->list[numbers->hash[at] - 1].of != of)
        at = (at + 1) & numbers->mask;
    return at;
}

static bool grow(struct numbers *numbers)
{
    uint32_t count = numbers->count * 2;
    struct number *list;
    uint32_t *hash;

    if (count > NUMBERS_MOST)
        return false;
    list = realloc(numbers->list, count * sizeof(*list));
    if (list == NULL)
        return false;
    numbers->list = list;
    memset(list + numbers->count, 0, (count - numbers->count) * sizeof(*list));
    hash = calloc(2 * (size_t)count, sizeof(*hash));
    if (hash == NULL)
        return false;
    free(numbers->hash);
    numbers->hash = hash;
    numbers->mask = 2 * count - 1;
    for (uint32_t i = 0; i < numbers->count; i++)
        if (list[i].of != NULL)
            hash[place_of(numbers, list[i].of)] = i + 1;
    for (uint32_t i = numbers->count; i < count; i++)
        list[i].next = i + 1;
    numbers->unused = numbers->count;
    numbers->count = count;
    return true;
}

/* 0 and FUSE_ROOT_ID are never given: indexes begin at 2. */
static uint64_t number_at(const struct numbers *numbers, uint32_t index)
{
    return (uint64_t)numbers->list[index].salt << 32 | (index + 2);
}

uint64_t numbers_of(struct numbers *numbers, void *of)
{
    uint32_t at = place_of(numbers, of), index;

    if (numbers->hash[at] != 0) {
        index = numbers->hash[at] - 1;
        numbers->list[index].lookups++;
        return number_at(numbers, index);
    }
    if (numbers->unused == numbers->count) {
        if (!grow(numbers))
            return 0;
        at = place_of(numbers, of);
    }
    index = numbers->unused;
    numbers->unused = numbers->list[index].next;
    numbers->list[index].of = of;
    numbers->list[index].lookups = 1;
    numbers->list[index].salt++;
    numbers->hash[at] = index + 1;
    return number_at(numbers, index);
}

void *numbers_find(const struct numbers *numbers, uint64_t number)
{
    uint32_t low = (uint32_t)number;

    if (low < 2 || low - 2 >= numbers->count || numbers->list[low - 2].salt != (uint32_t)(number >> 32))
        return NULL;
    return numbers->list[low - 2].of;
}

uint64_t numbers_drop(struct numbers *numbers, uint64_t number, uint64_t lookups)
{
    uint32_t index = (uint32_t)number - 2, at;
    struct number *held;

    if (numbers_find(numbers, number) == NULL)
        return 0;
    held = &numbers->list[index];
    lookups = lookups < held->lookups ? lookups : held->lookups;
    held->lookups -= lookups;
    if (held->lookups > 0)
        return lookups;
    at = place_of(numbers, held->of);
    held->of = NULL;
    held->next = numbers->unused;
    numbers->unused = index;
    /* What stood behind it because of it moves up. */
    numbers->hash[at] = 0;
    for (uint32_t next = (at + 1) & numbers->mask; numbers->hash[next] != 0; next = (next + 1) & numbers->mask) {
        uint32_t moved = numbers->hash[next];

        numbers->hash[next] = 0;
        numbers->hash[place_of(numbers, numbers->list[moved - 1].of)] = moved;
    }
    return lookups;
}
