/*
 * The flat C interface between the agent and the kernel parts that nft itself cannot reach: denied packets (NFLOG), live
 * flows (conntrack), the deny floor (a tc program), and news of interfaces and of the ruleset.
 *
 * Every function gives 0 or a count on success and -errno on failure; out-parameters are untouched on failure. Handles are
 * opaque and belong to one caller at a time unless said otherwise. No callbacks. All work happens in the network namespace
 * of the calling thread at the time of the `open` call.
 */
#ifndef SLUICE_NATIVE_H
#define SLUICE_NATIVE_H

#include <stdint.h>

/* Raised with every change of a signature or of a record's layout; the binding refuses any other number. */
#define SLUICE_NATIVE_ABI 10u

uint32_t sluice_native_abi(void);

/* ---- denied packets ------------------------------------------------------------------------------------------------ */

#define SLUICE_DENIAL_SNAP 128

/* One logged packet, 208 octets. Names are empty where there is no interface. */
struct sluice_denial {
    char from[16];
    char to[16];
    char prefix[32];
    uint64_t at_ns;     /* CLOCK_REALTIME when the reader took it from the kernel */
    uint16_t ethertype; /* host order */
    uint16_t length;    /* octets valid in data */
    uint32_t reserved;
    uint8_t data[SLUICE_DENIAL_SNAP]; /* from the network header on */
};

struct sluice_nflog;

/*
 * Before: nobody else in this namespace is bound to the group (-EBUSY otherwise). After: a thread of its own reads the
 * group into a ring of `slots` records; what does not fit is counted.
 */
int sluice_nflog_open(uint16_t group, uint32_t slots, struct sluice_nflog **out);

/*
 * Waits up to timeout_ms for at least one record, then moves up to capacity of them. *lost grows by what was missed since the
 * last call: ring full, socket buffer full, or gaps in the kernel's numbering. Gives the number moved. May run on any
 * thread, one call at a time.
 */
int sluice_nflog_drain(struct sluice_nflog *log, struct sluice_denial *records, uint32_t capacity, uint32_t timeout_ms,
                       uint64_t *lost);

/* Before: no drain is under way. After: the thread has ended and the handle is gone. */
void sluice_nflog_close(struct sluice_nflog *log);

/* ---- live flows ---------------------------------------------------------------------------------------------------- */

/*
 * One conntrack entry by its original tuple, 80 octets. IPv4 addresses stand in the first four octets. `answering` is who
 * answers it, the source of the reply tuple: another than `destination` when the node translates.
 */
struct sluice_flow {
    uint8_t source[16];
    uint8_t destination[16];
    uint16_t source_port; /* host order; for ICMP the identifier */
    uint16_t destination_port;
    uint8_t family; /* 4 or 6 */
    uint8_t protocol;
    uint8_t icmp_type;
    uint8_t icmp_code;
    uint32_t mark;
    uint32_t id; /* network order, as the kernel gave it */
    uint16_t zone;
    uint16_t answering_port; /* host order; for ICMP the identifier */
    uint16_t reserved[6];
    uint8_t answering[16];
};

/*
 * Lists the entries whose original source or destination, or who answers them, is one of `locals` (16 octets each, IPv4 in the first four and the
 * rest zero, sorted as by memcmp). Writes up to capacity records; *total is how many there were. Gives the number written.
 */
int sluice_flows_list(const uint8_t *locals, uint32_t local_count, struct sluice_flow *flows, uint32_t capacity,
                      uint32_t *total);

/* Deletes exactly these entries: tuple, zone and id must match, so that a newer flow of the same tuple survives. Entries that
 * are gone already are no error. Gives the number deleted. */
int sluice_flows_delete(const struct sluice_flow *flows, uint32_t count);

/* ---- interfaces ---------------------------------------------------------------------------------------------------- */

/* One interface, 24 octets. master is the index of the bridge, bond or VRF that it is a port of, or 0. */
struct sluice_link {
    char name[16];
    uint32_t index;
    uint32_t master;
};

/* As for flows: writes up to capacity, *total is how many there are, gives the number written. */
int sluice_links_list(struct sluice_link *links, uint32_t capacity, uint32_t *total);

/* Removes the clsact qdisc of an interface when no filter hangs on it. 1 when it was removed, 0 when it stays or is not
 * there. */
int sluice_links_tidy(uint32_t ifindex);

/* ---- elements of nftables sets ------------------------------------------------------------------------------------- */

/* The keys of a set of `table` in the inet family, of key_length octets each: writes up to capacity, *total is how many there
 * are, gives the number written. None when the set is not there. */
int sluice_elements_list(const char *table, const char *set, uint8_t *keys, uint32_t key_length, uint32_t capacity,
                         uint32_t *total);

/* What an element of a set of exact grants counted: 40 octets. */
struct sluice_counted {
    uint8_t key[24];
    uint64_t packets;
    uint64_t bytes;
};

/* As sluice_elements_list, for keys of at most 24 octets, which come sorted as octets; and the elements whose counter is not 0.
 * totals: how many elements there are, and how many that counted; each may be more than fits. -ENOENT: the set is not there.
 * -EINTR: it changed meanwhile, and what was written is of no use. */
int sluice_elements_counted(const char *table, const char *set, uint32_t key_length, uint8_t *keys, uint32_t capacity,
                            struct sluice_counted *moved, uint32_t moved_capacity, uint32_t totals[2]);

/* Sorts keys as octets, in place. */
void sluice_keys_sort(uint8_t *keys, uint32_t key_length, uint32_t count);

/* Adds or removes keys in the set of that name in the tables of these families (NFPROTO_*), in one transaction. Present or
 * absent before is no error. Keys are at most 64 octets. Gives the number of keys. */
int sluice_elements_change(const uint8_t *families, uint32_t family_count, const char *table, const char *set,
                           const uint8_t *keys, uint32_t key_length, uint32_t count, int add);

enum { SLUICE_KEY_OCTETS = 64, SLUICE_COMMENT_OCTETS = 128, SLUICE_SET_OCTETS = 32 };

/* One element to add or remove: 256 octets, zeros at the end of texts. */
struct sluice_element {
    uint8_t family;                     /* NFPROTO_* of the table */
    uint8_t remove;                     /* 1: there or not, it is gone after it */
    uint8_t has_mark;                   /* of a map: the element's value is `mark` */
    uint8_t spare;
    uint32_t key_length;                /* at most 64 */
    uint32_t mark;
    uint32_t spare2;
    uint64_t timeout_ms;                /* 0: none */
    char set[SLUICE_SET_OCTETS];
    uint8_t key[SLUICE_KEY_OCTETS];     /* as for sluice_line_has */
    char comment[SLUICE_COMMENT_OCTETS];
    uint8_t spare3[8];
};

/* All of them in one transaction, in their order. Gives the count. -ENOENT: a set is not there, and nothing was changed. */
int sluice_elements_apply(const char *table, const struct sluice_element *elements, uint32_t count);

/*
 * A socket for many exchanges, of one thread at a time: closing one, as the functions above do after each, waits for other transactions and
 * for what was removed to be freed. It may be used after any failure.
 */
struct sluice_line;
int sluice_line_open(struct sluice_line **out);
/*
 * Asks the kernel for one element of a set or map of `table` in the inet family. The key is as the kernel keeps it: fields one
 * after another, each padded to four octets. 1 when it is there and has not expired, 0 when not (or the set is not).
 * libnftables would read every element of every set to answer this.
 */
int sluice_line_has(struct sluice_line *line, const char *table, const char *set, const uint8_t *key, uint32_t key_length);
/* As sluice_elements_apply. */
int sluice_line_apply(struct sluice_line *line, const char *table, const struct sluice_element *elements, uint32_t count);
void sluice_line_close(struct sluice_line *line);

/* ---- a whole table ------------------------------------------------------------------------------------------------- */

enum {
    SLUICE_OBJECT_TABLE = 1,
    SLUICE_OBJECT_CHAIN = 2,
    SLUICE_OBJECT_RULE = 3,      /* named as its chain; those of one chain in their order */
    SLUICE_OBJECT_SET = 4,       /* or a map */
    SLUICE_OBJECT_ELEMENTS = 5,  /* of the anonymous set of that name */
    SLUICE_OBJECT_COUNTER = 6,
    SLUICE_OBJECT_STATEFUL = 7,  /* any other object with a name: a quota, a limit */
    SLUICE_OBJECT_FLOWTABLE = 8,
};

/* Before each object; its name and its octets (netlink attributes as the kernel gives them) follow, then zeros up to a multiple
 * of eight. */
struct sluice_object {
    uint32_t octets;
    uint16_t name;
    uint8_t kind;
    uint8_t spare;
    uint64_t packets; /* of a counter */
    uint64_t bytes;
};

/*
 * The objects of `table` in a family (NFPROTO_*), one after another; no record is given in part, but what does not fit is left out
 * and *total says how many octets all of them take. Gives how many there are; 0: no such table. -EINTR: it changed meanwhile.
 */
int sluice_ruleset_read(uint8_t family, const char *table, uint8_t *records, uint32_t capacity, uint32_t *total);

/* ---- deny floor ---------------------------------------------------------------------------------------------------- */

struct sluice_floor;

/*
 * Takes over the program that is attached in this namespace, or loads one from object_path (nothing is attached by that).
 * *reused tells which. Before: CAP_BPF and CAP_NET_ADMIN.
 */
int sluice_floor_open(const char *object_path, struct sluice_floor **out, uint32_t *reused);
void sluice_floor_close(struct sluice_floor *floor);

/* Attaches at the egress of an interface; 1 when it was there already, 0 when it is new. */
int sluice_floor_attach(struct sluice_floor *floor, uint32_t ifindex);
/* Detaches. 1 when there was nothing of ours. */
int sluice_floor_detach(uint32_t ifindex);
/* 1 when our program is attached there, else 0. */
int sluice_floor_attached(uint32_t ifindex);

/* What the floor guards. Additions first, removals second, so that nothing is ever unguarded in between. */
int sluice_floor_guard(struct sluice_floor *floor, const uint32_t *ifindexes, uint32_t ifindex_count, const uint8_t *v4,
                       uint32_t v4_count, const uint8_t *v6, uint32_t v6_count);
/* Packets that the floor dropped since it was loaded. */
int sluice_floor_drops(struct sluice_floor *floor, uint64_t *drops);

/* ---- news ---------------------------------------------------------------------------------------------------------- */

#define SLUICE_NEWS_LINKS 1   /* an interface came, went or changed */
#define SLUICE_NEWS_RULESET 2 /* somebody outside this process committed an nftables transaction */

struct sluice_news;
int sluice_news_open(struct sluice_news **out);
/* Never waits. Gives a mask of SLUICE_NEWS_*; both when news were lost. */
int sluice_news_read(struct sluice_news *news);
void sluice_news_close(struct sluice_news *news);

#endif
