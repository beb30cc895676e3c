/*
 * Small datagrams from a workspace's side of a veth, as fast as they go: packets IFACE 4|6 ADDRESSES FLOWS WARM PACKETS [MS].
 * Destinations are ADDRESSES from 45.1.0.0 or 2600:45:1:: on, port 443, in an order in which no two neighbours share a cache line of a
 * table; FLOWS of them with source ports are gone through again and again, WARM packets before the clock starts. With MS it goes on
 * past PACKETS until that time is over. All frames are built before, and the clock runs over everything from the first send to the
 * last. On a veth the whole way to the other side runs while the sender waits, so what a packet takes to send is what the path costs.
 * Prints how many packets the clock saw, nanoseconds a packet, and the CPU time of the machine meanwhile, in ticks.
 */
#define _GNU_SOURCE
#include "load.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BATCH = 64, LONGEST = 80, PAYLOAD = 12 };

static const uint8_t WORKSPACE6[16] = { 0x26, 0, 0, 9, [15] = 2 };

static uint32_t sum_of(const uint8_t *at, int length, uint32_t sum)
{
    for (int i = 0; i < length; i += 2)
        sum += (uint32_t)at[i] << 8 | (i + 1 < length ? at[i + 1] : 0u);
    return sum;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    uint16_t folded = htons((uint16_t)(~sum & 0xffff ? ~sum : 0xffff));
    memcpy(at, &folded, 2);
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The frame to the n-th address from a source port; gives its length. */
static int build(uint8_t *frame, int family, uint32_t n, uint16_t source)
{
    static const uint8_t link[12] = { 2, 0, 0, 0, 9, 1, 2, 0, 0, 0, 9, 2 };
    uint8_t *ip = frame + 14;
    uint8_t *udp = ip + (family == 6 ? 40 : 20);
    memset(frame, 0, LONGEST);
    memcpy(frame, link, sizeof link);
    put16(frame + 12, family == 6 ? ETH_P_IPV6 : ETH_P_IP);
    put16(udp, source);
    put16(udp + 2, 443);
    put16(udp + 4, 8 + PAYLOAD);
    if (family == 6) {
        uint32_t low = htonl(n);
        ip[0] = 0x60;
        put16(ip + 4, 8 + PAYLOAD);
        ip[6] = IPPROTO_UDP;
        ip[7] = 64;
        memcpy(ip + 8, WORKSPACE6, 16);
        memcpy(ip + 24, (uint8_t[]){ 0x26, 0, 0, 0x45, 0, 1 }, 6);
        memcpy(ip + 36, &low, 4);
        put_sum(udp + 6, sum_of(udp, 8 + PAYLOAD, sum_of(ip + 8, 32, 8 + PAYLOAD + IPPROTO_UDP)));
        return 14 + 40 + 8 + PAYLOAD;
    }
    uint32_t to = htonl((45u << 24 | 1u << 16) + n);
    ip[0] = 0x45;
    put16(ip + 2, 28 + PAYLOAD);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    memcpy(ip + 12, (uint8_t[]){ 10, 9, 0, 2 }, 4);
    memcpy(ip + 16, &to, 4);
    put_sum(ip + 10, sum_of(ip, 20, 0));
    return 14 + 28 + PAYLOAD;
}

/* Sends `count` packets from the ring of `ring`, beginning with the at-th of all; 0, or -1 when the kernel refuses. */
static int sent_all(int fd, struct mmsghdr *frames, long ring, long at, long count)
{
    for (long end = at + count; at < end;) {
        long from = at % ring, rest = end - at < ring - from ? end - at : ring - from;
        int now = sendmmsg(fd, frames + from, (unsigned int)(rest < BATCH ? rest : BATCH), 0);
        if (now < 0)
            return -1;
        at += now;
    }
    return 0;
}

int load_packets(const char *interface, int family, long addresses, long flows, long warm, long packets, long milliseconds)
{
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface), .sll_halen = 6 };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0 || to.sll_ifindex == 0 || addresses <= 0 || flows <= 0 || packets <= 0 || warm < 0) {
        perror("packets");
        return 1;
    }
    uint8_t(*frames)[LONGEST] = calloc((size_t)flows, sizeof *frames);
    struct iovec *parts = calloc((size_t)flows, sizeof *parts);
    struct mmsghdr *heads = calloc((size_t)flows, sizeof *heads);
    if (!frames || !parts || !heads) {
        perror("packets");
        return 1;
    }
    for (long flow = 0; flow < flows; flow++) {
        uint32_t n = (uint32_t)((uint64_t)flow * 2654435761u % (uint64_t)addresses);
        int length = build(frames[flow], family, n, (uint16_t)(20000 + flow % 40000));
        parts[flow] = (struct iovec){ .iov_base = frames[flow], .iov_len = (size_t)length };
        heads[flow].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[flow], .msg_iovlen = 1 };
    }
    if (sent_all(fd, heads, flows, 0, warm) < 0) {
        perror("packets: sendmmsg");
        return 1;
    }
    long done = 0;
    unsigned long long ticks = load_busy_ticks();
    uint64_t from = load_now(), until = from + (uint64_t)milliseconds * 1000000u, now = from;
    while (done < packets || now < until) {
        long count = done < packets && packets - done < BATCH ? packets - done : BATCH;
        if (sent_all(fd, heads, flows, warm + done, count) < 0) {
            perror("packets: sendmmsg");
            return 1;
        }
        done += count;
        now = load_now();
    }
    printf("{\"packets\":%ld,\"nanoseconds\":%.1f,\"ticks\":%llu}\n", done, (double)(now - from) / (double)done,
           load_busy_ticks() - ticks);
    return 0;
}
