/* What pipes forward to the software queue: one receive queue of DOCA Ethernet, polled. Frames are copied out, shortened; the queue's
 * memory bounds how many wait, and what finds no room is lost there. The path without DPDK is that of 3.3 and later. */
#include <stdlib.h>
#include <string.h>

#include "shim.h"

#if SHAPE >= 33
#include <doca_eth_rxq.h>
#include <doca_eth_rxq_cpu_data_path.h>

#define FRAME_MAX 2048
#define FRAMES 256

static struct {
    struct doca_eth_rxq *rxq;
    struct doca_mmap *mmap;
    struct doca_pe *pe;
    void *memory;
    bool started;
    /* Of the call that is under way. */
    uint8_t *out;
    uint32_t room, count;
} samples;

static void received(struct doca_eth_rxq_event_batch_managed_recv *event, uint16_t count, union doca_data user,
                     doca_error_t status, struct doca_buf **frames)
{
    (void)event;
    (void)user;
    for (uint16_t i = 0; status == DOCA_SUCCESS && i < count && samples.count < samples.room; i++) {
        struct sluice_doca_sample *one = (struct sluice_doca_sample *)(void *)samples.out + samples.count;
        void *data;
        size_t length;
        if (doca_buf_get_data(frames[i], &data) != DOCA_SUCCESS || doca_buf_get_data_len(frames[i], &length) != DOCA_SUCCESS)
            continue;
        one->length = (uint32_t)length;
        one->kept = (uint32_t)(length < sizeof one->data ? length : sizeof one->data);
        memcpy(one->data, data, one->kept);
        samples.count++;
    }
    doca_eth_rxq_event_batch_managed_recv_pkt_array_free(frames);
}

int32_t sluice_doca_samples_open(void)
{
    if (!shim.dev || !shim.wire_started || samples.rxq)
        return SLUICE_DOCA_BAD_HANDLE;
    const uint32_t octets = FRAME_MAX * FRAMES;
    union doca_data nothing = { .ptr = NULL };
    if (!(samples.memory = aligned_alloc(4096, octets)))
        return code_of(DOCA_ERROR_NO_MEMORY);
    doca_error_t result = doca_mmap_create(&samples.mmap);
    DOCA_ERROR_PROPAGATE(result, doca_mmap_add_dev(samples.mmap, shim.dev));
    DOCA_ERROR_PROPAGATE(result, doca_mmap_set_permissions(samples.mmap, DOCA_ACCESS_FLAG_LOCAL_READ_WRITE));
    DOCA_ERROR_PROPAGATE(result, doca_mmap_set_memrange(samples.mmap, samples.memory, octets));
    DOCA_ERROR_PROPAGATE(result, doca_mmap_start(samples.mmap));
    DOCA_ERROR_PROPAGATE(result, doca_pe_create(&samples.pe));
    DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_create(shim.dev, FRAMES, FRAME_MAX, &samples.rxq));
    if (result == DOCA_SUCCESS) {
        struct doca_ctx *ctx = doca_eth_rxq_as_doca_ctx(samples.rxq);
        DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_set_type(samples.rxq, DOCA_ETH_RXQ_TYPE_MANAGED_MEMPOOL));
        DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_set_pkt_buf(samples.rxq, samples.mmap, 0, octets));
        DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_event_batch_managed_recv_register(
                                         samples.rxq, DOCA_EVENT_BATCH_EVENTS_NUMBER_64,
                                         DOCA_EVENT_BATCH_EVENTS_NUMBER_1, nothing, received, received));
        DOCA_ERROR_PROPAGATE(result, doca_pe_connect_ctx(samples.pe, ctx));
        DOCA_ERROR_PROPAGATE(result, doca_ctx_start(ctx));
        samples.started = result == DOCA_SUCCESS;
        DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_apply_queue_id(samples.rxq, QUEUE));
    }
    if (result != DOCA_SUCCESS)
        shim_samples_close();
    return code_of(result);
}

int32_t sluice_doca_samples_take(struct sluice_doca_sample *out, uint32_t room)
{
    if (!samples.started)
        return SLUICE_DOCA_BAD_HANDLE;
    if (!out || room == 0)
        return SLUICE_DOCA_BAD_ARGUMENT;
    samples.out = (uint8_t *)out;
    samples.room = room;
    samples.count = 0;
    /* A batch that does not fit is cut: what is lost then is counted by whoever compares with the pipes. */
    while (samples.count < room && doca_pe_progress(samples.pe))
        ;
    return (int32_t)samples.count;
}

void shim_samples_close(void)
{
    if (samples.started)
        doca_ctx_stop(doca_eth_rxq_as_doca_ctx(samples.rxq));
    if (samples.rxq)
        doca_eth_rxq_destroy(samples.rxq);
    if (samples.pe)
        doca_pe_destroy(samples.pe);
    if (samples.mmap)
        doca_mmap_destroy(samples.mmap);
    free(samples.memory);
    memset(&samples, 0, sizeof samples);
}
#else
int32_t sluice_doca_samples_open(void)
{
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
}

int32_t sluice_doca_samples_take(struct sluice_doca_sample *out, uint32_t room)
{
    (void)out;
    (void)room;
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
}

void shim_samples_close(void)
{
}
#endif
