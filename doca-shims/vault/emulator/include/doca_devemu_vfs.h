/*
 * DevEmu virtio-fs as far as Sluice's shim calls it: our own words for the calls that NVIDIA's published samples make (the names
 * and the order of arguments are facts; no text of NVIDIA's headers is here). The library asks a handler for every FUSE request
 * of the guest; a handler fills the answer in and completes the request, at once or later.
 */
#ifndef DOCA_DEVEMU_VFS_H_
#define DOCA_DEVEMU_VFS_H_

#include <linux/fuse.h>
#include <stdint.h>

#include "doca_dev.h"
#include "doca_error.h"
#include "doca_types.h"

struct doca_buf;
struct doca_ctx;
struct doca_pe;
struct doca_devemu_pci_type;
struct doca_devemu_virtio_dev;
struct doca_devemu_vfs_cfg;
struct doca_devemu_vfs_type;
struct doca_devemu_vfs_dev;
struct doca_devemu_vfs_io;
struct doca_devemu_vfs_fuse_req;

#define DOCA_VFS_TAG_SIZE 21
enum doca_devemu_vfs_fuse_client_arch { DOCA_DEVEMU_VFS_FUSE_CLIENT_ARCH_X86_64 = 0 };

/* ---- library and functions --------------------------------------------------------------------------------------------- */

doca_error_t doca_devemu_vfs_cfg_create(struct doca_devemu_vfs_cfg **cfg);
doca_error_t doca_devemu_vfs_cfg_destroy(struct doca_devemu_vfs_cfg *cfg);
doca_error_t doca_devemu_vfs_cfg_add_dev(struct doca_devemu_vfs_cfg *cfg, struct doca_dev *dev);
doca_error_t doca_devemu_vfs_cfg_set_vfs_fuse_req_user_data_size(struct doca_devemu_vfs_cfg *cfg, uint32_t size);
doca_error_t doca_devemu_vfs_init(const struct doca_devemu_vfs_cfg *cfg);
doca_error_t doca_devemu_vfs_teardown(void);

doca_error_t doca_devemu_vfs_is_default_vfs_type_supported(const struct doca_devinfo *info, uint8_t *supported);
doca_error_t doca_devemu_vfs_find_default_vfs_type_by_dev(struct doca_dev *dev, const struct doca_devemu_vfs_type **type);
const struct doca_devemu_pci_type *doca_devemu_vfs_type_as_pci_type(const struct doca_devemu_vfs_type *type);
doca_error_t doca_devemu_pci_type_create_rep_list(const struct doca_devemu_pci_type *type, struct doca_devinfo_rep ***list,
                                                  uint32_t *count);

doca_error_t doca_devemu_vfs_dev_create(const struct doca_devemu_vfs_type *type, struct doca_dev_rep *rep, struct doca_pe *pe,
                                        struct doca_devemu_vfs_dev **dev);
doca_error_t doca_devemu_vfs_dev_destroy(struct doca_devemu_vfs_dev *dev);
struct doca_ctx *doca_devemu_vfs_dev_as_ctx(struct doca_devemu_vfs_dev *dev);
struct doca_devemu_virtio_dev *doca_devemu_vfs_dev_as_virtio_dev(struct doca_devemu_vfs_dev *dev);
doca_error_t doca_devemu_vfs_dev_set_tag(struct doca_devemu_vfs_dev *dev, const char *tag);
doca_error_t doca_devemu_vfs_dev_set_num_request_queues(struct doca_devemu_vfs_dev *dev, uint32_t count);
doca_error_t doca_devemu_vfs_dev_set_fuse_client_arch(struct doca_devemu_vfs_dev *dev, enum doca_devemu_vfs_fuse_client_arch arch);
doca_error_t doca_devemu_virtio_dev_set_num_required_running_virtio_io_ctxs(struct doca_devemu_virtio_dev *dev, uint32_t count);
doca_error_t doca_devemu_virtio_dev_set_num_queues(struct doca_devemu_virtio_dev *dev, uint16_t count);
doca_error_t doca_devemu_virtio_dev_set_queue_size(struct doca_devemu_virtio_dev *dev, uint16_t size);

/* ---- requests ---------------------------------------------------------------------------------------------------------- */

doca_error_t doca_devemu_vfs_io_create(struct doca_devemu_vfs_dev *dev, struct doca_pe *pe, struct doca_devemu_vfs_io **io);
doca_error_t doca_devemu_vfs_io_destroy(struct doca_devemu_vfs_io *io);
struct doca_ctx *doca_devemu_vfs_io_as_ctx(struct doca_devemu_vfs_io *io);

struct doca_devemu_vfs_io *doca_devemu_vfs_fuse_req_get_vfs_io(const struct doca_devemu_vfs_fuse_req *req);
doca_error_t doca_devemu_vfs_fuse_req_get_datain_data_len(const struct doca_devemu_vfs_fuse_req *req, uint32_t *length);
doca_error_t doca_devemu_vfs_fuse_req_get_dataout_data_len(const struct doca_devemu_vfs_fuse_req *req, uint32_t *length);
void doca_devemu_vfs_fuse_req_complete(struct doca_devemu_vfs_fuse_req *req, doca_error_t status);

/* What each handler is given: the header, the operation's own structure, the buffer of names or payload, where the answer goes,
 * its structures, and the buffer of what is read; each where the operation has it. */
#define VFS_HANDLER(op, ...) \
    typedef void (*doca_devemu_vfs_fuse_##op##_req_handler_t)(struct doca_devemu_vfs_fuse_req *, void *, __VA_ARGS__); \
    doca_error_t doca_devemu_vfs_io_event_vfs_fuse_##op##_req_handler_register(struct doca_devemu_vfs_io *, \
                                                                               doca_devemu_vfs_fuse_##op##_req_handler_t)
#define VFS_IN struct fuse_in_header *
#define VFS_OUT struct fuse_out_header *
#define VFS_BUF struct doca_buf *

VFS_HANDLER(init, VFS_IN, struct fuse_init_in *, VFS_OUT, struct fuse_init_out *);
VFS_HANDLER(destroy, VFS_IN, VFS_OUT);
VFS_HANDLER(lookup, VFS_IN, VFS_BUF, VFS_OUT, struct fuse_entry_out *);
VFS_HANDLER(create, VFS_IN, struct fuse_create_in *, VFS_BUF, VFS_OUT, struct fuse_entry_out *, struct fuse_open_out *);
VFS_HANDLER(open, VFS_IN, struct fuse_open_in *, VFS_OUT, struct fuse_open_out *);
VFS_HANDLER(read, VFS_IN, struct fuse_read_in *, VFS_OUT, VFS_BUF);
VFS_HANDLER(write, VFS_IN, struct fuse_write_in *, VFS_BUF, VFS_OUT, struct fuse_write_out *);
VFS_HANDLER(mknod, VFS_IN, struct fuse_mknod_in *, VFS_BUF, VFS_OUT, struct fuse_entry_out *);
VFS_HANDLER(readdir, VFS_IN, struct fuse_read_in *, VFS_OUT, VFS_BUF);
VFS_HANDLER(readdirplus, VFS_IN, struct fuse_read_in *, VFS_OUT, VFS_BUF);
VFS_HANDLER(getattr, VFS_IN, struct fuse_getattr_in *, VFS_OUT, struct fuse_attr_out *);
VFS_HANDLER(setattr, VFS_IN, struct fuse_setattr_in *, VFS_OUT, struct fuse_attr_out *);
VFS_HANDLER(release, VFS_IN, struct fuse_release_in *, VFS_OUT);
VFS_HANDLER(releasedir, VFS_IN, struct fuse_release_in *, VFS_OUT);
VFS_HANDLER(opendir, VFS_IN, struct fuse_open_in *, VFS_OUT, struct fuse_open_out *);
VFS_HANDLER(flush, VFS_IN, struct fuse_flush_in *, VFS_OUT);
VFS_HANDLER(forget, VFS_IN, struct fuse_forget_in *);
VFS_HANDLER(statfs, VFS_IN, VFS_OUT, struct fuse_statfs_out *);
VFS_HANDLER(unlink, VFS_IN, VFS_BUF, VFS_OUT);
VFS_HANDLER(getxattr, VFS_IN, struct fuse_getxattr_in *, VFS_BUF, VFS_OUT, struct fuse_getxattr_out *, VFS_BUF);
VFS_HANDLER(setxattr, VFS_IN, struct fuse_setxattr_in *, VFS_BUF, VFS_OUT);
VFS_HANDLER(listxattr, VFS_IN, struct fuse_getxattr_in *, VFS_OUT, struct fuse_getxattr_out *, VFS_BUF);
VFS_HANDLER(removexattr, VFS_IN, VFS_BUF, VFS_OUT);
VFS_HANDLER(mkdir, VFS_IN, struct fuse_mkdir_in *, VFS_BUF, VFS_OUT, struct fuse_entry_out *);
VFS_HANDLER(rmdir, VFS_IN, VFS_BUF, VFS_OUT);
VFS_HANDLER(rename, VFS_IN, struct fuse_rename_in *, VFS_BUF, VFS_OUT);
VFS_HANDLER(rename2, VFS_IN, struct fuse_rename2_in *, VFS_BUF, VFS_OUT);
VFS_HANDLER(readlink, VFS_IN, VFS_OUT, VFS_BUF);
VFS_HANDLER(symlink, VFS_IN, VFS_BUF, VFS_OUT, struct fuse_entry_out *);
VFS_HANDLER(link, VFS_IN, struct fuse_link_in *, VFS_BUF, VFS_OUT, struct fuse_entry_out *);
VFS_HANDLER(fsync, VFS_IN, struct fuse_fsync_in *, VFS_OUT);
VFS_HANDLER(fallocate, VFS_IN, struct fuse_fallocate_in *, VFS_OUT);
VFS_HANDLER(syncfs, VFS_IN, struct fuse_syncfs_in *, VFS_OUT);
VFS_HANDLER(ioctl, VFS_IN, struct fuse_ioctl_in *, VFS_BUF, VFS_OUT, struct fuse_ioctl_out *, VFS_BUF);

#endif
