/*
 * The names that src/native/vault/fs is written to, for a build without libfuse: what it asks of whoever brings it requests and
 * takes its answers away. On a node that is libfuse; here it is src/reply.c, which answers into the structures of virtio-fs. Only
 * what is used is declared.
 */
#ifndef SLUICE_FUSE_LOWLEVEL_H
#define SLUICE_FUSE_LOWLEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#define FUSE_ROOT_ID 1

typedef uint64_t fuse_ino_t;
typedef struct fuse_req *fuse_req_t;
struct fuse_session;

struct fuse_ctx {
    uid_t uid;
    gid_t gid;
    pid_t pid;
};
struct fuse_entry_param {
    fuse_ino_t ino;
    uint64_t generation;
    struct stat attr;
    double attr_timeout, entry_timeout;
};
struct fuse_file_info {
    int flags;
    unsigned int keep_cache : 1, noflush : 1, direct_io : 1; /* here everything is direct */
    uint64_t fh;
};
struct fuse_forget_data {
    fuse_ino_t ino;
    uint64_t nlookup;
};

enum { FUSE_BUF_IS_FD = 1, FUSE_BUF_FD_SEEK = 2, FUSE_BUF_SPLICE_MOVE = 4 };
struct fuse_bufvec {
    struct {
        size_t size;
        int flags, fd;
        off_t pos;
    } buf[1];
};
#define FUSE_BUFVEC_INIT(of) {.buf = {{.size = (of), .flags = 0, .fd = -1, .pos = 0}}}

/* The bits of fuse_setattr_in.valid, which are numbers of the protocol. */
#define FUSE_SET_ATTR_MODE (1 << 0)
#define FUSE_SET_ATTR_UID (1 << 1)
#define FUSE_SET_ATTR_GID (1 << 2)
#define FUSE_SET_ATTR_SIZE (1 << 3)
#define FUSE_SET_ATTR_ATIME (1 << 4)
#define FUSE_SET_ATTR_MTIME (1 << 5)
#define FUSE_SET_ATTR_ATIME_NOW (1 << 7)
#define FUSE_SET_ATTR_MTIME_NOW (1 << 8)

struct fuse_lowlevel_ops {
    void (*lookup)(fuse_req_t, fuse_ino_t parent, const char *name);
    void (*forget)(fuse_req_t, fuse_ino_t, uint64_t lookups);
    void (*forget_multi)(fuse_req_t, size_t count, struct fuse_forget_data *);
    void (*getattr)(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
    void (*setattr)(fuse_req_t, fuse_ino_t, struct stat *, int set, struct fuse_file_info *);
    void (*readlink)(fuse_req_t, fuse_ino_t);
    void (*mknod)(fuse_req_t, fuse_ino_t parent, const char *name, mode_t, dev_t);
    void (*mkdir)(fuse_req_t, fuse_ino_t parent, const char *name, mode_t);
    void (*unlink)(fuse_req_t, fuse_ino_t parent, const char *name);
    void (*rmdir)(fuse_req_t, fuse_ino_t parent, const char *name);
    void (*symlink)(fuse_req_t, const char *target, fuse_ino_t parent, const char *name);
    void (*rename)(fuse_req_t, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname, unsigned int flags);
    void (*link)(fuse_req_t, fuse_ino_t, fuse_ino_t parent, const char *name);
    void (*open)(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
    void (*create)(fuse_req_t, fuse_ino_t parent, const char *name, mode_t, struct fuse_file_info *);
    void (*release)(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
    void (*read)(fuse_req_t, fuse_ino_t, size_t size, off_t offset, struct fuse_file_info *);
    void (*write)(fuse_req_t, fuse_ino_t, const char *from, size_t size, off_t offset, struct fuse_file_info *);
    void (*fsync)(fuse_req_t, fuse_ino_t, int datasync, struct fuse_file_info *);
    void (*fallocate)(fuse_req_t, fuse_ino_t, int mode, off_t offset, off_t length, struct fuse_file_info *);
    void (*copy_file_range)(fuse_req_t, fuse_ino_t, off_t, struct fuse_file_info *, fuse_ino_t, off_t, struct fuse_file_info *,
                            size_t, int flags);
    void (*lseek)(fuse_req_t, fuse_ino_t, off_t, int whence, struct fuse_file_info *);
    void (*ioctl)(fuse_req_t, fuse_ino_t, unsigned int command, void *, struct fuse_file_info *, unsigned flags, const void *in,
                  size_t in_size, size_t out_size);
    void (*opendir)(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
    void (*readdir)(fuse_req_t, fuse_ino_t, size_t size, off_t offset, struct fuse_file_info *);
    void (*readdirplus)(fuse_req_t, fuse_ino_t, size_t size, off_t offset, struct fuse_file_info *);
    void (*releasedir)(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
    void (*fsyncdir)(fuse_req_t, fuse_ino_t, int datasync, struct fuse_file_info *);
    void (*statfs)(fuse_req_t, fuse_ino_t);
    void (*getxattr)(fuse_req_t, fuse_ino_t, const char *name, size_t size);
    void (*listxattr)(fuse_req_t, fuse_ino_t, size_t size);
    void (*setxattr)(fuse_req_t, fuse_ino_t, const char *name, const char *value, size_t size, int flags);
    void (*removexattr)(fuse_req_t, fuse_ino_t, const char *name);
};

void *fuse_req_userdata(fuse_req_t req);
const struct fuse_ctx *fuse_req_ctx(fuse_req_t req);

/* Each answers once. 0, or -ENOENT when nobody takes the answer and what it holds has to be given back. */
int fuse_reply_err(fuse_req_t req, int error);
void fuse_reply_none(fuse_req_t req);
int fuse_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry);
int fuse_reply_create(fuse_req_t req, const struct fuse_entry_param *entry, const struct fuse_file_info *info);
int fuse_reply_attr(fuse_req_t req, const struct stat *attr, double timeout);
int fuse_reply_open(fuse_req_t req, const struct fuse_file_info *info);
int fuse_reply_write(fuse_req_t req, size_t count);
int fuse_reply_buf(fuse_req_t req, const char *from, size_t size);
int fuse_reply_data(fuse_req_t req, struct fuse_bufvec *from, int flags);
int fuse_reply_readlink(fuse_req_t req, const char *target);
int fuse_reply_statfs(fuse_req_t req, const struct statvfs *found);
int fuse_reply_xattr(fuse_req_t req, size_t count);
int fuse_reply_ioctl(fuse_req_t req, int result, const void *from, size_t size);
int fuse_reply_lseek(fuse_req_t req, off_t found);

/* The octets that the entry needs; written only where `room` is enough. */
size_t fuse_add_direntry(fuse_req_t req, char *text, size_t room, const char *name, const struct stat *attr, off_t next);
size_t fuse_add_direntry_plus(fuse_req_t req, char *text, size_t room, const char *name, const struct fuse_entry_param *entry,
                              off_t next);

#endif
