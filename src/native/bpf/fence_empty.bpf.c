/*
 * A program that does nothing, on the hook of the fence: what the fence's cost is measured against. Never attached by the agent.
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

char _license[] SEC("license") = "GPL";
