/* A packet as a struct doca_flow_match. The selectors of whoever asks choose the arms of its unions, and nothing else: with
 * l4_type_ext TCP the ports are whatever stands where ports would stand, be the packet TCP or not. That is the trap that a
 * program has to close with parser_meta, and the emulator leaves it open on purpose. */
#include "internal.h"

#include <string.h>

/* Octets of the frame; what lies beyond its end reads as zero. */
static void copy(const struct emu_packet *packet, uint32_t at, void *out, uint32_t octets)
{
    memset(out, 0, octets);
    if (at >= packet->length)
        return;
    uint32_t there = packet->length - at;
    memcpy(out, packet->data + at, octets < there ? octets : there);
}

static void ip4(const struct emu_packet *packet, struct doca_flow_header_ip4 *out)
{
    uint32_t at = packet->l3_at;
    copy(packet, at + 12, &out->src_ip, 4);
    copy(packet, at + 16, &out->dst_ip, 4);
    copy(packet, at, &out->version_ihl, 1);
    copy(packet, at + 1, &out->dscp_ecn, 1);
    copy(packet, at + 2, &out->total_len, 2);
    copy(packet, at + 4, &out->identification, 2);
    copy(packet, at + 6, &out->flags_fragment_offset, 2);
    copy(packet, at + 8, &out->ttl, 1);
    copy(packet, at + 9, &out->next_proto, 1);
}

static void ip6(const struct emu_packet *packet, struct doca_flow_header_ip6 *out)
{
    uint32_t at = packet->l3_at;
    uint8_t first[4];
    copy(packet, at, first, 4);
    copy(packet, at + 8, out->src_ip, 16);
    copy(packet, at + 24, out->dst_ip, 16);
    out->traffic_class = (uint8_t)(first[0] << 4 | first[1] >> 4);
    const uint8_t label[4] = { 0, first[1] & 15, first[2], first[3] };
    memcpy(&out->flow_label, label, 4);
    copy(packet, at + 4, &out->payload_len, 2);
    copy(packet, at + 6, &out->next_proto, 1);
    copy(packet, at + 7, &out->hop_limit, 1);
}

static void l4(const struct emu_packet *packet, uint8_t selector, struct doca_flow_header_format *out)
{
    uint32_t at = packet->l4_at ? packet->l4_at : packet->length;
    switch (selector) {
    case DOCA_FLOW_L4_TYPE_EXT_TCP:
        copy(packet, at, &out->tcp.l4_port.src_port, 2);
        copy(packet, at + 2, &out->tcp.l4_port.dst_port, 2);
        copy(packet, at + 4, &out->tcp.seq_num, 4);
        copy(packet, at + 8, &out->tcp.ack_num, 4);
        copy(packet, at + 12, &out->tcp.data_offset, 1);
        copy(packet, at + 13, &out->tcp.flags, 1);
        break;
    case DOCA_FLOW_L4_TYPE_EXT_UDP:
    case DOCA_FLOW_L4_TYPE_EXT_TRANSPORT:
        copy(packet, at, &out->transport.src_port, 2);
        copy(packet, at + 2, &out->transport.dst_port, 2);
        break;
    case DOCA_FLOW_L4_TYPE_EXT_ICMP:
    case DOCA_FLOW_L4_TYPE_EXT_ICMP6:
        copy(packet, at, &out->icmp.type, 1);
        copy(packet, at + 1, &out->icmp.code, 1);
        copy(packet, at + 4, &out->icmp.ident, 2);
        break;
    default:
        break;
    }
}

const struct doca_flow_match *emu_packet_view(struct emu_packet *packet, struct emu_selector selector)
{
    uint32_t which = selector.l3 * 7u + selector.l4;
    struct doca_flow_match *view = &packet->views[which];
    if (packet->views_made >> which & 1)
        return view;
    memset(view, 0, sizeof *view);
    view->meta.pkt_meta = packet->pkt_meta;
    memcpy(view->meta.u32, packet->u32, sizeof packet->u32);
    struct doca_flow_parser_meta *meta = &view->parser_meta;
    meta->port_id = packet->port_id;
    meta->outer_l2_type = packet->vlans == 0   ? DOCA_FLOW_L2_META_NO_VLAN
                  : packet->vlans == 1 ? DOCA_FLOW_L2_META_SINGLE_VLAN
                           : DOCA_FLOW_L2_META_MULTI_VLAN;
    meta->outer_l3_type = packet->l3;
    meta->outer_l4_type = packet->l4;
    meta->outer_ip_fragmented = packet->fragmented;
    meta->outer_l3_ok = packet->l3_ok;
    meta->outer_ip4_checksum_ok = packet->checksum3_ok;
    meta->outer_l4_ok = packet->l4_ok;
    meta->outer_l4_checksum_ok = packet->checksum4_ok;
    copy(packet, 0, view->outer.eth.dst_mac, 6);
    copy(packet, 6, view->outer.eth.src_mac, 6);
    view->outer.eth.type = DOCA_HTOBE16(packet->ether_type);
    for (int i = 0; i < packet->vlans; i++)
        copy(packet, 14 + 4 * (uint32_t)i, &view->outer.eth_vlan[i].tci, 2);
    if (selector.l3 == DOCA_FLOW_L3_TYPE_IP4)
        ip4(packet, &view->outer.ip4);
    else if (selector.l3 == DOCA_FLOW_L3_TYPE_IP6)
        ip6(packet, &view->outer.ip6);
    l4(packet, selector.l4, &view->outer);
    packet->views_made |= 1ull << which;
    return view;
}
