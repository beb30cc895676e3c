/* The part of DOCA Flow that the emulator gives: basic, control, LPM, ACL, hash and CT pipes; counters; aging; forwarding to
 * port, pipe, drop, software queues and the kernel. What is not declared here is not emulated; a value that is declared and
 * not emulated is refused with DOCA_ERROR_NOT_SUPPORTED, never ignored.
 *
 * Calls are shown in one of three shapes, see doca_version.h. Addresses, ports, EtherTypes and metadata are in network
 * order; parser_meta.port_id and fwd.port_id are in host order. */
#ifndef DOCA_FLOW_H_
#define DOCA_FLOW_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "doca_compat.h"
#include "doca_error.h"
#include "doca_flow_net.h"
#include "doca_types.h"
#include "doca_version.h"

struct doca_dev;
struct doca_dev_rep;
struct doca_devinfo;
struct doca_flow_cfg;
struct doca_flow_port_cfg;
struct doca_flow_pipe_cfg;
struct doca_flow_port;
struct doca_flow_pipe;
struct doca_flow_pipe_entry;
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

typedef void (*doca_flow_entry_process_cb)(struct doca_flow_pipe_entry *entry, uint16_t pipe_queue,
                       enum doca_flow_entry_status status, enum doca_flow_entry_op op,
                       void *user_ctx);
typedef void (*doca_flow_pipe_process_cb)(struct doca_flow_pipe *pipe, enum doca_flow_pipe_status status,
                      enum doca_flow_pipe_op op, void *user_ctx);

/* Library. Configuration objects may be destroyed right after use. */
DOCA_STABLE doca_error_t doca_flow_cfg_create(struct doca_flow_cfg **cfg);
DOCA_STABLE doca_error_t doca_flow_cfg_destroy(struct doca_flow_cfg *cfg);
DOCA_STABLE doca_error_t doca_flow_cfg_set_pipe_queues(struct doca_flow_cfg *cfg, uint16_t pipe_queues);
DOCA_STABLE doca_error_t doca_flow_cfg_set_queue_depth(struct doca_flow_cfg *cfg, uint32_t queue_depth);
DOCA_STABLE doca_error_t doca_flow_cfg_set_nr_counters(struct doca_flow_cfg *cfg, uint32_t nr_counters);
DOCA_STABLE doca_error_t doca_flow_cfg_set_nr_meters(struct doca_flow_cfg *cfg, uint32_t nr_meters);
DOCA_STABLE doca_error_t doca_flow_cfg_set_nr_acl_collisions(struct doca_flow_cfg *cfg, uint8_t collisions);
DOCA_STABLE doca_error_t doca_flow_cfg_set_mode_args(struct doca_flow_cfg *cfg, const char *mode_args);
DOCA_STABLE doca_error_t doca_flow_cfg_set_nr_shared_resource(struct doca_flow_cfg *cfg, uint32_t count,
                                  enum doca_flow_shared_resource_type type);
DOCA_STABLE doca_error_t doca_flow_cfg_set_cb_entry_process(struct doca_flow_cfg *cfg, doca_flow_entry_process_cb cb);
DOCA_STABLE doca_error_t doca_flow_cfg_set_cb_pipe_process(struct doca_flow_cfg *cfg, doca_flow_pipe_process_cb cb);
#if DOCA_EMULATED_SHAPE >= 32
DOCA_EXPERIMENTAL doca_error_t doca_flow_cfg_set_resource_mode(struct doca_flow_cfg *cfg,
                                   const enum doca_flow_resource_mode mode);
#endif
DOCA_STABLE doca_error_t doca_flow_init(struct doca_flow_cfg *cfg);
DOCA_STABLE void doca_flow_destroy(void);

/* Ports. */
DOCA_STABLE doca_error_t doca_flow_port_cfg_create(struct doca_flow_port_cfg **cfg);
DOCA_STABLE doca_error_t doca_flow_port_cfg_destroy(struct doca_flow_port_cfg *cfg);
DOCA_STABLE doca_error_t doca_flow_port_cfg_set_port_id(struct doca_flow_port_cfg *cfg, uint16_t port_id);
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_cfg_set_dev(struct doca_flow_port_cfg *cfg, struct doca_dev *dev);
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_cfg_set_dev_rep(struct doca_flow_port_cfg *cfg,
                                  struct doca_dev_rep *rep);
DOCA_STABLE doca_error_t doca_flow_port_cfg_set_devargs(struct doca_flow_port_cfg *cfg, const char *devargs);
DOCA_STABLE doca_error_t doca_flow_port_cfg_set_priv_data_size(struct doca_flow_port_cfg *cfg, uint16_t size);
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_cfg_set_actions_mem_size(struct doca_flow_port_cfg *cfg, uint32_t size);
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_cfg_set_operation_state(struct doca_flow_port_cfg *cfg,
                                      enum doca_flow_port_operation_state state);
#if DOCA_EMULATED_SHAPE >= 32
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_cfg_set_nr_resources(struct doca_flow_port_cfg *cfg,
                                   enum doca_flow_resource resource, uint32_t count);
#endif
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_start(const struct doca_flow_port_cfg *cfg, struct doca_flow_port **port);
DOCA_STABLE doca_error_t doca_flow_port_stop(struct doca_flow_port *port);
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_pair(struct doca_flow_port *port, struct doca_flow_port *pair);
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_operation_state_modify(struct doca_flow_port *port,
                                     enum doca_flow_port_operation_state state);
DOCA_STABLE struct doca_flow_port *doca_flow_port_switch_get(const struct doca_flow_port *port);
DOCA_STABLE void doca_flow_port_pipes_flush(struct doca_flow_port *port);
DOCA_STABLE uint8_t *doca_flow_port_priv_data(struct doca_flow_port *port);
#if DOCA_EMULATED_SHAPE >= 32
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_update_default_miss(struct doca_flow_port *port,
                                  enum doca_flow_port_default_miss_type type,
                                  bool counter);
#endif
#if DOCA_EMULATED_SHAPE >= 33
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_query_default_miss(struct doca_flow_port *port,
                                 struct doca_flow_resource_query *query);
#endif

/* Pipes. */
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_create(struct doca_flow_pipe_cfg **cfg, struct doca_flow_port *port);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_destroy(struct doca_flow_pipe_cfg *cfg);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_name(struct doca_flow_pipe_cfg *cfg, const char *name);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_label(struct doca_flow_pipe_cfg *cfg, const char *label);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_type(struct doca_flow_pipe_cfg *cfg, enum doca_flow_pipe_type type);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_domain(struct doca_flow_pipe_cfg *cfg,
                               enum doca_flow_pipe_domain domain);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_is_root(struct doca_flow_pipe_cfg *cfg, bool is_root);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_miss_counter(struct doca_flow_pipe_cfg *cfg, bool miss_counter);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_nr_entries(struct doca_flow_pipe_cfg *cfg, uint32_t nr_entries);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_match(struct doca_flow_pipe_cfg *cfg,
                              const struct doca_flow_match *match,
                              const struct doca_flow_match *match_mask);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_actions(struct doca_flow_pipe_cfg *cfg,
                            struct doca_flow_actions *const *actions,
                            struct doca_flow_actions *const *actions_masks,
                            struct doca_flow_action_descs *const *action_descs,
                            size_t nr_actions);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_monitor(struct doca_flow_pipe_cfg *cfg,
                            const struct doca_flow_monitor *monitor);
DOCA_STABLE doca_error_t doca_flow_pipe_cfg_set_user_ctx(struct doca_flow_pipe_cfg *cfg, void *user_ctx);
DOCA_STABLE doca_error_t doca_flow_pipe_create(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
                           const struct doca_flow_fwd *fwd_miss, struct doca_flow_pipe **pipe);
DOCA_STABLE void doca_flow_pipe_destroy(struct doca_flow_pipe *pipe);
DOCA_STABLE void doca_flow_pipe_dump(struct doca_flow_pipe *pipe, FILE *file);
DOCA_STABLE doca_error_t doca_flow_pipe_update_miss(struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd_miss);
DOCA_STABLE doca_error_t doca_flow_pipe_calc_hash(struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
                          uint32_t *hash);
DOCA_STABLE doca_error_t doca_flow_get_target(enum doca_flow_target_type type, struct doca_flow_target **target);

/* Entries: queued by these calls, in force when the callback says SUCCESS inside doca_flow_entries_process. */
#if DOCA_EMULATED_SHAPE >= 33
DOCA_STABLE doca_error_t doca_flow_pipe_basic_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                            const struct doca_flow_match *match, uint8_t action_idx,
                            const struct doca_flow_actions *actions,
                            const struct doca_flow_monitor *monitor,
                            const struct doca_flow_fwd *fwd, uint32_t flags, void *usr_ctx,
                            struct doca_flow_pipe_entry **entry);
DOCA_STABLE doca_error_t doca_flow_pipe_control_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                              const struct doca_flow_match *match,
                              const struct doca_flow_match *match_mask,
                              const struct doca_flow_match_condition *condition,
                              const struct doca_flow_actions *actions,
                              const struct doca_flow_actions *actions_mask,
                              const struct doca_flow_action_descs *action_descs,
                              const struct doca_flow_monitor *monitor, uint32_t priority,
                              const struct doca_flow_fwd *fwd, void *usr_ctx,
                              struct doca_flow_pipe_entry **entry);
#else
DOCA_STABLE doca_error_t doca_flow_pipe_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                          const struct doca_flow_match *match,
#if DOCA_EMULATED_SHAPE == 32
                          uint8_t action_idx,
#endif
                          const struct doca_flow_actions *actions,
                          const struct doca_flow_monitor *monitor,
                          const struct doca_flow_fwd *fwd, uint32_t flags, void *usr_ctx,
                          struct doca_flow_pipe_entry **entry);
DOCA_STABLE doca_error_t doca_flow_pipe_control_add_entry(uint16_t pipe_queue, uint32_t priority,
                              struct doca_flow_pipe *pipe,
                              const struct doca_flow_match *match,
                              const struct doca_flow_match *match_mask,
                              const struct doca_flow_match_condition *condition,
                              const struct doca_flow_actions *actions,
                              const struct doca_flow_actions *actions_mask,
                              const struct doca_flow_action_descs *action_descs,
                              const struct doca_flow_monitor *monitor,
                              const struct doca_flow_fwd *fwd, void *usr_ctx,
                              struct doca_flow_pipe_entry **entry);
#endif

#if DOCA_EMULATED_SHAPE >= 32
DOCA_EXPERIMENTAL doca_error_t doca_flow_pipe_lpm_add_entry(
    uint16_t pipe_queue, struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
    const struct doca_flow_match *match_mask, uint8_t action_idx, const struct doca_flow_actions *actions,
    const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, uint32_t flags, void *usr_ctx,
    struct doca_flow_pipe_entry **entry);
DOCA_EXPERIMENTAL doca_error_t doca_flow_pipe_acl_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                                const struct doca_flow_match *match,
                                const struct doca_flow_match *match_mask,
                                uint8_t action_idx, const struct doca_flow_actions *actions,
                                uint32_t priority, const struct doca_flow_fwd *fwd,
                                uint32_t flags, void *usr_ctx,
                                struct doca_flow_pipe_entry **entry);
DOCA_EXPERIMENTAL doca_error_t doca_flow_pipe_hash_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                                 uint32_t entry_index, uint8_t action_idx,
                                 const struct doca_flow_actions *actions,
                                 const struct doca_flow_monitor *monitor,
                                 const struct doca_flow_fwd *fwd, uint32_t flags,
                                 void *usr_ctx, struct doca_flow_pipe_entry **entry);
#else
DOCA_EXPERIMENTAL doca_error_t doca_flow_pipe_lpm_add_entry(
    uint16_t pipe_queue, struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
    const struct doca_flow_match *match_mask, const struct doca_flow_actions *actions,
    const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, const enum doca_flow_flags_type flags,
    void *usr_ctx, struct doca_flow_pipe_entry **entry);
DOCA_EXPERIMENTAL doca_error_t doca_flow_pipe_acl_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                                const struct doca_flow_match *match,
                                const struct doca_flow_match *match_mask,
                                uint32_t priority, const struct doca_flow_fwd *fwd,
                                const enum doca_flow_flags_type flags, void *usr_ctx,
                                struct doca_flow_pipe_entry **entry);
DOCA_EXPERIMENTAL doca_error_t doca_flow_pipe_hash_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                                 uint32_t entry_index,
                                 const struct doca_flow_actions *actions,
                                 const struct doca_flow_monitor *monitor,
                                 const struct doca_flow_fwd *fwd,
                                 const enum doca_flow_flags_type flags, void *usr_ctx,
                                 struct doca_flow_pipe_entry **entry);
#endif

/* How 3.2 updates is not known; the emulator gives that shape no update at all, so that nothing comes to rely on a guess. */
#if DOCA_EMULATED_SHAPE >= 33
DOCA_STABLE doca_error_t doca_flow_pipe_basic_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                               uint8_t action_idx, const struct doca_flow_actions *actions,
                               const struct doca_flow_monitor *monitor,
                               const struct doca_flow_fwd *fwd, uint32_t flags,
                               struct doca_flow_pipe_entry *entry);
DOCA_EXPERIMENTAL doca_error_t doca_flow_pipe_lpm_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                                   uint8_t action_idx,
                                   const struct doca_flow_actions *actions,
                                   const struct doca_flow_monitor *monitor,
                                   const struct doca_flow_fwd *fwd, uint32_t flags,
                                   struct doca_flow_pipe_entry *entry);
DOCA_EXPERIMENTAL doca_error_t doca_flow_pipe_acl_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                                   uint8_t action_idx,
                                   const struct doca_flow_actions *actions,
                                   const struct doca_flow_fwd *fwd, uint32_t flags,
                                   struct doca_flow_pipe_entry *entry);
#elif DOCA_EMULATED_SHAPE == 30
DOCA_STABLE doca_error_t doca_flow_pipe_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                             const struct doca_flow_actions *actions,
                             const struct doca_flow_monitor *monitor,
                             const struct doca_flow_fwd *fwd,
                             const enum doca_flow_flags_type flags,
                             struct doca_flow_pipe_entry *entry);
#endif

DOCA_STABLE doca_error_t doca_flow_pipe_remove_entry(uint16_t pipe_queue, uint32_t flags,
                             struct doca_flow_pipe_entry *entry);
DOCA_STABLE doca_error_t doca_flow_entries_process(struct doca_flow_port *port, uint16_t pipe_queue, uint64_t timeout,
                           uint32_t max_processed_entries);
DOCA_STABLE enum doca_flow_entry_status doca_flow_pipe_entry_get_status(struct doca_flow_pipe_entry *entry);
DOCA_STABLE doca_error_t doca_flow_resource_query_entry(struct doca_flow_pipe_entry *entry,
                            struct doca_flow_resource_query *query);
DOCA_STABLE doca_error_t doca_flow_resource_query_pipe_miss(struct doca_flow_pipe *pipe,
                                struct doca_flow_resource_query *query);
DOCA_STABLE int doca_flow_aging_handle(struct doca_flow_port *port, uint16_t queue, uint64_t quota,
                       uint64_t max_entries);

/* Shared counters, the port form. */
#if DOCA_EMULATED_SHAPE >= 32
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_shared_resource_get(struct doca_flow_port *port,
                                  enum doca_flow_shared_resource_type type,
                                  uint32_t *id);
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_shared_resource_put(struct doca_flow_port *port,
                                  enum doca_flow_shared_resource_type type,
                                  uint32_t id);
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_shared_resource_set_cfg(struct doca_flow_port *port,
                                      enum doca_flow_shared_resource_type type,
                                      uint32_t id,
                                      struct doca_flow_shared_resource_cfg *cfg);
DOCA_EXPERIMENTAL doca_error_t doca_flow_port_shared_resources_query(struct doca_flow_port *port,
                                     enum doca_flow_shared_resource_type type,
                                     uint32_t *ids,
                                     struct doca_flow_resource_query *queries,
                                     uint32_t count);
#endif

#endif
