/* Pipes: the only place where a specification is checked as a whole. What is refused here would, on hardware, be refused or
 * fail in silence later; the emulator has no third way. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static doca_error_t check_root(const struct doca_flow_pipe_cfg *cfg)
{
    if (!cfg->is_root)
        return cfg->type == DOCA_FLOW_PIPE_ORDERED_LIST ? DOCA_ERROR_NOT_SUPPORTED : DOCA_SUCCESS;
    if (cfg->type != DOCA_FLOW_PIPE_BASIC && cfg->type != DOCA_FLOW_PIPE_CONTROL &&
        cfg->type != DOCA_FLOW_PIPE_HASH)
        return DOCA_ERROR_NOT_SUPPORTED;
    return cfg->port->roots[cfg->domain] ? DOCA_ERROR_INVALID_VALUE : DOCA_SUCCESS;
}

/* What each kind of pipe demands of its specification. `pipe` has its match compiled, and its routes. */
static doca_error_t check_kind(const struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg)
{
    const struct doca_flow_match none = { 0 };
    bool v6 = pipe->selector.l3 == DOCA_FLOW_L3_TYPE_IP6;
    bool open_fwd = pipe->fwd.kind == EMU_ROUTE_CHANGEABLE;
    bool shared = pipe->shared_counter != UINT32_MAX;
    switch (pipe->type) {
    case DOCA_FLOW_PIPE_CONTROL:
        return pipe->fwd.kind != EMU_ROUTE_NONE || pipe->has_miss || cfg->has_match || cfg->nr_actions > 0
                   ? DOCA_ERROR_INVALID_VALUE
                   : DOCA_SUCCESS;
    case DOCA_FLOW_PIPE_LPM:
        if (shared || (v6 && !emu.limits[DOCA_EMULATOR_LIMIT_LPM_IPV6]))
            return DOCA_ERROR_NOT_SUPPORTED;
        return !cfg->has_match || cfg->has_mask || pipe->lpm_octets == 0 ||
                       pipe->nr_changeable != pipe->lpm_octets || cfg->nr_actions == 0 || !open_fwd
                   ? DOCA_ERROR_INVALID_VALUE
                   : DOCA_SUCCESS;
    case DOCA_FLOW_PIPE_ACL:
        if (shared || (v6 && !emu.limits[DOCA_EMULATOR_LIMIT_ACL_IPV6]))
            return DOCA_ERROR_NOT_SUPPORTED;
        return !cfg->has_match || cfg->has_mask || cfg->match.parser_meta.outer_l4_type != 0 ||
                       pipe->selector.l3 == 0 || cfg->nr_actions == 0 || !open_fwd || !pipe->has_miss
                   ? DOCA_ERROR_INVALID_VALUE
                   : DOCA_SUCCESS;
    case DOCA_FLOW_PIPE_HASH:
        return cfg->has_match || !cfg->has_mask || pipe->nr_changeable == 0 ||
                       (pipe->nr_entries & (pipe->nr_entries - 1)) != 0 ||
                       pipe->fwd.kind == EMU_ROUTE_NONE
                   ? DOCA_ERROR_INVALID_VALUE
                   : DOCA_SUCCESS;
    case DOCA_FLOW_PIPE_CT:
        if (!emu.ct_initialised)
            return DOCA_ERROR_BAD_STATE;
        return memcmp(&cfg->match, &none, sizeof none) != 0 || memcmp(&cfg->mask, &none, sizeof none) != 0 ||
                       pipe->fwd.kind != EMU_ROUTE_PIPE || pipe->miss.kind != EMU_ROUTE_PIPE
                   ? DOCA_ERROR_INVALID_VALUE
                   : DOCA_SUCCESS;
    default:
        return !cfg->has_match || pipe->fwd.kind == EMU_ROUTE_NONE ? DOCA_ERROR_INVALID_VALUE : DOCA_SUCCESS;
    }
}

static doca_error_t compile_monitor(struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg)
{
    pipe->shared_counter = UINT32_MAX;
    if (!cfg->has_monitor)
        return DOCA_SUCCESS;
    if (cfg->monitor.meter_type != DOCA_FLOW_RESOURCE_TYPE_NONE)
        return DOCA_ERROR_NOT_SUPPORTED;
    pipe->counts = cfg->monitor.counter_type == DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
    if (cfg->monitor.counter_type == DOCA_FLOW_RESOURCE_TYPE_SHARED)
        pipe->shared_counter = cfg->monitor.shared_counter.shared_counter_id;
    pipe->ages_changeable = cfg->monitor.aging_sec == UINT32_MAX;
    pipe->aging_sec = pipe->ages_changeable ? 0 : cfg->monitor.aging_sec;
    return DOCA_SUCCESS;
}

static doca_error_t compile_miss(struct doca_flow_pipe *pipe, const struct doca_flow_fwd *miss)
{
    doca_error_t result = emu_route_make(pipe->port, miss, &pipe->miss);
    if (result != DOCA_SUCCESS)
        return result;
    pipe->has_miss = pipe->miss.kind != EMU_ROUTE_NONE;
    switch (pipe->miss.kind) {
    case EMU_ROUTE_NONE:
    case EMU_ROUTE_DROP:
    case EMU_ROUTE_PIPE:
        return DOCA_SUCCESS;
    case EMU_ROUTE_KERNEL: /* seen on basic pipes only */
        return pipe->type == DOCA_FLOW_PIPE_BASIC ? DOCA_SUCCESS : DOCA_ERROR_NOT_SUPPORTED;
    default:
        return DOCA_ERROR_NOT_SUPPORTED;
    }
}

static doca_error_t compile_actions(struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg)
{
    if (cfg->has_descs)
        return DOCA_ERROR_NOT_SUPPORTED;
    bool modifies = false;
    for (size_t i = 0; i < cfg->nr_actions; i++) {
        struct emu_action *action = &pipe->actions[pipe->nr_actions++];
        doca_error_t result = emu_action_compile(&cfg->actions[i],
                             cfg->has_action_mask[i] ? &cfg->masks[i] : NULL, action);
        if (result != DOCA_SUCCESS)
            return result;
        modifies |= action->nr + action->nr_changeable > 0 || action->pop_vlan || action->push_vlan;
    }
    /* Hardware steering keeps what pipes write in memory that the port has to be given. */
    return modifies && pipe->port->actions_mem == 0 ? DOCA_ERROR_DRIVER : DOCA_SUCCESS;
}

static doca_error_t fill(struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg,
             const struct doca_flow_fwd *fwd, const struct doca_flow_fwd *miss)
{
    doca_error_t result = emu_route_make(pipe->port, fwd, &pipe->fwd);
    if (result == DOCA_SUCCESS)
        result = compile_miss(pipe, miss);
    if (result == DOCA_SUCCESS)
        result = compile_monitor(pipe, cfg);
    if (result == DOCA_SUCCESS && (cfg->has_match || cfg->has_mask))
        result = emu_match_compile(pipe, cfg);
    if (result == DOCA_SUCCESS)
        result = check_kind(pipe, cfg);
    if (result == DOCA_SUCCESS)
        result = compile_actions(pipe, cfg);
    if (result != DOCA_SUCCESS)
        return result;
    if (pipe->type == DOCA_FLOW_PIPE_HASH && !(pipe->indexed = calloc(pipe->nr_entries, sizeof *pipe->indexed)))
        return DOCA_ERROR_NO_MEMORY;
    if (pipe->type == DOCA_FLOW_PIPE_CT && !emu_ct_prepare_pipe(pipe))
        return DOCA_ERROR_NO_MEMORY;
    if (cfg->miss_counter && !emu_counter_take(pipe->port, &pipe->miss_counter))
        return DOCA_ERROR_DRIVER;
    return DOCA_SUCCESS;
}

static doca_error_t check_place(const struct doca_flow_pipe_cfg *cfg)
{
    if (!emu.initialised)
        return DOCA_ERROR_BAD_STATE;
    bool ours = false;
    for (uint32_t i = 0; i < EMU_PORTS_MAX; i++)
        ours |= emu.ports[i] == cfg->port;
    if (!ours || (emu.switch_mode && cfg->port != emu.switch_port))
        return DOCA_ERROR_INVALID_VALUE;
    if (cfg->domain != DOCA_FLOW_PIPE_DOMAIN_DEFAULT && cfg->domain != DOCA_FLOW_PIPE_DOMAIN_EGRESS)
        return DOCA_ERROR_NOT_SUPPORTED;
    if (emu.reset || (emu.fault_pipe > 0 && --emu.fault_pipe == 0))
        return DOCA_ERROR_DRIVER;
    if (cfg->port->nr_pipes >= emu.limits[DOCA_EMULATOR_LIMIT_PIPES])
        return DOCA_ERROR_DRIVER;
    return check_root(cfg);
}

doca_error_t doca_flow_pipe_create(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
                   const struct doca_flow_fwd *fwd_miss, struct doca_flow_pipe **out)
{
    EMU_LOCKED;
    if (!cfg || !out)
        return DOCA_ERROR_INVALID_VALUE;
    doca_error_t result = check_place(cfg);
    if (result != DOCA_SUCCESS)
        return result;
    struct doca_flow_pipe *pipe = emu_pipe_take();
    if (!pipe)
        return DOCA_ERROR_NO_MEMORY;
    pipe->port = cfg->port;
    pipe->type = cfg->type;
    pipe->domain = cfg->domain;
    pipe->is_root = cfg->is_root;
    pipe->nr_entries = cfg->nr_entries;
    memcpy(pipe->name, cfg->name, sizeof pipe->name);
    pipe->next = pipe->port->pipes;
    pipe->port->pipes = pipe;
    pipe->port->nr_pipes++;
    emu.nr_pipes++;
    result = fill(pipe, cfg, fwd, fwd_miss);
    if (result != DOCA_SUCCESS) {
        pipe->is_root = false;
        emu_pipe_free(pipe);
        return result;
    }
    if (pipe->is_root)
        pipe->port->roots[pipe->domain] = pipe;
    pipe->alive = true;
    *out = pipe;
    return DOCA_SUCCESS;
}

/* Its entries go with it, and what was queued for them. */
void emu_pipe_free(struct doca_flow_pipe *pipe)
{
    struct doca_flow_port *port = pipe->port;
    emu_queue_forget(pipe);
    if (pipe->is_root)
        port->roots[pipe->domain] = NULL;
    while (pipe->entries)
        emu_entry_release(pipe->entries);
    for (int i = 0; i < pipe->nr_actions; i++)
        emu_action_clear(&pipe->actions[i]);
    if (pipe->miss_counter.present)
        emu_counter_give(port, &pipe->miss_counter);
    emu_table_clear(&pipe->table);
    free(pipe->indexed);
    free(pipe->tuples);
    pipe->indexed = NULL;
    pipe->tuples = NULL;
    struct doca_flow_pipe **at = &port->pipes;
    while (*at != pipe)
        at = &(*at)->next;
    *at = pipe->next;
    port->nr_pipes--;
    emu.nr_pipes--;
    emu_pipe_give(pipe);
}

void doca_flow_pipe_destroy(struct doca_flow_pipe *pipe)
{
    EMU_LOCKED;
    if (emu_pipe_known(pipe))
        emu_pipe_free(pipe);
    else if (pipe)
        emu_violation("a pipe was destroyed that is none");
}

void doca_flow_pipe_dump(struct doca_flow_pipe *pipe, FILE *file)
{
    EMU_LOCKED;
    if (emu_pipe_known(pipe) && file)
        fprintf(file, "%s: %u of %u entries\n", pipe->name, pipe->count, pipe->nr_entries);
}

doca_error_t doca_flow_pipe_update_miss(struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd_miss)
{
    EMU_LOCKED;
    if (!emu_pipe_known(pipe) || !fwd_miss || pipe->type == DOCA_FLOW_PIPE_CONTROL ||
        pipe->type == DOCA_FLOW_PIPE_CT)
        return DOCA_ERROR_INVALID_VALUE;
    if (emu.reset)
        return DOCA_ERROR_UNKNOWN;
    struct emu_route before = pipe->miss;
    bool had = pipe->has_miss;
    doca_error_t result = compile_miss(pipe, fwd_miss);
    if (result == DOCA_SUCCESS && !pipe->has_miss)
        result = DOCA_ERROR_INVALID_VALUE;
    if (result != DOCA_SUCCESS) {
        pipe->miss = before;
        pipe->has_miss = had;
    }
    return result;
}

doca_error_t doca_flow_pipe_calc_hash(struct doca_flow_pipe *pipe, const struct doca_flow_match *match,
                      uint32_t *hash)
{
    EMU_LOCKED;
    if (!emu_pipe_known(pipe) || !match || !hash || pipe->type != DOCA_FLOW_PIPE_HASH)
        return DOCA_ERROR_INVALID_VALUE;
    *hash = emu_hash_of_packet(pipe, match);
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_resource_query_pipe_miss(struct doca_flow_pipe *pipe, struct doca_flow_resource_query *query)
{
    EMU_LOCKED;
    if (!emu_pipe_known(pipe) || !query || !pipe->miss_counter.present)
        return DOCA_ERROR_INVALID_VALUE;
    emu_counter_read(&pipe->miss_counter, query);
    return DOCA_SUCCESS;
}
