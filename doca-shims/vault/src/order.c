/*
 * Requests in the order in which they came. What a request brings is copied from the guest's memory once, and only the copy is
 * read; requests without anything to copy wait for those before them, so that an open never overtakes a rename. What goes back is
 * copied piece by piece, since a copy has one destination, and only then is the request completed.
 */
#include <errno.h>
#include <string.h>

#include "vault_device.h"

static void run_ready(struct device *device);

static void give_back(struct fuse_req *req)
{
    struct device *device = req->device;

    if (req->slot != NULL) {
        req->slot->next = device->free_slots;
        device->free_slots = req->slot;
        req->slot = NULL;
    }
}

/* The answer is complete, or nothing more can be done about it. */
static void complete(struct fuse_req *req)
{
    struct doca_devemu_vfs_fuse_req *request = req->request;
    doca_error_t status = req->failed ? DOCA_ERROR_IO_FAILED : DOCA_SUCCESS;

    give_back(req);
    doca_devemu_vfs_fuse_req_complete(request, status); /* `req` is the library's again */
}

static doca_error_t copy(struct fuse_req *req, const struct doca_buf *from, struct doca_buf *to)
{
    union doca_data user = {.ptr = req};
    struct doca_dma_task_memcpy *task;
    doca_error_t error = doca_dma_task_memcpy_alloc_init(req->device->dma, from, to, user, &task);

    if (error != DOCA_SUCCESS)
        return error;
    error = doca_task_submit(doca_dma_task_memcpy_as_task(task));
    if (error != DOCA_SUCCESS)
        doca_task_free(doca_dma_task_memcpy_as_task(task));
    return error;
}

/* Of the slot, for one copy. */
static struct doca_buf *piece_of(struct fuse_req *req, uint32_t at, uint32_t size, bool full)
{
    struct device *device = req->device;
    struct doca_buf *buf = NULL;

    if (full)
        doca_buf_inventory_buf_get_by_data(device->inventory, device->mmap, req->slot->text + at, size, &buf);
    else
        doca_buf_inventory_buf_get_by_addr(device->inventory, device->mmap, req->slot->text + at, size, &buf);
    return buf;
}

static void fetch(struct fuse_req *req)
{
    struct doca_buf *into = piece_of(req, 0, req->given, false);

    req->failed = into == NULL || copy(req, req->from, into) != DOCA_SUCCESS;
    if (into != NULL)
        doca_buf_dec_refcount(into, NULL); /* the task holds it */
    req->fetched = req->failed;
}

/* The next piece of the answer; false when all of it is there. */
static bool send_next(struct fuse_req *req)
{
    struct doca_buf *piece, *to = req->to;
    size_t room = 0;

    if (to == NULL || req->sent == req->answer)
        return false;
    doca_buf_get_len(to, &room);
    req->sending = req->answer - req->sent < room ? req->answer - req->sent : (uint32_t)room;
    piece = req->sending == 0 ? NULL : piece_of(req, req->sent, req->sending, true);
    req->failed = piece == NULL || copy(req, piece, to) != DOCA_SUCCESS;
    if (piece != NULL)
        doca_buf_dec_refcount(piece, NULL);
    return !req->failed;
}

void order_answer(struct fuse_req *req)
{
    req->answered = true;
    if (req->out == NULL || req->answer == 0) {
        complete(req);
        return;
    }
    req->side = atomic_load(&req->device->side);
    atomic_fetch_add(&req->device->under_way[req->side], 1);
    if (!send_next(req)) {
        atomic_fetch_sub(&req->device->under_way[req->side], 1);
        complete(req);
    }
}

static void copied(struct fuse_req *req, bool failed)
{
    struct device *device = req->device;
    uint32_t side;

    if (!req->answered) {
        req->fetched = true;
        req->failed = failed;
        run_ready(device);
        return;
    }
    req->failed = failed;
    req->sent += req->sending;
    if (!failed) {
        struct doca_buf *next = NULL;

        doca_buf_get_next_in_list(req->to, &next);
        req->to = next;
        if (send_next(req))
            return;
        req->failed |= req->sent < req->answer;
    }
    side = req->side; /* what is complete is gone */
    complete(req);
    atomic_fetch_sub(&device->under_way[side], 1);
    run_ready(device); /* its slot is free */
}

void order_copied(struct doca_dma_task_memcpy *task, union doca_data user, union doca_data device)
{
    (void)device;
    doca_task_free(doca_dma_task_memcpy_as_task(task));
    copied(user.ptr, false);
}

void order_failed(struct doca_dma_task_memcpy *task, union doca_data user, union doca_data device)
{
    (void)device;
    doca_task_free(doca_dma_task_memcpy_as_task(task));
    copied(user.ptr, true);
}

/* Begins the copies that there is memory for, in order; then carries out what stands first and is complete. */
static void run_ready(struct device *device)
{
    for (struct fuse_req *req = device->first; req != NULL; req = req->next) {
        bool needs = req->given > 0 || req->room > 0;

        if (req->slot != NULL || req->fetched)
            continue;
        if (needs && device->free_slots == NULL)
            break;
        if (needs) {
            req->slot = device->free_slots;
            device->free_slots = req->slot->next;
        }
        if (req->given > 0)
            fetch(req);
        else
            req->fetched = true;
    }
    while (device->first != NULL && device->first->fetched) {
        struct fuse_req *req = device->first;

        device->first = req->next;
        if (device->first == NULL)
            device->last = NULL;
        if (req->failed)
            complete(req);
        else
            requests_run(req);
    }
}

void order_arrive(struct fuse_req *req)
{
    struct device *device = req->device;

    req->next = NULL;
    if (device->last != NULL)
        device->last->next = req;
    else
        device->first = req;
    device->last = req;
    run_ready(device);
}
