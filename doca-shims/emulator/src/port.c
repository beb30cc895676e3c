/* The library's life and its ports. In switch mode the port on the device (the wire) starts first and stops last, pipes belong
 * to it, and every representor's frames come to its root; otherwise each port has pipes and roots of its own. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_QUEUE_DEPTH 128

doca_error_t doca_flow_init(struct doca_flow_cfg *cfg)
{
    EMU_LOCKED;
    if (!cfg || cfg->pipe_queues == 0)
        return DOCA_ERROR_INVALID_VALUE;
    if (emu.initialised)
        return DOCA_ERROR_BAD_STATE;
    bool is_switch = strncmp(cfg->mode, "switch", 6) == 0;
    if (!is_switch && strncmp(cfg->mode, "vnf", 3) != 0)
        return DOCA_ERROR_NOT_SUPPORTED;
    emu.cfg = *cfg;
    if (emu.cfg.queue_depth == 0)
        emu.cfg.queue_depth = DEFAULT_QUEUE_DEPTH;
    emu.switch_mode = is_switch;
    emu.initialised = true;
    emu.reset = false;
    return DOCA_SUCCESS;
}

void doca_flow_destroy(void)
{
    EMU_LOCKED;
    for (uint32_t i = EMU_PORTS_MAX; i-- > 0;)
        if (emu.ports[i] && emu.ports[i] != emu.switch_port)
            doca_flow_port_stop(emu.ports[i]);
    if (emu.switch_port)
        doca_flow_port_stop(emu.switch_port);
    emu_pools_clear();
    emu.initialised = false;
    emu.fault_entry = emu.fault_pipe = emu.late = 0;
}

static doca_error_t check(const struct doca_flow_port_cfg *cfg)
{
    if (!cfg || !cfg->has_id)
        return DOCA_ERROR_INVALID_VALUE;
    /* A representor before 3.2 may be known by its id alone. */
    bool by_id = DOCA_EMULATED_SHAPE == 30 && emu.switch_mode && emu.switch_port;
    if ((cfg->dev == NULL) == (cfg->rep == NULL) && !by_id)
        return DOCA_ERROR_INVALID_VALUE;
    if (emu.ports[cfg->id])
        return DOCA_ERROR_ALREADY_EXIST;
    if (cfg->rep && !emu.switch_mode)
        return DOCA_ERROR_NOT_SUPPORTED;
    if (emu.switch_mode && !cfg->dev && !emu.switch_port)
        return DOCA_ERROR_BAD_STATE;
    if (emu.switch_mode && cfg->dev && emu.switch_port)
        return DOCA_ERROR_NOT_SUPPORTED; /* one eSwitch */
    if (cfg->nr_counters > 0 && !emu.cfg.port_resources)
        return DOCA_ERROR_INVALID_VALUE;
    return DOCA_SUCCESS;
}

static const char *interface_of(const struct doca_flow_port *port)
{
    return port->rep ? port->rep->info.linux_interface : port->dev ? port->dev->info.linux_interface : "";
}

static void release(struct doca_flow_port *port)
{
    for (int i = 0; i < EMU_QUEUES_MAX; i++)
        emu_queue_free(&port->queues[i]);
    free(port->shared);
    free(port->priv_data);
    free(port);
}

doca_error_t doca_flow_port_start(const struct doca_flow_port_cfg *cfg, struct doca_flow_port **out)
{
    EMU_LOCKED;
    if (!out)
        return DOCA_ERROR_INVALID_VALUE;
    if (!emu.initialised)
        return DOCA_ERROR_BAD_STATE;
    doca_error_t result = check(cfg);
    if (result != DOCA_SUCCESS)
        return result;
    struct doca_flow_port *port = calloc(1, sizeof *port);
    if (!port)
        return DOCA_ERROR_NO_MEMORY;
    port->id = cfg->id;
    port->dev = cfg->dev;
    port->rep = cfg->rep;
    port->state = cfg->state;
    port->actions_mem = cfg->actions_mem;
    port->nr_counters = emu.cfg.port_resources ? cfg->nr_counters : emu.cfg.nr_counters;
    port->priv_data = calloc(1, cfg->priv_data_size + 1u);
    port->shared = calloc(port->nr_counters + 1u, sizeof *port->shared);
    if (!port->priv_data || !port->shared) {
        release(port);
        return DOCA_ERROR_NO_MEMORY;
    }
    if (interface_of(port)[0] && (result = emu_live_start(port, interface_of(port))) != DOCA_SUCCESS) {
        release(port);
        return result;
    }
    port->started = true;
    emu.ports[port->id] = port;
    emu.nr_ports++;
    if (emu.switch_mode && port->dev)
        emu.switch_port = port;
    *out = port;
    return DOCA_SUCCESS;
}

static bool known(const struct doca_flow_port *port)
{
    for (uint32_t i = 0; port && i < EMU_PORTS_MAX; i++)
        if (emu.ports[i] == port)
            return true;
    return false;
}

doca_error_t doca_flow_port_stop(struct doca_flow_port *port)
{
    EMU_LOCKED;
    if (!known(port))
        return DOCA_ERROR_INVALID_VALUE;
    if (port == emu.switch_port && emu.nr_ports > 1)
        return DOCA_ERROR_IN_USE;
    port->started = false;
    emu_live_stop(port);
    doca_flow_port_pipes_flush(port);
    if (port->peer)
        port->peer->peer = NULL;
    emu.ports[port->id] = NULL;
    emu.nr_ports--;
    if (port == emu.switch_port)
        emu.switch_port = NULL;
    release(port);
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_pair(struct doca_flow_port *port, struct doca_flow_port *pair)
{
    EMU_LOCKED;
    if (!known(port) || !known(pair) || port == pair)
        return DOCA_ERROR_INVALID_VALUE;
    port->peer = pair;
    pair->peer = port;
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_operation_state_modify(struct doca_flow_port *port,
                           enum doca_flow_port_operation_state state)
{
    EMU_LOCKED;
    if (!known(port) || state > DOCA_FLOW_PORT_OPERATION_STATE_UNCONNECTED)
        return DOCA_ERROR_INVALID_VALUE;
    port->state = (uint8_t)state;
    return DOCA_SUCCESS;
}

struct doca_flow_port *doca_flow_port_switch_get(const struct doca_flow_port *port)
{
    EMU_LOCKED;
    (void)port;
    return emu.switch_port;
}

void doca_flow_port_pipes_flush(struct doca_flow_port *port)
{
    EMU_LOCKED;
    if (!known(port))
        return;
    while (port->pipes)
        emu_pipe_free(port->pipes);
}

uint8_t *doca_flow_port_priv_data(struct doca_flow_port *port)
{
    EMU_LOCKED;
    return known(port) ? port->priv_data : NULL;
}

#if DOCA_EMULATED_SHAPE >= 32
doca_error_t doca_flow_port_update_default_miss(struct doca_flow_port *port,
                        enum doca_flow_port_default_miss_type type, bool counter)
{
    EMU_LOCKED;
    if (!known(port) || type > DOCA_FLOW_PORT_DEFAULT_MISS_DROP)
        return DOCA_ERROR_INVALID_VALUE;
    if (counter && !port->default_miss_counter.present && !emu_counter_take(port, &port->default_miss_counter))
        return DOCA_ERROR_NO_MEMORY;
    port->default_miss = (uint8_t)type;
    return DOCA_SUCCESS;
}
#endif

#if DOCA_EMULATED_SHAPE >= 33
doca_error_t doca_flow_port_query_default_miss(struct doca_flow_port *port, struct doca_flow_resource_query *query)
{
    EMU_LOCKED;
    if (!known(port) || !query || !port->default_miss_counter.present)
        return DOCA_ERROR_INVALID_VALUE;
    emu_counter_read(&port->default_miss_counter, query);
    return DOCA_SUCCESS;
}
#endif

doca_error_t doca_flow_get_target(enum doca_flow_target_type type, struct doca_flow_target **target)
{
    static char kernel;
    if (type != DOCA_FLOW_TARGET_KERNEL || !target)
        return DOCA_ERROR_INVALID_VALUE;
    *target = (struct doca_flow_target *)&kernel;
    return DOCA_SUCCESS;
}
