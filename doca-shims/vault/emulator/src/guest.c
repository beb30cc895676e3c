/* The guest: its requests, in memory that only copies reach, and what is made of their answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulated.h"

struct doca_devemu_vfs_fuse_req {
    struct emulated_pending *of;
};
struct emulated_pending {
    struct doca_devemu_vfs_fuse_req request;
    struct doca_devemu_vfs_io *io;
    struct emulated_pending *next;
    struct fuse_in_header in;
    struct fuse_out_header out;
    union {
        char octets[256];
        uint64_t aligned;
    } arg;
    struct emulated_answer *answer;
    char *given, *later, *back;
    struct doca_buf from, changed, to[4];
    uint32_t opcode, room, given_size;
    bool forgets, handed, done;
    void *user;
};

static uint64_t unique;

/* ---- handlers ---------------------------------------------------------------------------------------------------------- */

#define OPS(X) \
    X(init, FUSE_INIT) X(destroy, FUSE_DESTROY) X(lookup, FUSE_LOOKUP) X(create, FUSE_CREATE) X(open, FUSE_OPEN) \
    X(read, FUSE_READ) X(write, FUSE_WRITE) X(mknod, FUSE_MKNOD) X(readdir, FUSE_READDIR) X(readdirplus, FUSE_READDIRPLUS) \
    X(getattr, FUSE_GETATTR) X(setattr, FUSE_SETATTR) X(release, FUSE_RELEASE) X(releasedir, FUSE_RELEASEDIR) \
    X(opendir, FUSE_OPENDIR) X(flush, FUSE_FLUSH) X(forget, FUSE_FORGET) X(statfs, FUSE_STATFS) X(unlink, FUSE_UNLINK) \
    X(getxattr, FUSE_GETXATTR) X(setxattr, FUSE_SETXATTR) X(listxattr, FUSE_LISTXATTR) X(removexattr, FUSE_REMOVEXATTR) \
    X(mkdir, FUSE_MKDIR) X(rmdir, FUSE_RMDIR) X(rename, FUSE_RENAME) X(rename2, FUSE_RENAME2) X(readlink, FUSE_READLINK) \
    X(symlink, FUSE_SYMLINK) X(link, FUSE_LINK) X(fsync, FUSE_FSYNC) X(fallocate, FUSE_FALLOCATE) X(syncfs, FUSE_SYNCFS) \
    X(ioctl, FUSE_IOCTL)

#define REGISTERS(op, code) \
    doca_error_t doca_devemu_vfs_io_event_vfs_fuse_##op##_req_handler_register( \
        struct doca_devemu_vfs_io *io, doca_devemu_vfs_fuse_##op##_req_handler_t handler) \
    { \
        if (io->ctx.state != DOCA_CTX_STATE_IDLE) \
            return DOCA_ERROR_BAD_STATE; \
        io->handlers[code] = (void (*)(void))handler; \
        return handler == NULL ? DOCA_ERROR_INVALID_VALUE : DOCA_SUCCESS; \
    }
OPS(REGISTERS)

#define CALL(op, ...) ((doca_devemu_vfs_fuse_##op##_req_handler_t)handler)(&p->request, p->user, &p->in, __VA_ARGS__)
#define AS(type) ((struct type *)(void *)p->arg.octets)

static void hand_over(struct emulated_pending *p, void (*handler)(void))
{
    struct fuse_out_header *out = &p->out;
    struct emulated_answer *answer = p->answer;
    struct doca_buf *from = &p->from, *to = &p->to[0];

    switch (p->opcode) {
    case FUSE_INIT: CALL(init, AS(fuse_init_in), out, &answer->body.init); break;
    case FUSE_DESTROY: CALL(destroy, out); break;
    case FUSE_LOOKUP: CALL(lookup, from, out, &answer->body.entry); break;
    case FUSE_CREATE: CALL(create, AS(fuse_create_in), from, out, &answer->body.entry, &answer->opened); break;
    case FUSE_OPEN: CALL(open, AS(fuse_open_in), out, &answer->body.open); break;
    case FUSE_OPENDIR: CALL(opendir, AS(fuse_open_in), out, &answer->body.open); break;
    case FUSE_READ: CALL(read, AS(fuse_read_in), out, to); break;
    case FUSE_READDIR: CALL(readdir, AS(fuse_read_in), out, to); break;
    case FUSE_READDIRPLUS: CALL(readdirplus, AS(fuse_read_in), out, to); break;
    case FUSE_WRITE: CALL(write, AS(fuse_write_in), from, out, &answer->body.write); break;
    case FUSE_MKNOD: CALL(mknod, AS(fuse_mknod_in), from, out, &answer->body.entry); break;
    case FUSE_MKDIR: CALL(mkdir, AS(fuse_mkdir_in), from, out, &answer->body.entry); break;
    case FUSE_LINK: CALL(link, AS(fuse_link_in), from, out, &answer->body.entry); break;
    case FUSE_SYMLINK: CALL(symlink, from, out, &answer->body.entry); break;
    case FUSE_GETATTR: CALL(getattr, AS(fuse_getattr_in), out, &answer->body.attr); break;
    case FUSE_SETATTR: CALL(setattr, AS(fuse_setattr_in), out, &answer->body.attr); break;
    case FUSE_RELEASE: CALL(release, AS(fuse_release_in), out); break;
    case FUSE_RELEASEDIR: CALL(releasedir, AS(fuse_release_in), out); break;
    case FUSE_FLUSH: CALL(flush, AS(fuse_flush_in), out); break;
    case FUSE_FORGET: CALL(forget, AS(fuse_forget_in)); break;
    case FUSE_STATFS: CALL(statfs, out, &answer->body.statfs); break;
    case FUSE_UNLINK: CALL(unlink, from, out); break;
    case FUSE_RMDIR: CALL(rmdir, from, out); break;
    case FUSE_REMOVEXATTR: CALL(removexattr, from, out); break;
    case FUSE_GETXATTR: CALL(getxattr, AS(fuse_getxattr_in), from, out, &answer->body.xattr, to); break;
    case FUSE_SETXATTR: CALL(setxattr, AS(fuse_setxattr_in), from, out); break;
    case FUSE_LISTXATTR: CALL(listxattr, AS(fuse_getxattr_in), out, &answer->body.xattr, to); break;
    case FUSE_RENAME: CALL(rename, AS(fuse_rename_in), from, out); break;
    case FUSE_RENAME2: CALL(rename2, AS(fuse_rename2_in), from, out); break;
    case FUSE_READLINK: CALL(readlink, out, to); break;
    case FUSE_FSYNC: CALL(fsync, AS(fuse_fsync_in), out); break;
    case FUSE_FALLOCATE: CALL(fallocate, AS(fuse_fallocate_in), out); break;
    case FUSE_SYNCFS: CALL(syncfs, AS(fuse_syncfs_in), out); break;
    default: CALL(ioctl, AS(fuse_ioctl_in), from, out, &answer->body.ioctl, to); break;
    }
}

/* ---- the program's side ------------------------------------------------------------------------------------------------ */

doca_error_t doca_devemu_vfs_io_create(struct doca_devemu_vfs_dev *dev, struct doca_pe *pe, struct doca_devemu_vfs_io **io)
{
    if (dev->io != NULL)
        return DOCA_ERROR_FULL;
    *io = calloc(1, sizeof(**io));
    if (*io == NULL)
        return DOCA_ERROR_NO_MEMORY;
    (*io)->ctx = (struct doca_ctx){.kind = CTX_IO, .pe = pe};
    (*io)->dev = dev;
    dev->io = *io;
    pe->io = *io;
    return DOCA_SUCCESS;
}

static void end(struct emulated_pending *p, doca_error_t status)
{
    p->answer->status = status;
    p->done = true;
    pthread_cond_broadcast(&emulated_done);
}

doca_error_t doca_devemu_vfs_io_destroy(struct doca_devemu_vfs_io *io)
{
    if (io->ctx.state != DOCA_CTX_STATE_IDLE)
        return DOCA_ERROR_IN_USE;
    pthread_mutex_lock(&emulated);
    while (io->first != NULL) {
        struct emulated_pending *p = io->first;

        io->first = p->next;
        end(p, DOCA_ERROR_SHUTDOWN);
    }
    io->dev->io = NULL;
    io->ctx.pe->io = NULL;
    pthread_mutex_unlock(&emulated);
    free(io);
    return DOCA_SUCCESS;
}

struct doca_ctx *doca_devemu_vfs_io_as_ctx(struct doca_devemu_vfs_io *io)
{
    return &io->ctx;
}

struct doca_devemu_vfs_io *doca_devemu_vfs_fuse_req_get_vfs_io(const struct doca_devemu_vfs_fuse_req *req)
{
    return req->of->io;
}

doca_error_t doca_devemu_vfs_fuse_req_get_datain_data_len(const struct doca_devemu_vfs_fuse_req *req, uint32_t *length)
{
    *length = req->of->given_size;
    return DOCA_SUCCESS;
}

doca_error_t doca_devemu_vfs_fuse_req_get_dataout_data_len(const struct doca_devemu_vfs_fuse_req *req, uint32_t *length)
{
    *length = req->of->room;
    return DOCA_SUCCESS;
}

void doca_devemu_vfs_fuse_req_complete(struct doca_devemu_vfs_fuse_req *req, doca_error_t status)
{
    struct emulated_pending *p = req->of;

    pthread_mutex_lock(&emulated);
    if (!p->handed || p->done)
        violation("opcode %u was completed twice", p->opcode);
    if (status == DOCA_SUCCESS && !p->forgets && (p->out.len < sizeof(p->out) || p->out.unique != p->in.unique))
        violation("opcode %u was completed without an answer", p->opcode);
    p->answer->error = p->forgets ? 0 : p->out.error;
    p->answer->length = p->out.len;
    for (int i = 0; i < 4; i++)
        p->answer->got += (uint32_t)p->to[i].used;
    memcpy(p->answer->data, p->back, p->answer->got);
    memset(p->user, 0xdd, emulated_user_size);
    p->io->held--;
    if (p->io->held == 0 && p->io->ctx.state == DOCA_CTX_STATE_STOPPING)
        p->io->ctx.state = DOCA_CTX_STATE_IDLE;
    end(p, status);
    pthread_mutex_unlock(&emulated);
}

/* ---- the guest's side -------------------------------------------------------------------------------------------------- */

bool progress_request(struct doca_devemu_vfs_io *io)
{
    struct emulated_pending *p = io->first;
    void (*handler)(void);

    if (p == NULL || io->ctx.state != DOCA_CTX_STATE_RUNNING)
        return false;
    io->first = p->next;
    if (io->first == NULL)
        io->last = NULL;
    io->held++;
    p->handed = true;
    handler = p->opcode < HANDLERS ? io->handlers[p->opcode] : NULL;
    if (handler == NULL) {
        /* Nothing is published about it: here the guest is told that there is no such operation. */
        violation("no handler for opcode %u", p->opcode);
        p->answer->error = -38;
        io->held--;
        end(p, DOCA_SUCCESS);
        return true;
    }
    pthread_mutex_unlock(&emulated);
    hand_over(p, handler);
    pthread_mutex_lock(&emulated);
    return true;
}

struct emulated_pending *emulated_send(const char *vuid, const struct emulated_request *request)
{
    struct doca_devemu_vfs_dev *dev = emulated_devices;
    uint32_t pieces = request->pieces == 0 ? 1 : request->pieces, each;
    struct emulated_pending *p;

    pthread_mutex_lock(&emulated);
    while (dev != NULL && strcmp(dev->vuid, vuid) != 0)
        dev = dev->next;
    if (dev == NULL || dev->io == NULL || dev->io->ctx.state != DOCA_CTX_STATE_RUNNING || pieces > 4) {
        pthread_mutex_unlock(&emulated);
        return NULL;
    }
    p = calloc(1, sizeof(*p));
    p->request.of = p;
    p->io = dev->io;
    p->opcode = request->opcode;
    p->forgets = request->opcode == FUSE_FORGET;
    p->in = (struct fuse_in_header){.len = sizeof(p->in) + request->arg_size + request->given_size, .opcode = request->opcode,
                                    .unique = ++unique, .nodeid = request->nodeid, .uid = request->uid, .gid = request->gid,
                                    .pid = request->pid};
    if (request->arg != NULL)
        memcpy(p->arg.octets, request->arg, request->arg_size);
    p->given_size = request->given_size;
    p->given = calloc(1, request->given_size + 1);
    if (request->given != NULL)
        memcpy(p->given, request->given, request->given_size);
    p->from = (struct doca_buf){.real = p->given, .length = request->given_size, .used = request->given_size, .references = 1,
                                .guest = true};
    if (request->later != NULL) {
        p->later = calloc(1, request->given_size + 1);
        memcpy(p->later, request->later, request->given_size);
        p->changed = (struct doca_buf){.real = p->later, .guest = true};
        p->from.next = &p->changed;
    }
    p->room = request->room;
    p->back = calloc(1, request->room + 1);
    each = request->room / pieces;
    for (uint32_t i = 0; i < pieces; i++)
        p->to[i] = (struct doca_buf){.real = p->back + i * each, .length = i + 1 < pieces ? each : request->room - i * each,
                                     .references = 1, .guest = true, .next = i + 1 < pieces ? &p->to[i + 1] : NULL};
    p->user = calloc(1, emulated_user_size);
    p->answer = calloc(1, sizeof(*p->answer));
    if (dev->io->last != NULL)
        dev->io->last->next = p;
    else
        dev->io->first = p;
    dev->io->last = p;
    pthread_mutex_unlock(&emulated);
    return p;
}

void emulated_wait(struct emulated_pending *p, struct emulated_answer *answer)
{
    pthread_mutex_lock(&emulated);
    while (!p->done)
        pthread_cond_wait(&emulated_done, &emulated);
    pthread_mutex_unlock(&emulated);
    *answer = *p->answer;
    free(p->given);
    free(p->later);
    free(p->back);
    free(p->user);
    free(p->answer);
    free(p);
}

void emulated_ask(const char *vuid, const struct emulated_request *request, struct emulated_answer *answer)
{
    struct emulated_pending *p = emulated_send(vuid, request);

    if (p == NULL) {
        memset(answer, 0, offsetof(struct emulated_answer, data));
        answer->status = DOCA_ERROR_NOT_CONNECTED;
        return;
    }
    emulated_wait(p, answer);
}
