/*
 * Both ends of a last byte. `lastbyte talk ADDRESS FLOWS` sends datagrams from FLOWS ports to ADDRESS, port 443, in turn and without
 * a pause, refused or not. `lastbyte watch IFACE SOURCE FILE` writes down when each packet of SOURCE came in by IFACE, as nanoseconds of
 * CLOCK_MONOTONIC in 8 octets, and nothing that anybody else says there; the kernel takes the time before anybody is woken, so that
 * neither who waits nor how long changes it. It prints "ready", and at the end of its input how many packets it had no room for. Both end with their input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, HEAD = 20, ROOM = 64 << 20, WAIT_MS = 2 };

static int ended(int ms)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };
    char byte;
    return poll(&input, 1, ms) > 0 && read(0, &byte, 1) <= 0;
}

static int64_t now(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* What is to be added to the wall clock for the other one; asked again when it was interrupted meanwhile. */
static int64_t between(void)
{
    for (;;) {
        int64_t before = now(CLOCK_MONOTONIC), wall = now(CLOCK_REALTIME), after = now(CLOCK_MONOTONIC);
        if (after - before < 5000)
            return (before + after) / 2 - wall;
    }
}

static int talk(const char *address, int flows)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(443) };
    struct rlimit files = { (rlim_t)flows + 64, (rlim_t)flows + 64 };
    int *sockets = calloc((size_t)flows, sizeof *sockets);
    if (!sockets || inet_pton(AF_INET, address, &to.sin_addr) != 1 || setrlimit(RLIMIT_NOFILE, &files) != 0)
        return 1;
    for (int i = 0; i < flows; i++) {
        sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (sockets[i] < 0 || connect(sockets[i], (struct sockaddr *)&to, sizeof to) != 0)
            return 1;
    }
    puts("ready");
    fflush(stdout);
    while (!ended(0))
        for (int i = 0; i < flows; i++)
            /* What is refused says so at the next datagram; it is tried again like the others. */
            (void)!send(sockets[i], "x", 1, MSG_DONTWAIT);
    return 0;
}

static int watch(const char *interface, const char *source, const char *path)
{
    static uint8_t heads[BATCH][HEAD];
    static char controls[BATCH][CMSG_SPACE(sizeof(struct timespec))];
    static struct iovec vectors[BATCH];
    static struct mmsghdr messages[BATCH];
    struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)if_nametoindex(interface) };
    int fd = socket(AF_PACKET, SOCK_DGRAM, 0), out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), one = 1, room = ROOM;
    struct in_addr from;
    if (fd < 0 || out < 0 || inet_pton(AF_INET, source, &from) != 1 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) != 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
        return 1;
    puts("ready");
    fflush(stdout);
    for (int over = 0;;) {
        int64_t stamps[BATCH], offset = between();
        int kept = 0;
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){ heads[i], HEAD };
            messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = controls[i], .msg_controllen = sizeof controls[i] };
        }
        int got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++) {
            struct cmsghdr *told = CMSG_FIRSTHDR(&messages[i].msg_hdr);
            struct timespec when;
            if (messages[i].msg_len < HEAD || memcmp(heads[i] + 12, &from, 4) != 0)
                continue;
            if (!told || told->cmsg_type != SO_TIMESTAMPNS)
                return 1;
            memcpy(&when, CMSG_DATA(told), sizeof when);
            stamps[kept++] = (int64_t)when.tv_sec * 1000000000 + when.tv_nsec + offset;
        }
        if (kept > 0 && write(out, stamps, (size_t)kept * 8) != kept * 8)
            return 1;
        /* Many at a time, seldom: a packet more is not worth waking up for. */
        if (got == BATCH)
            continue;
        if (over)
            break;
        over = ended(WAIT_MS);
    }
    struct tpacket_stats seen = { 0 };
    socklen_t length = sizeof seen;
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &seen, &length) != 0)
        return 1;
    printf("%u\n", seen.tp_drops);
    return 0;
}

int main(int count, char **words)
{
    if (count == 4 && strcmp(words[1], "talk") == 0 && atoi(words[3]) > 0)
        return talk(words[2], atoi(words[3]));
    if (count == 5 && strcmp(words[1], "watch") == 0)
        return watch(words[2], words[3], words[4]);
    return 2;
}
