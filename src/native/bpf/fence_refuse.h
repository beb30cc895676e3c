/*
 * Answers to refused packets, built in the packet itself and sent back out of the interface that it came in by: a TCP reset,
 * or an ICMP error "administratively prohibited" (type 3 code 13, RFC 1812 section 5.2.7.1; ICMPv6 type 1 code 1, RFC 4443
 * section 3.1). Limited by a token bucket of the workspace: what is over the limit is dropped in silence and counted.
 *
 * A packet whose checksum was left to the device (CHECKSUM_PARTIAL) keeps that mark, which no program can see or clear. The
 * stack will add up everything from the transport header on and write the result where the transport protocol of the
 * *original* packet has its checksum. So every answer is made such that this changes nothing: the field holds the value that
 * the completion will find. See `settle`.
 */
#ifndef FENCE_REFUSE_H
#define FENCE_REFUSE_H

#include "fence_judge.h"

#define ETHER 14

struct reset4 {
    struct ip4_header ip;
    struct tcp_header tcp;
};
struct reset6 {
    struct ip6_header ip;
    struct tcp_header tcp;
};
/* Quotes the IP header and 8 octets (RFC 792), enough for the sender to find its socket. */
struct error4 {
    struct ip4_header ip;
    struct icmp_header icmp;
    __u8 quoted[28];
};
struct error6 {
    struct ip6_header ip;
    struct icmp_header icmp;
    __u8 quoted[48];
};

static __always_inline __u32 fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* The pseudo header of RFC 793 and RFC 8200 section 8.1: addresses, length, protocol. In memory order, as all sums here. */
static __always_inline __u32 pseudo_sum(__u32 *addresses, __u32 octets, __u16 length, __u8 protocol)
{
    return fold(bpf_csum_diff(0, 0, addresses, octets, bpf_htons(length) + bpf_htons(protocol)));
}

/*
 * The stack may or may not complete the checksum. Completion writes c' = ~(D + c), where D is the sum of everything from the
 * transport header on without the field and c the field. With c = P (the pseudo header) and D = -2P it writes ~(-P) = P:
 * nothing changes, and P + D + c = 0 is a right checksum either way. `spare` is a field that nobody reads.
 */
static __always_inline void settle(__u16 *checksum, __u16 *spare, __u32 pseudo, __u32 rest)
{
    *checksum = pseudo;
    *spare = ~fold(pseudo * 2 + rest);
}

static __always_inline int turn_ethernet(struct __sk_buff *skb)
{
    __u8 mac[12], turned[12];

    if (bpf_skb_load_bytes(skb, 0, mac, 12))
        return -1;
    __builtin_memcpy(turned, mac + 6, 6);
    __builtin_memcpy(turned + 6, mac, 6);
    return bpf_skb_store_bytes(skb, 0, turned, 12, 0);
}

/* RFC 9293 section 3.10.7.1: a reset takes its number from the acknowledgement, or acknowledges what came. */
static __always_inline void fill_reset(struct tcp_header *out, const struct tcp_header *in, __u32 payload)
{
    __u32 occupied = payload + !!(in->flags & TCP_SYN) + !!(in->flags & TCP_FIN);

    out->source = in->destination;
    out->destination = in->source;
    out->offset = 0x50;
    if (in->flags & TCP_ACK) {
        out->sequence = in->acknowledgement;
        out->flags = TCP_RST;
    } else {
        out->acknowledgement = bpf_htonl(bpf_ntohl(in->sequence) + occupied);
        out->flags = TCP_RST | TCP_ACK;
    }
}

static __always_inline void fill_ip4(struct ip4_header *ip, const struct packet *p, __u8 protocol, __u16 total)
{
    ip->version_length = 0x45;
    ip->total = bpf_htons(total);
    ip->fragment = bpf_htons(0x4000);
    ip->ttl = 64;
    ip->protocol = protocol;
    ip->source = p->destination[0];
    ip->destination = p->source[0];
    ip->checksum = ~fold(bpf_csum_diff(0, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline void fill_ip6(struct ip6_header *ip, const struct packet *p, __u8 next, __u16 length)
{
    ip->version = 0x60;
    ip->length = bpf_htons(length);
    ip->next = next;
    ip->hop_limit = 64;
    copy_address(ip->source, p->destination);
    copy_address(ip->destination, p->source);
}

static __noinline int reset4(struct __sk_buff *skb, const struct packet *p)
{
    struct reset4 out = {};
    struct tcp_header in;
    __u32 pseudo;

    if (bpf_skb_load_bytes(skb, p->l4, &in, sizeof(in)))
        return -1;
    fill_ip4(&out.ip, p, 6, sizeof(out));
    fill_reset(&out.tcp, &in, p->l4_length - p->tcp_header);
    pseudo = pseudo_sum(&out.ip.source, 8, sizeof(out.tcp), 6);
    settle(&out.tcp.checksum, &out.tcp.urgent, pseudo, bpf_csum_diff(0, 0, (__be32 *)&out.tcp, sizeof(out.tcp), 0));
    if (bpf_skb_change_tail(skb, ETHER + sizeof(out), 0) || turn_ethernet(skb))
        return -1;
    return bpf_skb_store_bytes(skb, ETHER, &out, sizeof(out), 0);
}

static __noinline int reset6(struct __sk_buff *skb, const struct packet *p)
{
    struct reset6 out = {};
    struct tcp_header in;
    __u32 pseudo;

    if (bpf_skb_load_bytes(skb, p->l4, &in, sizeof(in)))
        return -1;
    fill_ip6(&out.ip, p, 6, sizeof(out.tcp));
    fill_reset(&out.tcp, &in, p->l4_length - p->tcp_header);
    pseudo = pseudo_sum(out.ip.source, 32, sizeof(out.tcp), 6);
    settle(&out.tcp.checksum, &out.tcp.urgent, pseudo, bpf_csum_diff(0, 0, (__be32 *)&out.tcp, sizeof(out.tcp), 0));
    if (bpf_skb_change_tail(skb, ETHER + sizeof(out), 0) || turn_ethernet(skb))
        return -1;
    return bpf_skb_store_bytes(skb, ETHER, &out, sizeof(out), 0);
}

/*
 * A UDP datagram's completion writes 6 octets into the transport header: the last two of ICMP's unused word. There is no
 * pseudo header in ICMPv4, so there it writes 0, which the stack spells 0xffff: both are zero to a checksum.
 */
static __noinline int error4(struct __sk_buff *skb, const struct packet *p)
{
    struct error4 out = {};

    if (bpf_skb_load_bytes(skb, p->l3, out.quoted, sizeof(out.quoted)))
        return -1;
    fill_ip4(&out.ip, p, 1, sizeof(out));
    out.icmp.type = 3;
    out.icmp.code = 13;
    out.icmp.checksum = ~fold(bpf_csum_diff(0, 0, (__be32 *)&out.icmp, sizeof(out) - sizeof(out.ip), 0));
    if (bpf_skb_change_tail(skb, ETHER + sizeof(out), 0) || turn_ethernet(skb))
        return -1;
    return bpf_skb_store_bytes(skb, ETHER, &out, sizeof(out), 0);
}

/* Here completion writes the pseudo header's sum, so that is what the unused word holds already. */
static __noinline int error6(struct __sk_buff *skb, const struct packet *p)
{
    struct error6 out = {};
    __u32 pseudo, rest;

    if (bpf_skb_load_bytes(skb, p->l3, out.quoted, sizeof(out.quoted)))
        return -1;
    fill_ip6(&out.ip, p, 58, sizeof(out) - sizeof(out.ip));
    out.icmp.type = 1;
    out.icmp.code = 1;
    pseudo = pseudo_sum(out.ip.source, 32, sizeof(out) - sizeof(out.ip), 58);
    out.icmp.sequence = pseudo;
    rest = bpf_csum_diff(0, 0, (__be32 *)&out.icmp, sizeof(out) - sizeof(out.ip), 0);
    out.icmp.checksum = ~fold(fold(rest) + pseudo);
    if (bpf_skb_change_tail(skb, ETHER + sizeof(out), 0) || turn_ethernet(skb))
        return -1;
    return bpf_skb_store_bytes(skb, ETHER, &out, sizeof(out), 0);
}

/* 0 when the answer stands in the packet. Ethernet only: a cgroup's program cannot answer, its sender sees EPERM. */
static __always_inline int answer(struct __sk_buff *skb, struct scene *s, const struct packet *p, __u8 refusal)
{
    struct fence_bucket *bucket = bpf_map_lookup_elem(&buckets, &s->at->tenant);

    if (!bucket || !take_token(&bucket->refusals_ns, s->now, FENCE_REFUSAL_EVERY, FENCE_REFUSAL_BURST)) {
        count(FENCE_COUNT_REFUSALS_UNSENT);
        return -1;
    }
    if (refusal == FENCE_TCP_RESET)
        return p->family == 4 ? reset4(skb, p) : reset6(skb, p);
    return p->family == 4 ? error4(skb, p) : error6(skb, p);
}

#endif
