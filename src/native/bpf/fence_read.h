/*
 * Reads one frame as plan/packet.ts does: every rule here stands there, in the same order. Nothing is repaired; what cannot
 * be read in full is a value too, so that dropping it is a decision of the judge. Lengths come from the packet's own length.
 */
#ifndef FENCE_READ_H
#define FENCE_READ_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fence.h"

#define ETHER_IP4 0x0800
#define ETHER_IP6 0x86dd
#define ETHER_ARP 0x0806

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

enum kind {
    KIND_NOT_IP, /* or an IP header that cannot be read: there is no source to speak of */
    KIND_ARP,
    KIND_FRAGMENT,  /* unreadable kinds with addresses: FRAGMENT and MALFORMED */
    KIND_MALFORMED,
    KIND_TCP,
    KIND_UDP,
    KIND_ECHO,
    KIND_ICMP_ERROR,
    KIND_NEIGHBOUR,
    KIND_ICMP,
    KIND_OTHER,
};

struct packet {
    __u32 source[4];
    __u32 destination[4];
    __u32 l3; /* offset of the IP header */
    __u32 l4; /* offset of the transport, and its length as the IP header says */
    __u32 l4_length;
    __u16 source_port;
    __u16 destination_port;
    __u8 kind;
    __u8 family; /* 4, 6, or 0 */
    __u8 protocol; /* IANA; of IPv6 the first next header */
    __u8 hop_limit;
    __u8 tcp_flags;
    __u8 tcp_header;
    __u8 icmp_type;
    __u8 zero;
};

struct ip4_header {
    __u8 version_length;
    __u8 tos;
    __be16 total;
    __be16 id;
    __be16 fragment;
    __u8 ttl;
    __u8 protocol;
    __u16 checksum;
    __be32 source;
    __be32 destination;
};
struct ip6_header {
    __u8 version;
    __u8 label[3];
    __be16 length;
    __u8 next;
    __u8 hop_limit;
    __u32 source[4];
    __u32 destination[4];
};
struct tcp_header {
    __be16 source;
    __be16 destination;
    __be32 sequence;
    __be32 acknowledgement;
    __u8 offset;
    __u8 flags;
    __be16 window;
    __u16 checksum;
    __u16 urgent;
};
struct udp_header {
    __be16 source;
    __be16 destination;
    __be16 length;
    __u16 checksum;
};
struct icmp_header {
    __u8 type;
    __u8 code;
    __u16 checksum;
    __be16 identifier;
    __be16 sequence;
};

static __always_inline void zero_address(__u32 address[4])
{
    address[0] = address[1] = address[2] = address[3] = 0;
}

static __always_inline void copy_address(__u32 to[4], const __u32 from[4])
{
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
    to[3] = from[3];
}

static __always_inline int same_address(const __u32 a[4], const __u32 b[4])
{
    return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/*
 * Copies a header of `size` octets, a constant. Straight from the packet where its linear part holds it, which is the common
 * case and costs nothing; otherwise by the helper, which reaches into fragments of the buffer. 0 on success.
 */
static __always_inline int load(struct __sk_buff *skb, __u32 at, void *to, __u32 size)
{
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

    if (data + at + size <= end) {
        __builtin_memcpy(to, data + at, size);
        return 0;
    }
    return bpf_skb_load_bytes(skb, at, to, size);
}

/* RFC 4861 section 4.6: an option of length zero, or that reaches beyond the message, invalidates the whole of it. */
static __noinline int options_are_whole(struct __sk_buff *skb, __u32 l4, __u32 length)
{
    __u32 at = 24;
    int i;

    for (i = 0; i < 200 && at < length; i++) {
        __u8 head[2] = {};

        if (at + 1 < length && bpf_skb_load_bytes(skb, l4 + at, head, 2))
            return 0;
        if (head[1] == 0 || at + head[1] * 8 > length)
            return 0;
        at += head[1] * 8;
    }
    return at >= length;
}

static __always_inline void read_icmp(struct __sk_buff *skb, struct packet *p)
{
    struct icmp_header icmp;

    p->kind = KIND_MALFORMED;
    if (p->l4_length < 8 || bpf_skb_load_bytes(skb, p->l4, &icmp, sizeof(icmp)))
        return;
    p->icmp_type = icmp.type;
    p->kind = KIND_ICMP;
    if (p->family == 4) {
        if (icmp.type == 8 || icmp.type == 0)
            p->kind = KIND_ECHO;
        /* RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem */
        else if (icmp.type == 3 || icmp.type == 4 || icmp.type == 5 || icmp.type == 11 || icmp.type == 12)
            p->kind = KIND_ICMP_ERROR;
    } else if (icmp.type == 128 || icmp.type == 129) {
        p->kind = KIND_ECHO;
    } else if (icmp.type == 135 || icmp.type == 136) {
        p->kind = p->l4_length >= 24 && options_are_whole(skb, p->l4, p->l4_length) ? KIND_NEIGHBOUR : KIND_MALFORMED;
    } else if (icmp.type == 137 || icmp.type < 128) {
        p->kind = KIND_ICMP_ERROR;
    }
    if (p->kind == KIND_ECHO)
        p->source_port = p->destination_port = bpf_ntohs(icmp.identifier);
}

static __always_inline void read_transport(struct __sk_buff *skb, struct packet *p)
{
    if (p->protocol == 6) {
        struct tcp_header tcp;

        p->kind = KIND_MALFORMED;
        if (p->l4_length < 20 || load(skb, p->l4, &tcp, sizeof(tcp)))
            return;
        p->tcp_header = (tcp.offset >> 4) * 4;
        if (p->tcp_header < 20 || p->tcp_header > p->l4_length)
            return;
        p->kind = KIND_TCP;
        p->source_port = bpf_ntohs(tcp.source);
        p->destination_port = bpf_ntohs(tcp.destination);
        p->tcp_flags = tcp.flags;
    } else if (p->protocol == 17) {
        struct udp_header udp;
        __u32 length;

        p->kind = KIND_MALFORMED;
        if (p->l4_length < 8 || load(skb, p->l4, &udp, sizeof(udp)))
            return;
        length = bpf_ntohs(udp.length);
        if (length < 8 || length > p->l4_length)
            return;
        p->kind = KIND_UDP;
        p->source_port = bpf_ntohs(udp.source);
        p->destination_port = bpf_ntohs(udp.destination);
    } else if (p->protocol == (p->family == 4 ? 1 : 58)) {
        read_icmp(skb, p);
    } else {
        p->kind = KIND_OTHER;
    }
}

static __always_inline void read_ip4(struct __sk_buff *skb, struct packet *p)
{
    __u32 length = skb->len - p->l3, header, total;
    struct ip4_header ip;

    if (skb->len < p->l3 + 20 || load(skb, p->l3, &ip, sizeof(ip)))
        return;
    p->family = 4;
    p->source[0] = ip.source;
    p->destination[0] = ip.destination;
    p->hop_limit = ip.ttl;
    header = (ip.version_length & 15) * 4;
    total = bpf_ntohs(ip.total);
    p->kind = KIND_MALFORMED;
    if (ip.version_length >> 4 != 4 || header < 20 || total < header || total > length)
        return;
    /* RFC 791: more-fragments or a non-zero offset. Judged on every piece, the first included. */
    if (ip.fragment & bpf_htons(0x3fff)) {
        p->kind = KIND_FRAGMENT;
        return;
    }
    if (header != 20)
        return;
    p->protocol = ip.protocol;
    p->l4 = p->l3 + 20;
    p->l4_length = total - 20;
    read_transport(skb, p);
}

static __always_inline int is_extension_header(__u8 next)
{
    return next == 0 || next == 43 || next == 44 || next == 50 || next == 51 || next == 60 || next == 135 ||
           next == 139 || next == 140 || next == 253 || next == 254;
}

static __always_inline void read_ip6(struct __sk_buff *skb, struct packet *p)
{
    struct ip6_header ip;
    __u32 length;

    if (skb->len < p->l3 + 40 || load(skb, p->l3, &ip, sizeof(ip)))
        return;
    p->family = 6;
    copy_address(p->source, ip.source);
    copy_address(p->destination, ip.destination);
    p->hop_limit = ip.hop_limit;
    p->protocol = ip.next;
    length = bpf_ntohs(ip.length);
    p->kind = KIND_MALFORMED;
    if (ip.version >> 4 != 6 || p->l3 + 40 + length > skb->len)
        return;
    if (ip.next == 44) {
        p->kind = KIND_FRAGMENT;
        return;
    }
    if (is_extension_header(ip.next))
        return;
    p->l4 = p->l3 + 40;
    p->l4_length = length;
    read_transport(skb, p);
}

/* `ethertype` in host order. A VLAN tag that the device took off is a tag all the same. */
static __always_inline void read_packet(struct __sk_buff *skb, struct packet *p, __u32 l3, __u16 ethertype)
{
    __builtin_memset(p, 0, sizeof(*p));
    p->l3 = l3;
    p->kind = KIND_NOT_IP;
    if (ethertype == ETHER_IP4)
        read_ip4(skb, p);
    else if (ethertype == ETHER_IP6)
        read_ip6(skb, p);
    else if (ethertype == ETHER_ARP)
        p->kind = KIND_ARP;
}

#endif
