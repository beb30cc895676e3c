/* What a pipe does to a packet: octets that are set, constant or given by the entry, and VLAN tags taken off or put on. Zero
 * without a mask is no action; all ones is the entry's. Encapsulation, cryptography and arithmetic are refused. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum { ANY = 0xff };

struct field {
    uint16_t at, octets;
    uint8_t l3, l4;
};
#define FIELD(member, l3, l4) \
    { offsetof(struct doca_flow_actions, member), sizeof(((struct doca_flow_actions *)0)->member), l3, l4 }
#define IP4(member) FIELD(outer.ip4.member, DOCA_FLOW_L3_TYPE_IP4, ANY)
#define IP6(member) FIELD(outer.ip6.member, DOCA_FLOW_L3_TYPE_IP6, ANY)
#define PORTS(arm, selector) \
    FIELD(outer.arm.src_port, ANY, DOCA_FLOW_L4_TYPE_EXT_##selector), \
        FIELD(outer.arm.dst_port, ANY, DOCA_FLOW_L4_TYPE_EXT_##selector)

static const struct field FIELDS[] = {
    FIELD(meta.pkt_meta, ANY, ANY),
    FIELD(meta.u32, ANY, ANY),
    FIELD(outer.eth.src_mac, ANY, ANY),
    FIELD(outer.eth.dst_mac, ANY, ANY),
    IP4(src_ip),
    IP4(dst_ip),
    IP4(dscp_ecn),
    IP4(ttl),
    IP6(src_ip),
    IP6(dst_ip),
    IP6(hop_limit),
    PORTS(tcp.l4_port, TCP),
    PORTS(udp.l4_port, UDP),
    PORTS(transport, TRANSPORT),
};
#define NR_FIELDS (sizeof FIELDS / sizeof *FIELDS)

static bool all(const uint8_t *octets, uint16_t count, uint8_t value)
{
    for (uint16_t i = 0; i < count; i++)
        if (octets[i] != value)
            return false;
    return true;
}

/* The parts of the structure that no row describes must be zero. */
static bool supported(const struct doca_flow_actions *actions)
{
    struct doca_flow_actions rest = *actions;
    for (size_t i = 0; i < NR_FIELDS; i++)
        memset((uint8_t *)&rest + FIELDS[i].at, 0, FIELDS[i].octets);
    rest.outer.l3_type = 0;
    rest.outer.l4_type_ext = 0;
    return rest.decap_type == 0 && rest.encap_type == 0 && !rest.has_crypto_encap &&
           all((const uint8_t *)&rest.outer, sizeof rest.outer, 0) &&
           all((const uint8_t *)&rest.tun, sizeof rest.tun, 0) &&
           all((const uint8_t *)&rest.parser_meta, sizeof rest.parser_meta, 0);
}

static doca_error_t compile_piece(struct emu_action *action, uint16_t at, uint16_t octets, const uint8_t *values,
                  const uint8_t *masks)
{
    if (all((masks ? masks : values) + at, octets, 0))
        return DOCA_SUCCESS;
    bool changeable = all(values + at, octets, 0xff);
    for (uint16_t i = at; i < at + octets; i++) {
        uint8_t bits = masks ? masks[i] : 0xff;
        struct emu_setter setter = { i, bits, values[i] & bits };
        if (bits == 0)
            continue;
        struct emu_setter **list = changeable ? &action->changeable : &action->constant;
        uint16_t *count = changeable ? &action->nr_changeable : &action->nr;
        struct emu_setter *grown = realloc(*list, (*count + 1u) * sizeof **list);
        if (!grown)
            return DOCA_ERROR_NO_MEMORY;
        *list = grown;
        grown[(*count)++] = setter;
    }
    return DOCA_SUCCESS;
}

doca_error_t emu_action_compile(const struct doca_flow_actions *actions, const struct doca_flow_actions *mask,
                struct emu_action *out)
{
    if (!supported(actions))
        return DOCA_ERROR_NOT_SUPPORTED;
    if ((unsigned int)actions->outer.l3_type > DOCA_FLOW_L3_TYPE_IP6 ||
        (unsigned int)actions->outer.l4_type_ext > DOCA_FLOW_L4_TYPE_EXT_TRANSPORT)
        return DOCA_ERROR_NOT_SUPPORTED;
    out->l3 = (uint8_t)actions->outer.l3_type;
    out->l4 = (uint8_t)actions->outer.l4_type_ext;
    out->pop_vlan = actions->pop_vlan;
    out->push_vlan = actions->has_push;
    out->push_type = actions->push.vlan.eth_type ? actions->push.vlan.eth_type
                             : DOCA_HTOBE16(DOCA_FLOW_ETHER_TYPE_VLAN);
    out->push_tci = actions->push.vlan.vlan_hdr.tci;
    const uint8_t *values = (const uint8_t *)actions, *masks = (const uint8_t *)mask;
    doca_error_t result = DOCA_SUCCESS;
    for (size_t i = 0; i < NR_FIELDS && result == DOCA_SUCCESS; i++) {
        const struct field *field = &FIELDS[i];
        if ((field->l3 != ANY && field->l3 != out->l3) || (field->l4 != ANY && field->l4 != out->l4))
            continue;
        /* Each metadata word is a field of its own. */
        uint16_t step = field->at == offsetof(struct doca_flow_actions, meta.u32) ? 4 : field->octets;
        for (uint16_t at = 0; at < field->octets && result == DOCA_SUCCESS; at = (uint16_t)(at + step))
            result = compile_piece(out, (uint16_t)(field->at + at), step, values, masks);
    }
    return result;
}

void emu_action_clear(struct emu_action *action)
{
    free(action->constant);
    free(action->changeable);
    *action = (struct emu_action){ 0 };
}

/* The entry's octets for what its pipe left changeable. NULL actions: there must be nothing changeable. */
doca_error_t emu_action_values(const struct emu_action *action, const struct doca_flow_actions *actions,
                   uint8_t **values)
{
    *values = NULL;
    if (action->nr_changeable == 0)
        return DOCA_SUCCESS;
    if (!actions)
        return DOCA_ERROR_INVALID_VALUE;
    *values = malloc(action->nr_changeable);
    if (!*values)
        return DOCA_ERROR_NO_MEMORY;
    for (uint16_t i = 0; i < action->nr_changeable; i++)
        (*values)[i] = ((const uint8_t *)actions)[action->changeable[i].at];
    return DOCA_SUCCESS;
}

static uint8_t *place(struct emu_packet *packet, uint16_t at)
{
#define IN(member) \
    (at >= offsetof(struct doca_flow_actions, member) && \
     at < offsetof(struct doca_flow_actions, member) + sizeof(((struct doca_flow_actions *)0)->member))
#define INSIDE(member) (at - offsetof(struct doca_flow_actions, member))
    uint8_t *l3 = packet->data + packet->l3_at, *l4 = packet->data + packet->l4_at;
    if (IN(meta.pkt_meta))
        return (uint8_t *)&packet->pkt_meta + INSIDE(meta.pkt_meta);
    if (IN(meta.u32))
        return (uint8_t *)packet->u32 + INSIDE(meta.u32);
    if (IN(outer.eth.src_mac))
        return packet->data + 6 + INSIDE(outer.eth.src_mac);
    if (IN(outer.eth.dst_mac))
        return packet->data + INSIDE(outer.eth.dst_mac);
    if (at < offsetof(struct doca_flow_actions, outer.l4_type_ext)) {
        if (packet->l3 == DOCA_FLOW_L3_META_IPV4 && packet->l3_ok)
            return IN(outer.ip4.src_ip)    ? l3 + 12 + INSIDE(outer.ip4.src_ip)
                   : IN(outer.ip4.dst_ip)  ? l3 + 16 + INSIDE(outer.ip4.dst_ip)
                   : IN(outer.ip4.dscp_ecn) ? l3 + 1
                   : IN(outer.ip4.ttl)	? l3 + 8
                            : NULL;
        if (packet->l3 == DOCA_FLOW_L3_META_IPV6 && packet->l3_ok)
            return IN(outer.ip6.src_ip)	 ? l3 + 8 + INSIDE(outer.ip6.src_ip)
                   : IN(outer.ip6.dst_ip)	 ? l3 + 24 + INSIDE(outer.ip6.dst_ip)
                   : IN(outer.ip6.hop_limit) ? l3 + 7
                             : NULL;
        return NULL;
    }
    bool ports = packet->l4 == DOCA_FLOW_L4_META_TCP || packet->l4 == DOCA_FLOW_L4_META_UDP;
    if (!ports || !packet->l4_ok)
        return NULL;
    /* The arms for TCP, UDP and TRANSPORT all begin with the ports. */
    return IN(outer.transport.src_port)   ? l4 + INSIDE(outer.transport.src_port)
           : IN(outer.transport.dst_port) ? l4 + 2 + INSIDE(outer.transport.dst_port)
                          : NULL;
#undef IN
#undef INSIDE
}

static void write_octet(const struct emu_action *action, struct emu_packet *packet, uint16_t at, uint8_t mask,
            uint8_t value)
{
    bool meta = at < offsetof(struct doca_flow_actions, outer);
    /* A header that the packet does not have is not written. */
    if (!meta && at >= offsetof(struct doca_flow_actions, outer.ip4) &&
        at < offsetof(struct doca_flow_actions, outer.l4_type_ext) && action->l3 != packet->l3)
        return;
    uint8_t *octet = place(packet, at);
    if (octet)
        *octet = (uint8_t)((*octet & ~mask) | (value & mask));
}

static void pop(struct emu_packet *packet)
{
    if (packet->vlans == 0)
        return;
    memmove(packet->data + 12, packet->data + 16, packet->length - 16);
    packet->length -= 4;
}

static void push(const struct emu_action *action, struct emu_packet *packet)
{
    if (packet->length + 4 > packet->room)
        return;
    memmove(packet->data + 16, packet->data + 12, packet->length - 12);
    memcpy(packet->data + 12, &action->push_type, 2);
    memcpy(packet->data + 14, &action->push_tci, 2);
    packet->length += 4;
}

/* In the order that the device keeps: pop, metadata and headers, push. */
void emu_action_apply(const struct emu_action *action, const uint8_t *values, struct emu_packet *packet)
{
    if (action->pop_vlan) {
        pop(packet);
        emu_packet_parse(packet);
    }
    for (uint16_t i = 0; i < action->nr; i++)
        write_octet(action, packet, action->constant[i].at, action->constant[i].mask,
                action->constant[i].value);
    for (uint16_t i = 0; i < action->nr_changeable && values; i++)
        write_octet(action, packet, action->changeable[i].at, action->changeable[i].mask, values[i]);
    if (action->nr + action->nr_changeable > 0)
        emu_packet_repair(packet);
    if (action->push_vlan) {
        push(action, packet);
        emu_packet_parse(packet);
    }
}
