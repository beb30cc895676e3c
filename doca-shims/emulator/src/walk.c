/* One frame through the pipes: from the root of the port that it came in by, pipe after pipe, to where it ends. Metadata has
 * no value until something writes it, and some pipes use words of it for themselves; the emulator puts a pattern there, so
 * that a program that relies on zeroes is found out. */
#include "internal.h"

#include <string.h>

#define POISON 0xa5a5a5a5u

static void scratch(struct doca_flow_pipe *pipe, struct emu_packet *packet)
{
    uint32_t words = pipe->type == DOCA_FLOW_PIPE_LPM ? 1 : pipe->type == DOCA_FLOW_PIPE_ACL ? 4 : 0;
    for (uint32_t i = 0; i < words; i++)
        packet->u32[i] = POISON;
    if (pipe->type == DOCA_FLOW_PIPE_HASH)
        packet->u32[3] |= DOCA_HTOBE32(0xffff0000u);
    if (words || pipe->type == DOCA_FLOW_PIPE_HASH)
        packet->views_made = 0;
}

/* What the pipe says; an entry that is found has counted the packet and acted on it. */
static struct emu_route *in_pipe(struct doca_flow_pipe *pipe, struct emu_packet *packet)
{
    int direction = 0;
    struct doca_flow_pipe_entry *entry = pipe->type == DOCA_FLOW_PIPE_CT ? emu_ct_lookup(pipe, packet, &direction)
                                         : emu_lookup(pipe, packet);
    scratch(pipe, packet);
    if (!entry) {
        emu_counter_add(&pipe->miss_counter, packet->length);
        return &pipe->miss;
    }
    emu_counter_add(&entry->counter, packet->length);
    if (entry->shared_counter < pipe->port->nr_counters)
        emu_counter_add(&pipe->port->shared[entry->shared_counter], packet->length);
    entry->last_hit_ms = emu_now_ms();
    const struct emu_action *action = entry->own		  ? entry->own
                      : pipe->nr_actions > 0 ? &pipe->actions[entry->action_index]
                                  : NULL;
    if (action) {
        emu_action_apply(action, entry->values, packet);
        packet->views_made = 0;
    }
    return entry->lingers ? &entry->replacing : &entry->route;
}

static void deliver(const struct emu_packet *packet, uint32_t fate, uint16_t port_id, struct doca_emulator_result *out)
{
    out->fate = fate;
    out->port_id = port_id;
    out->length = packet->length;
    memcpy(out->frame, packet->data, packet->length);
}

/* No entry and no miss of its own: a root of the switch has the port's default, anything else drops. */
static void default_miss(struct doca_flow_port *port, bool root, struct emu_packet *packet,
             struct doca_emulator_result *out)
{
    if (!root || !emu.switch_mode)
        return;
    emu_counter_add(&port->default_miss_counter, packet->length);
#if DOCA_EMULATED_SHAPE >= 32
    if (port->default_miss == DOCA_FLOW_PORT_DEFAULT_MISS_DROP)
        return;
    if (port->default_miss == DOCA_FLOW_PORT_DEFAULT_MISS_RSS) {
        deliver(packet, DOCA_EMULATOR_TO_QUEUE, packet->port_id, out);
        return;
    }
#endif
    deliver(packet, DOCA_EMULATOR_TO_KERNEL, packet->port_id, out);
}

static void to_queue(const struct emu_route *route, struct emu_packet *packet, struct doca_emulator_result *out)
{
    deliver(packet, DOCA_EMULATOR_TO_QUEUE, packet->port_id, out);
    uint32_t octets = packet->l4_at ? 36 : 0;
    uint32_t start = packet->l3_at && packet->length > packet->l3_at + 12u ? packet->l3_at + 12u : 0;
    if (start + octets > packet->length)
        octets = packet->length - start;
    out->queue = route->queues[emu_hash(packet->data + start, octets, 0) % route->nr_queues];
    out->pkt_meta = DOCA_BETOH32(packet->pkt_meta);
    emu_eth_receive(out->queue, packet->data, packet->length);
}

/* From one root to an end. Gives the port to leave by, or -1 when it ended otherwise. */
static int through(struct doca_flow_pipe *pipe, struct emu_packet *packet, struct doca_emulator_result *out)
{
    struct doca_flow_port *port = pipe->port;
    for (int hops = 0; hops < EMU_HOPS_MAX; hops++) {
        struct emu_route *route = in_pipe(pipe, packet);
        switch (route->kind) {
        case EMU_ROUTE_NONE:
            default_miss(port, pipe->is_root, packet, out);
            return -1;
        case EMU_ROUTE_PORT:
            return route->port_id;
        case EMU_ROUTE_QUEUE:
            to_queue(route, packet, out);
            return -1;
        case EMU_ROUTE_KERNEL:
            deliver(packet, DOCA_EMULATOR_TO_KERNEL, packet->port_id, out);
            return -1;
        case EMU_ROUTE_PIPE:
            if (!route->pipe->alive || route->pipe->serial != route->serial) {
                emu_violation("a packet was forwarded to a pipe that is gone");
                return -1;
            }
            pipe = route->pipe;
            break;
        default:
            return -1;
        }
    }
    emu_violation("a packet went round in circles");
    return -1;
}

void emu_walk(struct doca_flow_port *port, struct emu_packet *packet, struct doca_emulator_result *out)
{
    out->fate = DOCA_EMULATOR_DROPPED;
    out->length = 0;
    packet->pkt_meta = POISON;
    for (int i = 0; i < DOCA_FLOW_META_SCRATCH_PAD_MAX; i++)
        packet->u32[i] = POISON;
    emu_packet_parse(packet);
    struct doca_flow_port *holder = emu.switch_mode ? emu.switch_port : port;
    if (!holder || holder->state == DOCA_FLOW_PORT_OPERATION_STATE_UNCONNECTED) {
        /* Nobody fences: whatever bridge is underneath has the frame. */
        if (!emu.bridge_denies)
            deliver(packet, DOCA_EMULATOR_TO_BRIDGE, port->id, out);
        return;
    }
    struct doca_flow_pipe *root = holder->roots[DOCA_FLOW_PIPE_DOMAIN_DEFAULT];
    /* An empty pipeline drops. */
    int leaves = root ? through(root, packet, out) : -1;
    if (leaves < 0)
        return;
    struct doca_flow_port *egress = emu.switch_mode ? holder : emu.ports[leaves];
    struct doca_flow_pipe *last = egress ? egress->roots[DOCA_FLOW_PIPE_DOMAIN_EGRESS] : NULL;
    if (last)
        leaves = through(last, packet, out);
    if (leaves >= 0 && emu.ports[leaves])
        deliver(packet, DOCA_EMULATOR_TO_PORT, (uint16_t)leaves, out);
}
