/* The queues between a program and the device. Operations wait until they are pushed, take effect inside
 * doca_flow_entries_process and nowhere else, and are reported by callback on the thread that called. After an update the
 * old rule stays in force until entries are processed once more: hardware lets go of it later than it says so. */
#include "internal.h"

#include <stdlib.h>

#define CT_QUEUE_DEPTH 512

struct emu_queue *emu_queue_of(struct doca_flow_port *port, uint16_t queue)
{
    uint32_t queues = emu.cfg.pipe_queues + (emu.ct_initialised ? emu.ct.queues : 0);
    if (queue >= queues || queue >= EMU_QUEUES_MAX)
        return NULL;
    struct emu_queue *at = &port->queues[queue];
    if (!at->ring) {
        at->depth = queue < emu.cfg.pipe_queues ? emu.cfg.queue_depth
                : emu.ct.depth		? emu.ct.depth
                            : CT_QUEUE_DEPTH;
        at->ring = calloc(at->depth, sizeof *at->ring);
    }
    return at->ring ? at : NULL;
}

void emu_queue_free(struct emu_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++)
        free(queue->ring[(queue->head + i) % queue->depth].values);
    free(queue->ring);
    free(queue->lingering);
    *queue = (struct emu_queue){ 0 };
}

bool emu_queue_has_room(struct doca_flow_port *port, uint16_t queue)
{
    struct emu_queue *at = emu_queue_of(port, queue);
    return at && at->count < at->depth;
}

doca_error_t emu_queue_put(struct doca_flow_port *port, uint16_t queue, const struct emu_operation *operation)
{
    struct emu_queue *at = emu_queue_of(port, queue);
    if (!at || at->count == at->depth) {
        free(operation->values);
        return DOCA_ERROR_AGAIN;
    }
    operation->entry->status = DOCA_FLOW_ENTRY_STATUS_IN_PROCESS;
    at->ring[(at->head + at->count++) % at->depth] = *operation;
    /* One that is pushed pushes what was buffered before it. */
    for (uint32_t i = 0; operation->pushed && i < at->count; i++)
        at->ring[(at->head + i) % at->depth].pushed = true;
    return DOCA_SUCCESS;
}

static void settle(struct emu_queue *queue)
{
    for (uint32_t i = 0; i < queue->nr_lingering; i++)
        queue->lingering[i]->lingers = false;
    queue->nr_lingering = 0;
}

static bool linger(struct emu_queue *queue, struct doca_flow_pipe_entry *entry)
{
    if (queue->nr_lingering == queue->room_lingering) {
        uint32_t room = queue->room_lingering ? queue->room_lingering * 2 : 64;
        struct doca_flow_pipe_entry **list = realloc(queue->lingering, room * sizeof *list);
        if (!list)
            return false;
        queue->lingering = list;
        queue->room_lingering = room;
    }
    queue->lingering[queue->nr_lingering++] = entry;
    return true;
}

static bool carry_out(struct emu_queue *queue, struct emu_operation *operation)
{
    struct doca_flow_pipe_entry *entry = operation->entry;
    switch (operation->op) {
    case DOCA_FLOW_ENTRY_OP_ADD:
        if (entry->counter.present && !emu_counter_take(entry->pipe->port, &entry->counter)) {
            entry->counter.present = false;
            return false;
        }
        entry->last_hit_ms = emu_now_ms();
        if (!emu_index_add(entry)) {
            emu_violation("two entries with one key");
            return false;
        }
        entry->state = EMU_ENTRY_LIVE;
        return true;
    case DOCA_FLOW_ENTRY_OP_UPD:
        if (!entry->lingers)
            entry->replacing = entry->route;
        entry->lingers = linger(queue, entry);
        entry->route = operation->route;
        if (operation->values) {
            free(entry->values);
            entry->values = operation->values;
            entry->action_index = operation->action_index;
            operation->values = NULL;
        }
        return true;
    default:
        return true;
    }
}

static void complete(struct emu_queue *queue, struct emu_operation *operation, uint16_t number)
{
    struct doca_flow_pipe_entry *entry = operation->entry;
    if (!entry)
        return;
    bool fails = emu.reset || (emu.fault_entry > 0 && --emu.fault_entry == 0);
    bool good = !fails && carry_out(queue, operation);
    uint8_t status = good ? DOCA_FLOW_ENTRY_STATUS_SUCCESS : DOCA_FLOW_ENTRY_STATUS_ERROR;
    entry->status = status;
    if (!good && operation->op == DOCA_FLOW_ENTRY_OP_ADD) {
        entry->state = EMU_ENTRY_FAILED;
        entry->pipe->count--;
        if (!entry->counter.counts)
            entry->counter.present = false;
    }
    if (!good && operation->op == DOCA_FLOW_ENTRY_OP_DEL)
        entry->state = EMU_ENTRY_LIVE;
    free(operation->values);
    uint8_t op = operation->op;
    if (emu.cfg.on_entry)
        emu.cfg.on_entry(entry, number, status, op, entry->usr_ctx);
    if (good && op == DOCA_FLOW_ENTRY_OP_DEL) {
        for (uint32_t i = queue->nr_lingering; i-- > 0;)
            if (queue->lingering[i] == entry)
                queue->lingering[i] = queue->lingering[--queue->nr_lingering];
        emu_entry_release(entry);
    }
}

/* Completes what is pushed, `max` at most (0: all). Gives how many were. */
uint32_t emu_queue_run(struct doca_flow_port *port, uint16_t number, uint32_t max)
{
    struct emu_queue *queue = emu_queue_of(port, number);
    if (!queue)
        return 0;
    settle(queue);
    if (emu.late > 0) {
        emu.late--;
        return 0;
    }
    uint32_t done = 0;
    while (queue->count > 0 && queue->ring[queue->head].pushed && (max == 0 || done < max)) {
        struct emu_operation operation = queue->ring[queue->head];
        queue->head = (queue->head + 1) % queue->depth;
        queue->count--;
        complete(queue, &operation, number);
        done++;
    }
    return done;
}

/* A pipe goes: nothing that was queued for its entries is reported any more. */
void emu_queue_forget(struct doca_flow_pipe *pipe)
{
    for (int q = 0; q < EMU_QUEUES_MAX; q++) {
        struct emu_queue *queue = &pipe->port->queues[q];
        for (uint32_t i = 0; i < queue->count; i++) {
            struct emu_operation *operation = &queue->ring[(queue->head + i) % queue->depth];
            if (operation->entry && operation->entry->pipe == pipe)
                operation->entry = NULL;
        }
        uint32_t kept = 0;
        for (uint32_t i = 0; i < queue->nr_lingering; i++)
            if (queue->lingering[i]->pipe != pipe)
                queue->lingering[kept++] = queue->lingering[i];
        queue->nr_lingering = kept;
    }
}

static bool port_known(const struct doca_flow_port *port)
{
    for (uint32_t i = 0; port && i < EMU_PORTS_MAX; i++)
        if (emu.ports[i] == port)
            return true;
    return false;
}

doca_error_t doca_flow_entries_process(struct doca_flow_port *port, uint16_t pipe_queue, uint64_t timeout,
                       uint32_t max_processed_entries)
{
    EMU_LOCKED;
    (void)timeout; /* everything that will ever complete, completes at once */
    if (!port_known(port) || pipe_queue >= emu.cfg.pipe_queues)
        return DOCA_ERROR_INVALID_VALUE;
    emu_queue_run(port, pipe_queue, max_processed_entries);
    return emu.reset ? DOCA_ERROR_DRIVER : DOCA_SUCCESS;
}

doca_error_t doca_flow_pipe_remove_entry(uint16_t pipe_queue, uint32_t flags, struct doca_flow_pipe_entry *entry)
{
    EMU_LOCKED;
    if (!emu_entry_known(entry) || entry->state != EMU_ENTRY_LIVE || entry->pipe->type == DOCA_FLOW_PIPE_CT ||
        entry->queue != pipe_queue)
        return DOCA_ERROR_INVALID_VALUE;
    if (emu.reset)
        return DOCA_ERROR_UNKNOWN;
    if (!emu_queue_has_room(entry->pipe->port, pipe_queue))
        return DOCA_ERROR_AGAIN;
#if DOCA_EMULATED_SHAPE >= 33
    bool batch = flags == DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH;
#else
    bool batch = flags == DOCA_FLOW_WAIT_FOR_BATCH;
#endif
    entry->state = EMU_ENTRY_REMOVING;
    return emu_queue_put(entry->pipe->port, pipe_queue,
                 &(struct emu_operation){ .entry = entry,
                              .serial = entry->serial,
                              .op = DOCA_FLOW_ENTRY_OP_DEL,
                              .pushed = !batch });
}

enum doca_flow_entry_status doca_flow_pipe_entry_get_status(struct doca_flow_pipe_entry *entry)
{
    EMU_LOCKED;
    return emu_entry_known(entry) ? (enum doca_flow_entry_status)entry->status : DOCA_FLOW_ENTRY_STATUS_ERROR;
}

doca_error_t doca_flow_resource_query_entry(struct doca_flow_pipe_entry *entry,
                        struct doca_flow_resource_query *query)
{
    EMU_LOCKED;
    if (!emu_entry_known(entry) || !query || !entry->counter.present)
        return DOCA_ERROR_INVALID_VALUE;
    emu_counter_read(&entry->counter, query);
    return DOCA_SUCCESS;
}

/* Reports entries without traffic for as long as they were given; the program removes them. */
int doca_flow_aging_handle(struct doca_flow_port *port, uint16_t queue, uint64_t quota, uint64_t max_entries)
{
    EMU_LOCKED;
    (void)quota;
    if (!port_known(port) || !emu_queue_of(port, queue))
        return -2;
    uint64_t now = emu_now_ms();
    uint64_t found = 0;
    for (struct doca_flow_pipe *pipe = port->pipes; pipe; pipe = pipe->next)
        for (struct doca_flow_pipe_entry *entry = pipe->entries, *next; entry; entry = next) {
            next = entry->next;
            if (entry->state != EMU_ENTRY_LIVE || entry->aged || entry->aging_sec == 0 ||
                entry->queue != queue || now - entry->last_hit_ms < entry->aging_sec * 1000ull)
                continue;
            if (max_entries && found == max_entries)
                return (int)found;
            entry->aged = true;
            found++;
            if (emu.cfg.on_entry)
                emu.cfg.on_entry(entry, queue, DOCA_FLOW_ENTRY_STATUS_SUCCESS,
                         DOCA_FLOW_ENTRY_OP_AGED, entry->usr_ctx);
        }
    return found ? (int)found : -1;
}
