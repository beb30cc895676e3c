/* Connection tracking: a pipe that knows five-tuples. A connection is found or prepared, then added; one connection is two
 * rules, one for each direction. The CT queues are numbered after the pipe queues. */
#ifndef DOCA_FLOW_CT_H_
#define DOCA_FLOW_CT_H_

#include "doca_bitfield.h"
#include "doca_dev.h"
#include "doca_flow.h"

enum doca_flow_ct_flags {
    DOCA_FLOW_CT_FLAG_STATS = 1,
    DOCA_FLOW_CT_FLAG_WORKER_STATS = 2,
    DOCA_FLOW_CT_FLAG_NO_AGING = 4,
    DOCA_FLOW_CT_FLAG_ASYMMETRIC_TUNNEL = 8,
    DOCA_FLOW_CT_FLAG_NO_COUNTER = 16,
    DOCA_FLOW_CT_FLAG_WIRE_TO_WIRE = 32,
    DOCA_FLOW_CT_FLAG_DUP_FILTER_UDP_ONLY = 64,
};

enum doca_flow_ct_entry_flags {
    DOCA_FLOW_CT_ENTRY_FLAGS_NO_WAIT = 1,
    DOCA_FLOW_CT_ENTRY_FLAGS_DIR_ORIGIN = 2,
    DOCA_FLOW_CT_ENTRY_FLAGS_DIR_REPLY = 4,
    DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_ORIGIN = 8,
    DOCA_FLOW_CT_ENTRY_FLAGS_IPV6_REPLY = 16,
    DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_ORIGIN = 32,
    DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_REPLY = 64,
    DOCA_FLOW_CT_ENTRY_FLAGS_COUNTER_SHARED = 128,
    DOCA_FLOW_CT_ENTRY_FLAGS_ENTRY_FINALIZE = 256,
    DOCA_FLOW_CT_ENTRY_FLAGS_ALLOC_ON_MISS = 512,
    DOCA_FLOW_CT_ENTRY_FLAGS_DUP_FILTER_ORIGIN = 1024,
    DOCA_FLOW_CT_ENTRY_FLAGS_DUP_FILTER_REPLY = 2048,
    DOCA_FLOW_CT_ENTRY_FLAGS_STATS_UPDATES = 4096,
};

struct doca_flow_ct_match4 {
    struct {
        doca_be16_t src_port;
        doca_be16_t dst_port;
    } l4_port;
    doca_be32_t src_ip;
    doca_be32_t dst_ip;
    doca_be32_t metadata;
    uint8_t next_proto;
};

struct doca_flow_ct_match6 {
    struct {
        doca_be16_t src_port;
        doca_be16_t dst_port;
    } l4_port;
    doca_be32_t src_ip[4];
    doca_be32_t dst_ip[4];
    doca_be32_t metadata;
    uint8_t next_proto;
};

struct doca_flow_ct_match {
    union {
        struct doca_flow_ct_match4 ipv4;
        struct doca_flow_ct_match6 ipv6;
    };
};

#if DOCA_EMULATED_SHAPE == 30
#define doca_flow_ct_meta doca_flow_meta
#else
struct doca_flow_ct_meta {
    struct doca_flow_meta flow;
    doca_be32_t mark;
};
#endif

/* Actions of a connection are not emulated: pass NULL, or resource_type NONE. */
struct doca_flow_ct_actions {
    enum doca_flow_resource_type resource_type;
    uint32_t action_handle;
};

struct doca_flow_ct_cfg;

DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cap_is_dev_supported(const struct doca_devinfo *info);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_create(struct doca_flow_ct_cfg **cfg);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_destroy(struct doca_flow_ct_cfg *cfg);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_set_flags(struct doca_flow_ct_cfg *cfg, uint32_t flags);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_set_queues(struct doca_flow_ct_cfg *cfg, uint32_t queues);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_set_ctrl_queues(struct doca_flow_ct_cfg *cfg, uint32_t queues);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_set_queue_depth(struct doca_flow_ct_cfg *cfg, uint32_t depth);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_set_aging_core(struct doca_flow_ct_cfg *cfg, uint32_t core);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_set_dup_filter_size(struct doca_flow_ct_cfg *cfg, uint32_t size);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_set_connections(struct doca_flow_ct_cfg *cfg, uint32_t nr_ipv4,
                                uint32_t nr_ipv6, uint32_t nr_total);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_cfg_set_direction(struct doca_flow_ct_cfg *cfg, bool is_reply,
                                  bool match_inner, struct doca_flow_meta *zone_match_mask,
                                  struct doca_flow_ct_meta *meta_modify_mask);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_init(const struct doca_flow_ct_cfg *cfg);
DOCA_EXPERIMENTAL void doca_flow_ct_destroy(void);

DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_entry_prepare(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
                              struct doca_flow_ct_match *match_origin, uint32_t hash_origin,
                              struct doca_flow_ct_match *match_reply, uint32_t hash_reply,
                              struct doca_flow_pipe_entry **entry, bool *found);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_entry_prepare_rollback(uint16_t queue, struct doca_flow_pipe *pipe,
                                   struct doca_flow_pipe_entry *entry);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_add_entry(
    uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags, struct doca_flow_ct_match *match_origin,
    struct doca_flow_ct_match *match_reply, const struct doca_flow_ct_actions *actions_origin,
    const struct doca_flow_ct_actions *actions_reply, uint32_t fwd_handle_origin, uint32_t fwd_handle_reply,
    uint32_t timeout_s, void *usr_ctx, struct doca_flow_pipe_entry *entry);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_rm_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
                             struct doca_flow_pipe_entry *entry);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_query_entry(uint16_t queue, struct doca_flow_pipe *pipe, uint32_t flags,
                            struct doca_flow_pipe_entry *entry,
                            struct doca_flow_resource_query *origin,
                            struct doca_flow_resource_query *reply, uint64_t *last_hit_s);
DOCA_EXPERIMENTAL doca_error_t doca_flow_ct_entries_process(struct doca_flow_port *port, uint16_t queue,
                                uint32_t min_room, uint32_t max_processed, uint32_t *room);

#endif
