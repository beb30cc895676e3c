/*
 * What the fence's cost is measured against, and never attached by the agent: a program that does nothing, on the hook of the
 * fence; and one that does no more than look up one address in one map of the kernel, as large as the fence's table of grants.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

SEC("tc")
int fence_empty(struct __sk_buff *skb)
{
    (void)skb;
    return TC_ACT_UNSPEC;
}

struct lookup_key {
    __u32 address;
    __u32 more[5];
};
struct table_inner {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(struct lookup_key));
    __uint(value_size, sizeof(__u32));
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(values, struct table_inner);
} table SEC(".maps");

SEC("tc")
int fence_lookup(struct __sk_buff *skb)
{
    struct lookup_key key = {};
    __u32 zero = 0;
    void *inner = bpf_map_lookup_elem(&table, &zero);

    if (!inner || bpf_skb_load_bytes(skb, 30, &key.address, sizeof(key.address)))
        return TC_ACT_SHOT;
    return bpf_map_lookup_elem(inner, &key) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
