/*
 * The threads that serve one volume. A few stand at the device, and each does by itself what it reads: a request costs no switch between
 * threads. The others rest. One of them is called to the device when somebody there takes longer than a moment, which whoever watches
 * sees, before what is known to take long, and when requests queue up; who was replaced so rests once nothing waits any more.
 * libfuse's loop keeps all its threads at the device instead, where the kernel wakes the one that has waited longest.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vaultfs.h"

#define WORKERS 10
/* With one, a client and its server go to sleep in turns on two processors that are idle otherwise, which costs more than waking one that
 * finds nothing to do (bench/storage/README.md). */
#define FRONT 2
#define REQUEST_ROOM (LONGEST_WRITE + 4096u) /* the longest write and its header */
#define TICK_NS 2000000
#define SECOND_NS 1000000000
#define QUIET_TICKS 50 /* after which nobody watches until the next request */
#define LOOKS 4        /* at every so many requests one looks whether others wait */
#define CROWD 4        /* so many looks more than not have found some: more are called */

struct worker {
    struct loop *loop;
    pthread_t thread;
    pthread_cond_t called;
    _Atomic bool front;    /* it stands at the device, or will as soon as it is done */
    _Atomic uint32_t turn; /* odd while it does what it has read */
    uint32_t crowd;        /* its own: looks that found others waiting, less those that did not */
    uint32_t seen;         /* of whoever watches: its turn at the last tick */
    char *request;
};

struct loop {
    struct fuse_session *session;
    int device;
    pthread_mutex_t lock;
    pthread_cond_t stirred;
    _Atomic bool over, asleep;
    uint32_t made, resting;
    struct worker *rests[WORKERS];
    struct worker workers[WORKERS];
};

static void *work(void *data);

/* Another one at the device, under the lock; false when all are there or busy. */
static bool call(struct loop *loop)
{
    struct worker *next;

    if (loop->resting > 0) {
        next = loop->rests[--loop->resting];
        atomic_store(&next->front, true);
        pthread_cond_signal(&next->called);
        return true;
    }
    if (loop->made == WORKERS)
        return false;
    next = &loop->workers[loop->made];
    if (next->request == NULL && (next->request = malloc(REQUEST_ROOM)) == NULL)
        return false;
    next->loop = loop;
    atomic_store(&next->front, true);
    if (pthread_create(&next->thread, NULL, work, next) != 0)
        return false;
    loop->made++;
    return true;
}

/* Somebody takes its place at the device, if there is anybody. */
static void replace(struct loop *loop, struct worker *worker)
{
    if (atomic_load(&worker->front) && !atomic_load(&loop->over) && call(loop))
        atomic_store(&worker->front, false);
}

/* Until it is called; false when there is nothing to do any more. */
static bool rest(struct worker *worker)
{
    struct loop *loop = worker->loop;

    pthread_mutex_lock(&loop->lock);
    if (!atomic_load(&worker->front)) {
        loop->rests[loop->resting++] = worker;
        while (!atomic_load(&worker->front) && !atomic_load(&loop->over))
            pthread_cond_wait(&worker->called, &loop->lock);
    }
    pthread_mutex_unlock(&loop->lock);
    return !atomic_load(&loop->over);
}

void loop_stop(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    atomic_store(&loop->over, true);
    for (uint32_t i = 0; i < loop->made; i++)
        pthread_cond_signal(&loop->workers[i].called);
    pthread_cond_signal(&loop->stirred);
    pthread_mutex_unlock(&loop->lock);
}

static bool is_waiting(const struct loop *loop)
{
    struct pollfd device = {.fd = loop->device, .events = POLLIN};

    return poll(&device, 1, 0) > 0;
}

/* What was read; 0 when nothing waits and others stand at the device; -1 at the end. */
static ssize_t take(struct worker *worker)
{
    struct loop *loop = worker->loop;
    ssize_t size;

    while (!atomic_load(&loop->over) && !fuse_session_exited(loop->session)) {
        if (!atomic_load(&worker->front) && !is_waiting(loop))
            return 0;
        size = read(loop->device, worker->request, REQUEST_ROOM);
        if (size > 0)
            return size;
        /* Who asked is gone, or this is told to look whether all is over. */
        if (size < 0 && (errno == ENOENT || errno == EINTR || errno == EAGAIN))
            continue;
        if (size < 0 && errno != ENODEV)
            fprintf(stderr, "sluice-vaultfs: the device: %s\n", strerror(errno));
        break;
    }
    return -1;
}

static bool takes_long(const char *request)
{
    switch (((const struct fuse_in_header *)request)->opcode) {
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
        return true;
    default:
        return false;
    }
}

/* Shall somebody take its place meanwhile? */
static bool is_needed(struct worker *worker, uint32_t turn)
{
    if (!atomic_load(&worker->front))
        return false;
    if (takes_long(worker->request))
        return true;
    if (turn / 2 % LOOKS != 0)
        return false;
    if (is_waiting(worker->loop))
        return worker->crowd == CROWD || ++worker->crowd == CROWD;
    worker->crowd -= worker->crowd > 0;
    return false;
}

static void begin(struct worker *worker)
{
    struct loop *loop = worker->loop;
    bool full = is_needed(worker, atomic_fetch_add(&worker->turn, 1));

    if (!full && !atomic_load(&loop->asleep))
        return;
    pthread_mutex_lock(&loop->lock);
    if (atomic_exchange(&loop->asleep, false))
        pthread_cond_signal(&loop->stirred);
    if (full)
        replace(loop, worker);
    pthread_mutex_unlock(&loop->lock);
}

static void *work(void *data)
{
    struct worker *worker = data;
    struct loop *loop = worker->loop;
    ssize_t size;

    while ((size = take(worker)) >= 0) {
        struct fuse_buf buffer = {.mem = worker->request, .size = (size_t)size};

        if (size == 0) {
            if (!rest(worker))
                break;
            continue;
        }
        begin(worker);
        fuse_session_process_buf(loop->session, &buffer);
        atomic_fetch_add(&worker->turn, 1);
    }
    loop_stop(loop);
    return NULL;
}

/* Has anybody done anything since the last tick? Who still does what it did then is replaced. */
static bool look(struct loop *loop)
{
    bool stirred = false;

    for (uint32_t i = 0, made = loop->made; i < made; i++) {
        struct worker *worker = &loop->workers[i];
        uint32_t turn = atomic_load(&worker->turn);

        if ((turn & 1) != 0 && turn == worker->seen)
            replace(loop, worker);
        stirred = stirred || turn != worker->seen || ((turn & 1) != 0 && atomic_load(&worker->front));
        worker->seen = turn;
    }
    return stirred;
}

static struct timespec in_a_tick(void)
{
    struct timespec then;

    clock_gettime(CLOCK_MONOTONIC, &then);
    then.tv_nsec += TICK_NS;
    then.tv_sec += then.tv_nsec / SECOND_NS;
    then.tv_nsec %= SECOND_NS;
    return then;
}

/* Looks every tick; sleeps while nobody asks for anything. */
static void watch(struct loop *loop)
{
    struct timespec until;
    uint32_t quiet = 0;

    pthread_mutex_lock(&loop->lock);
    while (!atomic_load(&loop->over)) {
        quiet = look(loop) ? 0 : quiet + 1;
        if (quiet > QUIET_TICKS) {
            atomic_store(&loop->asleep, true);
            /* Who began before it could see that nobody watches is seen here. */
            if (look(loop))
                atomic_store(&loop->asleep, false);
            while (atomic_load(&loop->asleep) && !atomic_load(&loop->over))
                pthread_cond_wait(&loop->stirred, &loop->lock);
            quiet = 0;
        }
        until = in_a_tick();
        if (!atomic_load(&loop->over))
            pthread_cond_timedwait(&loop->stirred, &loop->lock, &until);
    }
    pthread_mutex_unlock(&loop->lock);
}

static void wake(int signal)
{
    (void)signal;
}

struct loop *loop_make(struct fuse_session *session)
{
    /* It interrupts who waits at the device, and nothing else: no SA_RESTART. */
    struct sigaction action = {.sa_handler = wake};
    struct loop *loop = calloc(1, sizeof(*loop));
    pthread_condattr_t clock;

    if (loop == NULL || sigaction(SIGUSR1, &action, NULL) != 0) {
        free(loop);
        return NULL;
    }
    loop->session = session;
    loop->device = fuse_session_fd(session);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->stirred, &clock);
    for (uint32_t i = 0; i < WORKERS; i++)
        pthread_cond_init(&loop->workers[i].called, NULL);
    return loop;
}

/* Who waits at the device does not see by itself that all is over, and may begin to wait just after it was told. */
static void gather(struct loop *loop)
{
    struct timespec until;

    for (uint32_t i = 0; i < loop->made; i++)
        do {
            if ((atomic_load(&loop->workers[i].turn) & 1) == 0)
                pthread_kill(loop->workers[i].thread, SIGUSR1);
            until = in_a_tick();
        } while (pthread_clockjoin_np(loop->workers[i].thread, NULL, CLOCK_MONOTONIC, &until) != 0);
}

void loop_run(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    for (int i = 0; i < FRONT; i++)
        if (!call(loop) && i == 0)
            atomic_store(&loop->over, true);
    pthread_mutex_unlock(&loop->lock);
    watch(loop);
    gather(loop);
}

void loop_free(struct loop *loop)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        pthread_cond_destroy(&loop->workers[i].called);
        free(loop->workers[i].request);
    }
    pthread_cond_destroy(&loop->stirred);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}
