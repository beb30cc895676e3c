/* Counters: taken from what was reserved, and shown as the hardware shows them, once a second. A query sees the values of the
 * last refresh, whatever has been counted since. Nothing reserved: the counter exists and stays zero for ever. */
#include "internal.h"

#define REFRESH_MS 1000

/* False: some were reserved and all are taken. */
bool emu_counter_take(struct doca_flow_port *port, struct emu_counter *counter)
{
    if (port->nr_counters > 0 && port->counters_used == port->nr_counters)
        return false;
    counter->present = true;
    counter->counts = port->nr_counters > 0;
    if (counter->counts)
        port->counters_used++;
    return true;
}

void emu_counter_give(struct doca_flow_port *port, struct emu_counter *counter)
{
    if (counter->counts)
        port->counters_used--;
    *counter = (struct emu_counter){ 0 };
}

static void refresh(struct emu_counter *counter)
{
    uint64_t epoch = emu_now_ms() / REFRESH_MS;
    if (counter->epoch == epoch)
        return;
    counter->shown_packets = counter->packets;
    counter->shown_bytes = counter->bytes;
    counter->epoch = epoch;
}

void emu_counter_add(struct emu_counter *counter, uint32_t bytes)
{
    if (!counter->counts)
        return;
    refresh(counter);
    counter->packets++;
    counter->bytes += bytes;
}

void emu_counter_read(struct emu_counter *counter, struct doca_flow_resource_query *query)
{
    refresh(counter);
    query->counter.total_pkts = counter->shown_packets;
    query->counter.total_bytes = counter->shown_bytes;
}
