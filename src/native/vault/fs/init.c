/*
 * What the kernel is told at the beginning of a session, beyond what libfuse says. The answer to INIT goes out through here, the first of
 * its size; a notification may leave before it, and is none. libfuse 3.14 has no word for files that are handed over, and forgets to say
 * that requests about one directory may come at once, which it was asked for (FUSE_CAP_PARALLEL_DIROPS). What a kernel does not know, it
 * passes over.
 */
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vaultfs.h"

/* Of linux/fuse.h from 7.40 on. */
#define INIT_EXT (1u << 30)
#define INIT_PASSTHROUGH_HIGH (1u << (37 - 32))
/* No file system that lies on others may be below one that hands over; overlays may still lie on this one. */
#define STACK_DEPTH 1u

struct init_out {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_gran;
    uint16_t max_pages, map_alignment;
    uint32_t flags_high, max_stack_depth, unused[6];
};

static ssize_t send_answer(int fd, struct iovec *iov, int count, void *data)
{
    struct volume *volume = data;
    struct iovec parts[2];
    struct init_out init;

    if (atomic_load(&volume->greeted) || count != 2 || iov[1].iov_len != sizeof(init) || atomic_exchange(&volume->greeted, true))
        return writev(fd, iov, count);
    memcpy(&init, iov[1].iov_base, sizeof(init));
    init.flags |= FUSE_PARALLEL_DIROPS;
    if (volume->lasts) {
        init.flags |= INIT_EXT;
        init.flags_high |= INIT_PASSTHROUGH_HIGH;
        init.max_stack_depth = STACK_DEPTH;
    }
    parts[0] = iov[0];
    parts[1] = (struct iovec){&init, sizeof(init)};
    return writev(fd, parts, 2);
}

/* libfuse wants one; requests are read by loop.c. */
static ssize_t take_request(int fd, void *buffer, size_t room, void *data)
{
    (void)data;
    return read(fd, buffer, room);
}

static ssize_t send_pipe(int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned int flags, void *data)
{
    (void)data;
    return splice(from, from_at, to, to_at, size, flags);
}

int init_begin(struct volume *volume)
{
    static const struct fuse_custom_io io = {.writev = send_answer, .read = take_request, .splice_send = send_pipe};

    return fuse_session_custom_io(volume->session, &io, fuse_session_fd(volume->session));
}
