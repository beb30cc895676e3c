/*
 * What the files of this folder share: one emulated function that serves one volume, its requests in order, and the numbers by
 * which its guest knows nodes and open files.
 */
#ifndef SLUICE_VAULT_DEVICE_H
#define SLUICE_VAULT_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "../../../src/native/vault/fs/vaultfs.h"
#include "doca_vault_sdk.h"

#define PAYLOAD (128u << 10) /* of one read or write */
#define SLOT_SIZE (PAYLOAD + 2 * (VAULT_PATH + 1))
#define SLOTS 32u
#define NUMBERS_MOST (1u << 20)

struct device;

/* A piece of memory that copies may go into and out of. */
struct slot {
    struct slot *next;
    char *text;
};

/* One request, from its arrival until it is completed; it lies in the memory that the library keeps for each. */
struct fuse_req {
    struct fuse_req *next;
    struct device *device;
    struct doca_devemu_vfs_fuse_req *request;
    struct fuse_in_header in; /* copies of the guest's words: what is judged is what is done */
    union {
        struct fuse_init_in init;
        struct fuse_create_in create;
        struct fuse_open_in open;
        struct fuse_read_in read;
        struct fuse_write_in write;
        struct fuse_mknod_in mknod;
        struct fuse_getattr_in getattr;
        struct fuse_setattr_in setattr;
        struct fuse_release_in release;
        struct fuse_forget_in forget;
        struct fuse_getxattr_in getxattr;
        struct fuse_setxattr_in setxattr;
        struct fuse_mkdir_in mkdir;
        struct fuse_rename_in rename;
        struct fuse_rename2_in rename2;
        struct fuse_link_in link;
        struct fuse_fsync_in fsync;
        struct fuse_fallocate_in fallocate;
        struct fuse_ioctl_in ioctl;
    } arg;
    struct fuse_out_header *out; /* NULL: no answer */
    void *body, *more;           /* the operation's structures of the answer */
    struct doca_buf *from, *to;  /* in the guest's memory */
    uint32_t given, room;        /* octets that came with it, and that may go back */
    struct slot *slot;
    bool fetched, failed;
    uint32_t sent, sending; /* of `answer` octets of the slot */
    uint32_t answer;
    bool answered;
    uint32_t side; /* that its answer is counted on */
    struct fuse_ctx context;
};

/* Numbers of nodes: the guest's lookups of each are counted here too, because it may claim more. */
struct number {
    void *of; /* NULL: free */
    uint64_t lookups;
    uint32_t salt, next;
};
struct numbers {
    struct number *list;
    uint32_t count, unused;
    uint32_t *hash, mask; /* by `of`; index + 1 */
};

struct device {
    struct volume *volume;
    struct fuse_lowlevel_ops ops;
    struct doca_dev *card;
    struct doca_dev_rep *function;
    struct doca_devemu_vfs_dev *dev;
    struct doca_devemu_vfs_io *io;
    struct doca_pe *pe;
    struct doca_dma *dma;
    struct doca_mmap *mmap;
    struct doca_buf_inventory *inventory;
    char *memory;
    struct slot slots[SLOTS], *free_slots;
    struct fuse_req *first, *last; /* in order of arrival, not yet carried out */
    struct numbers nodes, handles;
    pthread_mutex_t turning;
    _Atomic uint32_t side, under_way[2]; /* answers that are being copied, by the side that they were begun on */
    _Atomic bool over, stop;
    char pci[DOCA_DEVINFO_PCI_ADDR_SIZE], tag[DOCA_VFS_TAG_SIZE], vuid[DOCA_DEVINFO_REP_VUID_SIZE];
};

/* ---- numbers.c ----------------------------------------------------------------------------------------------------- */

bool numbers_init(struct numbers *numbers);
void numbers_free(struct numbers *numbers);
/* The number of `of`, made if need be, counted once more; 0 without room. */
uint64_t numbers_of(struct numbers *numbers, void *of);
/* untrusted: `number`. NULL when it is nobody's. */
void *numbers_find(const struct numbers *numbers, uint64_t number);
/* Gives back at most what was counted, says how many, and forgets a number that has none left. */
uint64_t numbers_drop(struct numbers *numbers, uint64_t number, uint64_t lookups);

/* ---- order.c: requests one after another, with their copies --------------------------------------------------------- */

/* Takes a request that is filled in; carries out what can be. */
void order_arrive(struct fuse_req *req);
/* Called once by each answer: copies what goes to the guest and completes. */
void order_answer(struct fuse_req *req);
void order_copied(struct doca_dma_task_memcpy *task, union doca_data user, union doca_data device);
void order_failed(struct doca_dma_task_memcpy *task, union doca_data user, union doca_data device);

/* ---- requests.c ----------------------------------------------------------------------------------------------------- */

/* Registers a handler for every operation that there is. */
doca_error_t requests_register(struct doca_devemu_vfs_io *io);

/* ---- run.c ------------------------------------------------------------------------------------------------------------ */

/* What came is here: judge and do. Ends in one answer. */
void requests_run(struct fuse_req *req);

/* ---- device.c -------------------------------------------------------------------------------------------------------- */

/* Brings a function up and serves it until `device_end`. NULL, and `why` says what is in the way. */
struct device *device_begin(struct volume *volume, const char *pci, const char *vuid, const char *tag, char *why, size_t room);
void device_end(struct device *device);
/* Whether there is such a card, and it emulates virtio-fs: 0, -ENODEV, -EOPNOTSUPP. */
int device_card(const char *pci);

#endif
