/* Enumerations and structures of doca_flow.h, which includes this. Numbers are those that programs and devices agree on; layouts
 * are the emulator's own, and differ between the shapes as the real ones do between releases. */
#ifndef DOCA_FLOW_STRUCTS_H_
#define DOCA_FLOW_STRUCTS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doca_flow_net.h"
#include "doca_types.h"
#include "doca_version.h"

struct doca_flow_pipe;
struct doca_flow_target;

#define DOCA_FLOW_META_SCRATCH_PAD_MAX 10
#define DOCA_FLOW_META_MAX 44
#define DOCA_FLOW_MAX_ENTRY_ACTIONS_MEM_SIZE 128

enum doca_flow_entry_status {
    DOCA_FLOW_ENTRY_STATUS_IN_PROCESS = 0,
    DOCA_FLOW_ENTRY_STATUS_SUCCESS = 1,
    DOCA_FLOW_ENTRY_STATUS_ERROR = 2,
};

enum doca_flow_entry_op {
    DOCA_FLOW_ENTRY_OP_ADD = 0,
    DOCA_FLOW_ENTRY_OP_DEL = 1,
    DOCA_FLOW_ENTRY_OP_UPD = 2,
    DOCA_FLOW_ENTRY_OP_AGED = 3,
};

enum doca_flow_pipe_status {
    DOCA_FLOW_PIPE_STATUS_SUCCESS = 1,
    DOCA_FLOW_PIPE_STATUS_ERROR = 2,
};

enum doca_flow_pipe_op {
    DOCA_FLOW_PIPE_OP_CONGESTION_REACHED = 0,
    DOCA_FLOW_PIPE_OP_RESIZED = 1,
    DOCA_FLOW_PIPE_OP_DESTROYED = 2,
};

enum doca_flow_pipe_type {
    DOCA_FLOW_PIPE_BASIC = 0,
    DOCA_FLOW_PIPE_CONTROL = 1,
    DOCA_FLOW_PIPE_LPM = 2,
    DOCA_FLOW_PIPE_CT = 3,
    DOCA_FLOW_PIPE_ACL = 4,
    DOCA_FLOW_PIPE_ORDERED_LIST = 5,
    DOCA_FLOW_PIPE_HASH = 6,
};

enum doca_flow_pipe_domain {
    DOCA_FLOW_PIPE_DOMAIN_DEFAULT = 0,
    DOCA_FLOW_PIPE_DOMAIN_SECURE_INGRESS = 1,
    DOCA_FLOW_PIPE_DOMAIN_EGRESS = 2,
    DOCA_FLOW_PIPE_DOMAIN_SECURE_EGRESS = 3,
};

enum doca_flow_fwd_type {
    DOCA_FLOW_FWD_NONE = 0,
    DOCA_FLOW_FWD_RSS = 1,
    DOCA_FLOW_FWD_PORT = 2,
    DOCA_FLOW_FWD_PIPE = 3,
    DOCA_FLOW_FWD_DROP = 4,
    DOCA_FLOW_FWD_TARGET = 5,
    DOCA_FLOW_FWD_ORDERED_LIST_PIPE = 6,
    DOCA_FLOW_FWD_HASH_PIPE = 7,
    DOCA_FLOW_FWD_CHANGEABLE = 100,
};

enum doca_flow_target_type { DOCA_FLOW_TARGET_KERNEL = 0 };

enum doca_flow_l2_meta {
    DOCA_FLOW_L2_META_NO_VLAN = 0,
    DOCA_FLOW_L2_META_MULTI_VLAN = 1,
    DOCA_FLOW_L2_META_SINGLE_VLAN = 2,
    DOCA_FLOW_L2_META_CUSTOM_VLAN = 3,
};

enum doca_flow_l3_meta {
    DOCA_FLOW_L3_META_NONE = 0,
    DOCA_FLOW_L3_META_IPV4 = 1,
    DOCA_FLOW_L3_META_IPV6 = 2,
};

enum doca_flow_l4_meta {
    DOCA_FLOW_L4_META_NONE = 0,
    DOCA_FLOW_L4_META_TCP = 1,
    DOCA_FLOW_L4_META_UDP = 2,
    DOCA_FLOW_L4_META_ICMP = 3,
    DOCA_FLOW_L4_META_ESP = 4,
};

enum doca_flow_meter_color {
    DOCA_FLOW_METER_COLOR_RED = 0,
    DOCA_FLOW_METER_COLOR_YELLOW = 1,
    DOCA_FLOW_METER_COLOR_GREEN = 2,
} __attribute__((packed));

enum doca_flow_resource_type {
    DOCA_FLOW_RESOURCE_TYPE_NONE = 0,
    DOCA_FLOW_RESOURCE_TYPE_SHARED = 1,
    DOCA_FLOW_RESOURCE_TYPE_NON_SHARED = 2,
};

/* The numbers moved when MIRROR went away: use the names. */
enum doca_flow_shared_resource_type {
    DOCA_FLOW_SHARED_RESOURCE_METER,
    DOCA_FLOW_SHARED_RESOURCE_COUNTER,
    DOCA_FLOW_SHARED_RESOURCE_RSS,
#if DOCA_EMULATED_SHAPE == 30
    DOCA_FLOW_SHARED_RESOURCE_MIRROR,
#endif
    DOCA_FLOW_SHARED_RESOURCE_PSP,
    DOCA_FLOW_SHARED_RESOURCE_ENCAP,
    DOCA_FLOW_SHARED_RESOURCE_DECAP,
    DOCA_FLOW_SHARED_RESOURCE_IPSEC_SA,
};

enum doca_flow_port_operation_state {
    DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE = 0,
    DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE_READY_TO_SWAP = 1,
    DOCA_FLOW_PORT_OPERATION_STATE_STANDBY = 2,
    DOCA_FLOW_PORT_OPERATION_STATE_UNCONNECTED = 3,
};

#if DOCA_EMULATED_SHAPE >= 32
enum doca_flow_resource {
    DOCA_FLOW_RESOURCE_METER = 0,
    DOCA_FLOW_RESOURCE_COUNTER = 1,
    DOCA_FLOW_RESOURCE_RSS = 2,
    DOCA_FLOW_RESOURCE_PSP = 3,
    DOCA_FLOW_RESOURCE_ENCAP = 4,
    DOCA_FLOW_RESOURCE_DECAP = 5,
    DOCA_FLOW_RESOURCE_IPSEC_SA = 6,
};

enum doca_flow_resource_mode {
    DOCA_FLOW_RESOURCE_MODE_SYSTEM = 0,
    DOCA_FLOW_RESOURCE_MODE_PORT = 1,
};

enum doca_flow_port_default_miss_type {
    DOCA_FLOW_PORT_DEFAULT_MISS_KERNEL = 0,
    DOCA_FLOW_PORT_DEFAULT_MISS_RSS = 1,
    DOCA_FLOW_PORT_DEFAULT_MISS_DROP = 2,
};
#endif

enum doca_rss_type {
    DOCA_FLOW_RSS_IPV4 = 1,
    DOCA_FLOW_RSS_IPV6 = 2,
    DOCA_FLOW_RSS_UDP = 4,
    DOCA_FLOW_RSS_TCP = 8,
    DOCA_FLOW_RSS_ESP = 16,
};

enum doca_flow_rss_hash_function {
    DOCA_FLOW_RSS_HASH_FUNCTION_TOEPLITZ = 0,
    DOCA_FLOW_RSS_HASH_FUNCTION_SYMMETRIC_TOEPLITZ = 1,
};

enum doca_flow_pipe_hash_map_algorithm {
    DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_HASH = 1,
    DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_RANDOM = 2,
    DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_IDENTITY = 4,
    DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_ROUND_ROBIN = 8,
    DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_FLOODING = 16,
    DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_SELECT_ENABLED = 32,
};

enum doca_flow_push_action_type { DOCA_FLOW_PUSH_ACTION_VLAN = 0 };

/* Before 3.3 the flags are 0 and 1 under other names: use the names. */
#if DOCA_EMULATED_SHAPE >= 33
enum doca_flow_entry_flags {
    DOCA_FLOW_ENTRY_FLAGS_NO_WAIT = 1,
    DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH = 2,
};
#define DOCA_FLOW_FLAGS_SET(flags, flag) ((flags) |= (flag))
#define DOCA_FLOW_FLAGS_UNSET(flags, flag) ((flags) &= ~(uint32_t)(flag))
#define DOCA_FLOW_FLAGS_IS_SET(flags, flag) (((flags) & (flag)) != 0)
#else
enum doca_flow_flags_type {
    DOCA_FLOW_NO_WAIT = 0,
    DOCA_FLOW_WAIT_FOR_BATCH = 1,
};
#endif

struct doca_flow_meta {
    doca_be32_t pkt_meta;
    doca_be32_t u32[DOCA_FLOW_META_SCRATCH_PAD_MAX];
#if DOCA_EMULATED_SHAPE == 30
    doca_be32_t mark;
#endif
};

struct doca_flow_parser_meta {
    uint16_t port_id;
    doca_be16_t random;
    uint8_t ipsec_syndrome;
    uint8_t ipsec_ar_syndrome;
    uint8_t psp_syndrome;
    enum doca_flow_meter_color meter_color;
    enum doca_flow_l2_meta outer_l2_type;
    enum doca_flow_l3_meta outer_l3_type;
    enum doca_flow_l4_meta outer_l4_type;
    enum doca_flow_l2_meta inner_l2_type;
    enum doca_flow_l3_meta inner_l3_type;
    enum doca_flow_l4_meta inner_l4_type;
    uint8_t outer_ip_fragmented;
    uint8_t inner_ip_fragmented;
    uint8_t outer_l3_ok;
    uint8_t outer_ip4_checksum_ok;
    uint8_t outer_l4_ok;
    uint8_t outer_l4_checksum_ok;
    uint8_t inner_l3_ok;
    uint8_t inner_ip4_checksum_ok;
    uint8_t inner_l4_ok;
    uint8_t inner_l4_checksum_ok;
};

/* In a pipe's match without a mask: 0 is ignored, all ones is given by each entry, anything else is the same for all entries. */
struct doca_flow_match {
#if DOCA_EMULATED_SHAPE == 30
    uint32_t flags;
#endif
    struct doca_flow_meta meta;
    struct doca_flow_parser_meta parser_meta;
    struct doca_flow_header_format outer;
    struct doca_flow_tun tun;
    struct doca_flow_header_format inner;
};

struct doca_flow_desc_field {
    const char *field_string;
    uint32_t bit_offset;
};

enum doca_flow_compare_op {
    DOCA_FLOW_COMPARE_EQ = 0,
    DOCA_FLOW_COMPARE_NE = 1,
    DOCA_FLOW_COMPARE_LT = 2,
    DOCA_FLOW_COMPARE_LE = 3,
    DOCA_FLOW_COMPARE_GT = 4,
    DOCA_FLOW_COMPARE_GE = 5,
};

struct doca_flow_match_condition {
    enum doca_flow_compare_op operation;
    struct {
        struct doca_flow_desc_field a;
        struct doca_flow_desc_field b;
        uint32_t width;
    } field_op;
};

enum doca_flow_action_type {
    DOCA_FLOW_ACTION_AUTO = 0,
    DOCA_FLOW_ACTION_ADD = 1,
    DOCA_FLOW_ACTION_COPY = 2,
};

struct doca_flow_action_desc {
    enum doca_flow_action_type type;
    struct {
        struct doca_flow_desc_field src;
        struct doca_flow_desc_field dst;
        uint32_t width;
    } field_op;
};

struct doca_flow_action_descs {
    uint8_t nb_action_desc;
    struct doca_flow_action_desc *desc_array;
};

struct doca_flow_push_action {
    enum doca_flow_push_action_type type;
    struct {
        doca_be16_t eth_type;
        struct doca_flow_header_eth_vlan vlan_hdr;
    } vlan;
};

struct doca_flow_actions {
#if DOCA_EMULATED_SHAPE == 30
    uint8_t action_idx;
    uint32_t flags;
#endif
    enum doca_flow_resource_type decap_type;
    bool pop_vlan;
    struct doca_flow_meta meta;
    struct doca_flow_parser_meta parser_meta;
    struct doca_flow_header_format outer;
    struct doca_flow_tun tun;
    enum doca_flow_resource_type encap_type;
    bool has_push;
    struct doca_flow_push_action push;
    bool has_crypto_encap;
};

struct doca_flow_resource_rss_cfg {
    uint32_t outer_flags;
    uint32_t inner_flags;
    uint16_t *queues_array;
    int nr_queues;
    enum doca_flow_rss_hash_function rss_hash_func;
};

struct doca_flow_fwd {
    enum doca_flow_fwd_type type;
    union {
        struct {
            enum doca_flow_resource_type rss_type;
            union {
                struct doca_flow_resource_rss_cfg rss;
                uint32_t shared_rss_id;
            };
        };
        struct {
            uint16_t port_id;
        };
        struct {
            struct doca_flow_pipe *next_pipe;
        };
        struct {
            struct doca_flow_pipe *pipe;
            uint32_t idx;
        } ordered_list_pipe;
        struct {
            struct doca_flow_target *target;
        };
        struct {
            struct doca_flow_pipe *pipe;
            enum doca_flow_pipe_hash_map_algorithm algorithm;
        } hash_pipe;
    };
};

struct doca_flow_monitor {
    enum doca_flow_resource_type meter_type;
    struct {
        uint32_t shared_meter_id;
        enum doca_flow_meter_color meter_init_color;
    } shared_meter;
    enum doca_flow_resource_type counter_type;
    struct {
        uint32_t shared_counter_id;
    } shared_counter;
#if DOCA_EMULATED_SHAPE == 30
    uint32_t shared_mirror_id;
#endif
    uint32_t aging_sec;
};

struct doca_flow_resource_query {
    struct {
        uint64_t total_bytes;
        uint64_t total_pkts;
    } counter;
};

struct doca_flow_shared_resource_cfg {
    struct doca_flow_resource_rss_cfg rss_cfg;
};

#endif
