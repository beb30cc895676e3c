/* Configuration objects of the library, of ports and of pipes: each setter checks its own argument and keeps a copy. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define SET(cfg, condition, statement) \
    do { \
        if (!(cfg) || !(condition)) \
            return DOCA_ERROR_INVALID_VALUE; \
        statement; \
        return DOCA_SUCCESS; \
    } while (0)

doca_error_t doca_flow_cfg_create(struct doca_flow_cfg **cfg)
{
    if (!cfg)
        return DOCA_ERROR_INVALID_VALUE;
    *cfg = calloc(1, sizeof **cfg);
    return *cfg ? DOCA_SUCCESS : DOCA_ERROR_NO_MEMORY;
}

doca_error_t doca_flow_cfg_destroy(struct doca_flow_cfg *cfg)
{
    SET(cfg, true, free(cfg));
}

doca_error_t doca_flow_cfg_set_pipe_queues(struct doca_flow_cfg *cfg, uint16_t pipe_queues)
{
    SET(cfg, pipe_queues > 0 && pipe_queues < EMU_QUEUES_MAX, cfg->pipe_queues = pipe_queues);
}

doca_error_t doca_flow_cfg_set_queue_depth(struct doca_flow_cfg *cfg, uint32_t queue_depth)
{
    SET(cfg, queue_depth > 0 && queue_depth <= 1u << 20, cfg->queue_depth = queue_depth);
}

doca_error_t doca_flow_cfg_set_nr_counters(struct doca_flow_cfg *cfg, uint32_t nr_counters)
{
    SET(cfg, true, cfg->nr_counters = nr_counters);
}

doca_error_t doca_flow_cfg_set_nr_meters(struct doca_flow_cfg *cfg, uint32_t nr_meters)
{
    if (cfg && nr_meters > 0)
        return DOCA_ERROR_NOT_SUPPORTED;
    SET(cfg, true, (void)nr_meters);
}

doca_error_t doca_flow_cfg_set_nr_acl_collisions(struct doca_flow_cfg *cfg, uint8_t collisions)
{
    SET(cfg, collisions <= 8, (void)collisions);
}

doca_error_t doca_flow_cfg_set_mode_args(struct doca_flow_cfg *cfg, const char *mode_args)
{
    SET(cfg, mode_args && strlen(mode_args) < sizeof cfg->mode, strcpy(cfg->mode, mode_args));
}

doca_error_t doca_flow_cfg_set_nr_shared_resource(struct doca_flow_cfg *cfg, uint32_t count,
                          enum doca_flow_shared_resource_type type)
{
    if (cfg && type != DOCA_FLOW_SHARED_RESOURCE_COUNTER && count > 0)
        return DOCA_ERROR_NOT_SUPPORTED;
    SET(cfg, true, cfg->nr_shared_counters = count);
}

doca_error_t doca_flow_cfg_set_cb_entry_process(struct doca_flow_cfg *cfg, doca_flow_entry_process_cb cb)
{
    SET(cfg, cb, cfg->on_entry = cb);
}

doca_error_t doca_flow_cfg_set_cb_pipe_process(struct doca_flow_cfg *cfg, doca_flow_pipe_process_cb cb)
{
    SET(cfg, true, cfg->on_pipe = cb);
}

#if DOCA_EMULATED_SHAPE >= 32
doca_error_t doca_flow_cfg_set_resource_mode(struct doca_flow_cfg *cfg, const enum doca_flow_resource_mode mode)
{
    SET(cfg, mode <= DOCA_FLOW_RESOURCE_MODE_PORT, cfg->port_resources = mode == DOCA_FLOW_RESOURCE_MODE_PORT);
}

doca_error_t doca_flow_port_cfg_set_nr_resources(struct doca_flow_port_cfg *cfg, enum doca_flow_resource resource,
                         uint32_t count)
{
    if (cfg && resource != DOCA_FLOW_RESOURCE_COUNTER && count > 0)
        return DOCA_ERROR_NOT_SUPPORTED;
    SET(cfg, true, cfg->nr_counters = count);
}
#endif

doca_error_t doca_flow_port_cfg_create(struct doca_flow_port_cfg **cfg)
{
    if (!cfg)
        return DOCA_ERROR_INVALID_VALUE;
    *cfg = calloc(1, sizeof **cfg);
    return *cfg ? DOCA_SUCCESS : DOCA_ERROR_NO_MEMORY;
}

doca_error_t doca_flow_port_cfg_destroy(struct doca_flow_port_cfg *cfg)
{
    SET(cfg, true, free(cfg));
}

doca_error_t doca_flow_port_cfg_set_port_id(struct doca_flow_port_cfg *cfg, uint16_t port_id)
{
    SET(cfg, port_id < EMU_PORTS_MAX, cfg->has_id = true; cfg->id = port_id);
}

doca_error_t doca_flow_port_cfg_set_dev(struct doca_flow_port_cfg *cfg, struct doca_dev *dev)
{
    SET(cfg, emu_dev_known(dev), cfg->dev = dev);
}

doca_error_t doca_flow_port_cfg_set_dev_rep(struct doca_flow_port_cfg *cfg, struct doca_dev_rep *rep)
{
    SET(cfg, emu_rep_known(rep), cfg->rep = rep);
}

doca_error_t doca_flow_port_cfg_set_devargs(struct doca_flow_port_cfg *cfg, const char *devargs)
{
    SET(cfg, devargs, (void)devargs);
}

doca_error_t doca_flow_port_cfg_set_priv_data_size(struct doca_flow_port_cfg *cfg, uint16_t size)
{
    SET(cfg, true, cfg->priv_data_size = size);
}

doca_error_t doca_flow_port_cfg_set_actions_mem_size(struct doca_flow_port_cfg *cfg, uint32_t size)
{
    SET(cfg, size == 0 || (size >= 64 && (size & (size - 1)) == 0), cfg->actions_mem = size);
}

doca_error_t doca_flow_port_cfg_set_operation_state(struct doca_flow_port_cfg *cfg,
                            enum doca_flow_port_operation_state state)
{
    SET(cfg, state <= DOCA_FLOW_PORT_OPERATION_STATE_UNCONNECTED, cfg->state = state);
}

doca_error_t doca_flow_pipe_cfg_create(struct doca_flow_pipe_cfg **cfg, struct doca_flow_port *port)
{
    if (!cfg || !port)
        return DOCA_ERROR_INVALID_VALUE;
    *cfg = calloc(1, sizeof **cfg);
    if (!*cfg)
        return DOCA_ERROR_NO_MEMORY;
    (*cfg)->port = port;
    (*cfg)->nr_entries = 8192;
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_destroy(struct doca_flow_pipe_cfg *cfg)
{
    SET(cfg, true, free(cfg));
}

doca_error_t doca_flow_pipe_cfg_set_name(struct doca_flow_pipe_cfg *cfg, const char *name)
{
    SET(cfg, name && strlen(name) < sizeof cfg->name, strcpy(cfg->name, name));
}

doca_error_t doca_flow_pipe_cfg_set_label(struct doca_flow_pipe_cfg *cfg, const char *label)
{
    SET(cfg, label, (void)label);
}

doca_error_t doca_flow_pipe_cfg_set_type(struct doca_flow_pipe_cfg *cfg, enum doca_flow_pipe_type type)
{
    SET(cfg, type <= DOCA_FLOW_PIPE_HASH, cfg->type = type);
}

doca_error_t doca_flow_pipe_cfg_set_domain(struct doca_flow_pipe_cfg *cfg, enum doca_flow_pipe_domain domain)
{
    if (cfg && cfg->domain_set)
        return DOCA_ERROR_ALREADY_EXIST;
    SET(cfg, domain <= DOCA_FLOW_PIPE_DOMAIN_SECURE_EGRESS, cfg->domain = domain; cfg->domain_set = true);
}

doca_error_t doca_flow_pipe_cfg_set_is_root(struct doca_flow_pipe_cfg *cfg, bool is_root)
{
    SET(cfg, true, cfg->is_root = is_root);
}

doca_error_t doca_flow_pipe_cfg_set_miss_counter(struct doca_flow_pipe_cfg *cfg, bool miss_counter)
{
    SET(cfg, true, cfg->miss_counter = miss_counter);
}

doca_error_t doca_flow_pipe_cfg_set_nr_entries(struct doca_flow_pipe_cfg *cfg, uint32_t nr_entries)
{
    SET(cfg, nr_entries > 0, cfg->nr_entries = nr_entries);
}

doca_error_t doca_flow_pipe_cfg_set_match(struct doca_flow_pipe_cfg *cfg, const struct doca_flow_match *match,
                      const struct doca_flow_match *match_mask)
{
    if (!cfg || (!match && !match_mask))
        return DOCA_ERROR_INVALID_VALUE;
    cfg->has_match = match != NULL;
    cfg->has_mask = match_mask != NULL;
    if (match)
        cfg->match = *match;
    if (match_mask)
        cfg->mask = *match_mask;
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_actions(struct doca_flow_pipe_cfg *cfg, struct doca_flow_actions *const *actions,
                        struct doca_flow_actions *const *actions_masks,
                        struct doca_flow_action_descs *const *action_descs, size_t nr_actions)
{
    if (!cfg || !actions || nr_actions == 0)
        return DOCA_ERROR_INVALID_VALUE;
    if (nr_actions > EMU_ACTIONS_MAX)
        return DOCA_ERROR_NOT_SUPPORTED;
    for (size_t i = 0; i < nr_actions; i++) {
        if (!actions[i])
            return DOCA_ERROR_INVALID_VALUE;
        cfg->actions[i] = *actions[i];
        cfg->has_action_mask[i] = actions_masks && actions_masks[i];
        if (cfg->has_action_mask[i])
            cfg->masks[i] = *actions_masks[i];
        if (action_descs && action_descs[i] && action_descs[i]->nb_action_desc > 0)
            cfg->has_descs = true;
    }
    cfg->nr_actions = nr_actions;
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_cfg_set_monitor(struct doca_flow_pipe_cfg *cfg, const struct doca_flow_monitor *monitor)
{
    SET(cfg, monitor, cfg->has_monitor = true; cfg->monitor = *monitor);
}

doca_error_t doca_flow_pipe_cfg_set_user_ctx(struct doca_flow_pipe_cfg *cfg, void *user_ctx)
{
    SET(cfg, true, (void)user_ctx);
}
