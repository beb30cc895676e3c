/* Fields of this ABI as members of DOCA's match. Octets come in network order and go there as they are; port ids and the
 * parser's enumerations are host integers over there. */
#include <string.h>

#include "shim.h"

struct field {
    uint16_t at;
    uint8_t octets;
    uint8_t host; /* width of a host integer, 0: copied as it is */
    uint8_t l3;   /* selector that it needs */
};
#define AT(member) offsetof(struct doca_flow_match, member)
#define NET(member) { AT(member), sizeof(((struct doca_flow_match *)0)->member), 0, 0 }
#define HOST(member, octets) { AT(member), octets, sizeof(((struct doca_flow_match *)0)->member), 0 }
#define V4(member) \
    { AT(outer.ip4.member), sizeof(((struct doca_flow_match *)0)->outer.ip4.member), 0, DOCA_FLOW_L3_TYPE_IP4 }
#define V6(member) \
    { AT(outer.ip6.member), sizeof(((struct doca_flow_match *)0)->outer.ip6.member), 0, DOCA_FLOW_L3_TYPE_IP6 }

static const struct field FIELDS[SLUICE_DOCA_FIELDS] = {
    [SLUICE_DOCA_IN_PORT] = HOST(parser_meta.port_id, 2),
    [SLUICE_DOCA_ETH_SRC] = NET(outer.eth.src_mac),
    [SLUICE_DOCA_ETH_DST] = NET(outer.eth.dst_mac),
    [SLUICE_DOCA_ETH_TYPE] = NET(outer.eth.type),
    [SLUICE_DOCA_TAGS] = HOST(parser_meta.outer_l2_type, 1),
    [SLUICE_DOCA_L3] = HOST(parser_meta.outer_l3_type, 1),
    [SLUICE_DOCA_L4] = HOST(parser_meta.outer_l4_type, 1),
    [SLUICE_DOCA_FRAGMENT] = NET(parser_meta.outer_ip_fragmented),
    [SLUICE_DOCA_L3_OK] = NET(parser_meta.outer_l3_ok),
    [SLUICE_DOCA_L4_OK] = NET(parser_meta.outer_l4_ok),
    [SLUICE_DOCA_IP4_SUM_OK] = NET(parser_meta.outer_ip4_checksum_ok),
    [SLUICE_DOCA_META] = NET(meta.pkt_meta),
    [SLUICE_DOCA_IP4_SRC] = V4(src_ip),
    [SLUICE_DOCA_IP4_DST] = V4(dst_ip),
    [SLUICE_DOCA_IP4_VERSION] = V4(version_ihl),
    [SLUICE_DOCA_IP4_PROTOCOL] = V4(next_proto),
    [SLUICE_DOCA_IP6_SRC] = V6(src_ip),
    [SLUICE_DOCA_IP6_DST] = V6(dst_ip),
    [SLUICE_DOCA_IP6_NEXT] = V6(next_proto),
    [SLUICE_DOCA_IP6_HOPS] = V6(hop_limit),
    [SLUICE_DOCA_SRC_PORT] = NET(outer.transport.src_port),
    [SLUICE_DOCA_DST_PORT] = NET(outer.transport.dst_port),
    [SLUICE_DOCA_TCP_FLAGS] = NET(outer.tcp.flags),
    [SLUICE_DOCA_ICMP_TYPE] = NET(outer.icmp.type),
    [SLUICE_DOCA_ICMP_CODE] = NET(outer.icmp.code),
};

uint32_t shim_field_octets(uint8_t field)
{
    return field < SLUICE_DOCA_FIELDS ? FIELDS[field].octets : 0;
}

uint32_t shim_field_l3(uint8_t field)
{
    return field < SLUICE_DOCA_FIELDS ? FIELDS[field].l3 : 0;
}

/* The ports stand first in the headers of TCP and UDP alike, so that one member serves for both. */
_Static_assert(AT(outer.tcp.l4_port.dst_port) == AT(outer.transport.dst_port), "ports of TCP");
_Static_assert(AT(outer.udp.l4_port.dst_port) == AT(outer.transport.dst_port), "ports of UDP");

void shim_select(struct doca_flow_match *match, uint32_t l3, uint32_t transport)
{
    static const enum doca_flow_l4_type_ext SELECTORS[] = { DOCA_FLOW_L4_TYPE_EXT_NONE, DOCA_FLOW_L4_TYPE_EXT_TCP,
                                                            DOCA_FLOW_L4_TYPE_EXT_UDP, DOCA_FLOW_L4_TYPE_EXT_ICMP,
                                                            DOCA_FLOW_L4_TYPE_EXT_ICMP6 };
    match->outer.l3_type = (enum doca_flow_l3_type)l3;
    match->outer.l4_type_ext = SELECTORS[transport < 5 ? transport : 0];
}

static bool suits(uint8_t field, uint32_t transport)
{
    switch (field) {
    case SLUICE_DOCA_SRC_PORT:
    case SLUICE_DOCA_DST_PORT:
        return transport == 1 || transport == 2;
    case SLUICE_DOCA_TCP_FLAGS:
        return transport == 1;
    case SLUICE_DOCA_ICMP_TYPE:
    case SLUICE_DOCA_ICMP_CODE:
        return transport == 3 || transport == 4;
    default:
        return field < SLUICE_DOCA_FIELDS;
    }
}

bool shim_field_put(struct doca_flow_match *match, uint8_t field, uint32_t transport, const uint8_t *octets)
{
    if (!suits(field, transport))
        return false;
    const struct field *row = &FIELDS[field];
    uint8_t *at = (uint8_t *)match + row->at;
    if (row->host == 0) {
        memcpy(at, octets, row->octets);
        return true;
    }
    uint32_t value = row->octets == 2 ? (uint32_t)octets[0] << 8 | octets[1] : octets[0];
    /* All ones stay all ones in a wider integer: that is how a field is left to the entries. */
    uint32_t ones = row->octets == 2 ? 0xffff : 0xff;
    if (row->host == 4) {
        uint32_t wide = value == ones ? UINT32_MAX : value;
        memcpy(at, &wide, 4);
    } else {
        uint16_t narrow = (uint16_t)value;
        memcpy(at, &narrow, 2);
    }
    return true;
}
