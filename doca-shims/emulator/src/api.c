/* The entry calls in the shape of the release that is shown (doca_version.h), each handed on as one request. Only names and
 * the order of arguments are told apart here; what they mean is in entry.c. */
#include "internal.h"

/* Gives false for flags that say both. */
static bool flags_good(uint32_t flags, bool *batch)
{
#if DOCA_EMULATED_SHAPE >= 33
    *batch = flags == DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH;
    return flags <= DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH;
#else
    *batch = flags == DOCA_FLOW_WAIT_FOR_BATCH;
    return flags <= DOCA_FLOW_WAIT_FOR_BATCH;
#endif
}

#if DOCA_EMULATED_SHAPE == 30
#define INDEX_PARAMETER
#define INDEX (actions ? actions->action_idx : 0)
/* The index stands inside the actions and is none of what they do. */
#define PLAIN_ACTIONS \
    struct doca_flow_actions plain; \
    if (actions) { \
        plain = *actions; \
        plain.action_idx = 0; \
    }
#define ACTIONS (actions ? &plain : NULL)
#define FLAGS const enum doca_flow_flags_type
#else
#define INDEX_PARAMETER uint8_t action_idx,
#define INDEX action_idx
#define PLAIN_ACTIONS
#define ACTIONS actions
#define FLAGS uint32_t
#endif

#if DOCA_EMULATED_SHAPE >= 33
#define BASIC_ADD doca_flow_pipe_basic_add_entry
#else
#define BASIC_ADD doca_flow_pipe_add_entry
#endif

doca_error_t BASIC_ADD(uint16_t pipe_queue, struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
               INDEX_PARAMETER const struct doca_flow_actions *actions,
               const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, uint32_t flags,
               void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
    PLAIN_ACTIONS
    struct emu_request request = { .queue = pipe_queue,
                       .pipe = pipe,
                       .match = match,
                       .action_index = INDEX,
                       .actions = ACTIONS,
                       .monitor = monitor,
                       .fwd = fwd,
                       .usr_ctx = usr_ctx,
                       .entry = entry };
    if (!flags_good(flags, &request.batch))
        return DOCA_ERROR_INVALID_VALUE;
    return emu_entry_add(DOCA_FLOW_PIPE_BASIC, &request);
}

doca_error_t doca_flow_pipe_control_add_entry(uint16_t pipe_queue,
#if DOCA_EMULATED_SHAPE < 33
                          uint32_t priority,
#endif
                          struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
                          const struct doca_flow_match *match_mask,
                          const struct doca_flow_match_condition *condition,
                          const struct doca_flow_actions *actions,
                          const struct doca_flow_actions *actions_mask,
                          const struct doca_flow_action_descs *action_descs,
                          const struct doca_flow_monitor *monitor,
#if DOCA_EMULATED_SHAPE >= 33
                          uint32_t priority,
#endif
                          const struct doca_flow_fwd *fwd, void *usr_ctx,
                          struct doca_flow_pipe_entry **entry)
{
    if (condition || (action_descs && action_descs->nb_action_desc > 0))
        return DOCA_ERROR_NOT_SUPPORTED;
    struct emu_request request = { .queue = pipe_queue,
                       .pipe = pipe,
                       .match = match,
                       .mask = match_mask,
                       .actions = actions,
                       .actions_mask = actions_mask,
                       .monitor = monitor,
                       .priority = priority,
                       .fwd = fwd,
                       .usr_ctx = usr_ctx,
                       .entry = entry };
    return emu_entry_add(DOCA_FLOW_PIPE_CONTROL, &request);
}

doca_error_t doca_flow_pipe_lpm_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                      const struct doca_flow_match *match,
                      const struct doca_flow_match *match_mask,
                      INDEX_PARAMETER const struct doca_flow_actions *actions,
                      const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd,
                      FLAGS flags, void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
    PLAIN_ACTIONS
    struct emu_request request = { .queue = pipe_queue,
                       .pipe = pipe,
                       .match = match,
                       .mask = match_mask,
                       .action_index = INDEX,
                       .actions = ACTIONS,
                       .monitor = monitor,
                       .fwd = fwd,
                       .usr_ctx = usr_ctx,
                       .entry = entry };
    if (!flags_good(flags, &request.batch))
        return DOCA_ERROR_INVALID_VALUE;
    return emu_entry_add(DOCA_FLOW_PIPE_LPM, &request);
}

doca_error_t doca_flow_pipe_acl_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
                      const struct doca_flow_match *match,
                      const struct doca_flow_match *match_mask,
#if DOCA_EMULATED_SHAPE >= 32
                      uint8_t action_idx, const struct doca_flow_actions *actions,
#endif
                      uint32_t priority, const struct doca_flow_fwd *fwd, FLAGS flags,
                      void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
    struct emu_request request = { .queue = pipe_queue,
                       .pipe = pipe,
                       .match = match,
                       .mask = match_mask,
#if DOCA_EMULATED_SHAPE >= 32
                       .action_index = action_idx,
                       .actions = actions,
#endif
                       .priority = priority,
                       .fwd = fwd,
                       .usr_ctx = usr_ctx,
                       .entry = entry };
    if (!flags_good(flags, &request.batch))
        return DOCA_ERROR_INVALID_VALUE;
    return emu_entry_add(DOCA_FLOW_PIPE_ACL, &request);
}

doca_error_t doca_flow_pipe_hash_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe, uint32_t entry_index,
                       INDEX_PARAMETER const struct doca_flow_actions *actions,
                       const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd,
                       FLAGS flags, void *usr_ctx, struct doca_flow_pipe_entry **entry)
{
    PLAIN_ACTIONS
    struct emu_request request = { .queue = pipe_queue,
                       .pipe = pipe,
                       .index = entry_index,
                       .action_index = INDEX,
                       .actions = ACTIONS,
                       .monitor = monitor,
                       .fwd = fwd,
                       .usr_ctx = usr_ctx,
                       .entry = entry };
    if (!flags_good(flags, &request.batch))
        return DOCA_ERROR_INVALID_VALUE;
    return emu_entry_add(DOCA_FLOW_PIPE_HASH, &request);
}

#if DOCA_EMULATED_SHAPE != 32
#if DOCA_EMULATED_SHAPE >= 33
#define BASIC_UPDATE doca_flow_pipe_basic_update_entry
#else
#define BASIC_UPDATE doca_flow_pipe_update_entry
#endif
doca_error_t BASIC_UPDATE(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
              INDEX_PARAMETER const struct doca_flow_actions *actions,
              const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, FLAGS flags,
              struct doca_flow_pipe_entry *entry)
{
    PLAIN_ACTIONS
    struct emu_request request = { .queue = pipe_queue,
                       .pipe = pipe,
                       .action_index = INDEX,
                       .actions = ACTIONS,
                       .monitor = monitor,
                       .fwd = fwd };
    if (!flags_good(flags, &request.batch))
        return DOCA_ERROR_INVALID_VALUE;
    return emu_entry_update(DOCA_FLOW_PIPE_BASIC, &request, entry);
}
#endif

#if DOCA_EMULATED_SHAPE >= 33
doca_error_t doca_flow_pipe_lpm_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe, uint8_t action_idx,
                         const struct doca_flow_actions *actions,
                         const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd,
                         uint32_t flags, struct doca_flow_pipe_entry *entry)
{
    struct emu_request request = { .queue = pipe_queue,
                       .pipe = pipe,
                       .action_index = action_idx,
                       .actions = actions,
                       .monitor = monitor,
                       .fwd = fwd };
    if (!flags_good(flags, &request.batch))
        return DOCA_ERROR_INVALID_VALUE;
    return emu_entry_update(DOCA_FLOW_PIPE_LPM, &request, entry);
}

doca_error_t doca_flow_pipe_acl_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe, uint8_t action_idx,
                         const struct doca_flow_actions *actions, const struct doca_flow_fwd *fwd,
                         uint32_t flags, struct doca_flow_pipe_entry *entry)
{
    struct emu_request request = {
        .queue = pipe_queue, .pipe = pipe, .action_index = action_idx, .actions = actions, .fwd = fwd
    };
    if (!flags_good(flags, &request.batch))
        return DOCA_ERROR_INVALID_VALUE;
    return emu_entry_update(DOCA_FLOW_PIPE_ACL, &request, entry);
}
#endif
