/* Which release the emulator shows itself as. Build everything with the same DOCA_EMULATED_SHAPE: 30 (calls of 3.0 and 3.1),
 * 32 (calls of 3.2) or 33 (calls of 3.3 and later; what programs get when they say nothing). */
#ifndef DOCA_VERSION_H_
#define DOCA_VERSION_H_

#include "doca_compat.h"

#ifndef DOCA_EMULATED_SHAPE
#define DOCA_EMULATED_SHAPE 33
#endif

#define DOCA_VERSION_MAJOR 3
#if DOCA_EMULATED_SHAPE == 30
#define DOCA_VERSION_MINOR 0
#define DOCA_VERSION_STRING "3.0.0-emulated"
#elif DOCA_EMULATED_SHAPE == 32
#define DOCA_VERSION_MINOR 2
#define DOCA_VERSION_STRING "3.2.0-emulated"
#elif DOCA_EMULATED_SHAPE == 33
#define DOCA_VERSION_MINOR 3
#define DOCA_VERSION_STRING "3.3.0-emulated"
#else
#error "DOCA_EMULATED_SHAPE must be 30, 32 or 33"
#endif
#define DOCA_VERSION_PATCH 0

/* The release of the library that runs, to be compared with what a program was built for. */
DOCA_EXPERIMENTAL const char *doca_version_runtime(void);

static inline const char *doca_version(void)
{
    return DOCA_VERSION_STRING;
}

#endif
