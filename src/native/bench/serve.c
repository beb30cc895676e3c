/*
 * The server's side: one thread, one epoll. Connections to PORT are echoed; to PORT+1 get one octet for their first and are closed, so
 * that the TIME_WAIT stays here and no client runs out of ports; to PORT+2 are read and forgotten. Datagrams to PORT are echoed. With a
 * peer named, whoever comes from another address is closed without an answer. Ends when its standard input does.
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

/* What an event is about: a kind above the descriptor. */
enum { LISTEN_ECHO, LISTEN_ONCE, LISTEN_SINK, DATAGRAM, ECHO, ONCE, SINK, INPUT };

static int watch(int epoll, int fd, int kind)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)kind << 32 | (uint32_t)fd };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int bound(const char *address, int port, int type)
{
    struct load_end end;
    int on = 1;
    if (load_end_parse(&end, address, port) < 0)
        return -1;
    int fd = socket(end.family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&end.at, end.length) < 0 || (type == SOCK_STREAM && listen(fd, 4096) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int same_address(const struct sockaddr_storage *a, const struct load_end *b)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;
    if (b->family == AF_INET6)
        return a->ss_family == AF_INET6 && memcmp(&six->sin6_addr, &((const struct sockaddr_in6 *)&b->at)->sin6_addr, 16) == 0;
    const void *four = &((const struct sockaddr_in *)&b->at)->sin_addr;
    if (a->ss_family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)a)->sin_addr, four, 4) == 0;
    return IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) && memcmp(six->sin6_addr.s6_addr + 12, four, 4) == 0;
}

static void take_all(int epoll, int listener, int kind, const struct load_end *peer)
{
    for (;;) {
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        int on = 1;
        int fd = accept4(listener, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (peer && !same_address(&from, peer)) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (watch(epoll, fd, kind - LISTEN_ECHO + ECHO) < 0)
            close(fd);
    }
}

static void answer(int fd, int kind, char *buffer, size_t size)
{
    for (;;) {
        ssize_t got = read(fd, buffer, size);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            close(fd);
            return;
        }
        if (kind == SINK)
            continue;
        /* One octet each: it fits, or the client is gone and the next read says so. */
        ssize_t sent = send(fd, buffer, kind == ONCE ? 1 : (size_t)got, MSG_NOSIGNAL);
        if (kind == ONCE || sent < 0) {
            close(fd);
            return;
        }
        if ((size_t)got < size)
            return;
    }
}

static void echo_datagrams(int fd, const struct load_end *peer)
{
    char buffer[2048];
    for (;;) {
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &length);
        if (got < 0)
            return;
        if (!peer || same_address(&from, peer))
            sendto(fd, buffer, (size_t)got, MSG_NOSIGNAL, (struct sockaddr *)&from, length);
    }
}

int load_serve(const char *address, int port, const char *peer)
{
    static char buffer[1 << 18];
    struct load_end only;
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    load_descriptors();
    if (peer && load_end_parse(&only, peer, 0) < 0) {
        fprintf(stderr, "serve: %s is no address\n", peer);
        return 1;
    }
    for (int i = 0; i < PORTS + 1; i++) {
        int fd = bound(address, i < PORTS ? port + i : port, i < PORTS ? SOCK_STREAM : SOCK_DGRAM);
        if (fd < 0 || watch(epoll, fd, i < PORTS ? LISTEN_ECHO + i : DATAGRAM) < 0) {
            fprintf(stderr, "serve: %s port %d: %s\n", address, i < PORTS ? port + i : port, strerror(errno));
            return 1;
        }
    }
    if (watch(epoll, 0, INPUT) < 0 && errno != EPERM)
        return 1;
    puts("ready");
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = (int)(uint32_t)events[i].data.u64, kind = (int)(events[i].data.u64 >> 32);
            if (kind == INPUT) {
                if (read(0, buffer, sizeof buffer) <= 0)
                    return 0;
            } else if (kind == DATAGRAM) {
                echo_datagrams(fd, peer ? &only : NULL);
            } else if (kind <= LISTEN_SINK) {
                take_all(epoll, fd, kind, peer ? &only : NULL);
            } else {
                answer(fd, kind, buffer, sizeof buffer);
            }
        }
    }
}
