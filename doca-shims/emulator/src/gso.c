/* Frames as a network card would have seen them. The kernel hands over segments that are still one (GSO) and checksums that are
 * still to be made, and says so in a virtio-net header (virtio specification 1.2, section 5.1.6); here they are cut and
 * completed, since pipes look at what goes over a wire. */
#include "live.h"

#include <linux/virtio_net.h>
#include <string.h>

#define TCP_FIN_PSH 0x09
#define TCP_CWR 0x80

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* RFC 1071 over `length` octets, on top of what already stands at the checksum's place: the pseudo header's sum. */
static void complete(uint8_t *frame, uint32_t length, uint32_t start, uint32_t offset)
{
    if (start + offset + 2 > length)
        return;
    uint16_t sum = emu_checksum(frame + start, length - start, 0);
    /* Zero would mean "none" to UDP. */
    put16(frame + start + offset, sum == 0 && offset == 6 ? 0xffff : sum);
}

/* Writes a transport checksum from nothing. */
static void seal(uint8_t *frame, uint32_t length, uint32_t l3, uint32_t l4, uint8_t protocol)
{
    bool v4 = frame[l3] >> 4 == 4;
    uint32_t offset = protocol == DOCA_FLOW_PROTO_TCP ? 16 : 6, octets = length - l4;
    struct emu_packet packet = { .data = frame,
                                 .l3_at = (uint16_t)l3,
                                 .l3 = v4 ? DOCA_FLOW_L3_META_IPV4 : DOCA_FLOW_L3_META_IPV6,
                                 .protocol = protocol };
    put16(frame + l4 + offset, 0);
    uint16_t sum = emu_checksum(frame + l4, octets, emu_pseudo_header(&packet, octets));
    put16(frame + l4 + offset, sum == 0 && offset == 6 ? 0xffff : sum);
    if (!v4)
        return;
    put16(frame + l3 + 10, 0);
    put16(frame + l3 + 10, emu_checksum(frame + l3, (uint32_t)(frame[l3] & 15) * 4, 0));
}

struct cut {
    uint32_t l3, l4, headers; /* where the headers stand, and how long all of them are */
    uint8_t protocol;
};

static bool where(const uint8_t *frame, uint32_t length, struct cut *cut)
{
    uint32_t at = 12;
    while (at + 6 <= length && (get16(frame + at) == 0x8100 || get16(frame + at) == 0x88a8))
        at += 4;
    cut->l3 = at + 2;
    if (cut->l3 + 40 > length)
        return false;
    bool v4 = frame[cut->l3] >> 4 == 4;
    cut->protocol = v4 ? frame[cut->l3 + 9] : frame[cut->l3 + 6];
    cut->l4 = cut->l3 + (v4 ? (uint32_t)(frame[cut->l3] & 15) * 4 : 40);
    if (cut->l4 + 20 > length)
        return false;
    cut->headers = cut->l4 + (cut->protocol == DOCA_FLOW_PROTO_TCP ? (uint32_t)(frame[cut->l4 + 12] >> 4) * 4 : 8);
    return (cut->protocol == DOCA_FLOW_PROTO_TCP || cut->protocol == DOCA_FLOW_PROTO_UDP) && cut->headers <= length;
}

static void one_segment(uint8_t *out, uint32_t length, const struct cut *cut, uint32_t index, uint32_t before, bool last)
{
    if (out[cut->l3] >> 4 == 4) {
        put16(out + cut->l3 + 2, (uint16_t)(length - cut->l3));
        put16(out + cut->l3 + 4, (uint16_t)(get16(out + cut->l3 + 4) + index));
    } else {
        put16(out + cut->l3 + 4, (uint16_t)(length - cut->l3 - 40));
    }
    if (cut->protocol == DOCA_FLOW_PROTO_TCP) {
        uint32_t sequence = get32(out + cut->l4 + 4) + before;
        put16(out + cut->l4 + 4, (uint16_t)(sequence >> 16));
        put16(out + cut->l4 + 6, (uint16_t)sequence);
        if (!last)
            out[cut->l4 + 13] &= (uint8_t)~TCP_FIN_PSH;
        if (index > 0)
            out[cut->l4 + 13] &= (uint8_t)~TCP_CWR;
    } else {
        put16(out + cut->l4 + 4, (uint16_t)(length - cut->l4));
    }
    seal(out, length, cut->l3, cut->l4, cut->protocol);
}

void emu_live_frames(const struct virtio_net_hdr *header, uint8_t *frame, uint32_t length,
                     void (*each)(void *context, const uint8_t *frame, uint32_t length), void *context)
{
    uint32_t kind = header->gso_type & ~(uint32_t)VIRTIO_NET_HDR_GSO_ECN;
    struct cut cut;
    if (kind == VIRTIO_NET_HDR_GSO_NONE || header->gso_size == 0 || !where(frame, length, &cut)) {
        if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
            complete(frame, length, header->csum_start, header->csum_offset);
        each(context, frame, length);
        return;
    }
    uint8_t out[DOCA_EMULATOR_FRAME_MAX];
    uint32_t payload = length - cut.headers;
    if (cut.headers + header->gso_size > sizeof out)
        return;
    for (uint32_t before = 0, index = 0; before < payload; index++) {
        uint32_t left = payload - before, take = left < header->gso_size ? left : header->gso_size;
        memcpy(out, frame, cut.headers);
        memcpy(out + cut.headers, frame + cut.headers + before, take);
        one_segment(out, cut.headers + take, &cut, index, before, take == left);
        each(context, out, cut.headers + take);
        before += take;
    }
}
