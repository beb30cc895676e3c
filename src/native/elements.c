/*
 * Elements of nf_tables sets by netlink: is one there, which are there, add or remove some. For what libnftables cannot do: the
 * read-back of one element in tens of microseconds whatever else the ruleset holds, and sets with interface indexes, because
 * its table of interface names is shared by all contexts of a process and not made for threads.
 */
#define _GNU_SOURCE
#include "nft_netlink.h"
#include "sluice_native.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

enum { MAX_KEY = SLUICE_KEY_OCTETS, PIECE = 256, ELEMENT_ROOM = MAX_KEY + SLUICE_COMMENT_OCTETS + 96 };

_Static_assert(sizeof(struct sluice_element) == 256, "the agent packs 256 octets an element");
_Static_assert(sizeof(struct sluice_counted) == 40, "the agent reads 40 octets an element");

struct nlmsghdr *sluice_nft_message(void *at, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(at);
    message->nlmsg_type = type;
    message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    message->nlmsg_seq = 1;
    struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
    header->nfgen_family = family;
    header->version = NFNETLINK_V0;
    header->res_id = htons(resource);
    return message;
}

static struct nlmsghdr *elements_message(void *at, uint16_t command, uint16_t flags, uint8_t family, const char *table,
                                         const char *set)
{
    struct nlmsghdr *message = sluice_nft_message(at, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | command), flags, family, 0);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set);
    return message;
}

static void put_keys(struct nlmsghdr *message, const uint8_t *keys, uint32_t length, uint32_t count)
{
    struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (uint32_t i = 0; i < count; i++) {
        struct nlattr *element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
        struct nlattr *field = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
        mnl_attr_put(message, NFTA_DATA_VALUE, length, keys + (size_t)i * length);
        mnl_attr_nest_end(message, field);
        mnl_attr_nest_end(message, element);
    }
    mnl_attr_nest_end(message, list);
}

static int found(const struct nlmsghdr *message, void *context)
{
    (void)message;
    *(int *)context = 1;
    return MNL_CB_STOP;
}

int sluice_line_has(struct sluice_line *line, const char *table, const char *set, const uint8_t *key, uint32_t key_length)
{
    char buffer[8192];
    int there = 0;
    if (key_length > MAX_KEY)
        return -EINVAL;
    /* The element is the answer, or the refusal is: no acknowledgement comes after either. */
    struct nlmsghdr *message = elements_message(buffer, NFT_MSG_GETSETELEM, 0, NFPROTO_INET, table, set);
    put_keys(message, key, key_length, 1);
    int failed = sluice_nft_converse_over(line, message, message->nlmsg_len, found, &there);
    if (failed == -ENOENT)
        return 0;
    return failed < 0 ? failed : there;
}

struct listing {
    uint8_t *keys;
    struct sluice_counted *moved;
    uint32_t length;
    uint32_t capacity;
    uint32_t moved_capacity;
    uint32_t total;
    uint32_t moved_total;
};

static const struct nlattr *inside(const struct nlattr *nest, uint16_t type)
{
    const struct nlattr *at;
    if (nest == NULL)
        return NULL;
    mnl_attr_for_each_nested(at, nest) if (mnl_attr_get_type(at) == type) return at;
    return NULL;
}

static uint64_t number_of(const struct nlattr *attribute)
{
    return attribute != NULL && mnl_attr_get_payload_len(attribute) == 8 ? be64toh(mnl_attr_get_u64(attribute)) : 0;
}

/* An element has its counter by itself, or in a list when its set has several expressions. */
static void moved_by(const struct nlattr *element, const uint8_t *key, struct listing *listing)
{
    const struct nlattr *expression = inside(element, NFTA_SET_ELEM_EXPR);
    if (expression == NULL)
        expression = inside(inside(element, NFTA_SET_ELEM_EXPRESSIONS), NFTA_LIST_ELEM);
    const struct nlattr *name = inside(expression, NFTA_EXPR_NAME), *data = inside(expression, NFTA_EXPR_DATA);
    if (name == NULL || strcmp(mnl_attr_get_str(name), "counter") != 0)
        return;
    uint64_t packets = number_of(inside(data, NFTA_COUNTER_PACKETS));
    if (packets == 0)
        return;
    if (listing->moved_total < listing->moved_capacity) {
        struct sluice_counted *moved = &listing->moved[listing->moved_total];
        memset(moved, 0, sizeof *moved);
        memcpy(moved->key, key, listing->length);
        moved->packets = packets;
        moved->bytes = number_of(inside(data, NFTA_COUNTER_BYTES));
    }
    listing->moved_total++;
}

static int on_elements(const struct nlmsghdr *message, void *context)
{
    struct listing *listing = context;
    const struct nlattr *attribute, *element;
    mnl_attr_for_each(attribute, message, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(attribute) != NFTA_SET_ELEM_LIST_ELEMENTS)
            continue;
        mnl_attr_for_each_nested(element, attribute)
        {
            const struct nlattr *value = inside(inside(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
            if (value == NULL || mnl_attr_get_payload_len(value) != listing->length)
                continue;
            if (listing->moved != NULL)
                moved_by(element, mnl_attr_get_payload(value), listing);
            if (listing->total < listing->capacity)
                memcpy(listing->keys + (size_t)listing->total * listing->length, mnl_attr_get_payload(value),
                       listing->length);
            listing->total++;
        }
    }
    return MNL_CB_OK;
}

static int list(const char *table, const char *set, struct listing *listing)
{
    char buffer[8192];
    struct nlmsghdr *message = elements_message(buffer, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFPROTO_INET, table, set);
    int failed = sluice_nft_converse(message, message->nlmsg_len, on_elements, listing);
    if (failed < 0)
        return failed;
    return (int)(listing->total < listing->capacity ? listing->total : listing->capacity);
}

static int compare_keys(const void *a, const void *b, void *length)
{
    return memcmp(a, b, *(uint32_t *)length);
}

void sluice_keys_sort(uint8_t *keys, uint32_t key_length, uint32_t count)
{
    qsort_r(keys, count, key_length, compare_keys, &key_length);
}

int sluice_elements_counted(const char *table, const char *set, uint32_t key_length, uint8_t *keys, uint32_t capacity,
                            struct sluice_counted *moved, uint32_t moved_capacity, uint32_t totals[2])
{
    struct listing listing = { .keys = keys, .moved = moved, .length = key_length };
    listing.capacity = capacity;
    listing.moved_capacity = moved_capacity;
    if (key_length > sizeof moved->key)
        return -EINVAL;
    int count = list(table, set, &listing);
    totals[0] = listing.total;
    totals[1] = listing.moved_total;
    if (count > 0)
        sluice_keys_sort(keys, key_length, (uint32_t)count);
    return count;
}

int sluice_elements_list(const char *table, const char *set, uint8_t *keys, uint32_t key_length, uint32_t capacity,
                         uint32_t *total)
{
    struct listing listing = { .keys = keys, .length = key_length, .capacity = capacity };
    int count = list(table, set, &listing);
    if (count < 0)
        return count == -ENOENT ? 0 : count;
    *total = listing.total;
    return count;
}

static int ignore(const struct nlmsghdr *message, void *context)
{
    (void)message;
    (void)context;
    return MNL_CB_OK;
}

/*
 * One transaction as it grows. Only its last message asks for an answer: what is refused is answered in any case, and an answer
 * to each would not fit a socket when there are thousands.
 */
struct batch {
    uint8_t *bytes;
    size_t at;
    struct nlmsghdr *last;
};

static int batch_begin(struct batch *batch, size_t messages, size_t elements)
{
    batch->bytes = malloc(4096 + messages * 256 + elements * ELEMENT_ROOM);
    if (batch->bytes == NULL)
        return -ENOMEM;
    batch->at = sluice_nft_message(batch->bytes, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)->nlmsg_len;
    batch->last = NULL;
    return 0;
}

static struct nlmsghdr *batch_message(struct batch *batch, int add, uint8_t family, const char *table, const char *set)
{
    return elements_message(batch->bytes + batch->at, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
                            add ? NLM_F_CREATE : 0, family, table, set);
}

static void batch_close(struct batch *batch, struct nlmsghdr *message)
{
    batch->at += message->nlmsg_len;
    batch->last = message;
}

static int batch_send(struct batch *batch, struct sluice_line *line)
{
    batch->last->nlmsg_flags |= NLM_F_ACK;
    batch->at +=
        sluice_nft_message(batch->bytes + batch->at, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)->nlmsg_len;
    int failed = sluice_nft_converse_over(line, batch->bytes, batch->at, ignore, NULL);
    free(batch->bytes);
    return failed;
}

int sluice_elements_change(const uint8_t *families, uint32_t family_count, const char *table, const char *set,
                           const uint8_t *keys, uint32_t key_length, uint32_t count, int add)
{
    struct batch batch;
    uint32_t pieces = (count + PIECE - 1) / PIECE;
    if (key_length > MAX_KEY)
        return -EINVAL;
    if (count == 0)
        return 0;
    if (batch_begin(&batch, (size_t)family_count * pieces * 2, (size_t)family_count * count * 2) < 0)
        return -ENOMEM;
    for (uint32_t f = 0; f < family_count; f++)
        for (uint32_t from = 0; from < count; from += PIECE)
            /* What is absent cannot be deleted, so it is added first. */
            for (int step = 0; step < (add ? 1 : 2); step++) {
                uint32_t these = count - from < PIECE ? count - from : PIECE;
                struct nlmsghdr *message = batch_message(&batch, step == 0, families[f], table, set);
                put_keys(message, keys + (size_t)from * key_length, key_length, these);
                batch_close(&batch, message);
            }
    int failed = batch_send(&batch, NULL);
    return failed < 0 ? failed : (int)count;
}

/* A comment as libnftables keeps it: type 0, length, text with its zero. */
static void put_comment(struct nlmsghdr *message, const char *comment)
{
    uint8_t packed[2 + SLUICE_COMMENT_OCTETS] = { 0 };
    size_t length = strnlen(comment, SLUICE_COMMENT_OCTETS - 1);
    packed[1] = (uint8_t)(length + 1);
    memcpy(packed + 2, comment, length);
    mnl_attr_put(message, NFTA_SET_ELEM_USERDATA, length + 3, packed);
}

static void put_element(struct nlmsghdr *message, const struct sluice_element *element)
{
    struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    struct nlattr *one = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    struct nlattr *field = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    mnl_attr_put(message, NFTA_DATA_VALUE, element->key_length, element->key);
    mnl_attr_nest_end(message, field);
    if (element->timeout_ms != 0)
        mnl_attr_put_u64(message, NFTA_SET_ELEM_TIMEOUT, htobe64(element->timeout_ms));
    if (element->has_mark) {
        field = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
        mnl_attr_put_u32(message, NFTA_DATA_VALUE, element->mark);
        mnl_attr_nest_end(message, field);
    }
    if (element->comment[0] != 0)
        put_comment(message, element->comment);
    mnl_attr_nest_end(message, one);
    mnl_attr_nest_end(message, list);
}

int sluice_elements_apply(const char *table, const struct sluice_element *elements, uint32_t count)
{
    return sluice_line_apply(NULL, table, elements, count);
}

int sluice_line_apply(struct sluice_line *line, const char *table, const struct sluice_element *elements, uint32_t count)
{
    struct batch batch;
    for (uint32_t i = 0; i < count; i++)
        if (elements[i].key_length > MAX_KEY)
            return -EINVAL;
    if (count == 0)
        return 0;
    if (batch_begin(&batch, (size_t)count * 2, (size_t)count * 2) < 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        for (int step = 0; step < (elements[i].remove ? 2 : 1); step++) {
            struct nlmsghdr *message = batch_message(&batch, step == 0, elements[i].family, table, elements[i].set);
            put_element(message, &elements[i]);
            batch_close(&batch, message);
        }
    int failed = batch_send(&batch, line);
    return failed < 0 ? failed : (int)count;
}
