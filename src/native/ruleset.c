/*
 * All that one table of nf_tables is made of, as the kernel holds it, in one pass over netlink: tables, chains, rules, sets, the
 * elements of anonymous sets (they are part of the rules that name them), counters and whatever else somebody put there.
 * For whoever compares a table with what it was: libnftables reads the tables of every family, resolves and prints them, which takes
 * ten times as long. Only attributes that somebody chose are given; handles, numbers of users and the like are left out.
 */
#define _GNU_SOURCE
#include "nft_netlink.h"
#include "sluice_native.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

_Static_assert(sizeof(struct sluice_object) == 24, "the agent reads 24 octets before a name");

enum { ANONYMOUS_SETS = 4096, SET_NAME = 32 };

struct reading {
    uint8_t *records;
    uint32_t capacity;
    uint32_t at;    /* where the next record begins, and where it would begin if there were room */
    uint32_t count;
    struct sluice_object head;
    const char *table;
    int resource; /* the kernel's number of the ruleset, of which every message carries the lower half; -1: not seen yet */
    uint32_t anonymous;
    char names[ANONYMOUS_SETS][SET_NAME];
};

static void put_octets(struct reading *reading, const void *octets, uint32_t length)
{
    if ((uint64_t)reading->at + length <= reading->capacity)
        memcpy(reading->records + reading->at, octets, length);
    reading->at += length;
}

static uint32_t begin(struct reading *reading, uint8_t kind, const char *name)
{
    uint32_t from = reading->at;
    size_t length = strnlen(name, 255);
    reading->head = (struct sluice_object){ .kind = kind, .name = (uint16_t)length };
    put_octets(reading, &reading->head, sizeof reading->head);
    put_octets(reading, name, (uint32_t)length);
    return from;
}

static void end(struct reading *reading, uint32_t from)
{
    static const uint8_t zeros[8];
    reading->head.octets = reading->at - from - (uint32_t)sizeof reading->head - reading->head.name;
    put_octets(reading, zeros, -reading->at & 7);
    if (from + sizeof reading->head <= reading->capacity)
        memcpy(reading->records + from, &reading->head, sizeof reading->head);
    reading->count++;
}

/* What a kind of object says of itself: its type of message, where its table and its name stand, and what of it counts. */
struct shape {
    uint8_t kind;
    uint8_t message;
    uint8_t table;
    uint8_t name;
    uint32_t counts; /* bits by number of attribute */
};
#define BIT(attribute) (1u << (attribute))

static const struct shape shapes[] = {
    { SLUICE_OBJECT_CHAIN, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME,
      BIT(NFTA_CHAIN_HOOK) | BIT(NFTA_CHAIN_POLICY) | BIT(NFTA_CHAIN_TYPE) | BIT(NFTA_CHAIN_FLAGS) |
          BIT(NFTA_CHAIN_USERDATA) },
    { SLUICE_OBJECT_RULE, NFT_MSG_GETRULE, NFTA_RULE_TABLE, NFTA_RULE_CHAIN,
      BIT(NFTA_RULE_EXPRESSIONS) | BIT(NFTA_RULE_COMPAT) | BIT(NFTA_RULE_USERDATA) },
    { SLUICE_OBJECT_SET, NFT_MSG_GETSET, NFTA_SET_TABLE, NFTA_SET_NAME,
      BIT(NFTA_SET_FLAGS) | BIT(NFTA_SET_KEY_TYPE) | BIT(NFTA_SET_KEY_LEN) | BIT(NFTA_SET_DATA_TYPE) |
          BIT(NFTA_SET_DATA_LEN) | BIT(NFTA_SET_POLICY) | BIT(NFTA_SET_DESC) | BIT(NFTA_SET_TIMEOUT) |
          BIT(NFTA_SET_GC_INTERVAL) | BIT(NFTA_SET_USERDATA) | BIT(NFTA_SET_OBJ_TYPE) | BIT(NFTA_SET_EXPR) |
          BIT(NFTA_SET_EXPRESSIONS) },
    { SLUICE_OBJECT_STATEFUL, NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, NFTA_OBJ_NAME, BIT(NFTA_OBJ_TYPE) },
    { SLUICE_OBJECT_FLOWTABLE, NFT_MSG_GETFLOWTABLE, NFTA_FLOWTABLE_TABLE, NFTA_FLOWTABLE_NAME,
      BIT(NFTA_FLOWTABLE_HOOK) | BIT(NFTA_FLOWTABLE_FLAGS) },
};

struct dump {
    struct reading *reading;
    const struct shape *shape;
};

/* Two messages of one number are of one ruleset; of two, somebody changed it in between. */
static int is_same_ruleset(struct reading *reading, const struct nlmsghdr *message)
{
    const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
    if (reading->resource < 0)
        reading->resource = header->res_id;
    if (reading->resource == header->res_id)
        return 1;
    errno = EINTR;
    return 0;
}

static const struct nlattr *attribute_of(const struct nlmsghdr *message, uint16_t type)
{
    const struct nlattr *at;
    mnl_attr_for_each(at, message, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(at) == type) return at;
    return NULL;
}

static const struct nlattr *nested(const struct nlattr *nest, uint16_t type)
{
    const struct nlattr *at;
    if (nest != NULL)
        mnl_attr_for_each_nested(at, nest) if (mnl_attr_get_type(at) == type) return at;
    return NULL;
}

static uint64_t number(const struct nlattr *attribute)
{
    return attribute != NULL && mnl_attr_get_payload_len(attribute) == 8 ? be64toh(mnl_attr_get_u64(attribute)) : 0;
}

static void note_set(struct reading *reading, const struct nlmsghdr *message, const char *name)
{
    const struct nlattr *flags = attribute_of(message, NFTA_SET_FLAGS);
    if (flags == NULL || (be32toh(mnl_attr_get_u32(flags)) & NFT_SET_ANONYMOUS) == 0)
        return;
    if (reading->anonymous < ANONYMOUS_SETS && strlen(name) < SET_NAME)
        strcpy(reading->names[reading->anonymous], name);
    reading->anonymous++;
}

static int on_object(const struct nlmsghdr *message, void *context)
{
    const struct dump *dump = context;
    struct reading *reading = dump->reading;
    const struct shape *shape = dump->shape;
    if (!is_same_ruleset(reading, message))
        return MNL_CB_ERROR;
    const struct nlattr *table = attribute_of(message, shape->table), *name = attribute_of(message, shape->name), *at;
    if (table == NULL || name == NULL || strcmp(mnl_attr_get_str(table), reading->table) != 0)
        return MNL_CB_OK;
    uint32_t from = begin(reading, shape->kind, mnl_attr_get_str(name));
    mnl_attr_for_each(at, message, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(at) < 32 &&
                                                                (shape->counts & BIT(mnl_attr_get_type(at))) != 0)
        put_octets(reading, at, MNL_ALIGN(at->nla_len));
    if (shape->kind == SLUICE_OBJECT_SET)
        note_set(reading, message, mnl_attr_get_str(name));
    if (shape->kind == SLUICE_OBJECT_STATEFUL) {
        const struct nlattr *type = attribute_of(message, NFTA_OBJ_TYPE), *data = attribute_of(message, NFTA_OBJ_DATA);
        if (type != NULL && be32toh(mnl_attr_get_u32(type)) == NFT_OBJECT_COUNTER) {
            reading->head.kind = SLUICE_OBJECT_COUNTER;
            reading->head.packets = number(nested(data, NFTA_COUNTER_PACKETS));
            reading->head.bytes = number(nested(data, NFTA_COUNTER_BYTES));
        }
    }
    end(reading, from);
    return MNL_CB_OK;
}

static int on_table(const struct nlmsghdr *message, void *context)
{
    struct reading *reading = context;
    if (!is_same_ruleset(reading, message))
        return MNL_CB_ERROR;
    const struct nlattr *at;
    uint32_t from = begin(reading, SLUICE_OBJECT_TABLE, reading->table);
    mnl_attr_for_each(at, message, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(at) == NFTA_TABLE_FLAGS ||
                                                                mnl_attr_get_type(at) == NFTA_TABLE_USERDATA)
        put_octets(reading, at, MNL_ALIGN(at->nla_len));
    end(reading, from);
    return MNL_CB_OK;
}

static int on_members(const struct nlmsghdr *message, void *context)
{
    struct reading *reading = context;
    if (!is_same_ruleset(reading, message))
        return MNL_CB_ERROR;
    const struct nlattr *list = attribute_of(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    if (list != NULL)
        put_octets(reading, mnl_attr_get_payload(list), mnl_attr_get_payload_len(list));
    return MNL_CB_OK;
}

static int read_objects(struct reading *reading, uint8_t family)
{
    char buffer[1024];
    struct nlmsghdr *message = sluice_nft_message(buffer, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_ACK, family, 0);
    mnl_attr_put_strz(message, NFTA_TABLE_NAME, reading->table);
    int failed = sluice_nft_converse(message, message->nlmsg_len, on_table, reading);
    if (failed < 0)
        return failed;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct dump dump = { reading, &shapes[i] };
        message = sluice_nft_message(buffer, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | shapes[i].message), NLM_F_DUMP, family, 0);
        mnl_attr_put_strz(message, shapes[i].table, reading->table);
        failed = sluice_nft_converse(message, message->nlmsg_len, on_object, &dump);
        if (failed < 0)
            return failed;
    }
    if (reading->anonymous > ANONYMOUS_SETS)
        return -E2BIG;
    for (uint32_t i = 0; i < reading->anonymous; i++) {
        uint32_t from = begin(reading, SLUICE_OBJECT_ELEMENTS, reading->names[i]);
        message = sluice_nft_message(buffer, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM, NLM_F_DUMP, family, 0);
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, reading->table);
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, reading->names[i]);
        failed = sluice_nft_converse(message, message->nlmsg_len, on_members, reading);
        if (failed < 0)
            return failed;
        end(reading, from);
    }
    return 0;
}

int sluice_ruleset_read(uint8_t family, const char *table, uint8_t *records, uint32_t capacity, uint32_t *total)
{
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL)
        return -ENOMEM;
    reading->records = records;
    reading->capacity = capacity;
    reading->table = table;
    reading->resource = -1;
    int failed = read_objects(reading, family);
    int count = (int)reading->count;
    *total = reading->at;
    free(reading);
    if (failed == -ENOENT && count == 0)
        return 0;
    return failed < 0 ? (failed == -ENOENT ? -EINTR : failed) : count;
}
