/*
 * The deny floor: a tc egress program that stays when a foreign `nft flush ruleset` takes the fence away. The forward and
 * output chains mark what they allow; a packet that came from a workspace, carries a workspace's source address, or is about
 * to enter a workspace, and bears no mark, was judged by nobody and is dropped. Everything else passes on to whatever else
 * hangs on the interface.
 *
 * ARP and other non-IP frames pass: they carry nothing of the workspace's anywhere. The mark is not taken off here: an
 * interface stacked on another (VLAN, bond, tunnel) is an egress of its own and must still see it; the fence takes it off
 * whatever comes in.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MARK_MASK 0x00ff0000u
#define MARK_ALLOWED 0x00510000u

struct address6 {
    __u8 octets[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, __u32);
    __type(value, __u8);
} floor_links SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, __u32);
    __type(value, __u8);
} floor_v4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, struct address6);
    __type(value, __u8);
} floor_v6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} floor_drops SEC(".maps");

static __always_inline int is_guarded(struct __sk_buff *skb)
{
    __u32 out = skb->ifindex;
    __u32 in = skb->ingress_ifindex;

    if (bpf_map_lookup_elem(&floor_links, &out))
        return 1;
    /* Set for forwarded packets only, and right even where source NAT has rewritten the address. */
    if (in != 0 && bpf_map_lookup_elem(&floor_links, &in))
        return 1;
    if (skb->protocol == bpf_htons(ETH_P_IP)) {
        __u32 source;
        if (bpf_skb_load_bytes_relative(skb, 12, &source, sizeof(source), BPF_HDR_START_NET) < 0)
            return 0;
        return bpf_map_lookup_elem(&floor_v4, &source) != 0;
    }
    struct address6 source;
    if (bpf_skb_load_bytes_relative(skb, 8, &source, sizeof(source), BPF_HDR_START_NET) < 0)
        return 0;
    return bpf_map_lookup_elem(&floor_v6, &source) != 0;
}

SEC("tc")
int sluice_floor_1(struct __sk_buff *skb)
{
    if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
        return TC_ACT_UNSPEC;
    if ((skb->mark & MARK_MASK) == MARK_ALLOWED || !is_guarded(skb))
        return TC_ACT_UNSPEC;
    __u32 zero = 0;
    __u64 *drops = bpf_map_lookup_elem(&floor_drops, &zero);
    if (drops)
        __sync_fetch_and_add(drops, 1);
    return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "GPL";
