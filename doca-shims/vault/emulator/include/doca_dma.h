/*
 * Copies between the guest's memory and the Arm's own: contexts, buffers, tasks; as much of DOCA Core and DOCA DMA as the shim
 * calls. Our own words (see doca_devemu_vfs.h). What a copy appended counts as data of its destination only when it is reported.
 */
#ifndef DOCA_DMA_H_
#define DOCA_DMA_H_

#include <stddef.h>
#include <stdint.h>

#include "doca_error.h"
#include "doca_types.h"

struct doca_buf;
struct doca_buf_inventory;
struct doca_ctx;
struct doca_dev;
struct doca_dma;
struct doca_dma_task_memcpy;
struct doca_mmap;
struct doca_pe;
struct doca_task;

enum doca_ctx_states { DOCA_CTX_STATE_IDLE = 0, DOCA_CTX_STATE_STARTING = 1, DOCA_CTX_STATE_RUNNING = 2, DOCA_CTX_STATE_STOPPING = 3 };
enum { DOCA_ACCESS_FLAG_LOCAL_READ_WRITE = 1 };

doca_error_t doca_ctx_start(struct doca_ctx *ctx);
doca_error_t doca_ctx_stop(struct doca_ctx *ctx);
doca_error_t doca_ctx_get_state(const struct doca_ctx *ctx, enum doca_ctx_states *state);
doca_error_t doca_ctx_set_user_data(struct doca_ctx *ctx, union doca_data data);
doca_error_t doca_ctx_get_user_data(const struct doca_ctx *ctx, union doca_data *data);

doca_error_t doca_pe_create(struct doca_pe **pe);
doca_error_t doca_pe_destroy(struct doca_pe *pe);
doca_error_t doca_pe_connect_ctx(struct doca_pe *pe, struct doca_ctx *ctx);
uint8_t doca_pe_progress(struct doca_pe *pe);

doca_error_t doca_mmap_create(struct doca_mmap **mmap);
doca_error_t doca_mmap_destroy(struct doca_mmap *mmap);
doca_error_t doca_mmap_add_dev(struct doca_mmap *mmap, struct doca_dev *dev);
doca_error_t doca_mmap_set_permissions(struct doca_mmap *mmap, uint32_t access);
doca_error_t doca_mmap_set_memrange(struct doca_mmap *mmap, void *addr, size_t length);
doca_error_t doca_mmap_start(struct doca_mmap *mmap);

doca_error_t doca_buf_inventory_create(size_t count, struct doca_buf_inventory **inventory);
doca_error_t doca_buf_inventory_destroy(struct doca_buf_inventory *inventory);
doca_error_t doca_buf_inventory_start(struct doca_buf_inventory *inventory);
/* By address: without data, to be copied into. By data: full. */
doca_error_t doca_buf_inventory_buf_get_by_addr(struct doca_buf_inventory *inventory, struct doca_mmap *mmap, void *addr,
                                                size_t length, struct doca_buf **buf);
doca_error_t doca_buf_inventory_buf_get_by_data(struct doca_buf_inventory *inventory, struct doca_mmap *mmap, void *data,
                                                size_t length, struct doca_buf **buf);
doca_error_t doca_buf_dec_refcount(struct doca_buf *buf, uint16_t *count);
doca_error_t doca_buf_get_len(const struct doca_buf *buf, size_t *length);
doca_error_t doca_buf_get_next_in_list(struct doca_buf *buf, struct doca_buf **next);

typedef void (*doca_dma_task_memcpy_completion_cb_t)(struct doca_dma_task_memcpy *task, union doca_data task_user,
                                                     union doca_data ctx_user);
doca_error_t doca_dma_create(struct doca_dev *dev, struct doca_dma **dma);
doca_error_t doca_dma_destroy(struct doca_dma *dma);
struct doca_ctx *doca_dma_as_ctx(struct doca_dma *dma);
doca_error_t doca_dma_task_memcpy_set_conf(struct doca_dma *dma, doca_dma_task_memcpy_completion_cb_t done,
                                           doca_dma_task_memcpy_completion_cb_t failed, uint32_t tasks);
doca_error_t doca_dma_task_memcpy_alloc_init(struct doca_dma *dma, const struct doca_buf *from, struct doca_buf *to,
                                             union doca_data user, struct doca_dma_task_memcpy **task);
struct doca_task *doca_dma_task_memcpy_as_task(struct doca_dma_task_memcpy *task);
doca_error_t doca_task_submit(struct doca_task *task);
void doca_task_free(struct doca_task *task);

#endif
