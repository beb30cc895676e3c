/* Receive queues: frames that a pipe forwarded to a queue wait here for doca_pe_progress. Each takes a slot of the program's own
 * memory until the program gives it back; a frame that finds none is lost, as on hardware. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "../include/doca_eth_rxq_cpu_data_path.h"

#define RXQS_MAX 16
#define BATCH_MAX 128

struct doca_mmap {
    struct doca_dev *dev;
    uint8_t *base;
    size_t length;
    bool started;
    uint32_t users;
};

struct doca_buf {
    struct doca_eth_rxq *rxq;
    uint8_t *data;
    size_t length;
    struct doca_buf *next;
};

struct doca_ctx {
    struct doca_eth_rxq *rxq;
    struct doca_pe *pe;
    bool started;
};

struct doca_eth_rxq {
    struct doca_ctx ctx; /* first: a context is its queue */
    struct doca_mmap *mmap;
    uint32_t offset, length, stride;
    uint32_t least, most;
    bool managed, applied;
    uint16_t id;
    union doca_data user;
    doca_eth_rxq_event_batch_managed_recv_handler_cb_t receive;
    struct doca_buf *slots, *unused;
    struct doca_buf *first, *last; /* that wait */
    uint32_t waiting;
};

struct doca_pe {
    struct doca_eth_rxq *rxqs[RXQS_MAX];
};

static struct doca_eth_rxq *applied[RXQS_MAX];

doca_error_t doca_mmap_create(struct doca_mmap **mmap)
{
    if (!mmap)
        return DOCA_ERROR_INVALID_VALUE;
    *mmap = calloc(1, sizeof **mmap);
    return *mmap ? DOCA_SUCCESS : DOCA_ERROR_NO_MEMORY;
}

doca_error_t doca_mmap_add_dev(struct doca_mmap *mmap, struct doca_dev *dev)
{
    EMU_LOCKED;
    if (!mmap || !emu_dev_known(dev))
        return DOCA_ERROR_INVALID_VALUE;
    if (mmap->started)
        return DOCA_ERROR_BAD_STATE;
    mmap->dev = dev;
    return DOCA_SUCCESS;
}

doca_error_t doca_mmap_set_permissions(struct doca_mmap *mmap, uint32_t access_mask)
{
    if (!mmap)
        return DOCA_ERROR_INVALID_VALUE;
    if (mmap->started)
        return DOCA_ERROR_BAD_STATE;
    return access_mask == DOCA_ACCESS_FLAG_LOCAL_READ_WRITE ? DOCA_SUCCESS : DOCA_ERROR_NOT_SUPPORTED;
}

doca_error_t doca_mmap_set_memrange(struct doca_mmap *mmap, void *addr, size_t len)
{
    if (!mmap || !addr || len == 0)
        return DOCA_ERROR_INVALID_VALUE;
    if (mmap->started)
        return DOCA_ERROR_BAD_STATE;
    mmap->base = addr;
    mmap->length = len;
    return DOCA_SUCCESS;
}

doca_error_t doca_mmap_start(struct doca_mmap *mmap)
{
    if (!mmap)
        return DOCA_ERROR_INVALID_VALUE;
    if (mmap->started || !mmap->dev || !mmap->base)
        return DOCA_ERROR_BAD_STATE;
    mmap->started = true;
    return DOCA_SUCCESS;
}

doca_error_t doca_mmap_destroy(struct doca_mmap *mmap)
{
    if (!mmap)
        return DOCA_ERROR_INVALID_VALUE;
    if (mmap->users > 0)
        return DOCA_ERROR_IN_USE;
    free(mmap);
    return DOCA_SUCCESS;
}

doca_error_t doca_buf_get_data(const struct doca_buf *buf, void **data)
{
    if (!buf || !data)
        return DOCA_ERROR_INVALID_VALUE;
    *data = buf->data;
    return DOCA_SUCCESS;
}

doca_error_t doca_buf_get_data_len(const struct doca_buf *buf, size_t *data_len)
{
    if (!buf || !data_len)
        return DOCA_ERROR_INVALID_VALUE;
    *data_len = buf->length;
    return DOCA_SUCCESS;
}

doca_error_t doca_eth_rxq_create(struct doca_dev *dev, uint32_t max_burst_size, uint32_t max_packet_size,
                                 struct doca_eth_rxq **eth_rxq)
{
    EMU_LOCKED;
    if (!emu_dev_known(dev) || max_burst_size == 0 || max_packet_size == 0 || !eth_rxq)
        return DOCA_ERROR_INVALID_VALUE;
    struct doca_eth_rxq *rxq = calloc(1, sizeof *rxq);
    if (!rxq)
        return DOCA_ERROR_NO_MEMORY;
    rxq->ctx.rxq = rxq;
    rxq->stride = (max_packet_size + 63u) & ~63u;
    *eth_rxq = rxq;
    return DOCA_SUCCESS;
}

doca_error_t doca_eth_rxq_destroy(struct doca_eth_rxq *rxq)
{
    EMU_LOCKED;
    if (!rxq)
        return DOCA_ERROR_INVALID_VALUE;
    if (rxq->ctx.started)
        return DOCA_ERROR_BAD_STATE;
    for (int i = 0; rxq->ctx.pe && i < RXQS_MAX; i++)
        if (rxq->ctx.pe->rxqs[i] == rxq)
            rxq->ctx.pe->rxqs[i] = NULL;
    free(rxq);
    return DOCA_SUCCESS;
}

doca_error_t doca_eth_rxq_set_type(struct doca_eth_rxq *rxq, enum doca_eth_rxq_type type)
{
    if (!rxq)
        return DOCA_ERROR_INVALID_VALUE;
    if (rxq->ctx.started)
        return DOCA_ERROR_BAD_STATE;
    rxq->managed = type == DOCA_ETH_RXQ_TYPE_MANAGED_MEMPOOL;
    return rxq->managed ? DOCA_SUCCESS : DOCA_ERROR_NOT_SUPPORTED;
}

doca_error_t doca_eth_rxq_set_pkt_buf(struct doca_eth_rxq *rxq, struct doca_mmap *mmap, uint32_t mmap_offset,
                                      uint32_t mmap_len)
{
    if (!rxq || !mmap || !mmap->started || (size_t)mmap_offset + mmap_len > mmap->length || mmap_len < rxq->stride)
        return DOCA_ERROR_INVALID_VALUE;
    if (rxq->ctx.started)
        return DOCA_ERROR_BAD_STATE;
    rxq->mmap = mmap;
    rxq->offset = mmap_offset;
    rxq->length = mmap_len;
    return DOCA_SUCCESS;
}

struct doca_ctx *doca_eth_rxq_as_doca_ctx(struct doca_eth_rxq *rxq)
{
    return rxq ? &rxq->ctx : NULL;
}

doca_error_t doca_eth_rxq_event_batch_managed_recv_register(
    struct doca_eth_rxq *rxq, enum doca_event_batch_events_number most, enum doca_event_batch_events_number least,
    union doca_data user_data, doca_eth_rxq_event_batch_managed_recv_handler_cb_t success,
    doca_eth_rxq_event_batch_managed_recv_handler_cb_t error)
{
    if (!rxq || !success || !error || most > DOCA_EVENT_BATCH_EVENTS_NUMBER_128 || least > most)
        return DOCA_ERROR_INVALID_VALUE;
    if (rxq->ctx.started)
        return DOCA_ERROR_BAD_STATE;
    rxq->most = 1u << most;
    rxq->least = 1u << least;
    rxq->user = user_data;
    rxq->receive = success;
    return DOCA_SUCCESS;
}

doca_error_t doca_pe_create(struct doca_pe **pe)
{
    if (!pe)
        return DOCA_ERROR_INVALID_VALUE;
    *pe = calloc(1, sizeof **pe);
    return *pe ? DOCA_SUCCESS : DOCA_ERROR_NO_MEMORY;
}

doca_error_t doca_pe_destroy(struct doca_pe *pe)
{
    EMU_LOCKED;
    if (!pe)
        return DOCA_ERROR_INVALID_VALUE;
    for (int i = 0; i < RXQS_MAX; i++)
        if (pe->rxqs[i])
            return DOCA_ERROR_IN_USE;
    free(pe);
    return DOCA_SUCCESS;
}

doca_error_t doca_pe_connect_ctx(struct doca_pe *pe, struct doca_ctx *ctx)
{
    EMU_LOCKED;
    if (!pe || !ctx)
        return DOCA_ERROR_INVALID_VALUE;
    if (ctx->pe || ctx->started)
        return DOCA_ERROR_BAD_STATE;
    for (int i = 0; i < RXQS_MAX; i++)
        if (!pe->rxqs[i]) {
            pe->rxqs[i] = ctx->rxq;
            ctx->pe = pe;
            return DOCA_SUCCESS;
        }
    return DOCA_ERROR_FULL;
}

doca_error_t doca_ctx_start(struct doca_ctx *ctx)
{
    EMU_LOCKED;
    struct doca_eth_rxq *rxq = ctx ? ctx->rxq : NULL;
    if (!rxq)
        return DOCA_ERROR_INVALID_VALUE;
    if (ctx->started || !ctx->pe || !rxq->mmap || !rxq->managed || !rxq->receive)
        return DOCA_ERROR_BAD_STATE;
    uint32_t count = rxq->length / rxq->stride;
    if (!(rxq->slots = calloc(count, sizeof *rxq->slots)))
        return DOCA_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        rxq->slots[i].rxq = rxq;
        rxq->slots[i].data = rxq->mmap->base + rxq->offset + (size_t)i * rxq->stride;
        rxq->slots[i].next = rxq->unused;
        rxq->unused = &rxq->slots[i];
    }
    rxq->mmap->users++;
    ctx->started = true;
    return DOCA_SUCCESS;
}

doca_error_t doca_ctx_stop(struct doca_ctx *ctx)
{
    EMU_LOCKED;
    struct doca_eth_rxq *rxq = ctx ? ctx->rxq : NULL;
    if (!rxq || !ctx->started)
        return rxq ? DOCA_ERROR_BAD_STATE : DOCA_ERROR_INVALID_VALUE;
    if (rxq->applied)
        applied[rxq->id] = NULL;
    rxq->mmap->users--;
    free(rxq->slots);
    rxq->slots = rxq->unused = rxq->first = rxq->last = NULL;
    rxq->waiting = 0;
    rxq->applied = ctx->started = false;
    return DOCA_SUCCESS;
}

doca_error_t doca_eth_rxq_apply_queue_id(struct doca_eth_rxq *rxq, uint16_t queue_id)
{
    EMU_LOCKED;
    if (!rxq || queue_id >= RXQS_MAX)
        return DOCA_ERROR_INVALID_VALUE;
    if (!rxq->ctx.started || rxq->applied || applied[queue_id])
        return DOCA_ERROR_BAD_STATE;
    applied[queue_id] = rxq;
    rxq->id = queue_id;
    rxq->applied = true;
    return DOCA_SUCCESS;
}

/* A frame that a pipe forwarded to a queue. Under the lock. */
void emu_eth_receive(uint16_t queue, const uint8_t *frame, uint32_t length)
{
    struct doca_eth_rxq *rxq = queue < RXQS_MAX ? applied[queue] : NULL;
    struct doca_buf *slot = rxq ? rxq->unused : NULL;
    if (!slot || length > rxq->stride)
        return;
    rxq->unused = slot->next;
    memcpy(slot->data, frame, length);
    slot->length = length;
    slot->next = NULL;
    if (rxq->last)
        rxq->last->next = slot;
    else
        rxq->first = slot;
    rxq->last = slot;
    rxq->waiting++;
}

uint8_t doca_pe_progress(struct doca_pe *pe)
{
    EMU_LOCKED;
    uint8_t worked = 0;
    for (int i = 0; pe && i < RXQS_MAX; i++) {
        struct doca_eth_rxq *rxq = pe->rxqs[i];
        if (!rxq || !rxq->ctx.started || rxq->waiting < rxq->least)
            continue;
        struct doca_buf **batch = calloc(BATCH_MAX + 1, sizeof *batch); /* ends with NULL */
        uint16_t count = 0;
        for (; batch && rxq->first && count < rxq->most; count++) {
            batch[count] = rxq->first;
            rxq->first = rxq->first->next;
            rxq->waiting--;
        }
        if (!rxq->first)
            rxq->last = NULL;
        if (!batch)
            continue;
        rxq->receive(NULL, count, rxq->user, DOCA_SUCCESS, batch);
        worked = 1;
    }
    return worked;
}

void doca_eth_rxq_event_batch_managed_recv_pkt_array_free(struct doca_buf **pkt_array)
{
    EMU_LOCKED;
    for (uint32_t i = 0; pkt_array && pkt_array[i]; i++) {
        pkt_array[i]->next = pkt_array[i]->rxq->unused;
        pkt_array[i]->rxq->unused = pkt_array[i];
    }
    free(pkt_array);
}
