/*
 * Bytes over TCP as fast as they are taken, on FLOWS connections at a time from one thread. What counts is what the other side has
 * acknowledged: what still waits in a socket at the end is taken off. A connection that ends early is counted as failed.
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

int load_stream(const struct load_end *end, uint64_t duration, int flows)
{
    static char chunk[1 << 17];
    static struct load_tally tally;
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int *fds = calloc((size_t)flows, sizeof *fds);
    if (epoll < 0 || !fds)
        return 1;
    for (int i = 0; i < flows; i++) {
        fds[i] = socket(end->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        /* Blocking until here, so that the clock starts when all of them stand. */
        if (fds[i] < 0 || connect(fds[i], (const struct sockaddr *)&end->at, end->length) < 0) {
            perror("stream: connect");
            return 1;
        }
        struct epoll_event event = { .events = EPOLLOUT, .data.u32 = (uint32_t)i };
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
    }
    tally.began = load_now();
    uint64_t until = tally.began + duration;
    while (load_now() < until) {
        int count = epoll_wait(epoll, events, 256, 10);
        for (int i = 0; i < count; i++) {
            int at = (int)events[i].data.u32;
            ssize_t sent = send(fds[at], chunk, sizeof chunk, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent > 0) {
                tally.done += (uint64_t)sent;
                load_tally_slice(&tally, load_now(), duration, (uint64_t)sent);
            } else if (errno != EAGAIN) {
                epoll_ctl(epoll, EPOLL_CTL_DEL, fds[at], NULL);
                tally.failed++;
                tally.resets += errno == ECONNRESET || errno == EPIPE;
            }
        }
    }
    tally.ended = load_now();
    for (int i = 0; i < flows; i++) {
        int waiting = 0;
        if (ioctl(fds[i], SIOCOUTQ, &waiting) == 0)
            tally.done -= (uint64_t)waiting < tally.done ? (uint64_t)waiting : tally.done;
        close(fds[i]);
    }
    load_tally_print(&tally);
    return 0;
}
