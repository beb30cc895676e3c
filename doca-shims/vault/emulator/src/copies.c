/* Contexts, progress engines, memory and copies. A copy is done when somebody drives the engine, one at a time and in order. */
#include <stdlib.h>
#include <string.h>

#include "emulated.h"

struct doca_mmap {
    char *from;
    size_t length;
    bool card, started;
};
struct doca_buf_inventory {
    size_t left;
    bool started;
};

static int holding;
static uint32_t failing, passing;

void emulated_hold_copies(int on)
{
    pthread_mutex_lock(&emulated);
    holding = on;
    passing = 0;
    pthread_mutex_unlock(&emulated);
}

void emulated_pass_copies(uint32_t n)
{
    pthread_mutex_lock(&emulated);
    passing += n;
    pthread_mutex_unlock(&emulated);
}

void emulated_fail_copy(uint32_t n)
{
    pthread_mutex_lock(&emulated);
    failing = n;
    pthread_mutex_unlock(&emulated);
}

/* ---- contexts ---------------------------------------------------------------------------------------------------------- */

static doca_error_t is_ready(const struct doca_ctx *ctx)
{
    const struct doca_devemu_vfs_dev *dev = (const struct doca_devemu_vfs_dev *)ctx;
    const struct doca_devemu_vfs_io *io = (const struct doca_devemu_vfs_io *)ctx;
    const struct doca_dma *dma = (const struct doca_dma *)ctx;

    if (ctx->pe == NULL || ctx->state != DOCA_CTX_STATE_IDLE)
        return DOCA_ERROR_BAD_STATE;
    switch (ctx->kind) {
    case CTX_DEV:
        return dev->tag[0] == 0 || dev->requests == 0 || dev->queues != dev->requests + 1 || dev->size == 0 || dev->contexts == 0
                   ? DOCA_ERROR_BAD_CONFIG
                   : DOCA_SUCCESS;
    case CTX_IO:
        return io->dev->ctx.state == DOCA_CTX_STATE_RUNNING ? DOCA_SUCCESS : DOCA_ERROR_BAD_STATE;
    default:
        return dma->done == NULL || dma->failed == NULL ? DOCA_ERROR_BAD_CONFIG : DOCA_SUCCESS;
    }
}

doca_error_t doca_ctx_start(struct doca_ctx *ctx)
{
    doca_error_t error;

    pthread_mutex_lock(&emulated);
    error = is_ready(ctx);
    /* A function starts while the engine is driven, as on a card. */
    if (error == DOCA_SUCCESS)
        ctx->state = ctx->kind == CTX_DEV ? DOCA_CTX_STATE_STARTING : DOCA_CTX_STATE_RUNNING;
    if (error == DOCA_SUCCESS && ctx->kind == CTX_DEV)
        error = DOCA_ERROR_IN_PROGRESS;
    pthread_mutex_unlock(&emulated);
    return error;
}

doca_error_t doca_ctx_stop(struct doca_ctx *ctx)
{
    struct doca_devemu_vfs_io *io = (struct doca_devemu_vfs_io *)ctx;
    doca_error_t error = DOCA_SUCCESS;

    pthread_mutex_lock(&emulated);
    if (ctx->kind == CTX_IO && io->held > 0) {
        ctx->state = DOCA_CTX_STATE_STOPPING;
        error = DOCA_ERROR_IN_PROGRESS;
    } else if (ctx->kind == CTX_DMA && ((struct doca_dma *)ctx)->busy > 0) {
        ctx->state = DOCA_CTX_STATE_STOPPING;
        error = DOCA_ERROR_IN_PROGRESS;
    } else {
        ctx->state = DOCA_CTX_STATE_IDLE;
    }
    pthread_mutex_unlock(&emulated);
    return error;
}

doca_error_t doca_ctx_get_state(const struct doca_ctx *ctx, enum doca_ctx_states *state)
{
    pthread_mutex_lock(&emulated);
    *state = ctx->state;
    pthread_mutex_unlock(&emulated);
    return DOCA_SUCCESS;
}

doca_error_t doca_ctx_set_user_data(struct doca_ctx *ctx, union doca_data data)
{
    ctx->user = data;
    return DOCA_SUCCESS;
}

doca_error_t doca_ctx_get_user_data(const struct doca_ctx *ctx, union doca_data *data)
{
    *data = ctx->user;
    return DOCA_SUCCESS;
}

doca_error_t doca_pe_create(struct doca_pe **pe)
{
    *pe = calloc(1, sizeof(**pe));
    return *pe == NULL ? DOCA_ERROR_NO_MEMORY : DOCA_SUCCESS;
}

doca_error_t doca_pe_destroy(struct doca_pe *pe)
{
    if (pe->dma != NULL || pe->io != NULL)
        return DOCA_ERROR_IN_USE;
    free(pe);
    return DOCA_SUCCESS;
}

doca_error_t doca_pe_connect_ctx(struct doca_pe *pe, struct doca_ctx *ctx)
{
    if (ctx->kind != CTX_DMA || ctx->state != DOCA_CTX_STATE_IDLE)
        return DOCA_ERROR_BAD_STATE;
    ctx->pe = pe;
    pe->dma = (struct doca_dma *)ctx;
    return DOCA_SUCCESS;
}

uint8_t doca_pe_progress(struct doca_pe *pe)
{
    bool did = false;

    pthread_mutex_lock(&emulated);
    for (struct doca_devemu_vfs_dev *at = emulated_devices; at != NULL; at = at->next)
        if (at->ctx.pe == pe && at->ctx.state == DOCA_CTX_STATE_STARTING) {
            at->ctx.state = DOCA_CTX_STATE_RUNNING;
            did = true;
        }
    if (!did && pe->dma != NULL && pe->dma->first != NULL && (!holding || passing > 0)) {
        passing -= holding != 0;
        did = progress_copy(pe->dma);
    }
    if (!did && pe->io != NULL)
        did = progress_request(pe->io);
    pthread_mutex_unlock(&emulated);
    return did ? 1 : 0;
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

doca_error_t doca_mmap_create(struct doca_mmap **mmap)
{
    *mmap = calloc(1, sizeof(**mmap));
    return *mmap == NULL ? DOCA_ERROR_NO_MEMORY : DOCA_SUCCESS;
}

doca_error_t doca_mmap_destroy(struct doca_mmap *mmap)
{
    free(mmap);
    return DOCA_SUCCESS;
}

doca_error_t doca_mmap_add_dev(struct doca_mmap *mmap, struct doca_dev *dev)
{
    mmap->card = dev != NULL;
    return DOCA_SUCCESS;
}

doca_error_t doca_mmap_set_permissions(struct doca_mmap *mmap, uint32_t access)
{
    return mmap->started || access != DOCA_ACCESS_FLAG_LOCAL_READ_WRITE ? DOCA_ERROR_BAD_STATE : DOCA_SUCCESS;
}

doca_error_t doca_mmap_set_memrange(struct doca_mmap *mmap, void *addr, size_t length)
{
    mmap->from = addr;
    mmap->length = length;
    return DOCA_SUCCESS;
}

doca_error_t doca_mmap_start(struct doca_mmap *mmap)
{
    if (mmap->from == NULL || !mmap->card)
        return DOCA_ERROR_BAD_STATE;
    mmap->started = true;
    return DOCA_SUCCESS;
}

doca_error_t doca_buf_inventory_create(size_t count, struct doca_buf_inventory **inventory)
{
    *inventory = calloc(1, sizeof(**inventory));
    if (*inventory == NULL)
        return DOCA_ERROR_NO_MEMORY;
    (*inventory)->left = count;
    return DOCA_SUCCESS;
}

doca_error_t doca_buf_inventory_destroy(struct doca_buf_inventory *inventory)
{
    free(inventory);
    return DOCA_SUCCESS;
}

doca_error_t doca_buf_inventory_start(struct doca_buf_inventory *inventory)
{
    inventory->started = true;
    return DOCA_SUCCESS;
}

doca_error_t doca_buf_inventory_buf_get_by_addr(struct doca_buf_inventory *inventory, struct doca_mmap *mmap, void *addr,
                                                size_t length, struct doca_buf **buf)
{
    if (!inventory->started || !mmap->started)
        return DOCA_ERROR_BAD_STATE;
    if ((char *)addr < mmap->from || (char *)addr + length > mmap->from + mmap->length)
        return DOCA_ERROR_INVALID_VALUE;
    *buf = calloc(1, sizeof(**buf));
    if (*buf == NULL)
        return DOCA_ERROR_NO_MEMORY;
    **buf = (struct doca_buf){.real = addr, .length = length, .references = 1};
    return DOCA_SUCCESS;
}

doca_error_t doca_buf_inventory_buf_get_by_data(struct doca_buf_inventory *inventory, struct doca_mmap *mmap, void *data,
                                                size_t length, struct doca_buf **buf)
{
    doca_error_t error = doca_buf_inventory_buf_get_by_addr(inventory, mmap, data, length, buf);

    if (error == DOCA_SUCCESS)
        (*buf)->used = length;
    return error;
}

static void release(struct doca_buf *buf)
{
    if (buf != NULL && --buf->references == 0 && !buf->guest)
        free(buf);
}

doca_error_t doca_buf_dec_refcount(struct doca_buf *buf, uint16_t *count)
{
    pthread_mutex_lock(&emulated);
    if (count != NULL)
        *count = (uint16_t)buf->references;
    release(buf);
    pthread_mutex_unlock(&emulated);
    return DOCA_SUCCESS;
}

doca_error_t doca_buf_get_len(const struct doca_buf *buf, size_t *length)
{
    *length = buf->length;
    return DOCA_SUCCESS;
}

doca_error_t doca_buf_get_next_in_list(struct doca_buf *buf, struct doca_buf **next)
{
    *next = buf->next;
    return DOCA_SUCCESS;
}

/* ---- copies ------------------------------------------------------------------------------------------------------------ */

doca_error_t doca_dma_create(struct doca_dev *dev, struct doca_dma **dma)
{
    (void)dev;
    *dma = calloc(1, sizeof(**dma));
    if (*dma == NULL)
        return DOCA_ERROR_NO_MEMORY;
    (*dma)->ctx.kind = CTX_DMA;
    return DOCA_SUCCESS;
}

doca_error_t doca_dma_destroy(struct doca_dma *dma)
{
    if (dma->ctx.state != DOCA_CTX_STATE_IDLE)
        return DOCA_ERROR_IN_USE;
    if (dma->ctx.pe != NULL)
        dma->ctx.pe->dma = NULL;
    free(dma);
    return DOCA_SUCCESS;
}

struct doca_ctx *doca_dma_as_ctx(struct doca_dma *dma)
{
    return &dma->ctx;
}

doca_error_t doca_dma_task_memcpy_set_conf(struct doca_dma *dma, doca_dma_task_memcpy_completion_cb_t done,
                                           doca_dma_task_memcpy_completion_cb_t failed, uint32_t tasks)
{
    if (dma->ctx.state != DOCA_CTX_STATE_IDLE)
        return DOCA_ERROR_BAD_STATE;
    dma->done = done;
    dma->failed = failed;
    dma->most = tasks;
    return DOCA_SUCCESS;
}

doca_error_t doca_dma_task_memcpy_alloc_init(struct doca_dma *dma, const struct doca_buf *from, struct doca_buf *to,
                                             union doca_data user, struct doca_dma_task_memcpy **task)
{
    if (dma->ctx.state != DOCA_CTX_STATE_RUNNING)
        return DOCA_ERROR_BAD_STATE;
    if (dma->busy == dma->most)
        return DOCA_ERROR_FULL;
    *task = calloc(1, sizeof(**task));
    if (*task == NULL)
        return DOCA_ERROR_NO_MEMORY;
    **task = (struct doca_dma_task_memcpy){.dma = dma, .from = from, .to = to, .user = user};
    pthread_mutex_lock(&emulated);
    ((struct doca_buf *)(uintptr_t)from)->references++;
    to->references++;
    dma->busy++;
    pthread_mutex_unlock(&emulated);
    return DOCA_SUCCESS;
}

struct doca_task *doca_dma_task_memcpy_as_task(struct doca_dma_task_memcpy *task)
{
    return (struct doca_task *)task;
}

doca_error_t doca_task_submit(struct doca_task *given)
{
    struct doca_dma_task_memcpy *task = (struct doca_dma_task_memcpy *)given;
    struct doca_dma *dma = task->dma;

    pthread_mutex_lock(&emulated);
    if (dma->last != NULL)
        dma->last->next = task;
    else
        dma->first = task;
    dma->last = task;
    pthread_mutex_unlock(&emulated);
    return DOCA_SUCCESS;
}

void doca_task_free(struct doca_task *given)
{
    struct doca_dma_task_memcpy *task = (struct doca_dma_task_memcpy *)given;

    pthread_mutex_lock(&emulated);
    task->dma->busy--;
    pthread_mutex_unlock(&emulated);
    free(task);
}

bool progress_copy(struct doca_dma *dma)
{
    struct doca_dma_task_memcpy *task = dma->first;
    struct doca_buf *from, *to;
    bool failed;

    if (task == NULL)
        return false;
    dma->first = task->next;
    if (dma->first == NULL)
        dma->last = NULL;
    from = (struct doca_buf *)(uintptr_t)task->from;
    to = task->to;
    failed = failing > 0 && --failing == 0;
    if (!failed && to->length - to->used < from->used) {
        violation("a copy of %zu octets into room for %zu", from->used, to->length - to->used);
        failed = true;
    }
    if (!failed) {
        memcpy(to->real + to->used, from->real, from->used);
        to->used += from->used;
        if (from->guest && ++from->copied > 1)
            violation("what a request brought was copied %u times", from->copied);
    }
    /* A guest that changes its memory does so at the worst moment: it gave `later` behind what it sent. */
    if (from->guest && from->next != NULL)
        memcpy(from->real, from->next->real, from->used);
    release(from);
    release(to);
    pthread_mutex_unlock(&emulated);
    (failed ? dma->failed : dma->done)(task, task->user, dma->ctx.user);
    pthread_mutex_lock(&emulated);
    return true;
}
