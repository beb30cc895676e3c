/*
 * Layout of everything that the fence program, its loader and the agent share: map keys and values, events, verdict codes.
 * Fixed-width fields in natural alignment, no padding that is not named. src/backends/ebpf/layout.ts says the same for the
 * agent, and a test compares the two through sluice_ebpf_layout(). FENCE_LAYOUT rises with every change.
 *
 * Addresses are 16 octets in network order; an IPv4 address stands in the first four, the rest is zero. Ports are in host order.
 */
#ifndef FENCE_H
#define FENCE_H

#include <linux/types.h>

#define FENCE_LAYOUT 4

#define FENCE_SLOTS 2           /* generations that can exist side by side: the live one and the staged one */
#define FENCE_TENANTS 8192      /* numbers of workspaces */
#define FENCE_FLOWS_LEAST 4096    /* flows of one workspace, whatever the others do ... */
#define FENCE_FLOWS_MOST 65536    /* ... and when it is nearly alone */
#define FENCE_LEARNED 131072
#define FENCE_CLAUSES 4         /* clauses that may have learnt one tuple */
#define FENCE_SESSIONS 65536    /* peers with a session open, of all workspaces */
#define FENCE_EVENTS (1 << 20)  /* octets of the ring buffer */

#define FENCE_PREFIX_BITS 64    /* bits of a prefix key before the address */
#define FENCE_MAX_PREFIXES 129  /* lengths that one address can be inside of */
#define FENCE_RANGE_STEPS 20    /* halvings: a million ranges behind one prefix */

/* A workspace that asks for refusals or causes events faster than this is answered by silence. Nanoseconds. */
#define FENCE_REFUSAL_EVERY 500000ull  /* 2,000 a second ... */
#define FENCE_REFUSAL_BURST 500000000ull /* ... after the first 1,000 */
#define FENCE_EVENT_EVERY 5000000ull   /* 200 a second ... */
#define FENCE_EVENT_BURST 5000000000ull /* ... after the first 1,000 */

enum fence_protocol { FENCE_TCP = 0, FENCE_UDP = 1, FENCE_ECHO = 2, FENCE_PROTOCOL_NONE = 255 };
enum fence_direction { FENCE_EGRESS = 0, FENCE_INGRESS = 1 };
/* In place of a direction in the key of a prefix: ingress that counts only for the peer of an open session. */
#define FENCE_SESSION 2
enum fence_class { FENCE_PUBLIC = 0, FENCE_RESERVED = 1, FENCE_NEVER = 2 };

/* What a key says. The two grant kinds equal the directions. */
enum fence_kind {
    FENCE_KIND_EGRESS = 0,
    FENCE_KIND_INGRESS = 1,
    FENCE_KIND_OWN = 2,
    FENCE_KIND_GATEWAY = 3,
    FENCE_KIND_SERVICE = 4,
    FENCE_KIND_CLAUSE = 5, /* the address field holds the first 16 octets of the clause's digest */
};

/* The order of DROP_REASONS in plan/state.ts. */
enum fence_drop {
    FENCE_QUARANTINED,
    FENCE_SUSPENDED,
    FENCE_NOT_ATTACHED,
    FENCE_LINK_LAYER,
    FENCE_NOISE,
    FENCE_SPOOF,
    FENCE_FRAGMENT,
    FENCE_MALFORMED,
    FENCE_DNS,
    FENCE_CONTROL_PORT,
    FENCE_RESERVED_DESTINATION,
    FENCE_NEVER_DESTINATION,
    FENCE_ICMP_ERROR,
    FENCE_NO_FLOW,
    FENCE_NO_GRANT,
    FENCE_DROPS,
};

enum fence_allow {
    FENCE_SERVICE,
    FENCE_NEIGHBOUR,
    FENCE_INGRESS_REPLY,
    FENCE_FLOW,
    FENCE_STATIC_GRANT,
    FENCE_LEARNED_GRANT,
    FENCE_ICMP_ERROR_OF_FLOW,
    FENCE_EGRESS_REPLY,
    FENCE_INGRESS_GRANT,
    FENCE_OBSERVED,
};

enum fence_refusal { FENCE_SILENT = 0, FENCE_TCP_RESET = 1, FENCE_ICMP_PROHIBITED = 2 };

/* The verdict word in skb->cb[0]: code, whether it drops, how it refuses, and that it is one of ours. */
#define FENCE_VERDICT_DROP 0x100u
#define FENCE_VERDICT_REFUSAL_SHIFT 9
#define FENCE_VERDICT_MARK 0x51c00000u

/* Rows of `counts`, after one row for each reason. Per CPU. */
enum fence_count {
    FENCE_COUNT_FLOWS_FULL = FENCE_DROPS, /* new flows refused because the table was full */
    FENCE_COUNT_EVENTS_UNSENT,            /* denials kept back by the token bucket */
    FENCE_COUNT_EVENTS_FULL,              /* denials that found the ring buffer full */
    FENCE_COUNT_REFUSALS_UNSENT,          /* resets and errors kept back by the token bucket */
    FENCE_COUNT_OBSERVED,                 /* flows that began although nothing grants them (plan/observe.ts) */
    FENCE_COUNTS,
};

struct fence_exact_key {
    __u32 address[4];
    __u32 index; /* of the workspace, within the generation */
    __u16 port;
    __u8 protocol;
    __u8 kind; /* enum fence_kind, and 0x80 for IPv6 */
};

/*
 * Grants of one address and one port lie in buckets of one cache line, in a table that is made once and never changes: a
 * packet meets one cache miss where a chained table would cost it two or three. A bucket holds four grants of IPv4 or two of
 * IPv6, first come first; those that found it full are in `facts`, under their whole key, and the bucket says so.
 */
#define FENCE_BUCKET 64
#define FENCE_BUCKET_V4 4
#define FENCE_BUCKET_V6 2
#define FENCE_BUCKET_FULL 0x80000000u /* in the last `grant` of a bucket: there is more in `facts` */

struct fence_exact4 {
    __u32 address;
    __u32 index;
    __u16 port;
    __u8 protocol;
    __u8 kind;
    __u32 grant; /* 1 + index; 0: empty */
};
struct fence_exact6 {
    __u32 address[4];
    __u32 index;
    __u16 port;
    __u8 protocol;
    __u8 kind;
    __u32 zero;
    __u32 grant;
};

struct fence_prefix_key {
    __u32 bits; /* 64 + length */
    __u32 index;
    __u8 direction;
    __u8 protocol;
    __u8 family;
    __u8 zero;
    __u32 address[4];
};

/* Two lists of ranges behind a prefix: of every grant, and of those that open reserved addresses. */
struct fence_prefix {
    __u32 any_first;
    __u32 any_count;
    __u32 open_first;
    __u32 open_count;
    __u32 up; /* bits of the next shorter prefix that covers this one; 0 when there is none */
};

struct fence_range {
    __u16 from;
    __u16 to;
    __u32 grant;
};

struct fence_class_key {
    __u32 bits; /* 32 + length */
    __u32 family;
    __u32 address[4];
};

#define FENCE_HAS_V4 1u
#define FENCE_HAS_V6 2u
#define FENCE_HAS_LINK_LOCAL 4u  /* own; when the workspace has an IPv6 address */
#define FENCE_HAS_LINK_LAYER 8u
#define FENCE_HAS_SERVICES 16u
#define FENCE_HAS_SESSIONS 32u   /* grants that ask for one */

/* One workspace in one generation, keyed by where its traffic appears. */
struct fence_workspace {
    __u32 index;
    __u32 tenant;
    __u32 flags;
    __u32 exact4_mask; /* buckets of IPv4, less one; those of IPv6 follow them */
    __u64 tcp_ns;
    __u64 udp_ns;
    __u64 icmp_ns;
    __u64 deadline_ns; /* boot-time clock; 0: none */
    __u32 v4[4];       /* the first address of each family; others are in `exact` */
    __u32 v6[4];
    __u32 link_local[4];
    __u32 gateway_link_local[4];
    __u8 mac[6];
    __u8 gateway_mac[6];
    __u32 exact6_mask;
    __u64 observe_ns;  /* boot-time clock; 0: nothing is observed */
    __u8 observe[16];  /* the clause that says so */
};

#define FENCE_FLAG_QUARANTINED 1u
#define FENCE_FLAG_SUSPENDED 2u

/* Beside and above every generation. Written by the agent alone. */
struct fence_tenant {
    __u64 epoch; /* flows of another epoch are dead */
    __u32 flags;
    __u32 zero;
};

/* Token buckets (as the time when the bucket is full again). Written by the program alone. */
struct fence_bucket {
    __u64 refusals_ns;
    __u64 events_ns;
};

struct fence_flow_key {
    __u32 local[4];
    __u32 peer[4];
    __u16 local_port;
    __u16 peer_port;
    __u8 protocol;
    __u8 family;
    __u16 zero;
};

#define FENCE_BASIS_STATIC 0
#define FENCE_BASIS_LEARNED 1
#define FENCE_BASIS_OBSERVED 2
#define FENCE_BASIS_SESSION 3
#define FENCE_CLOSED_LOCAL 1u
#define FENCE_CLOSED_PEER 2u

struct fence_flow {
    __u64 word; /* the generation word that `grant` was judged under */
    __u64 last_ns;
    __u64 epoch;
    __u64 packets; /* not yet counted under the grant */
    __u64 octets;
    __u8 clause[16]; /* of a learned or observed flow */
    __u32 grant;     /* 1 + index of the grant; 0 for none */
    __u8 direction;
    __u8 basis;
    __u8 closed;
    __u8 answered; /* of an observed flow: that was told */
};

struct fence_learned_key {
    __u32 address[4];
    __u32 tenant;
    __u16 port;
    __u8 protocol;
    __u8 family;
};

struct fence_learned {
    __u8 clause[FENCE_CLAUSES][16];
    __u64 expires_ns[FENCE_CLAUSES]; /* boot-time clock; 0: empty */
};

/* A peer with a session open. Written by the agent alone. */
struct fence_session_key {
    __u32 address[4];
    __u32 tenant;
    __u8 family;
    __u8 zero[3];
};

struct fence_session {
    __u64 expires_ns; /* boot-time clock */
    __u64 expires_ms; /* since 1970, for the next agent */
};

/* The boot-time clock as last read by this CPU. */
struct fence_clock {
    __u64 jiffies;
    __u64 boot_ns;
};

struct fence_counter {
    __u64 packets;
    __u64 octets;
};

/* What `direction` of an event says. Observed: what nothing grants began, and was answered; `reason` is what it would have been. */
enum fence_told { FENCE_TOLD_FROM = 0, FENCE_TOLD_TO = 1, FENCE_TOLD_OBSERVED = 2, FENCE_TOLD_ANSWERED = 3 };

struct fence_event {
    __u64 at_ns;
    __u64 word;
    __u32 tenant;
    __u32 attachment;
    __u8 direction; /* enum fence_told */
    __u8 reason;
    __u8 protocol; /* IANA */
    __u8 family;   /* 4, 6, or 0 when there is no IP header */
    __u16 source_port;
    __u16 destination_port;
    __u32 source[4];
    __u32 destination[4];
};

/* The name of an interface, or how it begins. */
struct fence_name {
    __u32 bits;
    char name[16];
};

/* Who made the pins, for the next agent. */
struct fence_about {
    __u32 layout;
    __u32 mark; /* of the fence's own refusals on their way back to the workspace; a random number of this installation */
    __u64 made_ns;
    __u8 object_digest[32];
};

#endif
