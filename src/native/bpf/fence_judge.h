/*
 * The verdict on one packet: plan/evaluate.ts and plan/link.ts, step by step and in their order. The steps are numbered as
 * there. What differs is said where it differs: nothing but the moment when an idle flow is forgotten.
 */
#ifndef FENCE_JUDGE_H
#define FENCE_JUDGE_H

#include "fence_flow.h"

struct verdict {
    __u8 drop;
    __u8 code; /* enum fence_drop or fence_allow */
    __u8 refusal;
    __u8 told; /* enum fence_told of what passed and is told all the same */
    __u32 grant; /* 1 + index */
};

#define DROP(reason) ((struct verdict){.drop = 1, .code = (reason)})
#define ALLOW(why) ((struct verdict){.code = (why)})
#define ALLOW_BY(why, by) ((struct verdict){.code = (why), .grant = (by)})

struct arp {
    __be32 types;
    __be16 sizes;
    __be16 operation;
    __u8 sender_mac[6];
    __u8 sender[4];
    __u8 target_mac[6];
    __u8 target[4];
};

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
    return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) | (a[5] ^ b[5]));
}

/* RFC 826 for Ethernet and IPv4 only, request or reply. */
static __always_inline int read_arp(struct __sk_buff *skb, __u32 l3, struct arp *arp)
{
    if (skb->len < l3 + sizeof(*arp) || bpf_skb_load_bytes(skb, l3, arp, sizeof(*arp)))
        return 0;
    return arp->types == bpf_htonl(0x00010800) && arp->sizes == bpf_htons(0x0604) &&
           (arp->operation == bpf_htons(1) || arp->operation == bpf_htons(2));
}

/* With the gateway only: sender fields ours (or a probe from 0.0.0.0), target the gateway or ourselves (announcement). */
static __noinline int arp_is_proper(struct __sk_buff *skb, struct scene *s)
{
    __u32 sender[4] = {}, target[4] = {};
    struct arp arp;

    if (!read_arp(skb, 14, &arp) || !same_mac(arp.sender_mac, s->at->mac))
        return 0;
    __builtin_memcpy(sender, arp.sender, 4);
    __builtin_memcpy(target, arp.target, 4);
    if (sender[0] != 0 && !is_own(s, sender, 4))
        return 0;
    return is_own(s, target, 4) || is_gateway(s, target, 4);
}

/* Solicitations for the gateway, duplicate address detection and advertisements of own addresses (RFC 4861, 4862). */
static __noinline int neighbour_is_proper(struct __sk_buff *skb, struct scene *s, struct packet *p)
{
    struct {
        __u8 type, code;
        __u16 checksum;
        __u32 flags;
        __u32 target[4];
    } message;
    struct {
        __u8 type, length;
        __u8 mac[6];
    } option = {};
    int has_option = p->l4_length > 24;

    /* RFC 4861 section 7.1: hop limit 255 proves that it was not forwarded. */
    if (p->hop_limit != 255 || bpf_skb_load_bytes(skb, p->l4, &message, sizeof(message)) || message.code != 0)
        return 0;
    if (has_option) {
        if (bpf_skb_load_bytes(skb, p->l4 + 24, &option, 8))
            return 0;
        /* At most one option, so it fills the rest. */
        if (24u + option.length * 8u != p->l4_length)
            return 0;
    }
    if (message.type == 136)
        return is_own_or_link_local(s, p->source, 6) && is_own_or_link_local(s, message.target, 6) &&
               (!has_option || (option.type == 2 && option.length == 1 && same_mac(option.mac, s->at->mac)));
    /* Duplicate address detection comes from the unspecified address and may carry only a nonce (RFC 7527). */
    if (!(p->source[0] | p->source[1] | p->source[2] | p->source[3]))
        return is_own_or_link_local(s, message.target, 6) && (!has_option || option.type == 14);
    return is_own_or_link_local(s, p->source, 6) && is_gateway(s, message.target, 6) &&
           (!has_option || (option.type == 1 && option.length == 1 && same_mac(option.mac, s->at->mac)));
}

/* What every host says on a new link and nobody here answers: DHCP, router solicitation, MLD. */
static __always_inline int is_noise(const struct packet *p)
{
    if (p->kind == KIND_UDP)
        return p->destination_port == 67 || p->destination_port == 547;
    if (p->family != 6)
        return 0;
    if (p->kind == KIND_ICMP)
        return (p->icmp_type >= 130 && p->icmp_type <= 133) || p->icmp_type == 143;
    /* MLD stands behind a hop-by-hop header (RFC 3810 section 5): recognised by where it goes, ff02::16. */
    return (p->kind == KIND_MALFORMED || p->kind == KIND_FRAGMENT) && p->protocol == 0 &&
           p->destination[0] == bpf_htonl(0xff020000) && !p->destination[1] && !p->destination[2] &&
           p->destination[3] == bpf_htonl(0x16);
}

static __always_inline void tuple_of(const struct packet *p, int from, struct tuple *t)
{
    copy_address(t->local, from ? p->source : p->destination);
    copy_address(t->peer, from ? p->destination : p->source);
    t->local_port = from ? p->source_port : p->destination_port;
    t->peer_port = from ? p->destination_port : p->source_port;
    t->protocol = p->kind == KIND_TCP ? FENCE_TCP : p->kind == KIND_UDP ? FENCE_UDP : FENCE_ECHO;
    t->family = p->family;
    t->zero = 0;
}

static __always_inline int is_echo_reply(const struct packet *p)
{
    return p->kind == KIND_ECHO && (p->icmp_type == 0 || p->icmp_type == 129);
}

/* For TCP a pure SYN; for echo a request. */
static __always_inline int opens_flow(const struct packet *p)
{
    if (p->kind == KIND_TCP)
        return (p->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) == TCP_SYN;
    return p->kind == KIND_UDP || !is_echo_reply(p);
}

/* Step 8: so that clients fail at once. A reset is never answered, and an error never sent about a group address. */
static __always_inline struct verdict refuse(const struct packet *p, __u8 reason)
{
    struct verdict v = {.drop = 1, .code = reason, .refusal = FENCE_ICMP_PROHIBITED};
    __u32 first = bpf_ntohl(p->destination[0]);

    if (p->kind == KIND_TCP)
        v.refusal = p->tcp_flags & TCP_RST ? FENCE_SILENT : FENCE_TCP_RESET;
    if (p->family == 4 ? first >> 28 == 14 || first == 0xffffffff : first >> 24 == 0xff)
        v.refusal = FENCE_SILENT;
    return v;
}

static __always_inline __u8 missing_grant(const struct tuple *t)
{
    __u16 port = t->peer_port;

    if (t->protocol == FENCE_ECHO)
        return FENCE_NO_GRANT;
    if (port == 53 || port == 853)
        return FENCE_DNS;
    if (port == 2379 || port == 2380 || port == 6443 || port == 10250 || port == 10255)
        return FENCE_CONTROL_PORT;
    return FENCE_NO_GRANT;
}

static __always_inline struct verdict judge_from(struct __sk_buff *skb, struct scene *s, struct packet *p, int mac_is_ours)
{
    struct fence_flow_key key;
    struct fence_flow *flow;
    __u8 clause[16] = {};
    __u32 class, grant;
    struct tuple t;
    int basis;

    /* Steps 2 and 3. */
    if (p->kind == KIND_ARP)
        return mac_is_ours && arp_is_proper(skb, s) ? ALLOW(FENCE_NEIGHBOUR) : DROP(FENCE_LINK_LAYER);
    if (p->kind == KIND_NOT_IP)
        return DROP(FENCE_LINK_LAYER);
    if (is_noise(p))
        return DROP(FENCE_NOISE);
    if (!mac_is_ours)
        return DROP(FENCE_SPOOF);
    if (p->kind == KIND_NEIGHBOUR)
        return (s->at->flags & FENCE_HAS_LINK_LAYER) && neighbour_is_proper(skb, s, p) ? ALLOW(FENCE_NEIGHBOUR)
                                                                                       : DROP(FENCE_LINK_LAYER);
    if (!is_own_or_link_local(s, p->source, p->family))
        return DROP(FENCE_SPOOF);
    if (p->kind == KIND_FRAGMENT || p->kind == KIND_MALFORMED)
        return DROP(p->kind == KIND_FRAGMENT ? FENCE_FRAGMENT : FENCE_MALFORMED);

    if (p->kind == KIND_ICMP_ERROR)
        return DROP(FENCE_ICMP_ERROR);
    if (p->kind == KIND_ICMP || p->kind == KIND_OTHER)
        return refuse(p, FENCE_NO_GRANT);
    tuple_of(p, 1, &t);
    flow_key_of(&key, &t);
    flow = live_flow(s, &key);
    /* The common case first: a flow that this generation has judged, its service and reserved checks included. */
    if (flow && flow->word == s->word && flow->direction == FENCE_EGRESS && !is_echo_reply(p)) {
        touch_flow(s, flow, p->tcp_flags, FENCE_CLOSED_LOCAL, skb->len);
        return ALLOW_BY(FENCE_FLOW, flow->grant);
    }
    /* Step 4. */
    if (is_service(s, &t))
        return ALLOW(FENCE_SERVICE);
    flow = granted_flow(s, flow, &key, &t, &basis);
    /* Step 5. */
    if (flow && flow->direction == FENCE_INGRESS) {
        touch_flow(s, flow, p->tcp_flags, FENCE_CLOSED_LOCAL, skb->len);
        return ALLOW_BY(FENCE_INGRESS_REPLY, basis);
    }
    if (is_echo_reply(p))
        return refuse(p, FENCE_NO_FLOW);
    /* Step 6. */
    grant = grant_for(s, &t, FENCE_EGRESS, &class);
    if (class == FENCE_NEVER)
        return refuse(p, FENCE_NEVER_DESTINATION);
    if (class == FENCE_RESERVED && !grant)
        return refuse(p, FENCE_RESERVED_DESTINATION);
    /* Step 7. */
    if (flow) {
        touch_flow(s, flow, p->tcp_flags, FENCE_CLOSED_LOCAL, skb->len);
        return ALLOW_BY(FENCE_FLOW, basis);
    }
    if (!opens_flow(p))
        return refuse(p, grant ? FENCE_NO_FLOW : missing_grant(&t));
    if (grant)
        return open_flow(s, &key, FENCE_EGRESS, FENCE_BASIS_STATIC, grant, 0, skb->len)
                   ? refuse(p, FENCE_NO_FLOW)
                   : ALLOW_BY(FENCE_STATIC_GRANT, grant);
    if (class == FENCE_PUBLIC && t.protocol != FENCE_ECHO && learned_for(s, &t, clause))
        return open_flow(s, &key, FENCE_EGRESS, FENCE_BASIS_LEARNED, 0, clause, skb->len) ? refuse(p, FENCE_NO_FLOW)
                                                                                          : ALLOW(FENCE_LEARNED_GRANT);
    /* Step 8, and the one thing of it that a policy may relax for a time. */
    if (observes(s) && missing_grant(&t) == FENCE_NO_GRANT)
        return open_flow(s, &key, FENCE_EGRESS, FENCE_BASIS_OBSERVED, 0, s->at->observe, skb->len)
                   ? refuse(p, FENCE_NO_FLOW)
                   : (struct verdict){.code = FENCE_OBSERVED, .told = FENCE_TOLD_OBSERVED};
    return refuse(p, missing_grant(&t));
}

/* The tuple inside an ICMP error, by plan/packet.ts `quotedIn`. 0 when there is none to be judged. */
static __noinline int read_quoted(struct __sk_buff *skb, const struct packet *p, struct tuple *t)
{
    __u32 at = p->l4 + 8, header = p->family == 4 ? 20 : 40;
    __u8 inner[8], protocol;

    if (p->l4_length < 8 + header + 8 || p->icmp_type == 137)
        return 0;
    zero_address(t->local);
    zero_address(t->peer);
    if (p->family == 4) {
        struct ip4_header ip;

        if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version_length != 0x45 ||
            (ip.fragment & bpf_htons(0x1fff)))
            return 0;
        t->local[0] = ip.source;
        t->peer[0] = ip.destination;
        protocol = ip.protocol;
    } else {
        struct ip6_header ip;

        if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version >> 4 != 6)
            return 0;
        copy_address(t->local, ip.source);
        copy_address(t->peer, ip.destination);
        protocol = ip.next;
    }
    if (bpf_skb_load_bytes(skb, at + header, inner, sizeof(inner)))
        return 0;
    t->family = p->family;
    t->zero = 0;
    t->local_port = inner[0] << 8 | inner[1];
    t->peer_port = inner[2] << 8 | inner[3];
    if (protocol == 6) {
        t->protocol = FENCE_TCP;
    } else if (protocol == 17) {
        t->protocol = FENCE_UDP;
    } else if (protocol == (p->family == 4 ? 1 : 58)) {
        if (inner[0] != 8 && inner[0] != 0 && inner[0] != 128 && inner[0] != 129)
            return 0;
        t->protocol = FENCE_ECHO;
        t->local_port = t->peer_port = inner[4] << 8 | inner[5];
    } else {
        return 0;
    }
    return same_address(t->local, p->destination);
}

/* Errors towards the workspace pass when the packet that they quote belongs to a live flow; redirects never do. */
static __always_inline struct verdict judge_error(struct __sk_buff *skb, struct scene *s, struct packet *p, int fence)
{
    int passing = p->family == 4 ? p->icmp_type == 3 || p->icmp_type == 11 || p->icmp_type == 12
                                 : p->icmp_type >= 1 && p->icmp_type <= 4;
    struct fence_flow_key key;
    struct fence_flow *flow;
    struct tuple t = {};
    int basis;

    if (!passing)
        return DROP(FENCE_ICMP_ERROR);
    /* The fence's own refusals are errors too: about a packet that made no flow. */
    if (fence)
        return ALLOW(FENCE_SERVICE);
    if (!read_quoted(skb, p, &t))
        return DROP(FENCE_ICMP_ERROR);
    flow_key_of(&key, &t);
    flow = granted_flow(s, live_flow(s, &key), &key, &t, &basis);
    if (!flow)
        return DROP(FENCE_ICMP_ERROR);
    count_packet(flow, skb->len);
    return ALLOW_BY(FENCE_ICMP_ERROR_OF_FLOW, basis);
}

/* `fence`: sent by this node itself, and not forwarded by it. */
static __always_inline struct verdict judge_to(struct __sk_buff *skb, struct scene *s, struct packet *p, int fence)
{
    struct fence_flow_key key;
    struct fence_flow *flow;
    struct tuple t;
    __u32 class, grant;
    int basis;

    if (p->kind == KIND_ARP) {
        struct arp arp;

        return fence && read_arp(skb, 14, &arp) ? ALLOW(FENCE_NEIGHBOUR) : DROP(FENCE_LINK_LAYER);
    }
    /* Neighbour discovery and router advertisements towards the workspace can only be the fence's own. */
    if (p->kind == KIND_NEIGHBOUR || (p->kind == KIND_ICMP && p->icmp_type == 134))
        return fence ? ALLOW(FENCE_NEIGHBOUR) : DROP(FENCE_LINK_LAYER);
    if (p->kind == KIND_NOT_IP)
        return DROP(FENCE_LINK_LAYER);
    if (p->kind == KIND_FRAGMENT || p->kind == KIND_MALFORMED)
        return DROP(p->kind == KIND_FRAGMENT ? FENCE_FRAGMENT : FENCE_MALFORMED);
    if (!is_own(s, p->destination, p->family))
        return DROP(FENCE_SPOOF);
    if (p->kind == KIND_ICMP_ERROR)
        return judge_error(skb, s, p, fence);
    if (p->kind == KIND_ICMP || p->kind == KIND_OTHER)
        return DROP(FENCE_NO_FLOW);
    tuple_of(p, 0, &t);
    if (fence) {
        if (is_service(s, &t))
            return ALLOW(FENCE_SERVICE);
        if (p->kind == KIND_TCP && (p->tcp_flags & TCP_RST))
            return ALLOW(FENCE_SERVICE);
    }
    flow_key_of(&key, &t);
    flow = granted_flow(s, live_flow(s, &key), &key, &t, &basis);
    if (flow) {
        touch_flow(s, flow, p->tcp_flags, FENCE_CLOSED_PEER, skb->len);
        if (flow->basis == FENCE_BASIS_OBSERVED && !flow->answered) {
            flow->answered = 1;
            return (struct verdict){.code = FENCE_EGRESS_REPLY, .told = FENCE_TOLD_ANSWERED, .grant = basis};
        }
        return ALLOW_BY(flow->direction == FENCE_EGRESS ? FENCE_EGRESS_REPLY : FENCE_FLOW, basis);
    }
    if (!opens_flow(p))
        return DROP(FENCE_NO_FLOW);
    grant = grant_for(s, &t, FENCE_INGRESS, &class);
    basis = FENCE_BASIS_STATIC;
    if (!grant) {
        grant = session_grant_for(s, &t);
        basis = FENCE_BASIS_SESSION;
    }
    if (!grant || open_flow(s, &key, FENCE_INGRESS, basis, grant, 0, skb->len))
        return DROP(FENCE_NO_FLOW);
    return ALLOW_BY(FENCE_INGRESS_GRANT, grant);
}

#endif
