/*
 * Datagrams of SIZE octets as fast as the kernel takes them, on FLOWS ports by turns from one thread. Which of them arrive is the
 * server's to count (serve.c); here is what left and how long that took. What the kernel refuses (no room, a fence on this side, an
 * answer that nobody is there) did not leave, and ends nothing.
 */
#define _GNU_SOURCE
#include "load.h"
#include <stdlib.h>
#include <sys/uio.h>

enum { BATCH = 64, OF_MANY = 8, LARGEST = 1 << 16 };

int load_datagrams(const struct load_end *end, uint64_t duration, int flows, int size)
{
    static char payload[LARGEST];
    struct mmsghdr heads[BATCH] = { 0 };
    struct iovec part = { .iov_base = payload, .iov_len = (size_t)size };
    /* A flow of many is not gone through so far that the next ones are only waiting for it. */
    unsigned int batch = flows < BATCH ? BATCH : OF_MANY;
    int *fds = calloc((size_t)flows, sizeof *fds);
    if (!fds || size < 1 || size > LARGEST)
        return 1;
    for (int i = 0; i < BATCH; i++)
        heads[i].msg_hdr = (struct msghdr){ .msg_iov = &part, .msg_iovlen = 1 };
    for (int i = 0; i < flows; i++) {
        fds[i] = socket(end->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fds[i] < 0 || connect(fds[i], (const struct sockaddr *)&end->at, end->length) < 0) {
            perror("datagrams: connect");
            return 1;
        }
    }
    uint64_t sent = 0, from = load_now(), until = from + duration, now = from;
    for (int at = 0; now < until; at = (at + 1) % flows) {
        int count = sendmmsg(fds[at], heads, batch, 0);
        if (count > 0)
            sent += (uint64_t)count;
        now = load_now();
    }
    printf("{\"sent\":%llu,\"nanoseconds\":%llu}\n", (unsigned long long)sent, (unsigned long long)(now - from));
    return 0;
}
