/* The parser: what the device finds in a frame by itself. It passes over VLAN tags and over IPv6 extension headers, and says
 * whether what it found is sound; it does not look into tunnels. Nothing here decides anything. */
#include "internal.h"

#include <string.h>

#define IPV6_HOP_BY_HOP 0
#define IPV6_ROUTING 43
#define IPV6_FRAGMENT 44
#define IPV6_OPTIONS 60

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* RFC 1071; `sum` is what came before, and `length` octets follow. The result is ready to be written in network order. */
uint16_t emu_checksum(const uint8_t *data, uint32_t length, uint32_t sum)
{
    for (; length > 1; length -= 2, data += 2)
        sum += get16(data);
    if (length)
        sum += (uint32_t)*data << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

uint32_t emu_pseudo_header(const struct emu_packet *packet, uint32_t l4_length)
{
    const uint8_t *l3 = packet->data + packet->l3_at;
    uint32_t sum = packet->protocol + l4_length;
    const uint8_t *at = l3 + (packet->l3 == DOCA_FLOW_L3_META_IPV4 ? 12 : 8);
    uint32_t octets = packet->l3 == DOCA_FLOW_L3_META_IPV4 ? 8 : 32;
    for (uint32_t i = 0; i < octets; i += 2)
        sum += get16(at + i);
    return sum;
}

/* The transport header, `octets` long as the IP header says. */
static void parse_l4(struct emu_packet *packet, uint32_t octets)
{
    const uint8_t *l4 = packet->data + packet->l4_at;
    uint32_t sum = emu_pseudo_header(packet, octets);
    switch (packet->protocol) {
    case DOCA_FLOW_PROTO_TCP:
        packet->l4 = DOCA_FLOW_L4_META_TCP;
        packet->l4_ok = octets >= 20 && (l4[12] >> 4) >= 5 && (uint32_t)(l4[12] >> 4) * 4 <= octets;
        packet->checksum4_ok = packet->l4_ok && emu_checksum(l4, octets, sum) == 0;
        return;
    case DOCA_FLOW_PROTO_UDP:
        packet->l4 = DOCA_FLOW_L4_META_UDP;
        packet->l4_ok = octets >= 8 && get16(l4 + 4) >= 8 && get16(l4 + 4) <= octets;
        packet->checksum4_ok =
            packet->l4_ok && ((get16(l4 + 6) == 0 && packet->l3 == DOCA_FLOW_L3_META_IPV4) ||
                      emu_checksum(l4, octets, sum) == 0);
        return;
    case DOCA_FLOW_PROTO_ICMP:
    case DOCA_FLOW_PROTO_ICMP6:
        packet->l4 = DOCA_FLOW_L4_META_ICMP;
        packet->l4_ok = octets >= 8;
        packet->checksum4_ok =
            packet->l4_ok &&
            emu_checksum(l4, octets, packet->protocol == DOCA_FLOW_PROTO_ICMP6 ? sum : 0) == 0;
        return;
    case DOCA_FLOW_PROTO_ESP:
        packet->l4 = DOCA_FLOW_L4_META_ESP;
        packet->l4_ok = octets >= 8;
        return;
    default:
        return;
    }
}

static void parse_ip4(struct emu_packet *packet)
{
    const uint8_t *l3 = packet->data + packet->l3_at;
    uint32_t left = packet->length - packet->l3_at;
    if (left < 20 || l3[0] >> 4 != 4)
        return;
    packet->l3 = DOCA_FLOW_L3_META_IPV4;
    uint32_t header = (uint32_t)(l3[0] & 15) * 4, total = get16(l3 + 2), flags = get16(l3 + 6);
    packet->protocol = l3[9];
    packet->fragmented = (flags & 0x3fff) != 0; /* more fragments, or an offset */
    packet->later_fragment = (flags & 0x1fff) != 0;
    packet->l3_ok = header >= 20 && header <= left && total >= header && total <= left;
    if (!packet->l3_ok)
        return;
    packet->checksum3_ok = emu_checksum(l3, header, 0) == 0;
    if (packet->later_fragment)
        return;
    packet->l4_at = (uint16_t)(packet->l3_at + header);
    parse_l4(packet, total - header);
}

static void parse_ip6(struct emu_packet *packet)
{
    const uint8_t *l3 = packet->data + packet->l3_at;
    uint32_t left = packet->length - packet->l3_at;
    if (left < 40 || l3[0] >> 4 != 6)
        return;
    packet->l3 = DOCA_FLOW_L3_META_IPV6;
    uint32_t end = 40u + get16(l3 + 4), at = 40;
    uint8_t next = l3[6];
    packet->l3_ok = end <= left;
    if (!packet->l3_ok)
        return;
    while (next == IPV6_HOP_BY_HOP || next == IPV6_ROUTING || next == IPV6_OPTIONS || next == IPV6_FRAGMENT) {
        if (end - at < 8)
            return;
        if (next == IPV6_FRAGMENT) {
            packet->fragmented = true;
            packet->later_fragment = (get16(l3 + at + 2) & 0xfff8) != 0;
            next = l3[at];
            at += 8;
            if (packet->later_fragment) {
                packet->protocol = next;
                return;
            }
            continue;
        }
        uint32_t octets = ((uint32_t)l3[at + 1] + 1) * 8;
        next = l3[at];
        if (octets > end - at)
            return;
        at += octets;
    }
    packet->protocol = next;
    packet->l4_at = (uint16_t)(packet->l3_at + at);
    parse_l4(packet, end - at);
}

void emu_packet_parse(struct emu_packet *packet)
{
    packet->l3_at = packet->l4_at = 0;
    packet->vlans = packet->l3 = packet->l4 = packet->protocol = 0;
    packet->fragmented = packet->later_fragment = packet->l3_ok = packet->l4_ok = false;
    packet->checksum3_ok = packet->checksum4_ok = false;
    packet->ether_type = 0;
    packet->views_made = 0;
    if (packet->length < 14)
        return;
    uint32_t at = 12;
    uint16_t type = get16(packet->data + at);
    while ((type == DOCA_FLOW_ETHER_TYPE_VLAN || type == DOCA_FLOW_ETHER_TYPE_QINQ) &&
           packet->vlans < DOCA_FLOW_VLAN_MAX && packet->length >= at + 6) {
        packet->vlans++;
        at += 4;
        type = get16(packet->data + at);
    }
    packet->ether_type = type;
    packet->l3_at = (uint16_t)(at + 2);
    if (type == DOCA_FLOW_ETHER_TYPE_IPV4)
        parse_ip4(packet);
    else if (type == DOCA_FLOW_ETHER_TYPE_IPV6)
        parse_ip6(packet);
}

/* After an action changed a header: the device writes both checksums anew. */
void emu_packet_repair(struct emu_packet *packet)
{
    packet->views_made = 0;
    if (!packet->l3_ok)
        return;
    uint8_t *l3 = packet->data + packet->l3_at;
    uint32_t octets;
    if (packet->l3 == DOCA_FLOW_L3_META_IPV4) {
        uint32_t header = (uint32_t)(l3[0] & 15) * 4;
        l3[10] = l3[11] = 0;
        uint16_t sum = emu_checksum(l3, header, 0);
        l3[10] = (uint8_t)(sum >> 8);
        l3[11] = (uint8_t)sum;
        octets = get16(l3 + 2) - header;
    } else {
        octets = 40u + get16(l3 + 4) - (packet->l4_at - packet->l3_at);
    }
    /* A fragment's transport checksum covers what is not here. */
    if (!packet->l4_at || !packet->l4_ok || packet->fragmented)
        return;
    uint8_t *l4 = packet->data + packet->l4_at;
    bool icmp4 = packet->protocol == DOCA_FLOW_PROTO_ICMP;
    uint8_t *sum_at = packet->l4 == DOCA_FLOW_L4_META_TCP	? l4 + 16
              : packet->l4 == DOCA_FLOW_L4_META_UDP	? l4 + 6
              : packet->l4 == DOCA_FLOW_L4_META_ICMP ? l4 + 2
                                 : NULL;
    if (!sum_at)
        return;
    if (packet->l4 == DOCA_FLOW_L4_META_UDP && packet->l3 == DOCA_FLOW_L3_META_IPV4 && get16(sum_at) == 0)
        return;
    sum_at[0] = sum_at[1] = 0;
    uint16_t sum = emu_checksum(l4, octets, icmp4 ? 0 : emu_pseudo_header(packet, octets));
    if (sum == 0 && packet->l4 == DOCA_FLOW_L4_META_UDP)
        sum = 0xffff;
    sum_at[0] = (uint8_t)(sum >> 8);
    sum_at[1] = (uint8_t)sum;
}
