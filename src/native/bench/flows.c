/*
 * How many connections stand at the same time: up to COUNT are opened, 256 under way at once, and each has an octet echoed; then each
 * has another echoed, all the others standing. Prints how many answered the first time, how many the second time, and how long the
 * opening took. Ends early when descriptors or ports are used up: that is the answer, too.
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { WINDOW = 256, SILENCE_MS = 10000 };

static int opened(const struct load_end *end, int epoll)
{
    int on = 1;
    int fd = socket(end->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = { .events = EPOLLOUT, .data.fd = fd };
    if ((connect(fd, (const struct sockaddr *)&end->at, end->length) < 0 && errno != EINPROGRESS)
        || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Asks on a connection that can be written to, hears one that can be read; gives 1 when it has answered, -1 when it ended. */
static int turn(int epoll, const struct epoll_event *event)
{
    char octet;
    int fd = event->data.fd;
    if (event->events & EPOLLIN)
        return read(fd, &octet, 1) == 1 ? 1 : -1;
    if (event->events & (EPOLLERR | EPOLLHUP) || send(fd, "q", 1, MSG_NOSIGNAL) != 1)
        return -1;
    struct epoll_event hear = { .events = EPOLLIN, .data.fd = fd };
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &hear);
    return 0;
}

int load_flows(const struct load_end *end, int count)
{
    struct epoll_event events[WINDOW];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int *standing = calloc((size_t)(count > 0 ? count : 1), sizeof *standing);
    int answered = 0, again = 0, busy = 0, begun = 0, failed = 0;
    if (epoll < 0 || !standing)
        return 1;
    uint64_t from = load_now();
    while (busy > 0 || begun < count) {
        for (; busy < WINDOW && begun < count; begun++, busy++)
            if (opened(end, epoll) < 0) {
                failed++;
                count = begun;
                break;
            }
        int ready = epoll_wait(epoll, events, WINDOW, SILENCE_MS);
        if (ready == 0)
            break;
        for (int i = 0; i < ready; i++) {
            int said = turn(epoll, &events[i]);
            if (said == 0)
                continue;
            busy--;
            epoll_ctl(epoll, EPOLL_CTL_DEL, events[i].data.fd, NULL);
            if (said > 0) {
                standing[answered++] = events[i].data.fd;
            } else {
                failed++;
                close(events[i].data.fd);
            }
        }
    }
    uint64_t took = load_now() - from;
    for (int at = 0, asked = 0, waiting = 0; at < answered || waiting > 0;) {
        for (; waiting < WINDOW && at < answered; at++) {
            struct epoll_event hear = { .events = EPOLLIN, .data.fd = standing[at] };
            if (send(standing[at], "q", 1, MSG_NOSIGNAL) == 1 && epoll_ctl(epoll, EPOLL_CTL_ADD, standing[at], &hear) == 0) {
                waiting++;
                asked++;
            }
        }
        int ready = epoll_wait(epoll, events, WINDOW, SILENCE_MS);
        if (ready <= 0)
            break;
        for (int i = 0; i < ready; i++, waiting--) {
            char octet;
            again += read(events[i].data.fd, &octet, 1) == 1;
            epoll_ctl(epoll, EPOLL_CTL_DEL, events[i].data.fd, NULL);
        }
    }
    printf("{\"asked\":%d,\"answered\":%d,\"standing\":%d,\"failed\":%d,\"seconds\":%.9f}\n", begun, answered, again,
           failed + busy, (double)took / 1e9);
    return 0;
}
