/* From a match to the octets that are compared. Fields are rows of a table; for each, the pipe's match says ignored, constant
 * or given by the entry, and an explicit mask says which bits. Selectors only choose rows. What no row describes (tunnels,
 * inner headers, crypto) is refused, never ignored. */
#include "internal.h"

#include <string.h>

enum { ANY = 0xff };
#define T(name) DOCA_FLOW_L4_TYPE_EXT_##name

struct field {
    uint16_t at, octets;
    uint8_t l3, l4;
};
#define FIELD(member, l3, l4) \
    { offsetof(struct doca_flow_match, member), sizeof(((struct doca_flow_match *)0)->member), l3, l4 }
#define PLAIN(member) FIELD(member, ANY, ANY)
#define IP4(member) FIELD(outer.ip4.member, DOCA_FLOW_L3_TYPE_IP4, ANY)
#define IP6(member) FIELD(outer.ip6.member, DOCA_FLOW_L3_TYPE_IP6, ANY)

static const struct field FIELDS[] = {
    PLAIN(meta.pkt_meta),
    PLAIN(meta.u32[0]),
    PLAIN(meta.u32[1]),
    PLAIN(meta.u32[2]),
    PLAIN(meta.u32[3]),
    PLAIN(meta.u32[4]),
    PLAIN(meta.u32[5]),
    PLAIN(meta.u32[6]),
    PLAIN(meta.u32[7]),
    PLAIN(meta.u32[8]),
    PLAIN(meta.u32[9]),
    PLAIN(parser_meta.port_id),
    PLAIN(parser_meta.outer_l2_type),
    PLAIN(parser_meta.outer_l3_type),
    PLAIN(parser_meta.outer_l4_type),
    PLAIN(parser_meta.outer_ip_fragmented),
    PLAIN(parser_meta.outer_l3_ok),
    PLAIN(parser_meta.outer_ip4_checksum_ok),
    PLAIN(parser_meta.outer_l4_ok),
    PLAIN(parser_meta.outer_l4_checksum_ok),
    PLAIN(outer.eth.src_mac),
    PLAIN(outer.eth.dst_mac),
    PLAIN(outer.eth.type),
    PLAIN(outer.eth_vlan[0].tci),
    PLAIN(outer.eth_vlan[1].tci),
    IP4(src_ip),
    IP4(dst_ip),
    IP4(version_ihl),
    IP4(dscp_ecn),
    IP4(total_len),
    IP4(identification),
    IP4(flags_fragment_offset),
    IP4(next_proto),
    IP4(ttl),
    IP6(src_ip),
    IP6(dst_ip),
    IP6(traffic_class),
    IP6(flow_label),
    IP6(payload_len),
    IP6(next_proto),
    IP6(hop_limit),
    FIELD(outer.tcp.l4_port.src_port, ANY, T(TCP)),
    FIELD(outer.tcp.l4_port.dst_port, ANY, T(TCP)),
    FIELD(outer.tcp.data_offset, ANY, T(TCP)),
    FIELD(outer.tcp.flags, ANY, T(TCP)),
    FIELD(outer.tcp.seq_num, ANY, T(TCP)),
    FIELD(outer.tcp.ack_num, ANY, T(TCP)),
    FIELD(outer.udp.l4_port.src_port, ANY, T(UDP)),
    FIELD(outer.udp.l4_port.dst_port, ANY, T(UDP)),
    FIELD(outer.transport.src_port, ANY, T(TRANSPORT)),
    FIELD(outer.transport.dst_port, ANY, T(TRANSPORT)),
    FIELD(outer.icmp.type, ANY, T(ICMP)),
    FIELD(outer.icmp.code, ANY, T(ICMP)),
    FIELD(outer.icmp.ident, ANY, T(ICMP)),
    FIELD(outer.icmp.type, ANY, T(ICMP6)),
    FIELD(outer.icmp.code, ANY, T(ICMP6)),
    FIELD(outer.icmp.ident, ANY, T(ICMP6)),
};
#define NR_FIELDS (sizeof FIELDS / sizeof *FIELDS)

static bool chosen(const struct field *field, struct emu_selector selector)
{
    return (field->l3 == ANY || field->l3 == selector.l3) && (field->l4 == ANY || field->l4 == selector.l4);
}

static bool all(const uint8_t *octets, uint16_t count, uint8_t value)
{
    for (uint16_t i = 0; i < count; i++)
        if (octets[i] != value)
            return false;
    return true;
}

doca_error_t emu_match_selector(const struct doca_flow_match *match, struct emu_selector *selector)
{
    if ((unsigned int)match->outer.l3_type > DOCA_FLOW_L3_TYPE_IP6 ||
        (unsigned int)match->outer.l4_type_ext > DOCA_FLOW_L4_TYPE_EXT_TRANSPORT)
        return DOCA_ERROR_NOT_SUPPORTED; /* a selector cannot be changeable either */
    selector->l3 = (uint8_t)match->outer.l3_type;
    selector->l4 = (uint8_t)match->outer.l4_type_ext;
    return DOCA_SUCCESS;
}

/* Tunnels, inner headers, and parser results that the emulator's parser does not make. */
bool emu_match_supported(const struct doca_flow_match *match)
{
    const struct doca_flow_parser_meta *meta = &match->parser_meta;
    return all((const uint8_t *)&match->tun, sizeof match->tun, 0) &&
           all((const uint8_t *)&match->inner, sizeof match->inner, 0) && meta->random == 0 &&
           meta->ipsec_syndrome == 0 && meta->ipsec_ar_syndrome == 0 && meta->psp_syndrome == 0 &&
           meta->inner_l2_type == 0 && meta->inner_l3_type == 0 && meta->inner_l4_type == 0 &&
           meta->inner_ip_fragmented == 0 && meta->inner_l3_ok == 0 && meta->inner_l4_ok == 0 &&
           meta->inner_ip4_checksum_ok == 0 && meta->inner_l4_checksum_ok == 0;
}

/* Are octets set in a union of which no arm is chosen? Hardware would not look at them; here it is an error. */
static bool strays(const struct doca_flow_match *match, struct emu_selector selector)
{
    return (selector.l3 == 0 && !all((const uint8_t *)&match->outer.ip6, sizeof match->outer.ip6, 0)) ||
           (selector.l4 == 0 && !all((const uint8_t *)&match->outer.tcp, sizeof match->outer.tcp, 0));
}

/* Match and mask as octets to compare; a NULL mask compares every octet of fields that are not zero. */
doca_error_t emu_match_probes(const struct doca_flow_match *match, const struct doca_flow_match *mask,
                  struct emu_selector selector, struct emu_probe *probes, uint16_t *count)
{
    const uint8_t *values = (const uint8_t *)match, *masks = (const uint8_t *)mask;
    *count = 0;
    if (!emu_match_supported(match) || (mask && !emu_match_supported(mask)))
        return DOCA_ERROR_NOT_SUPPORTED;
    if (strays(mask ? mask : match, selector))
        return DOCA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < NR_FIELDS; i++) {
        const struct field *field = &FIELDS[i];
        if (!chosen(field, selector) || (!mask && all(values + field->at, field->octets, 0)))
            continue;
        for (uint16_t at = field->at; at < field->at + field->octets; at++) {
            uint8_t bits = mask ? masks[at] : 0xff;
            if (bits == 0)
                continue;
            if (*count == EMU_KEY_MAX)
                return DOCA_ERROR_TOO_BIG;
            probes[(*count)++] = (struct emu_probe){ at, bits, values[at] & bits };
        }
    }
    return DOCA_SUCCESS;
}

bool emu_match_hits(const struct emu_probe *probes, uint16_t count, const struct doca_flow_match *view)
{
    const uint8_t *octets = (const uint8_t *)view;
    for (uint16_t i = 0; i < count; i++)
        if ((octets[probes[i].at] & probes[i].mask) != probes[i].value)
            return false;
    return true;
}

static void note_address(struct doca_flow_pipe *pipe, const struct field *field)
{
    bool address = field->at == offsetof(struct doca_flow_match, outer.ip4.src_ip) ||
               field->at == offsetof(struct doca_flow_match, outer.ip4.dst_ip) ||
               field->at == offsetof(struct doca_flow_match, outer.ip6.dst_ip);
    if (!address || (field->octets != 4 && field->octets != 16) || field->l3 == ANY)
        return;
    pipe->lpm_at = (uint8_t)pipe->nr_changeable;
    pipe->lpm_octets = (uint8_t)field->octets;
}

/* One field of a pipe's match into constant or changeable octets. */
static doca_error_t compile_field(struct doca_flow_pipe *pipe, const struct field *field, const uint8_t *values,
                  const uint8_t *masks)
{
    bool is_meta = field->at < offsetof(struct doca_flow_match, parser_meta);
    bool nothing = all((masks ? masks : values) + field->at, field->octets, 0);
    if (nothing)
        return DOCA_SUCCESS;
    if (is_meta && !masks)
        return DOCA_ERROR_INVALID_VALUE; /* metadata needs an explicit mask */
    bool changeable = all(values + field->at, field->octets, 0xff);
    if (changeable)
        note_address(pipe, field);
    for (uint16_t at = field->at; at < field->at + field->octets; at++) {
        uint8_t bits = masks ? masks[at] : 0xff;
        if (bits == 0)
            continue;
        if (pipe->nr_constant + pipe->nr_changeable >= (int)emu.limits[DOCA_EMULATOR_LIMIT_KEY_OCTETS] ||
            pipe->nr_constant + pipe->nr_changeable >= EMU_KEY_MAX)
            return DOCA_ERROR_TOO_BIG;
        if (changeable)
            pipe->changeable[pipe->nr_changeable++] = (struct emu_probe){ at, bits, 0 };
        else
            pipe->constant[pipe->nr_constant++] = (struct emu_probe){ at, bits, values[at] & bits };
    }
    return DOCA_SUCCESS;
}

doca_error_t emu_match_compile(struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg)
{
    /* A hash pipe has only a mask: what is hashed. It is compiled as if every such field were the entries'. */
    struct doca_flow_match ones;
    memset(&ones, 0xff, sizeof ones);
    ones.outer.l3_type = cfg->mask.outer.l3_type;
    ones.outer.l4_type_ext = cfg->mask.outer.l4_type_ext;
    const struct doca_flow_match *match = cfg->has_match ? &cfg->match : &ones;
    const struct doca_flow_match *mask = cfg->has_mask ? &cfg->mask : NULL;
    doca_error_t result = emu_match_selector(match, &pipe->selector);
    if (result != DOCA_SUCCESS)
        return result;
    if ((cfg->has_match && !emu_match_supported(match)) || (mask && !emu_match_supported(mask)))
        return DOCA_ERROR_NOT_SUPPORTED;
    /* ACL pipes may name their family by what the parser finds. */
    if (pipe->type == DOCA_FLOW_PIPE_ACL && pipe->selector.l3 == 0)
        pipe->selector.l3 = (uint8_t)match->parser_meta.outer_l3_type;
    if (pipe->selector.l3 > DOCA_FLOW_L3_TYPE_IP6)
        return DOCA_ERROR_INVALID_VALUE;
    if (strays(mask ? mask : match, pipe->selector))
        return DOCA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < NR_FIELDS && result == DOCA_SUCCESS; i++)
        if (chosen(&FIELDS[i], pipe->selector))
            result = compile_field(pipe, &FIELDS[i], (const uint8_t *)match, (const uint8_t *)mask);
    return result;
}

/* The octets that an entry gives, or that a packet shows. */
void emu_match_key(const struct doca_flow_pipe *pipe, const struct doca_flow_match *values, uint8_t *key)
{
    const uint8_t *octets = (const uint8_t *)values;
    for (uint16_t i = 0; i < pipe->nr_changeable; i++)
        key[i] = octets[pipe->changeable[i].at] & pipe->changeable[i].mask;
}
