/* Integers in network order. They are plain integers: only the name says how to read them. */
#ifndef DOCA_TYPES_H_
#define DOCA_TYPES_H_

#include <stdint.h>

#include "doca_compat.h"

typedef uint16_t doca_be16_t;
typedef uint32_t doca_be32_t;
typedef uint64_t doca_be64_t;

/* What a caller hands through the library and gets back untouched. */
union doca_data {
    void *ptr;
    uint64_t u64;
};

#endif
