/* What pipes forward to software: receive queues of DOCA Ethernet, polled. Frames are copied out; a queue's memory bounds how many
 * wait, and what finds no room is lost there. The path without DPDK is that of 3.3 and later. What goes out again leaves by
 * the netdevice that the Arm has for a port, as everything does that the Arm sends. */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim.h"

#define QUEUES 3
#define FRAMES 256

static int out_socket = -1;

/* Addresses of frames are their own: the kernel adds nothing. */
int32_t sluice_doca_send(const char *vuid, const uint8_t *frame, uint32_t length)
{
    char name[DOCA_DEVINFO_IFACE_NAME_SIZE] = "";
    if (!shim.dev)
        return SLUICE_DOCA_BAD_HANDLE;
    if (!frame || length < 14)
        return SLUICE_DOCA_BAD_ARGUMENT;
    doca_error_t result = DOCA_ERROR_NOT_FOUND;
    if (!vuid)
        result = doca_devinfo_get_iface_name(doca_dev_as_devinfo(shim.dev), name, sizeof name);
    for (uint32_t i = 0; vuid && i < shim.nr_reps; i++) {
        char own[DOCA_DEVINFO_REP_VUID_SIZE] = "";
        const struct doca_devinfo_rep *info = doca_dev_rep_as_devinfo(shim.reps[i]);
        if (doca_devinfo_rep_get_vuid(info, own, sizeof own) == DOCA_SUCCESS && strcmp(own, vuid) == 0)
            result = doca_devinfo_rep_get_iface_name(info, name, sizeof name);
    }
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name), .sll_halen = 6 };
    if (result != DOCA_SUCCESS || to.sll_ifindex == 0)
        return SLUICE_DOCA_NO_NETDEVICE;
    memcpy(to.sll_addr, frame, 6);
    /* Of no protocol: it receives nothing. */
    if (out_socket < 0 && (out_socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
        return SLUICE_DOCA_NO_NETDEVICE;
    ssize_t sent = sendto(out_socket, frame, length, 0, (const struct sockaddr *)(const void *)&to, sizeof to);
    return sent == (ssize_t)length ? 0 : SLUICE_DOCA_NO_NETDEVICE;
}

#if SHAPE >= 33
#include <doca_eth_rxq.h>
#include <doca_eth_rxq_cpu_data_path.h>

static struct queue {
    struct doca_eth_rxq *rxq;
    struct doca_mmap *mmap;
    struct doca_pe *pe;
    void *memory;
    bool started;
    /* Of the call that is under way. */
    uint8_t *out;
    uint32_t stride, room, count;
} queues[QUEUES];

static void received(struct doca_eth_rxq_event_batch_managed_recv *event, uint16_t count, union doca_data user,
                     doca_error_t status, struct doca_buf **frames)
{
    struct queue *queue = user.ptr;
    (void)event;
    for (uint16_t i = 0; status == DOCA_SUCCESS && i < count && queue->count < queue->room; i++) {
        uint8_t *record = queue->out + (size_t)queue->count * queue->stride;
        void *data;
        size_t length;
        if (doca_buf_get_data(frames[i], &data) != DOCA_SUCCESS || doca_buf_get_data_len(frames[i], &length) != DOCA_SUCCESS)
            continue;
        uint32_t head[2] = { (uint32_t)length, (uint32_t)(length < queue->stride - 8 ? length : queue->stride - 8) };
        memcpy(record, head, sizeof head);
        memcpy(record + sizeof head, data, head[1]);
        queue->count++;
    }
    doca_eth_rxq_event_batch_managed_recv_pkt_array_free(frames);
}

static void shut(struct queue *queue)
{
    if (queue->started)
        doca_ctx_stop(doca_eth_rxq_as_doca_ctx(queue->rxq));
    if (queue->rxq)
        doca_eth_rxq_destroy(queue->rxq);
    if (queue->pe)
        doca_pe_destroy(queue->pe);
    if (queue->mmap)
        doca_mmap_destroy(queue->mmap);
    free(queue->memory);
    memset(queue, 0, sizeof *queue);
}

int32_t sluice_doca_queue_open(uint32_t number, uint32_t longest)
{
    if (number >= QUEUES || longest < 64 || longest > 65536)
        return SLUICE_DOCA_BAD_ARGUMENT;
    struct queue *queue = &queues[number];
    if (!shim.dev || !shim.wire_started || queue->rxq)
        return SLUICE_DOCA_BAD_HANDLE;
    const uint32_t octets = ((longest + 63) & ~63u) * FRAMES;
    union doca_data user = { .ptr = queue };
    if (!(queue->memory = aligned_alloc(4096, (octets + 4095) & ~4095u)))
        return code_of(DOCA_ERROR_NO_MEMORY);
    doca_error_t result = doca_mmap_create(&queue->mmap);
    DOCA_ERROR_PROPAGATE(result, doca_mmap_add_dev(queue->mmap, shim.dev));
    DOCA_ERROR_PROPAGATE(result, doca_mmap_set_permissions(queue->mmap, DOCA_ACCESS_FLAG_LOCAL_READ_WRITE));
    DOCA_ERROR_PROPAGATE(result, doca_mmap_set_memrange(queue->mmap, queue->memory, octets));
    DOCA_ERROR_PROPAGATE(result, doca_mmap_start(queue->mmap));
    DOCA_ERROR_PROPAGATE(result, doca_pe_create(&queue->pe));
    DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_create(shim.dev, FRAMES, longest, &queue->rxq));
    if (result == DOCA_SUCCESS) {
        struct doca_ctx *ctx = doca_eth_rxq_as_doca_ctx(queue->rxq);
        DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_set_type(queue->rxq, DOCA_ETH_RXQ_TYPE_MANAGED_MEMPOOL));
        DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_set_pkt_buf(queue->rxq, queue->mmap, 0, octets));
        DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_event_batch_managed_recv_register(
                                         queue->rxq, DOCA_EVENT_BATCH_EVENTS_NUMBER_64,
                                         DOCA_EVENT_BATCH_EVENTS_NUMBER_1, user, received, received));
        DOCA_ERROR_PROPAGATE(result, doca_pe_connect_ctx(queue->pe, ctx));
        DOCA_ERROR_PROPAGATE(result, doca_ctx_start(ctx));
        queue->started = result == DOCA_SUCCESS;
        DOCA_ERROR_PROPAGATE(result, doca_eth_rxq_apply_queue_id(queue->rxq, (uint16_t)number));
    }
    if (result != DOCA_SUCCESS)
        shut(queue);
    return code_of(result);
}

int32_t sluice_doca_queue_take(uint32_t number, uint8_t *out, uint32_t stride, uint32_t room)
{
    if (number >= QUEUES || !out || stride <= 8 || room == 0)
        return SLUICE_DOCA_BAD_ARGUMENT;
    struct queue *queue = &queues[number];
    if (!queue->started)
        return SLUICE_DOCA_BAD_HANDLE;
    queue->out = out;
    queue->stride = stride;
    queue->room = room;
    queue->count = 0;
    /* A batch that does not fit is cut: what is lost then is counted by whoever compares with the pipes. */
    while (queue->count < room && doca_pe_progress(queue->pe))
        ;
    return (int32_t)queue->count;
}

static void shut_all(void)
{
    for (int i = 0; i < QUEUES; i++)
        shut(&queues[i]);
}
#else
int32_t sluice_doca_queue_open(uint32_t number, uint32_t longest)
{
    (void)number;
    (void)longest;
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
}

int32_t sluice_doca_queue_take(uint32_t number, uint8_t *out, uint32_t stride, uint32_t room)
{
    (void)number;
    (void)out;
    (void)stride;
    (void)room;
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
}

static void shut_all(void)
{
}
#endif

void shim_queues_close(void)
{
    shut_all();
    if (out_socket >= 0)
        close(out_socket);
    out_socket = -1;
}
