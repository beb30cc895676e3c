/*
 * Ways to read what the rules of a volume hide, and to change what they only let read, by what a process has and not by names:
 * descriptors and mappings from before it was fenced or from somebody else, rings and queues of the kernel, handles, sockets that lie on
 * the volume, calls of 32-bit programs, and a directory that folds case. First with the node's own root, then as an ordinary user.
 *
 * Arguments: the cgroup's cgroup.procs, the volume, a socket from which a helper outside hands over an open token, and a second volume,
 * all of which may be read, with a directory Docs that folds case. Helpers outside listen at `ear` and, for datagrams, at `ear-d` in
 * project, project/.secrets and project/out.
 */
#include "file-ways.h"

#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/xattr.h>

static const char *helper, *folding;
/* Open or mapped before the cgroup was joined. */
static int held_token, held_main, held_folder, held_plain;
static void *map_of_main, *map_of_token;

/* Descriptors from before. */
static void inherited(void) { lseek(held_token, 0, SEEK_SET); look(held_token); }
static void inherited_mapped(void) { char *text = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, held_token, 0); if (text != MAP_FAILED && strstr(text, "SECRET")) got = 1; }
static void inherited_sent(void) { int ends[2]; off_t from = 0; if (!pipe(ends)) did(sendfile(ends[1], held_token, &from, 7) > 0 ? 0 : -1); }
static void inherited_spliced(void) { int ends[2]; loff_t from = 0; if (!pipe(ends)) did(splice(held_token, &from, ends[1], NULL, 7, 0) > 0 ? 0 : -1); }
static void inherited_copied(void) { loff_t from = 0; int file = make("project/out/copy"); did(copy_file_range(held_token, &from, file, NULL, 7, 0) > 0 ? 0 : -1); }
static void inherited_reopened(void) { reopen(held_token, O_RDONLY, 0); }
static void inherited_folder(void) { look(openat(held_folder, "token", O_RDONLY)); }
static void inherited_listing(void) { char room[1024]; lseek(held_folder, 0, SEEK_SET); did(syscall(SYS_getdents64, held_folder, room, sizeof(room)) > 0 ? 0 : -1); }
static void inherited_attribute(void) { char room[64]; did(flistxattr(held_token, room, sizeof(room))); }
static void inherited_command(void) { int size; did(ioctl(held_token, FIGETBSZ, &size)); }
static void inherited_queue(void)
{
    static char text[16];
    aio_context_t queue = 0;
    struct iocb read_it = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = held_token, .aio_buf = (unsigned long)text, .aio_nbytes = 6};
    struct iocb *all[] = {&read_it};
    struct io_event done = {};

    if (!syscall(SYS_io_setup, 1, &queue) && syscall(SYS_io_submit, queue, 1, all) == 1 && syscall(SYS_io_getevents, queue, 1, 1, &done, NULL) == 1 && done.res < 0)
        errno = (int)-done.res;
    if (!strncmp(text, "SECRET", 6))
        got = 1;
}
static void inherited_write(void) { did(pwrite(held_main, "x", 1, 0)); }
static void inherited_sent_in(void) { int file = make("project/out/in1"); off_t from = 0; lseek(held_main, 0, SEEK_SET); did(sendfile(held_main, file, &from, 4) > 0 ? 0 : -1); }
static void inherited_spliced_in(void) { int ends[2]; loff_t to = 0; if (!pipe(ends) && write(ends[1], "x", 1) == 1) did(splice(ends[0], NULL, held_main, &to, 1, 0) > 0 ? 0 : -1); }
static void inherited_copied_in(void) { int file = make("project/out/in2"); loff_t from = 0, to = 0; did(copy_file_range(file, &from, held_main, &to, 4, 0) > 0 ? 0 : -1); }
static void inherited_emptied(void) { did(ftruncate(held_main, 0)); }
static void inherited_punched(void) { did(fallocate(held_main, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4)); }
static void inherited_mode(void) { did(fchmod(held_main, 0777)); }
static void inherited_marked(void) { did(fsetxattr(held_plain, "user.x", "x", 1, 0)); }
static void inherited_protected(void) { void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, held_main, 0); did(map == MAP_FAILED ? -1 : mprotect(map, 4096, PROT_READ | PROT_WRITE)); }
static void inherited_for_writing(void) { did(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, held_main, 0) == MAP_FAILED ? -1 : 0); }
/* Mappings from before, of which more is asked. */
static void mapped_then_writable(void) { did(mprotect(map_of_main, 4096, PROT_READ | PROT_WRITE)); }
static void mapped_then_readable(void) { if (!mprotect(map_of_token, 4096, PROT_READ) && strstr(map_of_token, "SECRET")) got = 1; }
static void handed_over(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char one, room[CMSG_SPACE(sizeof(int))] = "";
    struct iovec part = {&one, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    int file = -1, end = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(to.sun_path, sizeof(to.sun_path), "%s", helper);
    if (connect(end, (struct sockaddr *)&to, sizeof(to)) || recvmsg(end, &message, 0) < 0)
        return;
    if (CMSG_FIRSTHDR(&message) && CMSG_FIRSTHDR(&message)->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    else
        errno = EACCES;
    look(file);
}

/* What the kernel writes for a process that dies. */
static void dumped_core(void)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        setrlimit(RLIMIT_CORE, &all);
        if (!chdir(at("project")))
            abort();
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status) && WCOREDUMP(status))
        got = 1;
    /* That refusal has the number of the one that died: once by this one. */
    did(open(at("project/core"), O_WRONLY | O_CREAT, 0600));
}

/* io_uring: done by the kernel's own threads (IOSQE_ASYNC, IORING_SETUP_SQPOLL). Gives what was answered. */
static int ask_ring(unsigned setup, struct io_uring_sqe entry)
{
    struct io_uring_params parameters = {.flags = setup};
    int ring = (int)syscall(SYS_io_uring_setup, 2, &parameters);
    struct io_uring_sqe *entries;
    struct io_uring_cqe *answer;
    char *queue, *done;

    if (ring < 0)
        return -ENOSYS;
    queue = mmap(NULL, parameters.sq_off.array + 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    done = mmap(NULL, parameters.cq_off.cqes + 256, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
    entries = mmap(NULL, 2 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    entries[0] = entry;
    *(unsigned *)(queue + parameters.sq_off.array) = 0;
    __atomic_store_n((unsigned *)(queue + parameters.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS | (setup ? IORING_ENTER_SQ_WAKEUP : 0), NULL, 0) < 0)
        return -errno;
    answer = (struct io_uring_cqe *)(done + parameters.cq_off.cqes);
    errno = answer->res < 0 ? -answer->res : 0;
    return answer->res;
}
#define RING_OPEN {.opcode = IORING_OP_OPENAT, .flags = IOSQE_ASYNC, .fd = AT_FDCWD, .addr = (unsigned long)at(TOKEN), .open_flags = O_RDONLY}
static void by_ring(void) { look(ask_ring(0, (struct io_uring_sqe)RING_OPEN)); }
static void by_polled_ring(void) { look(ask_ring(IORING_SETUP_SQPOLL, (struct io_uring_sqe)RING_OPEN)); }
static void ring_reads(void)
{
    static char text[16];

    ask_ring(0, (struct io_uring_sqe){.opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .fd = held_token, .addr = (unsigned long)text, .len = 6});
    if (!strncmp(text, "SECRET", 6))
        got = 1;
}
static void ring_writes(void) { did(ask_ring(0, (struct io_uring_sqe){.opcode = IORING_OP_WRITE, .fd = held_main, .addr = (unsigned long)"x", .len = 1})); }
static void ring_moves(void) { did(ask_ring(0, (struct io_uring_sqe){.opcode = IORING_OP_RENAMEAT, .fd = AT_FDCWD, .addr = (unsigned long)at(MAIN), .len = (unsigned)AT_FDCWD, .addr2 = (unsigned long)at("project/out/ring")})); }
static void ring_removes(void) { did(ask_ring(0, (struct io_uring_sqe){.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (unsigned long)at(TOKEN)})); }

/* Sockets that lie where nothing may be written. */
static int speak(const char *path, int kind)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int end = socket(AF_UNIX, kind, 0);

    snprintf(to.sun_path, sizeof(to.sun_path), "%.100s", path);
    if (kind == SOCK_STREAM)
        return connect(end, (struct sockaddr *)&to, sizeof(to));
    return sendto(end, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1 ? 0 : -1;
}
static void connect_to_read_only(void) { did(speak(at("project/ear"), SOCK_STREAM)); }
static void connect_to_denied(void) { did(speak(at("project/.secrets/ear"), SOCK_STREAM)); }
static void connect_by_link(void) { if (!symlink("../ear", at("project/out/l-ear"))) did(speak(at("project/out/l-ear"), SOCK_STREAM)); }
static void connect_by_descriptor(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", open(at("project/ear"), O_PATH));
    did(speak(path, SOCK_STREAM));
}
static void send_to_read_only(void) { did(speak(at("project/ear-d"), SOCK_DGRAM)); }
static void send_to_denied(void) { did(speak(at("project/.secrets/ear-d"), SOCK_DGRAM)); }

/* Calls as a 32-bit program makes them, by the kernel's own entry for those; memory that they name lies below 4 GiB. */
static long call_32(long number, long first, long second, long third)
{
    long result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(first), "c"(second), "d"(third)
                     : "memory", "r8", "r9", "r10", "r11");
    errno = result < 0 ? (int)-result : 0;
    return result < 0 ? -1 : result;
}
static char *low(void) { return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0); }
#define OPEN_32 5
#define IOCTL_32 54
static int open_32(const char *path) { return (int)call_32(OPEN_32, (long)strcpy(low(), path), O_RDONLY, 0); }
static void open_by_32_bits(void) { look(open_32(at(TOKEN))); }
static void command_by_32_bits(void) { did(call_32(IOCTL_32, open(at(MAIN), O_RDONLY), FIGETBSZ, (long)low())); }

/* Where two spellings are one file: all of the second volume may be read, and nothing below Docs is. */
static const char *folded(const char *name)
{
    static char path[300];

    snprintf(path, sizeof(path), "%s/%s", folding, name);
    return path;
}
static void folded_as_written(void) { look_at(folded("Docs/Token")); }
static void folded_otherwise(void) { look_at(folded("Docs/tOKEN")); }

/* Of the node's own root, which may more than any workspace. */
static void by_handle_as_root(void)
{
    struct { struct file_handle of; char room[128]; } handle = {.of = {.handle_bytes = 128}};
    int mount, folder = open("/srv", O_RDONLY | O_DIRECTORY);

    if (!name_to_handle_at(AT_FDCWD, at(TOKEN), &handle.of, &mount, 0))
        look(open_by_handle_at(folder, &handle.of, O_RDONLY));
}
/* On a file system with a disk below it, whose entry nobody holds. */
static void by_handle_from_disk(void)
{
    struct { struct file_handle of; char room[128]; } handle = {.of = {.handle_bytes = 128}};
    int mount, folder = open(folding, O_RDONLY | O_DIRECTORY);

    if (name_to_handle_at(AT_FDCWD, folded("Docs/Token"), &handle.of, &mount, 0))
        return;
    write_text("/proc/sys/vm/drop_caches", "3");
    look(open_by_handle_at(folder, &handle.of, O_RDONLY));
}
static void device_as_root(void) { did(mknod(at("project/out/null"), S_IFCHR | 0666, 0x103)); }
static void watch_as_root(void) { did(fanotify_mark(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY), FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, AT_FDCWD, at("project/.secrets"))); }
static void privilege_as_root(void) { did(setxattr(at("project/out/privileged"), "trusted.x", "x", 1, 0)); }
static void by_handle_as_user(void)
{
    struct { struct file_handle of; char room[128]; } handle = {.of = {.handle_bytes = 128}};
    int mount, folder = open(at("project"), O_RDONLY | O_DIRECTORY);

    if (!name_to_handle_at(AT_FDCWD, at(TOKEN), &handle.of, &mount, 0))
        look(open_by_handle_at(folder, &handle.of, O_RDONLY));
}

static const struct way OF_ROOT[] = {
    WAY(by_handle_as_root), WAY(by_handle_from_disk), WAY(device_as_root), WAY(watch_as_root), WAY(privilege_as_root),
};
static const struct way OF_USER[] = {
    WAY(inherited), WAY(inherited_mapped), WAY(inherited_sent), WAY(inherited_spliced), WAY(inherited_copied),
    WAY(inherited_reopened), WAY(inherited_folder), WAY(inherited_listing), WAY(inherited_attribute),
    WAY(inherited_command), WAY(inherited_queue), WAY(inherited_write), WAY(inherited_sent_in), WAY(inherited_spliced_in),
    WAY(inherited_copied_in), WAY(inherited_emptied), WAY(inherited_punched), WAY(inherited_mode), WAY(inherited_marked),
    WAY(inherited_protected), WAY(inherited_for_writing), WAY(mapped_then_writable), WAY(mapped_then_readable),
    WAY(handed_over), WAY(dumped_core), WAY(by_ring), WAY(by_polled_ring), WAY(ring_reads), WAY(ring_writes),
    WAY(connect_to_read_only), WAY(connect_to_denied), WAY(connect_by_link),
    WAY(connect_by_descriptor), WAY(send_to_read_only), WAY(send_to_denied), WAY(open_by_32_bits),
    WAY(command_by_32_bits), WAY(folded_as_written), WAY(folded_otherwise), WAY(by_handle_as_user),
    /* Last, since what they take away the others need. */
    WAY(ring_moves), WAY(ring_removes),
};

/* What is allowed, works: or all of the above would prove nothing. */
static void may_connect(void) { did(speak(at("project/out/ear"), SOCK_STREAM)); }
static void may_send(void) { did(speak(at("project/out/ear-d"), SOCK_DGRAM)); }
static void may_by_ring(void) { did(ask_ring(0, (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)at(MAIN), .open_flags = O_RDONLY})); }
static void may_by_32_bits(void) { did(open_32(at(MAIN))); }
static void may_beside_folding(void) { look_at(folded("plain/token")); }
static const struct way ALLOWED[] = {
    WAY(may_connect), WAY(may_send), WAY(may_by_ring), WAY(may_by_32_bits), WAY(may_beside_folding),
};

int main(int count, char **words)
{
    if (count != 5)
        return 64;
    snprintf(volume, sizeof(volume), "%s", words[2]);
    helper = words[3];
    folding = words[4];
    held_token = open(at(TOKEN), O_RDONLY);
    held_main = open(at(MAIN), O_RDWR);
    held_folder = open(at("project/.secrets"), O_RDONLY | O_DIRECTORY);
    /* Of a file system that has attributes of users. */
    held_plain = open(folded("plain/token"), O_RDWR);
    map_of_main = mmap(NULL, 4096, PROT_READ, MAP_SHARED, held_main, 0);
    map_of_token = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE, held_token, 0);
    if (held_token < 0 || held_main < 0 || held_folder < 0 || held_plain < 0 || map_of_main == MAP_FAILED || map_of_token == MAP_FAILED)
        return 70;
    join(words[1]);
    close(make("project/out/privileged"));
    EACH(OF_ROOT);
    become_user();
    EACH(ALLOWED);
    EACH(OF_USER);
    return 0;
}
