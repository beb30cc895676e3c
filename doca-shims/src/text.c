/* Numbers of the ABI, its layout, and what its codes mean. */
#include <stdio.h>
#include <string.h>

#include "calls.h"

#ifdef DOCA_EMULATED_SHAPE
#include <doca_emulator.h>
#endif

int32_t sluice_doca_abi(void)
{
    return SLUICE_DOCA_ABI;
}

int32_t sluice_doca_layout(uint32_t *sizes, uint32_t count)
{
    const uint32_t all[] = { sizeof(struct sluice_doca_device), sizeof(struct sluice_doca_representor),
                             sizeof(struct sluice_doca_match),  sizeof(struct sluice_doca_pipe),
                             sizeof(struct sluice_doca_entry),  sizeof(struct sluice_doca_count),
                             sizeof(struct sluice_doca_facts),  sizeof(struct sluice_doca_connection) };
    const uint32_t there = sizeof all / sizeof *all;
    if (sizes)
        memcpy(sizes, all, (count < there ? count : there) * sizeof *all);
    return (int32_t)there;
}

const char *sluice_doca_text(int32_t code)
{
    switch (code) {
    case SLUICE_DOCA_BAD_HANDLE:
        return "no such handle, or nothing is open";
    case SLUICE_DOCA_BAD_ARGUMENT:
        return "an argument of the shim is wrong";
    case SLUICE_DOCA_NO_DEVICE:
        return "no device has that PCI address";
    case SLUICE_DOCA_NO_REPRESENTOR:
        return "no representor has that VUID";
    case SLUICE_DOCA_NOT_COMPLETED:
        return "the device did not complete in time";
    case SLUICE_DOCA_ENTRY_FAILED:
        return "the device refused an entry";
    case SLUICE_DOCA_NO_UPDATE:
        return "this release of DOCA has no known call to update an entry";
    case SLUICE_DOCA_NO_NETDEVICE:
        return "the port has no netdevice here that takes frames";
    case SLUICE_DOCA_VERSION:
        return "the DOCA library is another release than the shim was built for";
    default:
        return code <= 0 && code > -100 ? doca_error_get_descr((doca_error_t)-code) : "no code of this ABI";
    }
}

int32_t sluice_doca_facts(struct sluice_doca_facts *out)
{
    if (!out)
        return SLUICE_DOCA_BAD_ARGUMENT;
    struct sluice_doca_facts facts = { .shape = SHAPE, .updates = CAN_UPDATE };
#ifdef DOCA_EMULATED_SHAPE
    facts.emulated = 1;
    facts.pipes = doca_emulator_limit_of(DOCA_EMULATOR_LIMIT_PIPES);
    facts.entries = doca_emulator_limit_of(DOCA_EMULATOR_LIMIT_ENTRIES);
#endif
    snprintf(facts.built_for, sizeof facts.built_for, "%s", doca_version());
    snprintf(facts.running, sizeof facts.running, "%s", doca_version_runtime());
    facts.tracking = shim_can_track();
    *out = facts;
    return 0;
}
