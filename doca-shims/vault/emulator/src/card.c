/* The card: devices, functions, the library, and what has to be set before something can be started. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulated.h"

#define FUNCTIONS 16

struct doca_devinfo {
    char pci[DOCA_DEVINFO_PCI_ADDR_SIZE];
};
struct doca_dev {
    struct doca_devinfo *info;
};
struct doca_devinfo_rep {
    char vuid[DOCA_DEVINFO_REP_VUID_SIZE];
};
struct doca_dev_rep {
    struct doca_devinfo_rep *info;
};
struct doca_devemu_vfs_cfg {
    bool card;
    uint32_t size;
};
struct doca_devemu_vfs_type {
    int only;
};

pthread_mutex_t emulated = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t emulated_done = PTHREAD_COND_INITIALIZER;
uint32_t emulated_user_size;
struct doca_devemu_vfs_dev *emulated_devices;

static struct doca_devinfo the_card;
static struct doca_devinfo_rep functions[FUNCTIONS];
static uint32_t function_count, violations;
static const struct doca_devemu_vfs_type the_type;
static char said[4096];

void violation(const char *say, ...)
{
    size_t used = strlen(said);
    va_list words;

    violations++;
    va_start(words, say);
    vsnprintf(said + used, sizeof(said) - used, say, words);
    va_end(words);
    used = strlen(said);
    snprintf(said + used, sizeof(said) - used, "\n");
}

uint32_t emulated_violations(char *text, uint32_t room)
{
    uint32_t count;

    pthread_mutex_lock(&emulated);
    snprintf(text, room, "%s", said);
    count = violations;
    violations = 0;
    said[0] = 0;
    pthread_mutex_unlock(&emulated);
    return count;
}

void emulated_card(const char *pci, const char *vuids)
{
    snprintf(the_card.pci, sizeof(the_card.pci), "%s", pci);
    function_count = 0;
    while (*vuids != 0 && function_count < FUNCTIONS) {
        size_t length = strcspn(vuids, ",");

        snprintf(functions[function_count++].vuid, sizeof(functions[0].vuid), "%.*s", (int)length, vuids);
        vuids += length + (vuids[length] == ',');
    }
}

const char *emulated_tag(const char *vuid)
{
    const char *tag = "";

    pthread_mutex_lock(&emulated);
    for (const struct doca_devemu_vfs_dev *at = emulated_devices; at != NULL; at = at->next)
        if (strcmp(at->vuid, vuid) == 0 && at->io != NULL && at->io->ctx.state == DOCA_CTX_STATE_RUNNING)
            tag = at->tag;
    pthread_mutex_unlock(&emulated);
    return tag;
}

const char *doca_error_get_name(doca_error_t error)
{
    static const char *const NAMES[] = {"SUCCESS", "UNKNOWN", "NOT_PERMITTED", "IN_USE", "NOT_SUPPORTED", "AGAIN", "INVALID_VALUE",
                                        "NO_MEMORY", "INITIALIZATION", "TIME_OUT", "SHUTDOWN"};

    return (unsigned)error < sizeof(NAMES) / sizeof(*NAMES) ? NAMES[error] : error == DOCA_ERROR_NOT_FOUND ? "NOT_FOUND" : "ERROR";
}

/* ---- devices ----------------------------------------------------------------------------------------------------------- */

doca_error_t doca_devinfo_create_list(struct doca_devinfo ***list, uint32_t *count)
{
    *list = calloc(2, sizeof(**list));
    if (*list == NULL)
        return DOCA_ERROR_NO_MEMORY;
    (*list)[0] = &the_card;
    *count = the_card.pci[0] == 0 ? 0 : 1;
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_destroy_list(struct doca_devinfo **list)
{
    free(list);
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_is_equal_pci_addr(const struct doca_devinfo *info, const char *pci, uint8_t *equal)
{
    *equal = strcmp(info->pci, pci) == 0;
    return DOCA_SUCCESS;
}

doca_error_t doca_dev_open(struct doca_devinfo *info, struct doca_dev **dev)
{
    *dev = calloc(1, sizeof(**dev));
    if (*dev == NULL)
        return DOCA_ERROR_NO_MEMORY;
    (*dev)->info = info;
    return DOCA_SUCCESS;
}

doca_error_t doca_dev_close(struct doca_dev *dev)
{
    free(dev);
    return DOCA_SUCCESS;
}

doca_error_t doca_devemu_pci_type_create_rep_list(const struct doca_devemu_pci_type *type, struct doca_devinfo_rep ***list,
                                                  uint32_t *count)
{
    (void)type;
    *list = calloc(FUNCTIONS, sizeof(**list));
    if (*list == NULL)
        return DOCA_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < function_count; i++)
        (*list)[i] = &functions[i];
    *count = function_count;
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_destroy_list(struct doca_devinfo_rep **list)
{
    free(list);
    return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_get_vuid(const struct doca_devinfo_rep *info, char *out, uint32_t size)
{
    snprintf(out, size, "%s", info->vuid);
    return DOCA_SUCCESS;
}

doca_error_t doca_dev_rep_open(struct doca_devinfo_rep *info, struct doca_dev_rep **rep)
{
    *rep = calloc(1, sizeof(**rep));
    if (*rep == NULL)
        return DOCA_ERROR_NO_MEMORY;
    (*rep)->info = info;
    return DOCA_SUCCESS;
}

doca_error_t doca_dev_rep_close(struct doca_dev_rep *rep)
{
    free(rep);
    return DOCA_SUCCESS;
}

/* ---- library ----------------------------------------------------------------------------------------------------------- */

doca_error_t doca_devemu_vfs_cfg_create(struct doca_devemu_vfs_cfg **cfg)
{
    *cfg = calloc(1, sizeof(**cfg));
    return *cfg == NULL ? DOCA_ERROR_NO_MEMORY : DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_cfg_destroy(struct doca_devemu_vfs_cfg *cfg)
{
    free(cfg);
    return DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_cfg_add_dev(struct doca_devemu_vfs_cfg *cfg, struct doca_dev *dev)
{
    cfg->card = dev != NULL;
    return dev == NULL ? DOCA_ERROR_INVALID_VALUE : DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_cfg_set_vfs_fuse_req_user_data_size(struct doca_devemu_vfs_cfg *cfg, uint32_t size)
{
    cfg->size = size;
    return DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_init(const struct doca_devemu_vfs_cfg *cfg)
{
    if (emulated_user_size != 0 || !cfg->card)
        return DOCA_ERROR_BAD_STATE;
    emulated_user_size = cfg->size == 0 ? 1 : cfg->size;
    return DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_teardown(void)
{
    if (emulated_user_size == 0 || emulated_devices != NULL)
        return DOCA_ERROR_BAD_STATE;
    emulated_user_size = 0;
    return DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_is_default_vfs_type_supported(const struct doca_devinfo *info, uint8_t *supported)
{
    (void)info;
    *supported = function_count > 0;
    return DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_find_default_vfs_type_by_dev(struct doca_dev *dev, const struct doca_devemu_vfs_type **type)
{
    (void)dev;
    if (emulated_user_size == 0)
        return DOCA_ERROR_BAD_STATE;
    *type = &the_type;
    return DOCA_SUCCESS;
}

const struct doca_devemu_pci_type *doca_devemu_vfs_type_as_pci_type(const struct doca_devemu_vfs_type *type)
{
    return (const struct doca_devemu_pci_type *)type;
}

/* ---- functions --------------------------------------------------------------------------------------------------------- */

doca_error_t doca_devemu_vfs_dev_create(const struct doca_devemu_vfs_type *type, struct doca_dev_rep *rep, struct doca_pe *pe,
                                        struct doca_devemu_vfs_dev **dev)
{
    if (type == NULL || rep == NULL || pe == NULL)
        return DOCA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&emulated);
    for (const struct doca_devemu_vfs_dev *at = emulated_devices; at != NULL; at = at->next)
        if (strcmp(at->vuid, rep->info->vuid) == 0) {
            pthread_mutex_unlock(&emulated);
            return DOCA_ERROR_IN_USE;
        }
    *dev = calloc(1, sizeof(**dev));
    if (*dev != NULL) {
        (*dev)->ctx = (struct doca_ctx){.kind = CTX_DEV, .pe = pe};
        snprintf((*dev)->vuid, sizeof((*dev)->vuid), "%s", rep->info->vuid);
        (*dev)->next = emulated_devices;
        emulated_devices = *dev;
    }
    pthread_mutex_unlock(&emulated);
    return *dev == NULL ? DOCA_ERROR_NO_MEMORY : DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_dev_destroy(struct doca_devemu_vfs_dev *dev)
{
    if (dev->ctx.state != DOCA_CTX_STATE_IDLE || dev->io != NULL)
        return DOCA_ERROR_IN_USE;
    pthread_mutex_lock(&emulated);
    for (struct doca_devemu_vfs_dev **at = &emulated_devices; *at != NULL; at = &(*at)->next)
        if (*at == dev) {
            *at = dev->next;
            break;
        }
    pthread_mutex_unlock(&emulated);
    free(dev);
    return DOCA_SUCCESS;
}

struct doca_ctx *doca_devemu_vfs_dev_as_ctx(struct doca_devemu_vfs_dev *dev)
{
    return &dev->ctx;
}

struct doca_devemu_virtio_dev *doca_devemu_vfs_dev_as_virtio_dev(struct doca_devemu_vfs_dev *dev)
{
    return (struct doca_devemu_virtio_dev *)dev;
}

#define SETTING(name, type, owner, field) \
    doca_error_t name(struct owner *dev, type value) \
    { \
        struct doca_devemu_vfs_dev *own = (struct doca_devemu_vfs_dev *)dev; \
        if (own->ctx.state != DOCA_CTX_STATE_IDLE) \
            return DOCA_ERROR_BAD_STATE; \
        own->field = value; \
        return DOCA_SUCCESS; \
    }
SETTING(doca_devemu_vfs_dev_set_num_request_queues, uint32_t, doca_devemu_vfs_dev, requests)
SETTING(doca_devemu_virtio_dev_set_num_required_running_virtio_io_ctxs, uint32_t, doca_devemu_virtio_dev, contexts)
SETTING(doca_devemu_virtio_dev_set_num_queues, uint16_t, doca_devemu_virtio_dev, queues)
SETTING(doca_devemu_virtio_dev_set_queue_size, uint16_t, doca_devemu_virtio_dev, size)

doca_error_t doca_devemu_vfs_dev_set_tag(struct doca_devemu_vfs_dev *dev, const char *tag)
{
    if (dev->ctx.state != DOCA_CTX_STATE_IDLE)
        return DOCA_ERROR_BAD_STATE;
    if (tag[0] == 0 || strlen(tag) >= sizeof(dev->tag))
        return DOCA_ERROR_INVALID_VALUE;
    strcpy(dev->tag, tag);
    return DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_dev_set_fuse_client_arch(struct doca_devemu_vfs_dev *dev, enum doca_devemu_vfs_fuse_client_arch arch)
{
    (void)arch;
    return dev->ctx.state == DOCA_CTX_STATE_IDLE ? DOCA_SUCCESS : DOCA_ERROR_BAD_STATE;
}
