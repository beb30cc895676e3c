/*
 * The interface number. The binding in the agent reads it before anything else and refuses a library of another number:
 * a wrong signature would corrupt memory, not fail.
 */
#include "sluice_native.h"

_Static_assert(sizeof(struct sluice_denial) == 208, "the binding reads denials as 208 octets");
_Static_assert(sizeof(struct sluice_flow) == 80, "the binding reads flows as 80 octets");
_Static_assert(sizeof(struct sluice_link) == 24, "the binding reads interfaces as 24 octets");

uint32_t sluice_native_abi(void)
{
    return SLUICE_NATIVE_ABI;
}
