/*
 * The fence around processes of the host itself: every packet of the sockets of one cgroup, in both directions, and their
 * connect and sendmsg, so that a program hears EPERM before a packet exists. There is no link layer, and a refusal is EPERM.
 *
 * One copy of these programs is loaded for each cgroup, because the hooks do not say where they hang. A cgroup holds only what
 * cannot leave it: see the conditions in src/backends/ebpf/cgroup.ts.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fence_report.h"
#include "fence_scene.h"

#define PASS 1
#define REFUSE 0
#define LOOPBACK 1
#define STREAM 1
#define DATAGRAM 2

/* Which workspace this copy stands at; set when it is loaded. */
const volatile __u32 attachment = 0;

static __always_inline int judge_group(struct __sk_buff *skb, int from)
{
    struct scene s = {};
    struct packet p;
    struct verdict v;
    __u32 tenant = 0;
    int stopped = find_scene(&s, attachment, &tenant);

    read_packet(skb, &p, 0, bpf_ntohs(skb->protocol));
    if (stopped >= 0 || !s.at || !s.tenant)
        v = DROP(stopped >= 0 ? stopped : FENCE_NOT_ATTACHED);
    else if (from)
        v = judge_from(skb, &s, &p, 1);
    else
        /* What comes over the loopback interface was sent by this node. */
        v = judge_to(skb, &s, &p, skb->ingress_ifindex == LOOPBACK);
    if (!v.drop) {
        if (v.told)
            report_observed(&s, &p, tenant, v.told);
        return PASS;
    }
    report_drop(&s, &p, tenant, (from ? 0 : 0x100) | v.code);
    return REFUSE;
}

SEC("cgroup_skb/egress")
int group_from(struct __sk_buff *skb)
{
    return judge_group(skb, 1);
}

SEC("cgroup_skb/ingress")
int group_to(struct __sk_buff *skb)
{
    return judge_group(skb, 0);
}

/* -1 when a socket may go there; otherwise why not. The packets are judged again, with their source and their flow. */
static __always_inline int judge_destination(struct scene *s, struct tuple *t)
{
    __u8 clause[16] = {};
    __u32 class;

    if (is_service(s, t) || grant_for(s, t, FENCE_EGRESS, &class))
        return -1;
    if (class == FENCE_NEVER)
        return FENCE_NEVER_DESTINATION;
    if (class == FENCE_RESERVED)
        return FENCE_RESERVED_DESTINATION;
    if (learned_for(s, t, clause) || (observes(s) && missing_grant(t) == FENCE_NO_GRANT))
        return -1;
    return missing_grant(t);
}

static __always_inline int judge_address(struct bpf_sock_addr *ctx, const __u32 address[4], __u8 family)
{
    struct packet p = {};
    struct scene s = {};
    struct tuple t = {};
    __u32 tenant = 0;
    int reason = find_scene(&s, attachment, &tenant);

    t.family = family;
    t.peer_port = bpf_ntohs(ctx->user_port);
    copy_address(t.peer, address);
    /* Sockets of other kinds (ping, raw) are judged by their packets. */
    if (ctx->type != STREAM && ctx->type != DATAGRAM)
        return PASS;
    t.protocol = ctx->type == STREAM ? FENCE_TCP : FENCE_UDP;
    if (ctx->type == DATAGRAM && ctx->protocol != 17)
        return PASS;
    if (reason < 0) {
        if (!s.at || !s.tenant)
            return REFUSE;
        /* A datagram may answer one that an ingress grant let in: its packet will say. */
        if (t.protocol == FENCE_UDP)
            return PASS;
        reason = judge_destination(&s, &t);
        if (reason < 0)
            return PASS;
    }
    p.family = family;
    p.protocol = t.protocol == FENCE_TCP ? 6 : 17;
    p.destination_port = t.peer_port;
    copy_address(p.destination, address);
    report_drop(&s, &p, tenant, reason);
    return REFUSE;
}

static __always_inline int judge_address4(struct bpf_sock_addr *ctx)
{
    __u32 address[4] = {ctx->user_ip4};

    return judge_address(ctx, address, 4);
}

/* An IPv6 socket that names a v4-mapped address speaks IPv4. */
static __always_inline int judge_address6(struct bpf_sock_addr *ctx)
{
    __u32 address[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
    __u32 mapped[4] = {address[3]};

    if (!address[0] && !address[1] && address[2] == bpf_htonl(0xffff))
        return judge_address(ctx, mapped, 4);
    return judge_address(ctx, address, 6);
}

SEC("cgroup/connect4")
int group_connect4(struct bpf_sock_addr *ctx)
{
    return judge_address4(ctx);
}

SEC("cgroup/connect6")
int group_connect6(struct bpf_sock_addr *ctx)
{
    return judge_address6(ctx);
}

SEC("cgroup/sendmsg4")
int group_sendmsg4(struct bpf_sock_addr *ctx)
{
    return judge_address4(ctx);
}

SEC("cgroup/sendmsg6")
int group_sendmsg6(struct bpf_sock_addr *ctx)
{
    return judge_address6(ctx);
}

char _license[] SEC("license") = "GPL";
