/*
 * DOCA Flow as a flat C ABI for a foreign function interface: opaque handles in 64 bits, integers of fixed width, packed
 * batches in and arrays of results out, no callbacks. The C builds DOCA's structures, whose layout differs between releases;
 * it decides nothing: no policy, no retries, no log.
 *
 * Every call gives 0 or a count, or a negative code: -1 to -99 are DOCA's errors negated, -100 and below are the shim's own
 * (enum sluice_doca_error). On failure out-parameters are untouched unless a comment says otherwise. One caller at a time.
 */
#ifndef SLUICE_DOCA_H
#define SLUICE_DOCA_H

#include <stdint.h>

#define SLUICE_DOCA_ABI 4

enum sluice_doca_error {
    SLUICE_DOCA_BAD_HANDLE = -100,    /* no such handle, or one that is closed or destroyed */
    SLUICE_DOCA_BAD_ARGUMENT = -101,  /* NULL, a count of zero, a field that does not fit the pipe */
    SLUICE_DOCA_NO_DEVICE = -102,     /* no device with that PCI address */
    SLUICE_DOCA_NO_REPRESENTOR = -103,
    SLUICE_DOCA_NOT_COMPLETED = -104, /* the deadline passed with operations still under way */
    SLUICE_DOCA_ENTRY_FAILED = -105,  /* a callback said ERROR; which, the entries' states say */
    SLUICE_DOCA_NO_UPDATE = -106,     /* this release has no known call to update an entry */
    SLUICE_DOCA_VERSION = -107,       /* the library that runs is another release than the headers */
    SLUICE_DOCA_NO_NETDEVICE = -108,  /* the Arm has no netdevice for that port, or it takes no frames now */
};

/* Octets of a field in a key, in this order of rising number; all in network order, port ids too. */
enum sluice_doca_field {
    SLUICE_DOCA_IN_PORT = 0,       /* 2 */
    SLUICE_DOCA_ETH_SRC = 1,       /* 6 */
    SLUICE_DOCA_ETH_DST = 2,       /* 6 */
    SLUICE_DOCA_ETH_TYPE = 3,      /* 2 */
    SLUICE_DOCA_TAGS = 4,          /* 1: 0 untagged, 1 several, 2 one */
    SLUICE_DOCA_L3 = 5,            /* 1: 1 IPv4, 2 IPv6 */
    SLUICE_DOCA_L4 = 6,            /* 1: 1 TCP, 2 UDP, 3 ICMP of either family */
    SLUICE_DOCA_FRAGMENT = 7,      /* 1 */
    SLUICE_DOCA_L3_OK = 8,         /* 1 */
    SLUICE_DOCA_L4_OK = 9,         /* 1 */
    SLUICE_DOCA_IP4_SUM_OK = 10,   /* 1 */
    SLUICE_DOCA_META = 11,         /* 4: pkt_meta */
    SLUICE_DOCA_IP4_SRC = 12,      /* 4 */
    SLUICE_DOCA_IP4_DST = 13,      /* 4 */
    SLUICE_DOCA_IP4_VERSION = 14,  /* 1: version and header length */
    SLUICE_DOCA_IP4_PROTOCOL = 15, /* 1 */
    SLUICE_DOCA_IP6_SRC = 16,      /* 16 */
    SLUICE_DOCA_IP6_DST = 17,      /* 16 */
    SLUICE_DOCA_IP6_NEXT = 18,     /* 1 */
    SLUICE_DOCA_IP6_HOPS = 19,     /* 1 */
    SLUICE_DOCA_SRC_PORT = 20,     /* 2 */
    SLUICE_DOCA_DST_PORT = 21,     /* 2 */
    SLUICE_DOCA_TCP_FLAGS = 22,    /* 1 */
    SLUICE_DOCA_ICMP_TYPE = 23,    /* 1 */
    SLUICE_DOCA_ICMP_CODE = 24,    /* 1 */
    SLUICE_DOCA_FIELDS = 25,
};

enum sluice_doca_kind {
    SLUICE_DOCA_BASIC = 0,
    SLUICE_DOCA_CONTROL = 1,
    SLUICE_DOCA_LPM = 2,
    SLUICE_DOCA_ACL = 4,
};

enum sluice_doca_forward {
    SLUICE_DOCA_NONE = 0,   /* a control pipe's own */
    SLUICE_DOCA_DROP = 1,
    SLUICE_DOCA_PORT = 2,   /* `port` */
    SLUICE_DOCA_PIPE = 3,   /* `pipe` */
    SLUICE_DOCA_KERNEL = 4,
    SLUICE_DOCA_EACH = 5,   /* of a pipe: each entry says */
    SLUICE_DOCA_QUEUE = 6,  /* an entry's: the software queue `port` of sluice_doca_queue_open */
};

/* What opens a device. Text is NUL-terminated. */
struct sluice_doca_device {
    char pci[16];
    uint32_t queue_depth;
    uint32_t counters;      /* non-shared ones to reserve, for entries and misses together */
    uint32_t actions_memory; /* a power of two from 64, or 0 */
    uint16_t wire_port;     /* the id that the device's own port gets */
    uint16_t zones;         /* bits of pkt_meta that are a connection's zone, with `connections` */
    uint32_t connections;   /* of each family, to be tracked at most; 0: no connection tracking */
};

struct sluice_doca_representor {
    char vuid[128];
    char pci[16];
    char interface_name[64];
};

/* One field of a pipe's match. `each` 1: every entry says, under `mask`; 0: `value` under `mask`, for all entries. */
struct sluice_doca_match {
    uint8_t field;
    uint8_t each;
    uint8_t reserved[6];
    uint8_t value[16];
    uint8_t mask[16];
};

struct sluice_doca_pipe {
    char name[48];
    uint32_t kind;
    uint32_t root;         /* 0, 1 */
    uint32_t entries;      /* the most there will be */
    uint32_t transport;    /* which header SRC_PORT and the like are looked for in: 1 TCP, 2 UDP, 3 ICMP, 4 ICMPv6 */
    uint32_t counted;      /* every entry has a counter */
    uint32_t miss_counted;
    uint32_t sets_meta;    /* every entry writes pkt_meta */
    uint32_t forward;      /* enum sluice_doca_forward */
    uint32_t forward_port;
    uint32_t miss;
    uint64_t forward_pipe;
    uint64_t miss_pipe;
    uint32_t nr_matches;
    uint32_t reserved;
    struct sluice_doca_match matches[16];
};

/* Heads an entry in a batch; behind it stand the octets of the fields marked `each`, in the pipe's order, and for control,
 * LPM and ACL pipes as many octets of mask. The next head follows at the next multiple of 8. */
struct sluice_doca_entry {
    uint32_t forward;
    uint32_t forward_port;
    uint64_t forward_pipe;
    uint32_t priority;  /* control, ACL: lower first */
    uint32_t transport; /* ACL: 1 TCP, 2 UDP */
    uint32_t meta;      /* host order, for pipes that set it */
    uint32_t reserved;
};

struct sluice_doca_count {
    uint64_t packets;
    uint64_t octets;
};

/* A connection by its first packet. Addresses of IPv4 are the first four octets; those and ports are in network order. */
struct sluice_doca_connection {
    uint8_t source[16], destination[16];
    uint8_t source_port[2], destination_port[2];
    uint8_t protocol; /* 6, 17 */
    uint8_t ip6;
    uint16_t reserved;
    uint32_t zone;   /* host order; packets carry it in pkt_meta */
    uint32_t idle_s; /* reported as aged after so long without a packet of either direction */
};

struct sluice_doca_facts {
    char built_for[32];  /* release of the headers */
    char running[32];    /* release of the library */
    uint32_t shape;      /* 30, 32, 33 */
    uint32_t updates;    /* 1: entries can be updated in place */
    uint32_t emulated;   /* 1: the library is the emulator */
    uint32_t tracking;   /* 1: connections can be tracked: release, build and every device there say so */
    uint64_t pipes;      /* the most that there can be at a time; 0: the library does not say */
    uint64_t entries;    /* of all pipes together; 0 likewise */
};

/* ABI number, and the sizes of the structures above in that order: an FFI checks them before anything else. Gives the number
 * of sizes; writes at most `count`. */
int32_t sluice_doca_abi(void);
int32_t sluice_doca_layout(uint32_t *sizes, uint32_t count);
/* Text of a code, never NULL, static. */
const char *sluice_doca_text(int32_t code);
int32_t sluice_doca_facts(struct sluice_doca_facts *out);

/* Devices whose ports could be fenced, without starting anything: PCI addresses of 16 octets each. Gives how many there are. */
int32_t sluice_doca_devices(char (*pci)[16], uint32_t room);
/* Library, queues, the device and its own port, in the documented order. There is one at a time in a process. */
int32_t sluice_doca_open(const struct sluice_doca_device *device);
/* Everything down again, in the reverse order. Also after a failed open. */
int32_t sluice_doca_close(void);
/* Gives how many representors the device has; writes at most `room`. */
int32_t sluice_doca_representors(struct sluice_doca_representor *out, uint32_t room);
int32_t sluice_doca_port_start(const char *vuid, uint16_t port);
/* What the switch does with what its root does not know: 1 drop, 0 the kernel. SDK before 3.2: DOCA_ERROR_NOT_SUPPORTED. */
int32_t sluice_doca_default_miss(uint32_t drop);

/* A software queue, 0 to 2, before any pipe forwards to it, for frames of up to `longest` octets. SDK before 3.3:
 * DOCA_ERROR_NOT_SUPPORTED. */
int32_t sluice_doca_queue_open(uint32_t queue, uint32_t longest);
/* Copies out what waits, at most `room` frames; gives how many. Each record is `stride` octets: the frame's length and how much of
 * it is kept, 4 octets each, then that much of it. Frames that found the queue full are gone. */
int32_t sluice_doca_queue_take(uint32_t queue, uint8_t *out, uint32_t stride, uint32_t room);
/* Puts a frame out as the Arm: through the netdevice that it has for the representor, or for the device itself (NULL). */
int32_t sluice_doca_send(const char *vuid, const uint8_t *frame, uint32_t length);

int32_t sluice_doca_pipe_create(const struct sluice_doca_pipe *pipe, uint64_t *handle);
/* Its entries go with it: settle first. */
int32_t sluice_doca_pipe_destroy(uint64_t pipe);
/* `forward` DROP or PIPE. */
int32_t sluice_doca_pipe_update_miss(uint64_t pipe, uint32_t forward, uint64_t target);
int32_t sluice_doca_pipe_missed(uint64_t pipe, struct sluice_doca_count *out);

/* A pipe that tracks connections: what belongs to one goes to `hit`, the rest to `miss`. */
int32_t sluice_doca_tracker_create(uint64_t hit, uint64_t miss, uint64_t *handle);
/* As sluice_doca_entries_add and _remove. A connection that is there already is refused with DOCA_ERROR_ALREADY_EXIST; one that
 * failed has to be removed too, and is gone at once. */
int32_t sluice_doca_connections_add(uint64_t tracker, const struct sluice_doca_connection *list, uint32_t count,
                                    uint64_t *handles, int32_t *refused);
int32_t sluice_doca_connections_remove(const uint64_t *handles, uint32_t count, int32_t *refused);
/* Two for each: what came the way of the first packet, and what came back. */
int32_t sluice_doca_connections_count(const uint64_t *handles, uint32_t count, struct sluice_doca_count *out);
/* Those that have been idle for too long, each told once; gives how many. They stay until they are removed. */
int32_t sluice_doca_connections_aged(uint64_t *handles, uint32_t room);

/* Queues `count` entries; `batch` is `octets` long. Writes a handle for each that was queued and gives how many were: fewer than
 * `count` when one was refused, whose code is then in `*refused`. They are in force when settle says so. */
int32_t sluice_doca_entries_add(uint64_t pipe, const uint8_t *batch, uint32_t octets, uint32_t count, uint64_t *handles,
                                int32_t *refused);
/* Queues removals. Gives how many were queued; `*refused` as above. */
int32_t sluice_doca_entries_remove(const uint64_t *handles, uint32_t count, int32_t *refused);
/* Queues new forwards, basic pipes only; `entry` says the forward, its other members count for nothing. */
int32_t sluice_doca_entry_update(uint64_t handle, const struct sluice_doca_entry *entry);
/* Processes until everything queued has completed, and after an update once more, so that the old rule is gone. Gives how many
 * completed since the last settle; ENTRY_FAILED when a callback said ERROR; NOT_COMPLETED after `timeout_ms`. */
int32_t sluice_doca_settle(uint32_t timeout_ms);
/* 0 gone or unknown, 1 under way, 2 in force, 3 failed, each a byte. */
int32_t sluice_doca_entries_state(const uint64_t *handles, uint32_t count, uint8_t *states);
/* Counters of entries of counted pipes; hardware refreshes them about once a second. */
int32_t sluice_doca_entries_count(const uint64_t *handles, uint32_t count, struct sluice_doca_count *out);

#endif
