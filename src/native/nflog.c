/*
 * Denied packets: reads one NFLOG group on a thread of its own into a ring, so that a flood of denials never blocks the
 * agent's event loop and what is not kept is counted. Gives fixed records with the interface names resolved here, in the
 * namespace where the indexes mean something.
 */
#define _GNU_SOURCE
#include "sluice_native.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <net/if.h>
#include <libnetfilter_log/libnetfilter_log.h>
#include <libnfnetlink/libnfnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct sluice_nflog {
    struct nflog_handle *handle;
    struct nflog_g_handle *group;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    int stop_fd;
    struct sluice_denial *ring;
    uint32_t slots;
    uint32_t head; /* next to read */
    uint32_t used;
    uint64_t lost;
    uint32_t next_seq;
    int seq_known;
};

static void name_of(uint32_t index, char out[16])
{
    char name[IF_NAMESIZE];
    if (index != 0 && if_indextoname(index, name) != NULL)
        memcpy(out, name, sizeof name);
}

static int keep(struct nflog_g_handle *group, struct nfgenmsg *message, struct nflog_data *data, void *context)
{
    struct sluice_nflog *log = context;
    struct sluice_denial record;
    struct nfulnl_msg_packet_hdr *header = nflog_get_msg_packet_hdr(data);
    const char *prefix = nflog_get_prefix(data);
    struct timespec now;
    char *payload = NULL;
    uint32_t seq;
    int length = nflog_get_payload(data, &payload);
    (void)group;
    (void)message;

    memset(&record, 0, sizeof record);
    clock_gettime(CLOCK_REALTIME, &now);
    record.at_ns = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
    name_of(nflog_get_indev(data), record.from);
    name_of(nflog_get_outdev(data), record.to);
    if (prefix != NULL)
        strncpy(record.prefix, prefix, sizeof record.prefix - 1);
    if (header != NULL)
        record.ethertype = ntohs(header->hw_protocol);
    if (length > 0) {
        record.length = length > SLUICE_DENIAL_SNAP ? SLUICE_DENIAL_SNAP : (uint16_t)length;
        memcpy(record.data, payload, record.length);
    }

    pthread_mutex_lock(&log->lock);
    if (nflog_get_seq(data, &seq) == 0) {
        if (log->seq_known && seq != log->next_seq)
            log->lost += (uint32_t)(seq - log->next_seq);
        log->next_seq = seq + 1;
        log->seq_known = 1;
    }
    if (log->used == log->slots) {
        log->lost++;
    } else {
        log->ring[(log->head + log->used) % log->slots] = record;
        log->used++;
        pthread_cond_signal(&log->arrived);
    }
    pthread_mutex_unlock(&log->lock);
    return 0;
}

static void *reader(void *context)
{
    struct sluice_nflog *log = context;
    struct pollfd watched[2] = { { .fd = nflog_fd(log->handle), .events = POLLIN },
                                 { .fd = log->stop_fd, .events = POLLIN } };
    char buffer[65536];

    for (;;) {
        if (poll(watched, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (watched[1].revents != 0)
            return NULL;
        if ((watched[0].revents & (POLLIN | POLLERR)) == 0)
            continue;
        ssize_t got = recv(watched[0].fd, buffer, sizeof buffer, MSG_DONTWAIT);
        /* ENOBUFS: the socket overran; the gap in the numbering says by how much. */
        if (got > 0)
            nflog_handle_packet(log->handle, buffer, (int)got);
    }
}

static int start(struct sluice_nflog *log, uint16_t group)
{
    log->handle = nflog_open();
    if (log->handle == NULL)
        return errno ? -errno : -EIO;
    log->group = nflog_bind_group(log->handle, group);
    if (log->group == NULL)
        return errno ? -errno : -EBUSY;
    if (nflog_set_mode(log->group, NFULNL_COPY_PACKET, SLUICE_DENIAL_SNAP) < 0 ||
        nflog_set_flags(log->group, NFULNL_CFG_F_SEQ) < 0 || nflog_set_timeout(log->group, 1) < 0 ||
        nflog_set_nlbufsiz(log->group, 32768) < 0)
        return errno ? -errno : -EIO;
    nfnl_rcvbufsiz(nflog_nfnlh(log->handle), 4u << 20);
    nflog_callback_register(log->group, keep, log);
    log->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (log->stop_fd < 0)
        return -errno;
    int failed = pthread_create(&log->thread, NULL, reader, log);
    return -failed;
}

static void dispose(struct sluice_nflog *log)
{
    if (log->group != NULL)
        nflog_unbind_group(log->group);
    if (log->handle != NULL)
        nflog_close(log->handle);
    if (log->stop_fd >= 0)
        close(log->stop_fd);
    pthread_cond_destroy(&log->arrived);
    pthread_mutex_destroy(&log->lock);
    free(log->ring);
    free(log);
}

int sluice_nflog_open(uint16_t group, uint32_t slots, struct sluice_nflog **out)
{
    pthread_condattr_t attributes;
    struct sluice_nflog *log = calloc(1, sizeof *log);
    if (log == NULL || slots == 0) {
        free(log);
        return slots == 0 ? -EINVAL : -ENOMEM;
    }
    log->stop_fd = -1;
    log->slots = slots;
    log->ring = calloc(slots, sizeof *log->ring);
    pthread_mutex_init(&log->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&log->arrived, &attributes);
    pthread_condattr_destroy(&attributes);
    int failed = log->ring == NULL ? -ENOMEM : start(log, group);
    if (failed != 0) {
        dispose(log);
        return failed;
    }
    *out = log;
    return 0;
}

int sluice_nflog_drain(struct sluice_nflog *log, struct sluice_denial *records, uint32_t capacity, uint32_t timeout_ms,
                       uint64_t *lost)
{
    struct timespec until;
    uint32_t moved = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&log->lock);
    while (log->used == 0)
        if (pthread_cond_timedwait(&log->arrived, &log->lock, &until) != 0)
            break;
    while (moved < capacity && log->used > 0) {
        records[moved++] = log->ring[log->head];
        log->head = (log->head + 1) % log->slots;
        log->used--;
    }
    *lost += log->lost;
    log->lost = 0;
    pthread_mutex_unlock(&log->lock);
    return (int)moved;
}

void sluice_nflog_close(struct sluice_nflog *log)
{
    uint64_t one = 1;
    /* An eventfd takes an 8-octet write unless its counter is full, which one write cannot do. */
    ssize_t written = write(log->stop_fd, &one, sizeof one);
    if (written == (ssize_t)sizeof one)
        pthread_join(log->thread, NULL);
    dispose(log);
}
