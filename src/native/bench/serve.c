/*
 * The server's side: one epoll. Connections to PORT are echoed; to PORT+1 get one octet for their first and are closed, so
 * that the TIME_WAIT stays here and no client runs out of ports; to PORT+2 are read and forgotten. Datagrams to PORT are echoed. With a
 * peer named, whoever comes from another address is closed without an answer, its datagrams to PORT+2 are counted, and who connects to
 * PORT+3 is told how many arrived, how busy this machine was, and which boot of a machine it is; without one connections that stand are echoed on the
 * ports from PORT+3 on, by a process each, since each may have only so many descriptors, and end in a reset, so that tens of thousands
 * leave nothing behind. Ends when its standard input does.
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

/* What an event is about: a kind above the descriptor. */
enum { LISTEN_ECHO, LISTEN_ONCE, LISTEN_SINK, LISTEN_STANDING, LISTEN_TELL, DATAGRAM, COUNTED, ECHO, ONCE, SINK, STANDING_ECHO, INPUT };

/* Of a server with a peer: the socket whose datagrams are counted, and how many were read from it. */
static int counted = -1;
static uint64_t taken;

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

/* What arrived and found no room in the socket has come all the way as well. */
static uint64_t arrived(void)
{
    uint32_t seen[SK_MEMINFO_VARS] = { 0 };
    socklen_t length = sizeof seen;
    getsockopt(counted, SOL_SOCKET, SO_MEMINFO, seen, &length);
    return taken + seen[SK_MEMINFO_DROPS];
}

static void tell(int fd)
{
    char boot[64] = "", line[192];
    FILE *id = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (id) {
        if (fscanf(id, "%63[0-9a-f-]", boot) != 1)
            boot[0] = 0;
        fclose(id);
    }
    int length = snprintf(line, sizeof line, "{\"datagrams\":%llu,\"ticks\":%llu,\"boot\":\"%s\"}\n",
                          (unsigned long long)arrived(), load_busy_ticks(), boot);
    /* It fits; who has gone asks again. */
    send(fd, line, (size_t)length, MSG_NOSIGNAL);
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
        if (kind == LISTEN_TELL) {
            tell(fd);
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (kind == LISTEN_STANDING)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
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

static void count_datagrams(int fd, const struct load_end *peer)
{
    enum { BATCH = 64 };
    static char octets[2048];
    struct sockaddr_storage from[BATCH];
    /* All into one place: nobody looks at them. */
    struct iovec part = { .iov_base = octets, .iov_len = sizeof octets };
    struct mmsghdr heads[BATCH];
    /* Not without an end: those who ask how many came have their turn between. */
    for (int round = 0; round < BATCH; round++) {
        for (int i = 0; i < BATCH; i++)
            heads[i].msg_hdr =
                (struct msghdr){ .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &part, .msg_iovlen = 1 };
        int got = recvmmsg(fd, heads, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++)
            taken += peer && same_address(&from[i], peer);
        if (got < BATCH)
            return;
    }
}

static void serve(int epoll, const struct load_end *peer)
{
    static char buffer[1 << 18];
    struct epoll_event events[256];
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = (int)(uint32_t)events[i].data.u64, kind = (int)(events[i].data.u64 >> 32);
            if (kind == INPUT) {
                if (read(0, buffer, sizeof buffer) <= 0)
                    return;
            } else if (kind == DATAGRAM) {
                echo_datagrams(fd, peer);
            } else if (kind == COUNTED) {
                count_datagrams(fd, peer);
            } else if (kind <= LISTEN_TELL) {
                take_all(epoll, fd, kind, peer);
            } else {
                answer(fd, kind, buffer, sizeof buffer);
            }
        }
    }
}

/* Serves a port of connections that stand in a process of its own, which ends with this one; 0 when it listens. */
static int serve_standing(const char *address, int port)
{
    pid_t self = getpid();
    int fd = bound(address, port, SOCK_STREAM);
    if (fd < 0)
        return -1;
    pid_t child = fork();
    if (child != 0) {
        close(fd);
        return child < 0 ? -1 : 0;
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != self || watch(epoll, fd, LISTEN_STANDING) < 0)
        _exit(1);
    serve(epoll, NULL);
    _exit(0);
}

int load_serve(const char *address, int port, const char *peer)
{
    struct load_end only;
    int at = port;
    load_descriptors();
    if (peer && load_end_parse(&only, peer, 0) < 0) {
        fprintf(stderr, "serve: %s is no address\n", peer);
        return 1;
    }
    for (int i = 0; !peer && i < STANDING; i++) {
        at = port + PORT_STANDING + i;
        if (serve_standing(address, at) < 0)
            goto failed;
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < PORTS + 1; i++) {
        at = i < PORTS ? port + i : port;
        int fd = bound(address, at, i < PORTS ? SOCK_STREAM : SOCK_DGRAM);
        if (fd < 0 || watch(epoll, fd, i < PORTS ? LISTEN_ECHO + i : DATAGRAM) < 0)
            goto failed;
    }
    if (peer) {
        at = port + PORT_SINK;
        counted = bound(address, at, SOCK_DGRAM);
        if (counted < 0 || watch(epoll, counted, COUNTED) < 0)
            goto failed;
        at = port + PORT_TELL;
        int teller = bound(address, at, SOCK_STREAM);
        if (teller < 0 || watch(epoll, teller, LISTEN_TELL) < 0)
            goto failed;
    }
    if (watch(epoll, 0, INPUT) < 0 && errno != EPERM)
        return 1;
    puts("ready");
    serve(epoll, peer ? &only : NULL);
    return 0;
failed:
    fprintf(stderr, "serve: %s port %d: %s\n", address, at, strerror(errno));
    return 1;
}
