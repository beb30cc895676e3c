/*
 * Transactions over TCP: one octet out, one back, on connections that stay (rr) or on a new one each (crr), FLOWS at a time. Without a
 * rate each begins when the one before has ended; with one they begin on a clock, wait for a free connection where none is, and their
 * latency counts from the clock's time: what was due before the end and held back is sent after it. What ends in a reset, fails, or is
 * not sent and answered a second after the end counts as failed.
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum state { IDLE, CONNECTING, ASKED, ANSWERED };

struct flow {
    int fd;
    enum state state;
    uint64_t since;
};

struct run {
    const struct load_end *end;
    int once, epoll, flows, busy;
    uint64_t duration, next, gap;
    struct flow *flow;
    struct load_tally tally;
};

static const uint64_t GRACE = 1000000000u;

static void drop(struct run *run, struct flow *flow, int count_it)
{
    if (flow->fd >= 0)
        close(flow->fd);
    flow->fd = -1;
    if (flow->state != IDLE)
        run->busy--;
    flow->state = IDLE;
    if (count_it) {
        run->tally.failed++;
        if (errno == ECONNRESET || errno == ECONNREFUSED || errno == EPIPE)
            run->tally.resets++;
    }
}

static int ask(struct run *run, struct flow *flow)
{
    if (send(flow->fd, "q", 1, MSG_NOSIGNAL) == 1) {
        flow->state = ASKED;
        return 0;
    }
    drop(run, flow, 1);
    return -1;
}

/* Begins a transaction whose time runs from `since`. */
static void begin(struct run *run, struct flow *flow, uint64_t since)
{
    int on = 1;
    flow->since = since;
    run->busy++;
    flow->state = CONNECTING;
    if (flow->fd >= 0) {
        ask(run, flow);
        return;
    }
    flow->fd = socket(run->end->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (flow->fd < 0) {
        drop(run, flow, 1);
        return;
    }
    setsockopt(flow->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = flow };
    epoll_ctl(run->epoll, EPOLL_CTL_ADD, flow->fd, &event);
    if (connect(flow->fd, (const struct sockaddr *)&run->end->at, run->end->length) < 0 && errno != EINPROGRESS)
        drop(run, flow, 1);
}

/* Reads what came; a transaction is over with its answer, and on a connection of its own when the server has closed it. */
static void hear(struct run *run, struct flow *flow)
{
    char octets[16];
    for (;;) {
        ssize_t got = read(flow->fd, octets, sizeof octets);
        uint64_t now = load_now();
        if (got < 0) {
            if (errno != EAGAIN)
                drop(run, flow, 1);
            return;
        }
        if (got == 0) {
            /* Before its answer the end of a connection is a failure. */
            errno = 0;
            drop(run, flow, flow->state != ANSWERED);
            return;
        }
        if (flow->state != ASKED)
            continue;
        load_tally_add(&run->tally, now - flow->since);
        load_tally_slice(&run->tally, now, run->duration, 1);
        flow->state = run->once ? ANSWERED : IDLE;
        if (!run->once) {
            run->busy--;
            return;
        }
    }
}

static void step(struct run *run, struct flow *flow, uint32_t events)
{
    if (flow->fd < 0)
        return;
    if (events & (EPOLLERR | EPOLLHUP) && flow->state == CONNECTING) {
        socklen_t length = sizeof(int);
        int why = 0;
        getsockopt(flow->fd, SOL_SOCKET, SO_ERROR, &why, &length);
        errno = why;
        drop(run, flow, 1);
        return;
    }
    if (flow->state == CONNECTING && events & EPOLLOUT && ask(run, flow) < 0)
        return;
    if (events & EPOLLIN)
        hear(run, flow);
}

/* Whether a request that should have left before the end has not. */
static int held_back(const struct run *run, uint64_t until)
{
    return run->gap > 0 && run->next < until;
}

/* Starts what is due on connections that are free; gives how long nothing is due. */
static uint64_t start_due(struct run *run, uint64_t now, uint64_t until)
{
    if (now >= until && !held_back(run, until))
        return GRACE / 100;
    for (int i = 0; i < run->flows && run->busy < run->flows; i++) {
        if (run->flow[i].state != IDLE)
            continue;
        if (run->gap == 0) {
            begin(run, &run->flow[i], load_now());
            continue;
        }
        if (run->next > now || !held_back(run, until))
            break;
        begin(run, &run->flow[i], run->next);
        run->next += run->gap;
    }
    if (now >= until)
        return GRACE / 100;
    if (run->gap == 0 || run->busy == run->flows)
        return until - now;
    uint64_t wake = run->next < until ? run->next : until;
    return wake > now ? wake - now : 0;
}

int load_transactions(const struct load_end *end, int once, uint64_t duration, int flows, double rate)
{
    struct epoll_event events[256];
    static struct run run;
    run.end = end;
    run.once = once;
    run.flows = flows;
    run.duration = duration;
    run.gap = rate > 0 ? (uint64_t)(1e9 / rate) : 0;
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.flow = calloc((size_t)flows, sizeof *run.flow);
    if (run.epoll < 0 || !run.flow)
        return 1;
    for (int i = 0; i < flows; i++)
        run.flow[i].fd = -1;
    run.tally.began = run.next = load_now();
    uint64_t until = run.tally.began + duration;
    for (;;) {
        uint64_t now = load_now();
        uint64_t left = start_due(&run, now, until);
        if (now >= until && ((run.busy == 0 && !held_back(&run, until)) || now >= until + GRACE))
            break;
        struct timespec wait = { (time_t)(left / 1000000000u), (long)(left % 1000000000u) };
        int count = epoll_pwait2(run.epoll, events, 256, &wait, NULL);
        for (int i = 0; i < count; i++)
            step(&run, events[i].data.ptr, events[i].events);
    }
    errno = ETIMEDOUT;
    for (int i = 0; i < flows; i++)
        drop(&run, &run.flow[i], run.flow[i].state != IDLE);
    for (; held_back(&run, until); run.next += run.gap)
        run.tally.failed++;
    uint64_t now = load_now();
    run.tally.ended = now < until ? now : until;
    load_tally_print(&run.tally);
    return 0;
}
