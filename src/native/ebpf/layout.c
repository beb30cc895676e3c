/*
 * Says the layout of every struct that C and the agent share, as text, so that a test can compare it with what the agent's
 * code believes. Text, because a difference should be readable.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "../bpf/fence.h"
#include "sluice_ebpf.h"

struct writer {
    char *text;
    uint32_t capacity;
    uint32_t length;
    int full;
};

static void say(struct writer *w, const char *word, size_t value, char mark)
{
    int wrote;

    if (w->full)
        return;
    wrote = snprintf(w->text + w->length, w->capacity - w->length, "%s%c%zu ", word, mark, value);
    if (wrote < 0 || (uint32_t)wrote >= w->capacity - w->length)
        w->full = 1;
    else
        w->length += wrote;
}

#define STRUCT(type) say(&w, "\n" #type, sizeof(struct type), ' ')
#define FIELD(type, field) say(&w, #field, offsetof(struct type, field), '=')

int sluice_ebpf_layout(char *text, uint32_t capacity)
{
    struct writer w = {.text = text, .capacity = capacity};

    STRUCT(fence_exact_key);
    FIELD(fence_exact_key, address);
    FIELD(fence_exact_key, index);
    FIELD(fence_exact_key, port);
    FIELD(fence_exact_key, protocol);
    FIELD(fence_exact_key, kind);
    STRUCT(fence_exact4);
    FIELD(fence_exact4, address);
    FIELD(fence_exact4, index);
    FIELD(fence_exact4, port);
    FIELD(fence_exact4, protocol);
    FIELD(fence_exact4, kind);
    FIELD(fence_exact4, grant);
    STRUCT(fence_exact6);
    FIELD(fence_exact6, address);
    FIELD(fence_exact6, index);
    FIELD(fence_exact6, port);
    FIELD(fence_exact6, protocol);
    FIELD(fence_exact6, kind);
    FIELD(fence_exact6, grant);
    STRUCT(fence_prefix_key);
    FIELD(fence_prefix_key, bits);
    FIELD(fence_prefix_key, index);
    FIELD(fence_prefix_key, direction);
    FIELD(fence_prefix_key, protocol);
    FIELD(fence_prefix_key, family);
    FIELD(fence_prefix_key, address);
    STRUCT(fence_prefix);
    FIELD(fence_prefix, any_first);
    FIELD(fence_prefix, any_count);
    FIELD(fence_prefix, open_first);
    FIELD(fence_prefix, open_count);
    FIELD(fence_prefix, up);
    STRUCT(fence_range);
    FIELD(fence_range, from);
    FIELD(fence_range, to);
    FIELD(fence_range, grant);
    STRUCT(fence_class_key);
    FIELD(fence_class_key, bits);
    FIELD(fence_class_key, family);
    FIELD(fence_class_key, address);
    STRUCT(fence_workspace);
    FIELD(fence_workspace, index);
    FIELD(fence_workspace, tenant);
    FIELD(fence_workspace, flags);
    FIELD(fence_workspace, exact4_mask);
    FIELD(fence_workspace, tcp_ns);
    FIELD(fence_workspace, udp_ns);
    FIELD(fence_workspace, icmp_ns);
    FIELD(fence_workspace, deadline_ns);
    FIELD(fence_workspace, v4);
    FIELD(fence_workspace, v6);
    FIELD(fence_workspace, link_local);
    FIELD(fence_workspace, gateway_link_local);
    FIELD(fence_workspace, mac);
    FIELD(fence_workspace, gateway_mac);
    FIELD(fence_workspace, exact6_mask);
    FIELD(fence_workspace, observe_ns);
    FIELD(fence_workspace, observe);
    STRUCT(fence_tenant);
    FIELD(fence_tenant, epoch);
    FIELD(fence_tenant, flags);
    STRUCT(fence_flow_key);
    FIELD(fence_flow_key, local);
    FIELD(fence_flow_key, peer);
    FIELD(fence_flow_key, local_port);
    FIELD(fence_flow_key, peer_port);
    FIELD(fence_flow_key, protocol);
    FIELD(fence_flow_key, family);
    STRUCT(fence_flow);
    FIELD(fence_flow, word);
    FIELD(fence_flow, last_ns);
    FIELD(fence_flow, epoch);
    FIELD(fence_flow, packets);
    FIELD(fence_flow, octets);
    FIELD(fence_flow, clause);
    FIELD(fence_flow, grant);
    FIELD(fence_flow, direction);
    FIELD(fence_flow, basis);
    FIELD(fence_flow, closed);
    FIELD(fence_flow, answered);
    STRUCT(fence_learned_key);
    FIELD(fence_learned_key, address);
    FIELD(fence_learned_key, tenant);
    FIELD(fence_learned_key, port);
    FIELD(fence_learned_key, protocol);
    FIELD(fence_learned_key, family);
    STRUCT(fence_learned);
    FIELD(fence_learned, clause);
    FIELD(fence_learned, expires_ns);
    STRUCT(fence_session_key);
    FIELD(fence_session_key, address);
    FIELD(fence_session_key, tenant);
    FIELD(fence_session_key, family);
    STRUCT(fence_session);
    FIELD(fence_session, expires_ns);
    FIELD(fence_session, expires_ms);
    STRUCT(fence_counter);
    FIELD(fence_counter, packets);
    FIELD(fence_counter, octets);
    STRUCT(fence_event);
    FIELD(fence_event, at_ns);
    FIELD(fence_event, word);
    FIELD(fence_event, tenant);
    FIELD(fence_event, attachment);
    FIELD(fence_event, direction);
    FIELD(fence_event, reason);
    FIELD(fence_event, protocol);
    FIELD(fence_event, family);
    FIELD(fence_event, source_port);
    FIELD(fence_event, destination_port);
    FIELD(fence_event, source);
    FIELD(fence_event, destination);
    STRUCT(fence_name);
    FIELD(fence_name, bits);
    FIELD(fence_name, name);
    STRUCT(fence_about);
    FIELD(fence_about, layout);
    FIELD(fence_about, mark);
    FIELD(fence_about, made_ns);
    FIELD(fence_about, object_digest);
    STRUCT(sluice_ebpf_run);
    FIELD(sluice_ebpf_run, ifindex);
    FIELD(sluice_ebpf_run, verdict);
    FIELD(sluice_ebpf_run, cb);
    FIELD(sluice_ebpf_run, mark_out);
    say(&w, "\nFENCE_LAYOUT", FENCE_LAYOUT, ' ');
    say(&w, "\nFENCE_TENANTS", FENCE_TENANTS, ' ');
    say(&w, "\nFENCE_CLAUSES", FENCE_CLAUSES, ' ');
    say(&w, "\nFENCE_DROPS", FENCE_DROPS, ' ');
    say(&w, "\nFENCE_COUNTS", FENCE_COUNTS, ' ');
    say(&w, "\nFENCE_FLOWS_LEAST", FENCE_FLOWS_LEAST, ' ');
    say(&w, "\nFENCE_FLOWS_MOST", FENCE_FLOWS_MOST, ' ');
    return w.full ? -ENOSPC : (int)w.length;
}
