/*
 * The fence on an Ethernet interface: `fence_from` at the ingress of the host's side of a veth, tap or bridge port judges what
 * the workspace sends, `fence_to` at its egress what goes to it. Nothing passes without a live generation that knows the
 * interface. `fence_sweep` is never attached: the agent runs it to forget flows that are over or lost their grant.
 *
 * A packet that may pass goes on to whatever else hangs on the hook (TC_ACT_UNSPEC, which is also TCX_NEXT).
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fence_refuse.h"
#include "fence_report.h"
#include "fence_scene.h"

#define PASS TC_ACT_UNSPEC

/* After this long a flow that both ends have closed is forgotten; sooner when the table fills. */
#define CLOSED_NS 60000000000ull

/* The verdict for whoever traces or tests: nothing of it is read again by the stack. */
static __always_inline void note_verdict(struct __sk_buff *skb, const struct verdict *v)
{
    skb->cb[0] = FENCE_VERDICT_MARK | (v->drop ? FENCE_VERDICT_DROP : 0) |
                 (__u32)v->refusal << FENCE_VERDICT_REFUSAL_SHIFT | v->code;
    skb->cb[1] = v->grant;
}

static __always_inline __u16 ethertype_of(struct __sk_buff *skb)
{
    /* A tag that the device or the stack took off is a tag all the same (step 2). */
    return skb->vlan_present ? 0 : bpf_ntohs(skb->protocol);
}

SEC("tc")
int fence_from(struct __sk_buff *skb)
{
    struct scene s = {};
    struct packet p;
    struct verdict v;
    __u8 mac[6] = {};
    __u32 tenant = 0;
    int stopped;

    read_packet(skb, &p, ETHER, ethertype_of(skb));
    stopped = find_scene(&s, skb->ifindex, &tenant);
    if (stopped >= 0 || !s.at || !s.tenant) {
        v = DROP(stopped >= 0 ? stopped : FENCE_NOT_ATTACHED);
    } else {
        load(skb, 6, mac, 6);
        v = judge_from(skb, &s, &p, same_mac(mac, s.at->mac));
    }
    note_verdict(skb, &v);
    if (!v.drop) {
        if (v.told)
            report_observed(&s, &p, tenant, v.told);
        return PASS;
    }
    report_drop(&s, &p, tenant, v.code);
    if (v.refusal != FENCE_SILENT && s.at && answer(skb, &s, &p, v.refusal) == 0) {
        __u32 zero = 0;
        struct fence_about *us = bpf_map_lookup_elem(&about, &zero);

        if (us) {
            skb->mark = us->mark;
            return bpf_redirect(skb->ifindex, 0);
        }
    }
    return TC_ACT_SHOT;
}

SEC("tc")
int fence_to(struct __sk_buff *skb)
{
    struct scene s = {};
    struct packet p;
    struct verdict v;
    __u32 tenant = 0;
    int stopped;

    stopped = find_scene(&s, skb->ifindex, &tenant);
    /* Our own answer on its way back: it came in by this interface and carries this installation's number. */
    if (skb->mark && skb->ingress_ifindex == skb->ifindex && stopped < 0) {
        __u32 zero = 0;
        struct fence_about *us = bpf_map_lookup_elem(&about, &zero);

        if (us && skb->mark == us->mark) {
            skb->mark = 0;
            return PASS;
        }
    }
    read_packet(skb, &p, ETHER, ethertype_of(skb));
    if (stopped >= 0 || !s.at || !s.tenant)
        v = DROP(stopped >= 0 ? stopped : FENCE_NOT_ATTACHED);
    else
        v = judge_to(skb, &s, &p, skb->ingress_ifindex == 0);
    note_verdict(skb, &v);
    if (!v.drop) {
        if (v.told)
            report_observed(&s, &p, tenant, v.told);
        return PASS;
    }
    report_drop(&s, &p, tenant, 0x100 | v.code);
    return TC_ACT_SHOT;
}

#include "fence_sweep.h"

char _license[] SEC("license") = "GPL";
