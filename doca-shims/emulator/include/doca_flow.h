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
#include "doca_flow_structs.h"
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
