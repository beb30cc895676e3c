/*
 * Sends UDP datagrams from an interface as fast as it can: blast IFACE ADDRESSES PACKETS. Destinations are 45.0.0.0 and on, in
 * turn, port 443; sources 10.9.0.2 and 200 ports. On a veth the whole way to the other side runs while the sender waits, so the
 * time a packet takes to send is what the path costs. Prints nanoseconds a packet.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LENGTH = 46 };

static uint16_t checksum(const uint8_t *at, int length)
{
    uint32_t sum = 0;
    for (int i = 0; i < length; i += 2)
        sum += (uint32_t)at[i] << 8 | at[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

int main(int count, char **arguments)
{
    static const uint8_t head[] = { 2, 0, 0, 0, 9, 1, 2, 0, 0, 0, 9, 2, 8, 0, 0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17 };
    uint8_t frame[LENGTH] = { 0 };
    struct timespec began, ended;
    if (count != 4)
        return 2;
    long addresses = atol(arguments[2]), packets = atol(arguments[3]);
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(arguments[1]), .sll_halen = 6 };
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0 || addresses <= 0 || packets <= 0)
        return 1;
    memcpy(frame, head, sizeof head);
    memcpy(frame + 26, (uint8_t[]){ 10, 9, 0, 2 }, 4);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (long i = 0; i < packets; i++) {
        /* Far apart, so that no two in a row share a bucket. */
        uint32_t n = (uint32_t)((uint64_t)i * 2654435761u % (uint64_t)addresses);
        uint32_t address = htonl(45u << 24 | n);
        uint16_t ports[2] = { htons((uint16_t)(20000 + i % 200)), htons(443) };
        memcpy(frame + 30, &address, 4);
        memcpy(frame + 34, ports, 4);
        frame[38] = 0;
        frame[39] = 12;
        frame[24] = frame[25] = 0;
        uint16_t sum = checksum(frame + 14, 20);
        memcpy(frame + 24, &sum, 2);
        if (sendto(fd, frame, LENGTH, 0, (struct sockaddr *)&to, sizeof to) < 0)
            return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.1f\n", ((double)(ended.tv_sec - began.tv_sec) * 1e9 + (double)(ended.tv_nsec - began.tv_nsec)) / (double)packets);
    return 0;
}
