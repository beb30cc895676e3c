/*
 * The floor under the fence: an interface that has the name of a slot, or a name that only slots have, carries no IP packet in
 * either direction until the agent has hung the fence on it and written its number down. So an interface that is made anew is
 * closed from its first packet on, whether or not an agent runs.
 *
 * Hangs on prerouting and postrouting of the network namespace, before everything else there. Frames that a bridge passes from
 * port to port do not come by here.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "fence_maps.h"

#define NF_DROP 0
#define NF_ACCEPT 1
#define PRE_ROUTING 0
#define NAME 16

/* Parts of the kernel's own structs, found where this kernel has them. */
struct net_device {
    char name[NAME];
    int ifindex;
} __attribute__((preserve_access_index));
struct nf_hook_state {
    __u8 hook;
    struct net_device *in;
    struct net_device *out;
} __attribute__((preserve_access_index));
struct bpf_nf_ctx {
    const struct nf_hook_state *state;
} __attribute__((preserve_access_index));

/* Names: whole ones with their closing zero, or beginnings. The longest that fits decides. */
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, FENCE_TENANTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct fence_name);
    __type(value, __u32); /* the number of the interface that is fenced; 0: none */
} names SEC(".maps");

SEC("netfilter")
int fence_floor(struct bpf_nf_ctx *ctx)
{
    const struct nf_hook_state *state = ctx->state;
    struct net_device *at = state->hook == PRE_ROUTING ? state->in : state->out;
    struct fence_name key = {.bits = NAME * 8};
    __u32 *fenced, row = FENCE_NOT_ATTACHED;
    __u64 *count;
    int i;

    if (!at)
        return NF_ACCEPT;
#pragma unroll
    for (i = 0; i < NAME; i++)
        key.name[i] = at->name[i];
    fenced = bpf_map_lookup_elem(&names, &key);
    if (!fenced || *fenced == (__u32)at->ifindex)
        return NF_ACCEPT;
    count = bpf_map_lookup_elem(&counts, &row);
    if (count)
        (*count)++;
    return NF_DROP;
}

char _license[] SEC("license") = "GPL";
