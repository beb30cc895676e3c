/*
 * Raw Ethernet frames for the network laboratory.
 *
 *   frame send IFACE           reads one frame a line, as hex, from standard input; answers "ok" or "errno N" for each
 *   frame sniff IFACE [SNAP]   prints "ready", then for each frame "NANOSECONDS in|out LENGTH HEX", HEX cut at SNAP octets
 *
 * Times are the kernel's receive stamps (CLOCK_REALTIME). A VLAN tag that the kernel took out of a frame is put back, so
 * that what is printed is what was on the wire. Exit status: 0 at end of input, 1 for a system error, 2 for bad usage.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FRAME = 65536, MAX_LINE = 2 * MAX_FRAME + 8 };

static int fail(const char *what)
{
    fprintf(stderr, "frame: %s: %s\n", what, strerror(errno));
    return 1;
}

/* A packet socket bound to one interface; -1 with errno set when there is none. */
static int open_packet(const char *interface, uint16_t protocol)
{
    struct sockaddr_ll address;
    unsigned int index = if_nametoindex(interface);
    if (index == 0)
        return -1;
    int socket_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(protocol));
    if (socket_fd < 0)
        return -1;
    memset(&address, 0, sizeof address);
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    address.sll_ifindex = (int)index;
    if (bind(socket_fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(socket_fd);
        return -1;
    }
    return socket_fd;
}

static int nibble(int character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return -1;
}

/* Octets of a line of lower-case hex; -1 for an odd count, another character, or an empty line. */
static ssize_t decode(const char *line, uint8_t *frame)
{
    ssize_t length = 0;
    for (; *line != '\0' && *line != '\n'; line += 2) {
        int high = nibble(line[0]);
        int low = high < 0 ? -1 : nibble(line[1]);
        if (low < 0 || length == MAX_FRAME)
            return -1;
        frame[length++] = (uint8_t)(high << 4 | low);
    }
    return length == 0 ? -1 : length;
}

static int send_frames(const char *interface)
{
    static char line[MAX_LINE];
    static uint8_t frame[MAX_FRAME];
    int socket_fd = open_packet(interface, 0);
    if (socket_fd < 0)
        return fail(interface);
    while (fgets(line, sizeof line, stdin) != NULL) {
        ssize_t length = decode(line, frame);
        if (length < 0) {
            fprintf(stderr, "frame: a line is not a frame in lower-case hex\n");
            return 2;
        }
        if (send(socket_fd, frame, (size_t)length, 0) == length)
            puts("ok");
        else
            printf("errno %d\n", errno);
        fflush(stdout);
    }
    return 0;
}

struct seen {
    struct timespec at;
    int tagged;
    uint16_t tpid;
    uint16_t tci;
};

static void read_control(struct msghdr *message, struct seen *seen)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
            memcpy(&seen->at, CMSG_DATA(c), sizeof seen->at);
        if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
            struct tpacket_auxdata data;
            memcpy(&data, CMSG_DATA(c), sizeof data);
            if (data.tp_status & TP_STATUS_VLAN_VALID) {
                seen->tagged = 1;
                seen->tci = data.tp_vlan_tci;
                seen->tpid = data.tp_status & TP_STATUS_VLAN_TPID_VALID ? data.tp_vlan_tpid : ETH_P_8021Q;
            }
        }
    }
}

static void print_frame(const uint8_t *frame, size_t length, size_t snap, const struct seen *seen, const char *way)
{
    static const char digits[] = "0123456789abcdef";
    static char text[2 * (MAX_FRAME + 4) + 1];
    uint8_t tag[4] = { (uint8_t)(seen->tpid >> 8), (uint8_t)seen->tpid, (uint8_t)(seen->tci >> 8), (uint8_t)seen->tci };
    size_t whole = length + (seen->tagged ? 4 : 0);
    size_t at = 0;
    for (size_t i = 0; i < whole && i < snap; i++) {
        uint8_t octet = i < 12 || !seen->tagged ? frame[i] : i < 16 ? tag[i - 12] : frame[i - 4];
        text[at++] = digits[octet >> 4];
        text[at++] = digits[octet & 15];
    }
    text[at] = '\0';
    printf("%lld%09ld %s %zu %s\n", (long long)seen->at.tv_sec, seen->at.tv_nsec, way, whole, text);
}

static int sniff(const char *interface, size_t snap)
{
    static uint8_t frame[MAX_FRAME];
    int on = 1;
    int buffer = 32 << 20;
    int socket_fd = open_packet(interface, ETH_P_ALL);
    if (socket_fd < 0)
        return fail(interface);
    if (setsockopt(socket_fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0 ||
        setsockopt(socket_fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0 ||
        setsockopt(socket_fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) < 0)
        return fail("setsockopt");
    puts("ready");
    fflush(stdout);
    for (;;) {
        char control[512];
        struct sockaddr_ll from;
        struct iovec part = { frame, sizeof frame };
        struct msghdr message = { &from, sizeof from, &part, 1, control, sizeof control, 0 };
        struct seen seen = { { 0, 0 }, 0, 0, 0 };
        ssize_t length = recvmsg(socket_fd, &message, MSG_DONTWAIT);
        if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            /* Nothing waits: hand over what was printed, and see whether the reader is still there. */
            struct pollfd watched[2] = { { socket_fd, POLLIN, 0 }, { STDOUT_FILENO, 0, 0 } };
            fflush(stdout);
            if (poll(watched, 2, -1) < 0 && errno != EINTR)
                return fail("poll");
            if (watched[1].revents & (POLLERR | POLLHUP))
                return 0;
            continue;
        }
        if (length < 0) {
            if (errno == EINTR)
                continue;
            return fail("recvmsg");
        }
        read_control(&message, &seen);
        print_frame(frame, (size_t)length, snap, &seen, from.sll_pkttype == PACKET_OUTGOING ? "out" : "in");
    }
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "send") == 0)
        return send_frames(arguments[2]);
    if ((count == 3 || count == 4) && strcmp(arguments[1], "sniff") == 0) {
        long snap = count == 4 ? strtol(arguments[3], NULL, 10) : MAX_FRAME;
        if (snap > 0 && snap <= MAX_FRAME)
            return sniff(arguments[2], (size_t)snap);
    }
    fprintf(stderr, "usage: frame send IFACE | frame sniff IFACE [SNAP]\n");
    return 2;
}
