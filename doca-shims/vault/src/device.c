/*
 * One emulated virtio-fs function, from the card to a running queue, and the thread that serves it. The order of the calls is that
 * of NVIDIA's published virtio-fs application (3.2 and later). A function serves one volume of one workspace: who asks is known by
 * the function, and by nothing that the guest says.
 */
#include <errno.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "vault_device.h"

#define QUEUES 1u       /* of requests; one more is the high-priority one */
#define QUEUE_SIZE 256u
#define SPINS 200u
#define IDLE_NS 50000

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;
static struct doca_dev *card; /* of all functions: one process serves one card */
static char card_pci[DOCA_DEVINFO_PCI_ADDR_SIZE];
static uint32_t functions;

/* `out` may be NULL: then it is only looked at. */
static doca_error_t open_card(const char *pci, struct doca_dev **out)
{
    struct doca_devinfo **list;
    doca_error_t error = DOCA_ERROR_NOT_FOUND;
    uint32_t count;
    uint8_t same = 0, usable = 0;

    if (doca_devinfo_create_list(&list, &count) != DOCA_SUCCESS)
        return DOCA_ERROR_NOT_FOUND;
    for (uint32_t i = 0; i < count && error == DOCA_ERROR_NOT_FOUND; i++) {
        if (doca_devinfo_is_equal_pci_addr(list[i], pci, &same) != DOCA_SUCCESS || same == 0)
            continue;
        error = doca_devemu_vfs_is_default_vfs_type_supported(list[i], &usable);
        if (error == DOCA_SUCCESS && usable == 0)
            error = DOCA_ERROR_NOT_SUPPORTED;
        if (error == DOCA_SUCCESS && out != NULL)
            error = doca_dev_open(list[i], out);
    }
    doca_devinfo_destroy_list(list);
    return error;
}

int device_card(const char *pci)
{
    doca_error_t error = open_card(pci, NULL);

    return error == DOCA_SUCCESS ? 0 : error == DOCA_ERROR_NOT_FOUND ? -ENODEV : -EOPNOTSUPP;
}

/* The card, and the library initialised for it. */
static doca_error_t take_card(const char *pci, struct doca_dev **out)
{
    struct doca_devemu_vfs_cfg *cfg = NULL;
    doca_error_t error = DOCA_SUCCESS;

    if (card != NULL) {
        *out = card;
        return strcmp(card_pci, pci) == 0 ? DOCA_SUCCESS : DOCA_ERROR_IN_USE;
    }
    error = open_card(pci, &card);
    if (error != DOCA_SUCCESS)
        return error;
    error = doca_devemu_vfs_cfg_create(&cfg);
    if (error == DOCA_SUCCESS) {
        DOCA_ERROR_PROPAGATE(error, doca_devemu_vfs_cfg_add_dev(cfg, card));
        DOCA_ERROR_PROPAGATE(error, doca_devemu_vfs_cfg_set_vfs_fuse_req_user_data_size(cfg, sizeof(struct fuse_req)));
        DOCA_ERROR_PROPAGATE(error, doca_devemu_vfs_init(cfg));
        doca_devemu_vfs_cfg_destroy(cfg);
    }
    if (error != DOCA_SUCCESS) {
        doca_dev_close(card);
        card = NULL;
        return error;
    }
    snprintf(card_pci, sizeof(card_pci), "%s", pci);
    *out = card;
    return DOCA_SUCCESS;
}

static void leave_card(void)
{
    if (card == NULL || functions > 0)
        return;
    doca_devemu_vfs_teardown();
    doca_dev_close(card);
    card = NULL;
}

static doca_error_t open_function(struct device *device, const struct doca_devemu_vfs_type *type)
{
    struct doca_devinfo_rep **list;
    char vuid[DOCA_DEVINFO_REP_VUID_SIZE];
    doca_error_t error = DOCA_ERROR_NOT_FOUND;
    uint32_t count;

    if (doca_devemu_pci_type_create_rep_list(doca_devemu_vfs_type_as_pci_type(type), &list, &count) != DOCA_SUCCESS)
        return DOCA_ERROR_NOT_FOUND;
    for (uint32_t i = 0; i < count && error == DOCA_ERROR_NOT_FOUND; i++)
        if (doca_devinfo_rep_get_vuid(list[i], vuid, sizeof(vuid)) == DOCA_SUCCESS && strcmp(vuid, device->vuid) == 0)
            error = doca_dev_rep_open(list[i], &device->function);
    doca_devinfo_rep_destroy_list(list);
    return error;
}

/* Started, and running: a start that is under way is driven on. */
static doca_error_t start(struct device *device, struct doca_ctx *ctx)
{
    doca_error_t error = doca_ctx_start(ctx);
    enum doca_ctx_states state = DOCA_CTX_STATE_IDLE;

    if (error != DOCA_SUCCESS && error != DOCA_ERROR_IN_PROGRESS)
        return error;
    for (uint32_t i = 0; i < 1000000 && doca_ctx_get_state(ctx, &state) == DOCA_SUCCESS; i++) {
        if (state == DOCA_CTX_STATE_RUNNING)
            return DOCA_SUCCESS;
        doca_pe_progress(device->pe);
    }
    return DOCA_ERROR_TIME_OUT;
}

static doca_error_t make_copies(struct device *device)
{
    union doca_data user = {.ptr = device};
    doca_error_t error = DOCA_SUCCESS;

    device->memory = calloc(SLOTS, SLOT_SIZE);
    if (device->memory == NULL)
        return DOCA_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < SLOTS; i++) {
        device->slots[i] = (struct slot){.next = device->free_slots, .text = device->memory + (size_t)i * SLOT_SIZE};
        device->free_slots = &device->slots[i];
    }
    DOCA_ERROR_PROPAGATE(error, doca_mmap_create(&device->mmap));
    DOCA_ERROR_PROPAGATE(error, doca_mmap_add_dev(device->mmap, device->card));
    DOCA_ERROR_PROPAGATE(error, doca_mmap_set_permissions(device->mmap, DOCA_ACCESS_FLAG_LOCAL_READ_WRITE));
    DOCA_ERROR_PROPAGATE(error, doca_mmap_set_memrange(device->mmap, device->memory, (size_t)SLOTS * SLOT_SIZE));
    DOCA_ERROR_PROPAGATE(error, doca_mmap_start(device->mmap));
    DOCA_ERROR_PROPAGATE(error, doca_buf_inventory_create(2 * SLOTS, &device->inventory));
    DOCA_ERROR_PROPAGATE(error, doca_buf_inventory_start(device->inventory));
    DOCA_ERROR_PROPAGATE(error, doca_dma_create(device->card, &device->dma));
    DOCA_ERROR_PROPAGATE(error, doca_ctx_set_user_data(doca_dma_as_ctx(device->dma), user));
    DOCA_ERROR_PROPAGATE(error, doca_dma_task_memcpy_set_conf(device->dma, order_copied, order_failed, SLOTS));
    DOCA_ERROR_PROPAGATE(error, doca_pe_connect_ctx(device->pe, doca_dma_as_ctx(device->dma)));
    return error != DOCA_SUCCESS ? error : start(device, doca_dma_as_ctx(device->dma));
}

static doca_error_t bring_up(struct device *device)
{
    const struct doca_devemu_vfs_type *type;
    union doca_data user = {.ptr = device};
    struct doca_devemu_virtio_dev *virtio;
    doca_error_t error = doca_devemu_vfs_find_default_vfs_type_by_dev(device->card, &type);

    if (error == DOCA_SUCCESS)
        error = open_function(device, type);
    DOCA_ERROR_PROPAGATE(error, doca_pe_create(&device->pe));
    DOCA_ERROR_PROPAGATE(error, doca_devemu_vfs_dev_create(type, device->function, device->pe, &device->dev));
    if (error != DOCA_SUCCESS)
        return error;
    virtio = doca_devemu_vfs_dev_as_virtio_dev(device->dev);
    DOCA_ERROR_PROPAGATE(error, doca_devemu_virtio_dev_set_num_required_running_virtio_io_ctxs(virtio, 1));
    DOCA_ERROR_PROPAGATE(error, doca_devemu_vfs_dev_set_tag(device->dev, device->tag));
    DOCA_ERROR_PROPAGATE(error, doca_devemu_vfs_dev_set_num_request_queues(device->dev, QUEUES));
    DOCA_ERROR_PROPAGATE(error, doca_devemu_virtio_dev_set_num_queues(virtio, QUEUES + 1));
    DOCA_ERROR_PROPAGATE(error, doca_devemu_virtio_dev_set_queue_size(virtio, QUEUE_SIZE));
    DOCA_ERROR_PROPAGATE(error, doca_devemu_vfs_dev_set_fuse_client_arch(device->dev, DOCA_DEVEMU_VFS_FUSE_CLIENT_ARCH_X86_64));
    if (error == DOCA_SUCCESS)
        error = start(device, doca_devemu_vfs_dev_as_ctx(device->dev));
    if (error == DOCA_SUCCESS)
        error = make_copies(device);
    DOCA_ERROR_PROPAGATE(error, doca_devemu_vfs_io_create(device->dev, device->pe, &device->io));
    if (error != DOCA_SUCCESS)
        return error;
    DOCA_ERROR_PROPAGATE(error, doca_ctx_set_user_data(doca_devemu_vfs_io_as_ctx(device->io), user));
    DOCA_ERROR_PROPAGATE(error, requests_register(device->io));
    return error != DOCA_SUCCESS ? error : start(device, doca_devemu_vfs_io_as_ctx(device->io));
}

/* Stopped while what is under way is driven to its end. */
static void stop(struct device *device, struct doca_ctx *ctx)
{
    doca_error_t error = doca_ctx_stop(ctx);

    for (uint32_t i = 0; i < 1000000 && error == DOCA_ERROR_IN_PROGRESS; i++) {
        enum doca_ctx_states state = DOCA_CTX_STATE_STOPPING;

        doca_pe_progress(device->pe);
        doca_ctx_get_state(ctx, &state);
        if (state == DOCA_CTX_STATE_IDLE)
            return;
    }
}

static void take_down(struct device *device)
{
    if (device->io != NULL) {
        stop(device, doca_devemu_vfs_io_as_ctx(device->io));
        doca_devemu_vfs_io_destroy(device->io);
    }
    if (device->dma != NULL) {
        stop(device, doca_dma_as_ctx(device->dma));
        doca_dma_destroy(device->dma);
    }
    if (device->inventory != NULL)
        doca_buf_inventory_destroy(device->inventory);
    if (device->mmap != NULL)
        doca_mmap_destroy(device->mmap);
    if (device->dev != NULL) {
        stop(device, doca_devemu_vfs_dev_as_ctx(device->dev));
        doca_devemu_vfs_dev_destroy(device->dev);
    }
    if (device->pe != NULL)
        doca_pe_destroy(device->pe);
    if (device->function != NULL)
        doca_dev_rep_close(device->function);
    free(device->memory);
    numbers_free(&device->nodes);
    numbers_free(&device->handles);
    free(device);
}

static void *serve(void *data)
{
    struct device *device = data;
    struct timespec pause = {.tv_nsec = IDLE_NS};
    uint32_t idle = 0;

    /* Of this thread alone: what it makes has its maker's owner, and modes as they were asked for. */
    if (unshare(CLONE_FS) == 0)
        umask(0);
    prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
    while (!atomic_load(&device->stop)) {
        if (doca_pe_progress(device->pe) != 0)
            idle = 0;
        else if (++idle > SPINS)
            nanosleep(&pause, NULL);
    }
    atomic_store(&device->over, true);
    return NULL;
}

struct device *device_begin(struct volume *volume, const char *pci, const char *vuid, const char *tag, char *why, size_t room)
{
    struct device *device = calloc(1, sizeof(*device));
    doca_error_t error;

    if (device == NULL)
        return NULL;
    device->volume = volume;
    pthread_mutex_init(&device->turning, NULL);
    snprintf(device->pci, sizeof(device->pci), "%s", pci);
    snprintf(device->tag, sizeof(device->tag), "%s", tag);
    snprintf(device->vuid, sizeof(device->vuid), "%s", vuid);
    ops_meta(&device->ops);
    ops_tree(&device->ops);
    ops_data(&device->ops);
    ops_list(&device->ops);
    ops_xattr(&device->ops);
    pthread_mutex_lock(&library);
    error = numbers_init(&device->nodes) && numbers_init(&device->handles) ? take_card(pci, &device->card) : DOCA_ERROR_NO_MEMORY;
    if (error == DOCA_SUCCESS) {
        functions++;
        error = bring_up(device);
        if (error == DOCA_SUCCESS && pthread_create(&volume->thread, NULL, serve, device) != 0)
            error = DOCA_ERROR_OPERATING_SYSTEM;
        if (error != DOCA_SUCCESS)
            functions--;
    }
    if (error != DOCA_SUCCESS) {
        snprintf(why, room, "the function %s of %s: %s", vuid, pci, doca_error_get_name(error));
        take_down(device);
        leave_card();
        device = NULL;
    }
    pthread_mutex_unlock(&library);
    return device;
}

void device_end(struct device *device)
{
    pthread_mutex_lock(&library);
    atomic_store(&device->stop, true);
    pthread_join(device->volume->thread, NULL);
    take_down(device);
    functions--;
    leave_card();
    pthread_mutex_unlock(&library);
}
