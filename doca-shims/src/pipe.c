/* Pipes: a flat description becomes DOCA's configuration. Basic pipes always have an explicit mask, since without one a value
 * of zero would mean "any"; LPM and ACL pipes never have one, since DOCA wants none there. */
#include <string.h>

#include "shim.h"

static bool masked(uint32_t kind)
{
    return kind == SLUICE_DOCA_BASIC;
}

/* The pipe's match, and which fields its entries say. */
static int32_t describe(const struct sluice_doca_pipe *spec, struct shim_pipe *pipe, struct doca_flow_match *match,
                        struct doca_flow_match *mask)
{
    static const uint8_t ONES[16] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    for (uint32_t i = 0; i < spec->nr_matches; i++) {
        const struct sluice_doca_match *one = &spec->matches[i];
        uint32_t octets = shim_field_octets(one->field), l3 = shim_field_l3(one->field);
        if (octets == 0 || (l3 && pipe->l3 && l3 != pipe->l3))
            return SLUICE_DOCA_BAD_ARGUMENT;
        pipe->l3 = l3 ? l3 : pipe->l3;
        if (one->each) {
            pipe->fields[pipe->nr_fields++] = one->field;
            pipe->key_octets += octets;
        }
        /* All ones in a pipe's match is what entries say: no pipe can hold it for them. */
        if (!one->each && memcmp(one->value, ONES, octets) == 0)
            return SLUICE_DOCA_BAD_ARGUMENT;
        if (!shim_field_put(match, one->field, spec->transport, one->each ? ONES : one->value) ||
            !shim_field_put(mask, one->field, spec->transport, one->mask))
            return SLUICE_DOCA_BAD_ARGUMENT;
    }
    if (pipe->key_octets > MAX_KEY)
        return code_of(DOCA_ERROR_TOO_BIG);
    if (spec->kind == SLUICE_DOCA_ACL)
        match->parser_meta.outer_l3_type = (enum doca_flow_l3_meta)pipe->l3;
    shim_select(match, pipe->l3, spec->transport);
    shim_select(mask, pipe->l3, spec->transport);
    return 0;
}

static doca_error_t configure(struct doca_flow_pipe_cfg *cfg, const struct sluice_doca_pipe *spec,
                              const struct doca_flow_match *match, const struct doca_flow_match *mask)
{
    struct doca_flow_monitor monitor = { .counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED };
    struct doca_flow_actions actions = { 0 }, actions_mask = { 0 };
    struct doca_flow_actions *list[] = { &actions }, *masks[] = { &actions_mask };
    if (spec->sets_meta)
        actions.meta.pkt_meta = actions_mask.meta.pkt_meta = UINT32_MAX;
    doca_error_t result = doca_flow_pipe_cfg_set_name(cfg, spec->name);
    DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_type(cfg, (enum doca_flow_pipe_type)spec->kind));
    DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_is_root(cfg, spec->root));
    DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_nr_entries(cfg, spec->entries));
    if (spec->kind != SLUICE_DOCA_CONTROL) {
        DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_match(cfg, match, masked(spec->kind) ? mask : NULL));
        if (spec->counted)
            DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_monitor(cfg, &monitor));
        if (spec->sets_meta)
            DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_actions(cfg, list, masks, NULL, 1));
        else if (spec->kind != SLUICE_DOCA_BASIC)
            DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 1));
        if (spec->miss_counted)
            DOCA_ERROR_PROPAGATE(result, doca_flow_pipe_cfg_set_miss_counter(cfg, true));
    }
    return result;
}

int32_t sluice_doca_pipe_create(const struct sluice_doca_pipe *spec, uint64_t *handle)
{
    if (!spec || !handle || !memchr(spec->name, 0, sizeof spec->name) || spec->nr_matches > 16 ||
        spec->entries == 0 || spec->transport > 4)
        return SLUICE_DOCA_BAD_ARGUMENT;
    if (!shim.wire_started)
        return SLUICE_DOCA_BAD_HANDLE;
    struct shim_pipe made = { .kind = spec->kind,
                              .counted = spec->counted,
                              .miss_counted = spec->miss_counted,
                              .sets_meta = spec->sets_meta,
                              .transport = spec->transport,
                              .room = spec->entries };
    struct doca_flow_match match = { 0 }, mask = { 0 };
    struct doca_flow_fwd fwd, miss;
    int32_t code = describe(spec, &made, &match, &mask);
    if (code == 0)
        code = shim_forward(spec->forward, spec->forward_port, spec->forward_pipe, &fwd);
    if (code == 0)
        code = shim_forward(spec->miss, 0, spec->miss_pipe, &miss);
    if (code != 0)
        return code;
    struct doca_flow_pipe_cfg *cfg;
    doca_error_t result = doca_flow_pipe_cfg_create(&cfg, shim.wire);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    result = configure(cfg, spec, &match, &mask);
    bool control = spec->kind == SLUICE_DOCA_CONTROL;
    if (result == DOCA_SUCCESS)
        result = doca_flow_pipe_create(cfg, control ? NULL : &fwd, control ? NULL : &miss, &made.pipe);
    doca_flow_pipe_cfg_destroy(cfg);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    uint64_t given;
    struct shim_pipe *pipe = shim_pipe_new(&given);
    if (!pipe) {
        doca_flow_pipe_destroy(made.pipe);
        return code_of(DOCA_ERROR_NO_MEMORY);
    }
    made.live = true;
    made.serial = pipe->serial;
    *pipe = made;
    *handle = given;
    return 0;
}

int32_t sluice_doca_pipe_destroy(uint64_t handle)
{
    struct shim_pipe *pipe = shim_pipe_of(handle);
    if (!pipe)
        return SLUICE_DOCA_BAD_HANDLE;
    if (shim.outstanding > 0)
        return code_of(DOCA_ERROR_IN_USE); /* a callback would name an entry that is gone */
    doca_flow_pipe_destroy(pipe->pipe);
    shim_pipe_free(pipe);
    return 0;
}

int32_t sluice_doca_pipe_update_miss(uint64_t handle, uint32_t forward, uint64_t target)
{
    struct shim_pipe *pipe = shim_pipe_of(handle);
    struct doca_flow_fwd miss;
    if (!pipe)
        return SLUICE_DOCA_BAD_HANDLE;
    if (forward != SLUICE_DOCA_DROP && forward != SLUICE_DOCA_PIPE)
        return SLUICE_DOCA_BAD_ARGUMENT;
    int32_t code = shim_forward(forward, 0, target, &miss);
    return code != 0 ? code : code_of(doca_flow_pipe_update_miss(pipe->pipe, &miss));
}

int32_t sluice_doca_pipe_missed(uint64_t handle, struct sluice_doca_count *out)
{
    struct shim_pipe *pipe = shim_pipe_of(handle);
    struct doca_flow_resource_query query;
    if (!pipe || !pipe->miss_counted)
        return SLUICE_DOCA_BAD_HANDLE;
    if (!out)
        return SLUICE_DOCA_BAD_ARGUMENT;
    doca_error_t result = doca_flow_resource_query_pipe_miss(pipe->pipe, &query);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    out->packets = query.counter.total_pkts;
    out->octets = query.counter.total_bytes;
    return 0;
}
