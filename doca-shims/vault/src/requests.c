/*
 * Requests of a guest, as they arrive. Each handler copies the words that it is given and puts the request in line; what is longer
 * than anything that may be asked becomes an operation that there is none for.
 */
#include <string.h>

#include "vault_device.h"

/* The device of an io context is its user data. */
static struct fuse_req *begin(struct doca_devemu_vfs_fuse_req *request, void *memory, const struct fuse_in_header *in)
{
    struct fuse_req *req = memory;
    union doca_data data = {0};

    doca_ctx_get_user_data(doca_devemu_vfs_io_as_ctx(doca_devemu_vfs_fuse_req_get_vfs_io(request)), &data);
    memset(req, 0, sizeof(*req));
    req->device = data.ptr;
    req->request = request;
    req->in = *in;
    req->context = (struct fuse_ctx){.uid = in->uid, .gid = in->gid, .pid = (pid_t)in->pid};
    return req;
}

static void arrive(struct fuse_req *req, struct doca_buf *from, struct fuse_out_header *out, void *body, void *more,
                   struct doca_buf *to)
{
    req->from = from;
    req->out = out;
    req->body = body;
    req->more = more;
    req->to = to;
    if (from != NULL)
        doca_devemu_vfs_fuse_req_get_datain_data_len(req->request, &req->given);
    if (to != NULL)
        doca_devemu_vfs_fuse_req_get_dataout_data_len(req->request, &req->room);
    if (req->given > SLOT_SIZE - 1) {
        req->from = NULL;
        req->given = 0;
        req->in.opcode = 0; /* longer than anything that may be asked */
    }
    order_arrive(req);
}

#define REQ struct doca_devemu_vfs_fuse_req *request, void *memory, struct fuse_in_header *in
#define ARG(field) \
    struct fuse_req *req = begin(request, memory, in); \
    req->arg.field = *arg
#define PLAIN struct fuse_req *req = begin(request, memory, in)

#define ON_ARG(op, field, type) \
    static void on_##op(REQ, struct type *arg, struct fuse_out_header *out) { ARG(field); arrive(req, NULL, out, NULL, NULL, NULL); }
#define ON_ARG_BODY(op, field, type, body_type) \
    static void on_##op(REQ, struct type *arg, struct fuse_out_header *out, struct body_type *body) \
    { ARG(field); arrive(req, NULL, out, body, NULL, NULL); }
#define ON_ARG_TO(op, field, type) \
    static void on_##op(REQ, struct type *arg, struct fuse_out_header *out, struct doca_buf *to) \
    { ARG(field); arrive(req, NULL, out, NULL, NULL, to); }
#define ON_FROM(op) \
    static void on_##op(REQ, struct doca_buf *from, struct fuse_out_header *out) { PLAIN; arrive(req, from, out, NULL, NULL, NULL); }
#define ON_FROM_ENTRY(op) \
    static void on_##op(REQ, struct doca_buf *from, struct fuse_out_header *out, struct fuse_entry_out *body) \
    { PLAIN; arrive(req, from, out, body, NULL, NULL); }
#define ON_ARG_FROM(op, field, type) \
    static void on_##op(REQ, struct type *arg, struct doca_buf *from, struct fuse_out_header *out) \
    { ARG(field); arrive(req, from, out, NULL, NULL, NULL); }
#define ON_ARG_FROM_BODY(op, field, type, body_type) \
    static void on_##op(REQ, struct type *arg, struct doca_buf *from, struct fuse_out_header *out, struct body_type *body) \
    { ARG(field); arrive(req, from, out, body, NULL, NULL); }
#define ON_ARG_FROM_BODY_TO(op, field, type, body_type) \
    static void on_##op(REQ, struct type *arg, struct doca_buf *from, struct fuse_out_header *out, struct body_type *body, \
                        struct doca_buf *to) \
    { ARG(field); arrive(req, from, out, body, NULL, to); }

ON_ARG_BODY(init, init, fuse_init_in, fuse_init_out)
ON_FROM_ENTRY(lookup)
ON_ARG_BODY(open, open, fuse_open_in, fuse_open_out)
ON_ARG_BODY(opendir, open, fuse_open_in, fuse_open_out)
ON_ARG_TO(read, read, fuse_read_in)
ON_ARG_TO(readdir, read, fuse_read_in)
ON_ARG_TO(readdirplus, read, fuse_read_in)
ON_ARG_FROM_BODY(write, write, fuse_write_in, fuse_write_out)
ON_ARG_FROM_BODY(mknod, mknod, fuse_mknod_in, fuse_entry_out)
ON_ARG_FROM_BODY(mkdir, mkdir, fuse_mkdir_in, fuse_entry_out)
ON_ARG_FROM_BODY(link, link, fuse_link_in, fuse_entry_out)
ON_ARG_BODY(getattr, getattr, fuse_getattr_in, fuse_attr_out)
ON_ARG_BODY(setattr, setattr, fuse_setattr_in, fuse_attr_out)
ON_ARG(release, release, fuse_release_in)
ON_ARG(releasedir, release, fuse_release_in)
ON_ARG(fsync, fsync, fuse_fsync_in)
ON_ARG(fallocate, fallocate, fuse_fallocate_in)
ON_FROM(unlink)
ON_FROM(rmdir)
ON_FROM(removexattr)
ON_FROM_ENTRY(symlink)
ON_ARG_FROM(setxattr, setxattr, fuse_setxattr_in)
ON_ARG_FROM(rename, rename, fuse_rename_in)
ON_ARG_FROM(rename2, rename2, fuse_rename2_in)
ON_ARG_FROM_BODY_TO(getxattr, getxattr, fuse_getxattr_in, fuse_getxattr_out)
ON_ARG_FROM_BODY_TO(ioctl, ioctl, fuse_ioctl_in, fuse_ioctl_out)

static void on_create(REQ, struct fuse_create_in *arg, struct doca_buf *from, struct fuse_out_header *out,
                      struct fuse_entry_out *body, struct fuse_open_out *more)
{
    ARG(create);
    arrive(req, from, out, body, more, NULL);
}

static void on_listxattr(REQ, struct fuse_getxattr_in *arg, struct fuse_out_header *out, struct fuse_getxattr_out *body,
                         struct doca_buf *to)
{
    ARG(getxattr);
    arrive(req, NULL, out, body, NULL, to);
}

static void on_readlink(REQ, struct fuse_out_header *out, struct doca_buf *to)
{
    PLAIN;
    arrive(req, NULL, out, NULL, NULL, to);
}

static void on_statfs(REQ, struct fuse_out_header *out, struct fuse_statfs_out *body)
{
    PLAIN;
    arrive(req, NULL, out, body, NULL, NULL);
}

static void on_destroy(REQ, struct fuse_out_header *out)
{
    PLAIN;
    arrive(req, NULL, out, NULL, NULL, NULL);
}

static void on_flush(REQ, struct fuse_flush_in *arg, struct fuse_out_header *out)
{
    PLAIN;
    (void)arg;
    arrive(req, NULL, out, NULL, NULL, NULL);
}

static void on_syncfs(REQ, struct fuse_syncfs_in *arg, struct fuse_out_header *out)
{
    PLAIN;
    (void)arg;
    arrive(req, NULL, out, NULL, NULL, NULL);
}

static void on_forget(REQ, struct fuse_forget_in *arg)
{
    ARG(forget);
    arrive(req, NULL, NULL, NULL, NULL, NULL);
}

#define REGISTER(op) DOCA_ERROR_PROPAGATE(error, doca_devemu_vfs_io_event_vfs_fuse_##op##_req_handler_register(io, on_##op))

doca_error_t requests_register(struct doca_devemu_vfs_io *io)
{
    doca_error_t error = DOCA_SUCCESS;

    REGISTER(init); REGISTER(destroy); REGISTER(lookup); REGISTER(create); REGISTER(open); REGISTER(read); REGISTER(write);
    REGISTER(mknod); REGISTER(readdir); REGISTER(readdirplus); REGISTER(getattr); REGISTER(setattr); REGISTER(release);
    REGISTER(releasedir); REGISTER(opendir); REGISTER(flush); REGISTER(forget); REGISTER(statfs); REGISTER(unlink);
    REGISTER(getxattr); REGISTER(setxattr); REGISTER(listxattr); REGISTER(removexattr); REGISTER(mkdir); REGISTER(rmdir);
    REGISTER(rename); REGISTER(rename2); REGISTER(readlink); REGISTER(symlink); REGISTER(link); REGISTER(fsync);
    REGISTER(fallocate); REGISTER(syncfs); REGISTER(ioctl);
    return error;
}
