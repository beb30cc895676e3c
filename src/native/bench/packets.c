/*
 * Small datagrams from a workspace's side of a veth, as fast as they go: packets IFACE 4|6 ADDRESSES FLOWS WARM PACKETS. Destinations
 * are ADDRESSES from 45.1.0.0 or 2600:45:1:: on, port 443, in an order in which no two neighbours share a cache line of a table; FLOWS
 * of them with source ports are gone through again and again, WARM packets before the clock starts. On a veth the whole way to the
 * other side runs while the sender waits, so what a packet takes to send is what the path costs. Prints nanoseconds a packet.
 */
#define _GNU_SOURCE
#include "load.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
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

int load_packets(const char *interface, int family, long addresses, long flows, long warm, long packets)
{
    static uint8_t frames[BATCH][LONGEST];
    struct mmsghdr batch[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface), .sll_halen = 6 };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0 || to.sll_ifindex == 0 || addresses <= 0 || flows <= 0 || packets <= 0) {
        perror("packets");
        return 1;
    }
    memset(batch, 0, sizeof batch);
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_base = frames[i];
        batch[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[i], .msg_iovlen = 1 };
    }
    uint64_t took = 0;
    for (long at = 0, end = warm + packets; at < end;) {
        /* Building is outside the clock. */
        long rest = at < warm ? warm - at : end - at;
        int count = rest < BATCH ? (int)rest : BATCH;
        for (int i = 0; i < count; i++) {
            uint64_t flow = (uint64_t)((at + i) % flows);
            uint32_t n = (uint32_t)(flow * 2654435761u % (uint64_t)addresses);
            parts[i].iov_len = (size_t)build(frames[i], family, n, (uint16_t)(20000 + flow % 40000));
        }
        uint64_t from = load_now();
        for (int sent = 0; sent < count;) {
            int now = sendmmsg(fd, batch + sent, (unsigned int)(count - sent), 0);
            if (now < 0) {
                perror("packets: sendmmsg");
                return 1;
            }
            sent += now;
        }
        if (at >= warm)
            took += load_now() - from;
        at += count;
    }
    printf("{\"packets\":%ld,\"nanoseconds\":%.1f}\n", packets, (double)took / (double)packets);
    return 0;
}
