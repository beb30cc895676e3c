/* Devices and representors from a topology: text of a test, or of the environment variable DOCA_EMULATOR. Lists are copies
 * of pointers into one table that stays, so that destroying a list leaves opened devices alone. */
#include "internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct doca_dev devices[EMU_DEVICES_MAX];
static struct doca_dev_rep reps[EMU_REPS_MAX];
static uint32_t nr_devices, nr_reps;
static bool read_once;

static bool fits(const char *word, size_t size)
{
    return strlen(word) < size;
}

/* One line. Gives false for what cannot be read. */
static bool read_line(char *line)
{
    char *words[6], *rest = NULL;
    int count = 0;
    for (char *word = strtok_r(line, " \t\r", &rest); word; word = strtok_r(NULL, " \t\r", &rest)) {
        if (count == 6)
            return false;
        words[count++] = word;
    }
    if (count == 0)
        return true;
    if (strcmp(words[0], "dev") == 0) {
        if (count < 3 || count > 4 || nr_devices == EMU_DEVICES_MAX)
            return false;
        struct doca_devinfo *info = &devices[nr_devices].info;
        if (!fits(words[1], sizeof info->pci) || !fits(words[2], sizeof info->name) ||
            (count == 4 && !fits(words[3], sizeof info->linux_interface)))
            return false;
        strcpy(info->pci, words[1]);
        strcpy(info->name, words[2]);
        strcpy(info->linux_interface, count == 4 ? words[3] : "");
        nr_devices++;
        return true;
    }
    if (strcmp(words[0], "rep") != 0 || count < 4 || count > 5 || nr_reps == EMU_REPS_MAX)
        return false;
    struct doca_devinfo_rep *info = &reps[nr_reps].info;
    if (!fits(words[2], sizeof info->name) || !fits(words[3], sizeof info->vuid) ||
        (count == 5 && !fits(words[4], sizeof info->linux_interface)))
        return false;
    info->parent = NULL;
    for (uint32_t i = 0; i < nr_devices; i++)
        if (strcmp(devices[i].info.pci, words[1]) == 0)
            info->parent = &devices[i].info;
    if (!info->parent)
        return false;
    strcpy(info->name, words[2]);
    strcpy(info->vuid, words[3]);
    strcpy(info->linux_interface, count == 5 ? words[4] : "");
    nr_reps++;
    return true;
}

int doca_emulator_topology(const char *text)
{
    EMU_LOCKED;
    if (!text || emu.initialised)
        return -1;
    memset(devices, 0, sizeof devices);
    memset(reps, 0, sizeof reps);
    nr_devices = nr_reps = 0;
    read_once = true;
    char *copy = strdup(text), *rest = NULL;
    if (!copy)
        return -1;
    bool good = true;
    for (char *line = strtok_r(copy, "\n;", &rest); line && good; line = strtok_r(NULL, "\n;", &rest))
        good = read_line(line);
    free(copy);
    if (!good)
        nr_devices = nr_reps = 0;
    return good ? 0 : -1;
}

static void read_environment(void)
{
    const char *text = getenv("DOCA_EMULATOR");
    if (read_once || !text)
        return;
    if (doca_emulator_topology(text) != 0)
        fprintf(stderr, "doca emulator: DOCA_EMULATOR cannot be read\n");
}

bool emu_dev_known(const struct doca_dev *dev)
{
    return dev >= devices && dev < devices + nr_devices && dev->open;
}

bool emu_rep_known(const struct doca_dev_rep *rep)
{
    return rep >= reps && rep < reps + nr_reps && rep->open;
}

void emu_rep_interfaces(const struct doca_dev *dev, void (*each)(const char *interface))
{
    for (uint32_t i = 0; i < nr_reps; i++)
        if (reps[i].info.parent == &dev->info && reps[i].info.linux_interface[0])
            each(reps[i].info.linux_interface);
}

static bool info_known(const struct doca_devinfo *info)
{
    for (uint32_t i = 0; i < nr_devices; i++)
        if (info == &devices[i].info)
            return true;
    return false;
}

static struct doca_dev_rep *rep_of(const struct doca_devinfo_rep *info)
{
    for (uint32_t i = 0; i < nr_reps; i++)
        if (info == &reps[i].info)
            return &reps[i];
    return NULL;
}

doca_error_t doca_devinfo_create_list(struct doca_devinfo ***list, uint32_t *count)
{
    EMU_LOCKED;
    if (!list || !count)
        return DOCA_ERROR_INVALID_VALUE;
    read_environment();
    struct doca_devinfo **made = calloc(nr_devices + 1, sizeof *made);
    if (!made)
        return DOCA_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < nr_devices; i++)
        made[i] = &devices[i].info;
    *list = made;
    *count = nr_devices;
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_destroy_list(struct doca_devinfo **list)
{
    if (!list)
        return DOCA_ERROR_INVALID_VALUE;
    free(list);
    return DOCA_SUCCESS;
}

doca_error_t doca_dev_open(struct doca_devinfo *info, struct doca_dev **dev)
{
    EMU_LOCKED;
    if (!info_known(info) || !dev)
        return DOCA_ERROR_INVALID_VALUE;
    *dev = (struct doca_dev *)info; /* the first member */
    (*dev)->open = true;
    return DOCA_SUCCESS;
}

doca_error_t doca_dev_close(struct doca_dev *dev)
{
    EMU_LOCKED;
    if (!emu_dev_known(dev))
        return DOCA_ERROR_INVALID_VALUE;
    for (uint32_t i = 0; i < EMU_PORTS_MAX; i++)
        if (emu.ports[i] && emu.ports[i]->dev == dev)
            return DOCA_ERROR_IN_USE;
    dev->open = false;
    return DOCA_SUCCESS;
}

struct doca_devinfo *doca_dev_as_devinfo(const struct doca_dev *dev)
{
    return emu_dev_known(dev) ? (struct doca_devinfo *)&dev->info : NULL;
}

struct doca_devinfo_rep *doca_dev_rep_as_devinfo(struct doca_dev_rep *rep)
{
    return emu_rep_known(rep) ? &rep->info : NULL;
}

/* `dddd:bb:dd.f`, or without the domain when that is zero. */
static uint8_t pci_is(const char *have, const char *asked)
{
    return strcasecmp(have, asked) == 0 ||
           (strlen(asked) == 7 && strncmp(have, "0000:", 5) == 0 && strcasecmp(have + 5, asked) == 0);
}

static doca_error_t copy_text(const char *text, char *out, uint32_t size)
{
    if (!out || strlen(text) >= size)
        return DOCA_ERROR_INVALID_VALUE;
    strcpy(out, text);
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_is_equal_pci_addr(const struct doca_devinfo *info, const char *pci, uint8_t *equal)
{
    if (!info_known(info) || !pci || !equal)
        return DOCA_ERROR_INVALID_VALUE;
    *equal = pci_is(info->pci, pci);
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_get_pci_addr_str(const struct doca_devinfo *info, char *out)
{
    return info_known(info) ? copy_text(info->pci, out, DOCA_DEVINFO_PCI_ADDR_SIZE) : DOCA_ERROR_INVALID_VALUE;
}

doca_error_t doca_devinfo_get_iface_name(const struct doca_devinfo *info, char *out, uint32_t size)
{
    return info_known(info) ? copy_text(info->name, out, size) : DOCA_ERROR_INVALID_VALUE;
}

doca_error_t doca_devinfo_get_ibdev_name(const struct doca_devinfo *info, char *out, uint32_t size)
{
    if (!info_known(info))
        return DOCA_ERROR_INVALID_VALUE;
    char name[16];
    snprintf(name, sizeof name, "emulated_%d", (int)((const struct doca_dev *)info - devices));
    return copy_text(name, out, size);
}

doca_error_t doca_devinfo_get_mac_addr(const struct doca_devinfo *info, uint8_t *out, uint32_t size)
{
    if (!info_known(info) || !out || size < 6)
        return DOCA_ERROR_INVALID_VALUE;
    const uint8_t mac[6] = { 0x02, 0xe0, 0, 0, 0, (uint8_t)((const struct doca_dev *)info - devices) };
    memcpy(out, mac, 6);
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_create_list(struct doca_dev *dev, int filter, struct doca_devinfo_rep ***list,
                      uint32_t *count)
{
    EMU_LOCKED;
    if (!emu_dev_known(dev) || !list || !count)
        return DOCA_ERROR_INVALID_VALUE;
    if (filter != DOCA_DEVINFO_REP_FILTER_ALL && filter != DOCA_DEVINFO_REP_FILTER_NET)
        return DOCA_ERROR_NOT_SUPPORTED;
    struct doca_devinfo_rep **made = calloc(nr_reps + 1, sizeof *made);
    if (!made)
        return DOCA_ERROR_NO_MEMORY;
    *count = 0;
    for (uint32_t i = 0; i < nr_reps; i++)
        if (reps[i].info.parent == &dev->info)
            made[(*count)++] = &reps[i].info;
    *list = made;
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_destroy_list(struct doca_devinfo_rep **list)
{
    if (!list)
        return DOCA_ERROR_INVALID_VALUE;
    free(list);
    return DOCA_SUCCESS;
}

doca_error_t doca_dev_rep_open(struct doca_devinfo_rep *info, struct doca_dev_rep **rep)
{
    EMU_LOCKED;
    struct doca_dev_rep *found = rep_of(info);
    if (!found || !rep)
        return DOCA_ERROR_INVALID_VALUE;
    found->open = true;
    *rep = found;
    return DOCA_SUCCESS;
}

doca_error_t doca_dev_rep_close(struct doca_dev_rep *rep)
{
    EMU_LOCKED;
    if (!emu_rep_known(rep))
        return DOCA_ERROR_INVALID_VALUE;
    for (uint32_t i = 0; i < EMU_PORTS_MAX; i++)
        if (emu.ports[i] && emu.ports[i]->rep == rep)
            return DOCA_ERROR_IN_USE;
    rep->open = false;
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_get_vuid(const struct doca_devinfo_rep *info, char *out, uint32_t size)
{
    return rep_of(info) ? copy_text(info->vuid, out, size) : DOCA_ERROR_INVALID_VALUE;
}

/* A virtual function has its parent's bus; which function it is follows from its place. */
doca_error_t doca_devinfo_rep_get_pci_addr_str(const struct doca_devinfo_rep *info, char *out)
{
    struct doca_dev_rep *rep = rep_of(info);
    if (!rep || !out)
        return DOCA_ERROR_INVALID_VALUE;
    unsigned int place = (unsigned int)(rep - reps) + 2;
    char text[16];
    snprintf(text, sizeof text, "%.8s%02x.%u", info->parent->pci, (place / 8) % 32, place % 8);
    return copy_text(text, out, DOCA_DEVINFO_REP_PCI_ADDR_SIZE);
}

doca_error_t doca_devinfo_rep_is_equal_pci_addr(const struct doca_devinfo_rep *info, const char *pci, uint8_t *equal)
{
    char own[DOCA_DEVINFO_REP_PCI_ADDR_SIZE];
    if (!pci || !equal || doca_devinfo_rep_get_pci_addr_str(info, own) != DOCA_SUCCESS)
        return DOCA_ERROR_INVALID_VALUE;
    *equal = pci_is(own, pci);
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_get_pci_func_type(const struct doca_devinfo_rep *info, enum doca_pci_func_type *type)
{
    if (!rep_of(info) || !type)
        return DOCA_ERROR_INVALID_VALUE;
    *type = DOCA_PCI_FUNC_TYPE_VF;
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_get_iface_name(const struct doca_devinfo_rep *info, char *out, uint32_t size)
{
    return rep_of(info) ? copy_text(info->name, out, size) : DOCA_ERROR_INVALID_VALUE;
}

doca_error_t doca_devinfo_rep_cap_is_filter_net_supported(const struct doca_devinfo *info, uint8_t *supported)
{
    if (!info_known(info) || !supported)
        return DOCA_ERROR_INVALID_VALUE;
    *supported = 1;
    return DOCA_SUCCESS;
}
