/* Bring-up and teardown in the documented order: device, its representors, (before 3.3: DPDK's environment and the probe),
 * library, the device's own port first and last. One device at a time in a process, as DOCA Flow has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

#if SHAPE < 33
#include <doca_dpdk.h>
#include <rte_eal.h>
#endif

int32_t sluice_doca_devices(char (*pci)[16], uint32_t room)
{
    struct doca_devinfo **list;
    uint32_t count;
    doca_error_t result = doca_devinfo_create_list(&list, &count);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    for (uint32_t i = 0; pci && i < count && i < room; i++) {
        char text[DOCA_DEVINFO_PCI_ADDR_SIZE] = "";
        doca_devinfo_get_pci_addr_str(list[i], text);
        snprintf(pci[i], sizeof pci[i], "%s", text);
    }
    doca_devinfo_destroy_list(list);
    return (int32_t)count;
}

static int32_t open_device(const char *pci)
{
    struct doca_devinfo **list;
    uint32_t count;
    doca_error_t result = doca_devinfo_create_list(&list, &count);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    int32_t code = SLUICE_DOCA_NO_DEVICE;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t equal = 0;
        if (doca_devinfo_is_equal_pci_addr(list[i], pci, &equal) != DOCA_SUCCESS || !equal)
            continue;
        code = code_of(doca_dev_open(list[i], &shim.dev));
        break;
    }
    doca_devinfo_destroy_list(list);
    return code;
}

static int32_t open_representors(void)
{
    struct doca_devinfo_rep **list;
    uint32_t count;
    doca_error_t result = doca_devinfo_rep_create_list(shim.dev, DOCA_DEVINFO_REP_FILTER_NET, &list, &count);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    shim.reps = calloc(count + 1, sizeof(struct doca_dev_rep *));
    shim.ports = calloc(count + 1, sizeof(struct doca_flow_port *));
    if (!shim.reps || !shim.ports)
        result = DOCA_ERROR_NO_MEMORY;
    while (result == DOCA_SUCCESS && shim.nr_reps < count) {
        result = doca_dev_rep_open(list[shim.nr_reps], &shim.reps[shim.nr_reps]);
        if (result == DOCA_SUCCESS)
            shim.nr_reps++;
    }
    doca_devinfo_rep_destroy_list(list);
    return code_of(result);
}

#if SHAPE < 33
/* The environment probes nothing by itself; the device and all its representors are then probed by name. */
static int32_t probe(void)
{
    static bool once;
    char *arguments[] = { "sluice", "-a", "pci:00:00.0", "-a", "auxiliary:", "--file-prefix=sluice", NULL };
    if (!once && rte_eal_init(6, arguments) < 0)
        return code_of(DOCA_ERROR_DRIVER);
    once = true;
    const char *options = "dv_flow_en=2,dv_xmeta_en=4,fdb_def_rule_en=0,vport_match=1,repr_matching_en=0";
#if DOCA_VERSION_MINOR >= 1
    return code_of(doca_dpdk_port_probe_with_representors(shim.dev, options, shim.reps, (uint16_t)shim.nr_reps));
#else
    char text[256];
    if (shim.nr_reps > 0)
        snprintf(text, sizeof text, "%s,representor=vf[0-%u]", options, shim.nr_reps - 1);
    else
        snprintf(text, sizeof text, "%s", options);
    return code_of(doca_dpdk_port_probe(shim.dev, text));
#endif
}
#endif

static int32_t start_library(const struct sluice_doca_device *device)
{
    struct doca_flow_cfg *cfg;
    doca_error_t result = doca_flow_cfg_create(&cfg);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    DOCA_ERROR_PROPAGATE(result, doca_flow_cfg_set_pipe_queues(cfg, 1));
    DOCA_ERROR_PROPAGATE(result, doca_flow_cfg_set_queue_depth(cfg, device->queue_depth));
    DOCA_ERROR_PROPAGATE(result, doca_flow_cfg_set_nr_counters(cfg, device->counters));
    DOCA_ERROR_PROPAGATE(result, doca_flow_cfg_set_mode_args(cfg, "switch,hws"));
    DOCA_ERROR_PROPAGATE(result, doca_flow_cfg_set_cb_entry_process(cfg, shim_on_entry));
    DOCA_ERROR_PROPAGATE(result, doca_flow_init(cfg));
    shim.library = result == DOCA_SUCCESS;
    doca_flow_cfg_destroy(cfg);
    /* After the library, before any port. */
    return result == DOCA_SUCCESS ? shim_tracking_open(device) : code_of(result);
}

/* `actions_memory` only for the device's own port: pipes are its. */
static int32_t start_port(struct doca_dev *dev, struct doca_dev_rep *rep, uint16_t id, uint32_t actions_memory,
                          struct doca_flow_port **port)
{
    struct doca_flow_port_cfg *cfg;
    doca_error_t result = doca_flow_port_cfg_create(&cfg);
    if (result != DOCA_SUCCESS)
        return code_of(result);
    DOCA_ERROR_PROPAGATE(result, doca_flow_port_cfg_set_port_id(cfg, id));
    DOCA_ERROR_PROPAGATE(result, doca_flow_port_cfg_set_actions_mem_size(cfg, actions_memory));
    if (dev)
        DOCA_ERROR_PROPAGATE(result, doca_flow_port_cfg_set_dev(cfg, dev));
#if !(SHAPE == 30 && DOCA_VERSION_MINOR == 0)
    if (rep)
        DOCA_ERROR_PROPAGATE(result, doca_flow_port_cfg_set_dev_rep(cfg, rep));
#else
    (void)rep; /* known by its port id alone */
#endif
    DOCA_ERROR_PROPAGATE(result, doca_flow_port_start(cfg, port));
    doca_flow_port_cfg_destroy(cfg);
    return code_of(result);
}

static bool same_release(void)
{
    unsigned int major = 0, minor = 0;
    return sscanf(doca_version_runtime(), "%u.%u", &major, &minor) == 2 && major == DOCA_VERSION_MAJOR &&
           minor == DOCA_VERSION_MINOR;
}

int32_t sluice_doca_open(const struct sluice_doca_device *device)
{
    if (!device || !memchr(device->pci, 0, sizeof device->pci) || device->queue_depth < 2)
        return SLUICE_DOCA_BAD_ARGUMENT;
    if (shim.dev)
        return code_of(DOCA_ERROR_BAD_STATE);
    if (!same_release())
        return SLUICE_DOCA_VERSION;
    int32_t code = open_device(device->pci);
    if (code == 0)
        code = open_representors();
#if SHAPE < 33
    if (code == 0)
        code = probe();
#endif
    if (code == 0)
        code = start_library(device);
    if (code == 0) {
        code = start_port(shim.dev, NULL, device->wire_port, device->actions_memory, &shim.wire);
        shim.wire_started = code == 0;
    }
    shim.depth = device->queue_depth;
    if (code != 0)
        sluice_doca_close();
    return code;
}

int32_t sluice_doca_close(void)
{
    int32_t code = 0;
    if (shim.wire_started)
        doca_flow_port_pipes_flush(shim.wire);
    shim_queues_close();
    for (uint32_t i = shim.nr_reps; i-- > 0;)
        if (shim.ports[i]) {
            int32_t stopped = code_of(doca_flow_port_stop(shim.ports[i]));
            code = code ? code : stopped;
        }
    if (shim.wire_started) {
        int32_t stopped = code_of(doca_flow_port_stop(shim.wire));
        code = code ? code : stopped;
    }
    shim_tracking_close();
    if (shim.library)
        doca_flow_destroy();
    for (uint32_t i = shim.nr_reps; i-- > 0;)
        doca_dev_rep_close(shim.reps[i]);
    if (shim.dev)
        doca_dev_close(shim.dev);
    free(shim.reps);
    free(shim.ports);
    shim_tables_free();
    shim = (struct shim){ .serial = shim.serial };
    return code;
}

int32_t sluice_doca_representors(struct sluice_doca_representor *out, uint32_t room)
{
    if (!shim.dev)
        return SLUICE_DOCA_BAD_HANDLE;
    for (uint32_t i = 0; out && i < shim.nr_reps && i < room; i++) {
        struct sluice_doca_representor one = { 0 };
        char name[DOCA_DEVINFO_IFACE_NAME_SIZE] = "", pci[DOCA_DEVINFO_REP_PCI_ADDR_SIZE] = "";
        const struct doca_devinfo_rep *info = doca_dev_rep_as_devinfo(shim.reps[i]);
        doca_error_t result = doca_devinfo_rep_get_vuid(info, one.vuid, sizeof one.vuid);
        if (result != DOCA_SUCCESS)
            return code_of(result);
        /* The name and the address are for people; a release that has none of them leaves them empty. */
        if (doca_devinfo_rep_get_iface_name(info, name, sizeof name) == DOCA_SUCCESS)
            snprintf(one.interface_name, sizeof one.interface_name, "%.63s", name);
        if (doca_devinfo_rep_get_pci_addr_str(info, pci) == DOCA_SUCCESS)
            snprintf(one.pci, sizeof one.pci, "%s", pci);
        out[i] = one;
    }
    return (int32_t)shim.nr_reps;
}

int32_t sluice_doca_port_start(const char *vuid, uint16_t port)
{
    if (!vuid)
        return SLUICE_DOCA_BAD_ARGUMENT;
    for (uint32_t i = 0; i < shim.nr_reps; i++) {
        char own[DOCA_DEVINFO_REP_VUID_SIZE] = "";
        doca_devinfo_rep_get_vuid(doca_dev_rep_as_devinfo(shim.reps[i]), own, sizeof own);
        if (strcmp(own, vuid) != 0)
            continue;
        if (shim.ports[i])
            return code_of(DOCA_ERROR_ALREADY_EXIST);
        return start_port(NULL, shim.reps[i], port, 0, &shim.ports[i]);
    }
    return SLUICE_DOCA_NO_REPRESENTOR;
}

int32_t sluice_doca_default_miss(uint32_t drop)
{
    if (!shim.wire_started)
        return SLUICE_DOCA_BAD_HANDLE;
#if SHAPE >= 32
    return code_of(doca_flow_port_update_default_miss(
        shim.wire, drop ? DOCA_FLOW_PORT_DEFAULT_MISS_DROP : DOCA_FLOW_PORT_DEFAULT_MISS_KERNEL, false));
#else
    (void)drop;
    return code_of(DOCA_ERROR_NOT_SUPPORTED);
#endif
}
