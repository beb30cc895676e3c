/* What the files of the emulated card share. One lock for all of it: nothing here is about speed. */
#ifndef EMULATED_H
#define EMULATED_H

#include <pthread.h>
#include <stdbool.h>

#include "doca_devemu_vfs.h"
#include "doca_dma.h"
#include "doca_emulated_guest.h"

#define HANDLERS 64 /* by FUSE opcode */

enum kind { CTX_DEV, CTX_IO, CTX_DMA };
struct doca_ctx {
    enum kind kind;
    enum doca_ctx_states state;
    struct doca_pe *pe;
    union doca_data user;
};
struct doca_buf {
    char *real; /* where a copy finds it; of a guest's memory nothing that the program can reach */
    size_t length, used;
    struct doca_buf *next;
    uint32_t references, copied;
    bool guest;
};
struct doca_dma_task_memcpy {
    struct doca_dma *dma;
    const struct doca_buf *from;
    struct doca_buf *to;
    union doca_data user;
    struct doca_dma_task_memcpy *next;
};
struct doca_dma {
    struct doca_ctx ctx;
    doca_dma_task_memcpy_completion_cb_t done, failed;
    uint32_t most, busy;
    struct doca_dma_task_memcpy *first, *last;
};
struct doca_devemu_vfs_io {
    struct doca_ctx ctx;
    struct doca_devemu_vfs_dev *dev;
    void (*handlers[HANDLERS])(void);
    struct emulated_pending *first, *last; /* sent, not handed over */
    uint32_t held;                         /* handed over, not completed */
};
struct doca_devemu_vfs_dev {
    struct doca_ctx ctx;
    char vuid[DOCA_DEVINFO_REP_VUID_SIZE], tag[DOCA_VFS_TAG_SIZE];
    uint32_t requests, contexts;
    uint16_t queues, size;
    struct doca_devemu_vfs_io *io;
    struct doca_devemu_vfs_dev *next;
};
struct doca_pe {
    struct doca_dma *dma;
    struct doca_devemu_vfs_io *io;
};

extern pthread_mutex_t emulated;
extern pthread_cond_t emulated_done;
extern uint32_t emulated_user_size; /* 0: the library is not initialised */
extern struct doca_devemu_vfs_dev *emulated_devices;

void violation(const char *say, ...) __attribute__((format(printf, 1, 2)));
/* One copy or one request of what hangs on the engine; the lock is held, and let go while the program runs. */
bool progress_copy(struct doca_dma *dma);
bool progress_request(struct doca_devemu_vfs_io *io);

#endif
