/* Byte order and masks in network order. */
#ifndef DOCA_BITFIELD_H_
#define DOCA_BITFIELD_H_

#include "doca_types.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DOCA_HTOBE16(v) __builtin_bswap16(v)
#define DOCA_HTOBE32(v) __builtin_bswap32(v)
#define DOCA_HTOBE64(v) __builtin_bswap64(v)
#else
#define DOCA_HTOBE16(v) ((uint16_t)(v))
#define DOCA_HTOBE32(v) ((uint32_t)(v))
#define DOCA_HTOBE64(v) ((uint64_t)(v))
#endif
#define DOCA_BETOH16(v) DOCA_HTOBE16(v)
#define DOCA_BETOH32(v) DOCA_HTOBE32(v)
#define DOCA_BETOH64(v) DOCA_HTOBE64(v)

/* Bits hi..lo set, counted in host order, the result in network order. */
#define DOCA_BE16_GENMASK(hi, lo) \
    DOCA_HTOBE16((uint16_t)((0xffffu >> (15 - (hi))) & (0xffffu << (lo))))
#define DOCA_BE32_GENMASK(hi, lo) \
    DOCA_HTOBE32((uint32_t)((0xffffffffu >> (31 - (hi))) & (0xffffffffu << (lo))))

/* A host-order value put where the mask is, and taken from there. */
#define DOCA_BE16_SET(mask, v) \
    DOCA_HTOBE16((uint16_t)(((uint32_t)(v) << __builtin_ctz(DOCA_BETOH16(mask))) & DOCA_BETOH16(mask)))
#define DOCA_BE32_SET(mask, v) \
    DOCA_HTOBE32((uint32_t)(((uint32_t)(v) << __builtin_ctz(DOCA_BETOH32(mask))) & DOCA_BETOH32(mask)))
#define DOCA_BE16_GET(mask, v) \
    ((uint16_t)((DOCA_BETOH16(v) & DOCA_BETOH16(mask)) >> __builtin_ctz(DOCA_BETOH16(mask))))
#define DOCA_BE32_GET(mask, v) \
    ((uint32_t)((DOCA_BETOH32(v) & DOCA_BETOH32(mask)) >> __builtin_ctz(DOCA_BETOH32(mask))))

#endif
