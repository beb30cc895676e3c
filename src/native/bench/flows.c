/*
 * How many connections stand at the same time: up to COUNT are opened, 256 under way at once, and each has an octet echoed; then each
 * has another echoed, 16 at a time, all the others standing. A process for each port shares in them (load.h). Opening goes on until COUNT
 * stand, many have failed, nothing has answered for a quarter of MS, or MS are over. Prints how many answered the first time, how many the
 * second time, whether the time was over, and how long the second echoes took. The generator's own limits are no answer: it says so and
 * ends with 1.
 *
 * All of them end in a reset, so that no TIME_WAIT keeps the ports from whoever opens connections next.
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of each process; SPARE is what it has open beside. */
enum { WINDOW = 256 / STANDING, AGAIN = 16 / STANDING, SPARE = 64 };

/* What a process came to; shared with the one that started it. */
struct share {
    int answered, again, failed, over;
    struct load_tally tally;
};

static int opened(const struct load_end *end, int epoll)
{
    int on = 1;
    int fd = socket(end->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
    struct epoll_event event = { .events = EPOLLOUT, .data.fd = fd };
    if ((connect(fd, (const struct sockaddr *)&end->at, end->length) < 0 && errno != EINPROGRESS)
        || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Asks on a connection that can be written to, hears one that can be read; gives 1 when it has answered, -1 when it ended. */
static int turn(int epoll, const struct epoll_event *event)
{
    char octet;
    int fd = event->data.fd;
    if (event->events & EPOLLIN)
        return read(fd, &octet, 1) == 1 ? 1 : -1;
    if (event->events & (EPOLLERR | EPOLLHUP) || send(fd, "q", 1, MSG_NOSIGNAL) != 1)
        return -1;
    struct epoll_event hear = { .events = EPOLLIN, .data.fd = fd };
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &hear);
    return 0;
}

struct stand {
    struct load_end end;
    int epoll, count;
    uint64_t most;
    int *fds;
    struct share *share;
};

/* Opens them; -1 when this machine has no more of its own to open one with. */
static int open_all(const struct stand *stand)
{
    struct share *share = stand->share;
    struct epoll_event events[WINDOW];
    int begun = 0, busy = 0;
    uint64_t from = load_now(), heard = from;
    while (busy > 0 || begun < stand->count) {
        for (; busy < WINDOW && begun < stand->count; begun++, busy++)
            if (opened(&stand->end, stand->epoll) < 0)
                return -1;
        int ready = epoll_wait(stand->epoll, events, WINDOW, 100);
        uint64_t now = load_now();
        for (int i = 0; i < ready; i++) {
            int said = turn(stand->epoll, &events[i]);
            if (said == 0)
                continue;
            busy--;
            epoll_ctl(stand->epoll, EPOLL_CTL_DEL, events[i].data.fd, NULL);
            if (said > 0) {
                stand->fds[share->answered++] = events[i].data.fd;
                heard = now;
            } else {
                share->failed++;
                close(events[i].data.fd);
            }
        }
        /* Time alone is over only where there was more to come. */
        share->over = now - from > stand->most && now - heard < stand->most / 16;
        if (share->over || share->failed >= WINDOW || now - heard > stand->most / 4)
            break;
    }
    return 0;
}

/* Has each that answered echo once more. `epoll` watches nothing yet. */
static int ask_again(const struct stand *stand, int epoll)
{
    struct share *share = stand->share;
    struct epoll_event events[AGAIN];
    /* When each descriptor was asked; they are small numbers. */
    uint64_t *asked = calloc((size_t)stand->count + WINDOW + SPARE, sizeof *asked);
    if (!asked || epoll < 0)
        return -1;
    uint64_t from = load_now(), heard = from;
    for (int at = 0, waiting = 0; at < share->answered || waiting > 0;) {
        for (; waiting < AGAIN && at < share->answered; at++) {
            int fd = stand->fds[at];
            struct epoll_event hear = { .events = EPOLLIN, .data.fd = fd };
            asked[fd] = load_now();
            if (send(fd, "q", 1, MSG_NOSIGNAL) == 1 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &hear) == 0)
                waiting++;
        }
        int ready = epoll_wait(epoll, events, AGAIN, 100);
        uint64_t now = load_now();
        if (ready > 0)
            heard = now;
        share->over |= now - from > stand->most;
        if (share->over || now - heard > stand->most / 4)
            break;
        for (int i = 0; i < ready; i++, waiting--) {
            char octet;
            int fd = events[i].data.fd;
            if (read(fd, &octet, 1) == 1) {
                share->again++;
                load_tally_add(&share->tally, now - asked[fd]);
            }
            epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        }
    }
    free(asked);
    return 0;
}

/* Says that a step is done, and waits until all have done it. */
static void together(int said, int heard)
{
    char octet = 0;
    if (write(said, &octet, 1) != 1 || read(heard, &octet, 1) < 0)
        _exit(1);
}

/* One process's part, between the steps of the others; never returns. */
static void stand_one(struct stand *stand, int said, const int steps[2])
{
    stand->fds = calloc((size_t)stand->count + 1, sizeof *stand->fds);
    stand->epoll = epoll_create1(EPOLL_CLOEXEC);
    int failed = stand->epoll < 0 || !stand->fds || open_all(stand) < 0;
    if (failed)
        perror("flows");
    together(said, steps[0]);
    /* Those that never answered are still watched by the first epoll. */
    if (!failed && ask_again(stand, epoll_create1(EPOLL_CLOEXEC)) < 0) {
        perror("flows");
        failed = 1;
    }
    together(said, steps[1]);
    _exit(failed);
}

int load_flows(const struct load_end *end, int port, int count, uint64_t most)
{
    int have = load_descriptors(), said[2], steps[2][2], failed = 0;
    struct share *shares = mmap(NULL, STANDING * sizeof *shares, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shares == MAP_FAILED || pipe(said) < 0 || pipe(steps[0]) < 0 || pipe(steps[1]) < 0) {
        perror("flows");
        return 1;
    }
    if (count / STANDING + WINDOW + SPARE > have) {
        fprintf(stderr, "flows: %d connections in %d processes, and each may have %d descriptors here\n", count, STANDING, have);
        return 1;
    }
    pid_t self = getpid();
    for (int i = 0; i < STANDING; i++) {
        pid_t child = fork();
        if (child < 0) {
            perror("flows");
            return 1;
        }
        if (child > 0)
            continue;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != self)
            _exit(1);
        close(steps[0][1]);
        close(steps[1][1]);
        struct stand own = { .end = *end, .count = (count + i) / STANDING, .most = most, .share = &shares[i] };
        load_end_port(&own.end, port + i);
        stand_one(&own, said[1], (int[]){ steps[0][0], steps[1][0] });
    }
    close(said[1]);
    for (int step = 0; step < 2; step++) {
        char octet;
        for (int i = 0; i < STANDING; i++)
            failed |= read(said[0], &octet, 1) != 1;
        close(steps[step][1]);
    }
    for (int i = 0, status; i < STANDING; i++)
        failed |= wait(&status) < 0 || status != 0;
    if (failed)
        return 1;
    static struct share all;
    for (int i = 0; i < STANDING; i++) {
        all.answered += shares[i].answered;
        all.again += shares[i].again;
        all.failed += shares[i].failed;
        all.over |= shares[i].over;
        for (int at = 0; at < BUCKETS; at++)
            all.tally.buckets[at] += shares[i].tally.buckets[at];
    }
    printf("{\"answered\":%d,\"standing\":%d,\"failed\":%d,\"over\":%s,", all.answered, all.again, all.failed,
           all.over ? "true" : "false");
    load_buckets_print(&all.tally);
    return 0;
}
