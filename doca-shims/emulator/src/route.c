/* Where a packet goes next: a struct doca_flow_fwd checked and made into something that cannot dangle. A pipe is named by its
 * place and the serial number it had, so that a packet sent to one that is gone is noticed. */
#include "internal.h"

#include <string.h>

static doca_error_t to_port(struct doca_flow_port *port, uint16_t id, struct emu_route *route)
{
    (void)port;
    if (id == UINT16_MAX) {
        route->kind = EMU_ROUTE_PORT_CHANGEABLE;
        return DOCA_SUCCESS;
    }
    if (id >= EMU_PORTS_MAX || !emu.ports[id] || !emu.ports[id]->started)
        return DOCA_ERROR_INVALID_VALUE;
    route->kind = EMU_ROUTE_PORT;
    route->port_id = id;
    return DOCA_SUCCESS;
}

static doca_error_t to_pipe(struct doca_flow_pipe *pipe, struct emu_route *route)
{
    if (!emu_pipe_known(pipe))
        return DOCA_ERROR_INVALID_VALUE;
    route->kind = EMU_ROUTE_PIPE;
    route->pipe = pipe;
    route->serial = pipe->serial;
    return DOCA_SUCCESS;
}

static doca_error_t to_queues(const struct doca_flow_fwd *fwd, struct emu_route *route)
{
    if (fwd->rss_type != DOCA_FLOW_RESOURCE_TYPE_NON_SHARED)
        return DOCA_ERROR_NOT_SUPPORTED;
    if (fwd->rss.nr_queues == -1) {
        route->kind = EMU_ROUTE_QUEUE_CHANGEABLE;
        return DOCA_SUCCESS;
    }
    if (fwd->rss.nr_queues < 1 || !fwd->rss.queues_array)
        return DOCA_ERROR_INVALID_VALUE;
    if (fwd->rss.nr_queues > EMU_RSS_MAX)
        return DOCA_ERROR_NOT_SUPPORTED;
    route->kind = EMU_ROUTE_QUEUE;
    route->nr_queues = (uint8_t)fwd->rss.nr_queues;
    memcpy(route->queues, fwd->rss.queues_array, route->nr_queues * sizeof *route->queues);
    return DOCA_SUCCESS;
}

/* NULL and NONE make a route of kind NONE. */
doca_error_t emu_route_make(struct doca_flow_port *port, const struct doca_flow_fwd *fwd, struct emu_route *out)
{
    struct emu_route route = { 0 };
    struct doca_flow_target *kernel = NULL;
    doca_error_t result = DOCA_SUCCESS;
    switch (fwd ? fwd->type : DOCA_FLOW_FWD_NONE) {
    case DOCA_FLOW_FWD_NONE:
        break;
    case DOCA_FLOW_FWD_DROP:
        route.kind = EMU_ROUTE_DROP;
        break;
    case DOCA_FLOW_FWD_PORT:
        result = to_port(port, fwd->port_id, &route);
        break;
    case DOCA_FLOW_FWD_PIPE:
        result = to_pipe(fwd->next_pipe, &route);
        break;
    case DOCA_FLOW_FWD_HASH_PIPE:
        if (fwd->hash_pipe.algorithm != DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_HASH)
            return DOCA_ERROR_NOT_SUPPORTED;
        result = to_pipe(fwd->hash_pipe.pipe, &route);
        if (result == DOCA_SUCCESS && route.pipe->type != DOCA_FLOW_PIPE_HASH)
            result = DOCA_ERROR_INVALID_VALUE;
        break;
    case DOCA_FLOW_FWD_RSS:
        result = to_queues(fwd, &route);
        break;
    case DOCA_FLOW_FWD_TARGET:
        doca_flow_get_target(DOCA_FLOW_TARGET_KERNEL, &kernel);
        if (fwd->target != kernel)
            return DOCA_ERROR_INVALID_VALUE;
        route.kind = EMU_ROUTE_KERNEL;
        break;
    case DOCA_FLOW_FWD_CHANGEABLE:
        route.kind = EMU_ROUTE_CHANGEABLE;
        break;
    default:
        return DOCA_ERROR_NOT_SUPPORTED;
    }
    if (result == DOCA_SUCCESS)
        *out = route;
    return result;
}

static bool same(const struct emu_route *one, const struct emu_route *other)
{
    return one->kind == other->kind && one->port_id == other->port_id && one->pipe == other->pipe &&
           one->serial == other->serial && one->nr_queues == other->nr_queues &&
           memcmp(one->queues, other->queues, sizeof one->queues) == 0;
}

static bool final(uint8_t kind)
{
    return kind != EMU_ROUTE_NONE && kind < EMU_ROUTE_CHANGEABLE;
}

/* An entry inherits what its pipe fixes, and says what its pipe leaves open; it cannot say anything else. */
doca_error_t emu_route_of_entry(const struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd,
                struct emu_route *out)
{
    struct emu_route route;
    doca_error_t result = emu_route_make(pipe->port, fwd, &route);
    if (result != DOCA_SUCCESS)
        return result;
    switch (pipe->fwd.kind) {
    case EMU_ROUTE_NONE: /* a control pipe */
    case EMU_ROUTE_CHANGEABLE:
        if (!final(route.kind))
            return DOCA_ERROR_INVALID_VALUE;
        break;
    case EMU_ROUTE_PORT_CHANGEABLE:
        if (route.kind != EMU_ROUTE_PORT)
            return DOCA_ERROR_INVALID_VALUE;
        break;
    case EMU_ROUTE_QUEUE_CHANGEABLE:
        if (route.kind != EMU_ROUTE_QUEUE)
            return DOCA_ERROR_INVALID_VALUE;
        break;
    default:
        if (route.kind == EMU_ROUTE_NONE)
            route = pipe->fwd;
        else if (!same(&route, &pipe->fwd))
            return DOCA_ERROR_INVALID_VALUE;
    }
    *out = route;
    return DOCA_SUCCESS;
}
