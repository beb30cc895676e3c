/* The test's side of the emulator: frames in, the clock, limits, faults. */
#include "internal.h"

#include <string.h>

int doca_emulator_inject(uint16_t port_id, const uint8_t *frame, uint32_t length, struct doca_emulator_result *out)
{
    EMU_LOCKED;
    /* Static, under the lock: views make it too large for a small stack. */
    static struct emu_packet packet;
    static uint8_t data[DOCA_EMULATOR_FRAME_MAX];
    struct doca_flow_port *port = port_id < EMU_PORTS_MAX ? emu.ports[port_id] : NULL;
    if (!port || !frame || !out || length > sizeof data - 8)
        return -1;
    memcpy(data, frame, length);
    packet.data = data;
    packet.length = length;
    packet.room = sizeof data;
    packet.port_id = port_id;
    emu_walk(port, &packet, out);
    return 0;
}

void doca_emulator_advance(uint64_t milliseconds)
{
    EMU_LOCKED;
    emu.offset_ms += milliseconds;
}

void doca_emulator_limit(enum doca_emulator_limit limit, uint64_t value)
{
    EMU_LOCKED;
    if ((unsigned int)limit < sizeof emu.limits / sizeof *emu.limits)
        emu.limits[limit] = value;
}

uint64_t doca_emulator_limit_of(enum doca_emulator_limit limit)
{
    EMU_LOCKED;
    return (unsigned int)limit < sizeof emu.limits / sizeof *emu.limits ? emu.limits[limit] : 0;
}

void doca_emulator_fault(enum doca_emulator_fault fault, uint64_t n)
{
    EMU_LOCKED;
    switch (fault) {
    case DOCA_EMULATOR_FAULT_ENTRY:
        emu.fault_entry = n;
        break;
    case DOCA_EMULATOR_FAULT_LATE:
        emu.late = n;
        break;
    case DOCA_EMULATOR_FAULT_PIPE_CREATE:
        emu.fault_pipe = n;
        break;
    case DOCA_EMULATOR_FAULT_RESET:
        emu.reset = true;
        for (uint32_t i = 0; i < EMU_PORTS_MAX; i++)
            for (struct doca_flow_pipe *pipe = emu.ports[i] ? emu.ports[i]->pipes : NULL; pipe;
                 pipe = pipe->next) {
                emu_queue_forget(pipe);
                while (pipe->entries)
                    emu_entry_release(pipe->entries);
            }
        break;
    }
}

void doca_emulator_state(struct doca_emulator_state *out)
{
    EMU_LOCKED;
    if (!out)
        return;
    *out = (struct doca_emulator_state){ .pipes = emu.nr_pipes,
                         .entries = emu.nr_entries,
                         .violations = emu.violations };
    for (uint32_t i = 0; i < EMU_PORTS_MAX; i++) {
        if (!emu.ports[i])
            continue;
        out->counters_used += emu.ports[i]->counters_used;
        for (int q = 0; q < EMU_QUEUES_MAX; q++)
            out->pending += emu.ports[i]->queues[q].count;
    }
}

void doca_emulator_bridge(bool permits)
{
    EMU_LOCKED;
    emu.bridge_denies = !permits;
}

#if DOCA_EMULATED_SHAPE >= 32
static bool shared_counters(const struct doca_flow_port *port, enum doca_flow_shared_resource_type type)
{
    for (uint32_t i = 0; port && i < EMU_PORTS_MAX; i++)
        if (emu.ports[i] == port)
            return type == DOCA_FLOW_SHARED_RESOURCE_COUNTER;
    return false;
}

doca_error_t doca_flow_port_shared_resource_get(struct doca_flow_port *port, enum doca_flow_shared_resource_type type,
                        uint32_t *id)
{
    EMU_LOCKED;
    if (!shared_counters(port, type) || !id)
        return DOCA_ERROR_INVALID_VALUE;
    for (uint32_t i = 0; i < port->nr_counters; i++)
        if (!port->shared[i].present) {
            if (!emu_counter_take(port, &port->shared[i]))
                break;
            *id = i;
            return DOCA_SUCCESS;
        }
    return DOCA_ERROR_EMPTY;
}

doca_error_t doca_flow_port_shared_resource_put(struct doca_flow_port *port, enum doca_flow_shared_resource_type type,
                        uint32_t id)
{
    EMU_LOCKED;
    if (!shared_counters(port, type) || id >= port->nr_counters || !port->shared[id].present)
        return DOCA_ERROR_INVALID_VALUE;
    emu_counter_give(port, &port->shared[id]);
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_port_shared_resource_set_cfg(struct doca_flow_port *port,
                            enum doca_flow_shared_resource_type type, uint32_t id,
                            struct doca_flow_shared_resource_cfg *cfg)
{
    EMU_LOCKED;
    bool good = shared_counters(port, type) && cfg && id < port->nr_counters && port->shared[id].present;
    return good ? DOCA_SUCCESS : DOCA_ERROR_INVALID_VALUE;
}

doca_error_t doca_flow_port_shared_resources_query(struct doca_flow_port *port,
                           enum doca_flow_shared_resource_type type, uint32_t *ids,
                           struct doca_flow_resource_query *queries, uint32_t count)
{
    EMU_LOCKED;
    if (!shared_counters(port, type) || !ids || !queries)
        return DOCA_ERROR_INVALID_VALUE;
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] >= port->nr_counters || !port->shared[ids[i]].present)
            return DOCA_ERROR_INVALID_VALUE;
        emu_counter_read(&port->shared[ids[i]], &queries[i]);
    }
    return DOCA_SUCCESS;
}
#endif
