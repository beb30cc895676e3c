/* The lock around the whole emulator, its clock, and the count of what hardware would not tell. The lock is recursive since
 * callbacks of a program call the API again. */
#include "internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct emu_world emu = { .limits = { EMU_KEY_MAX, 4096, 4u << 20, 1, 1, 1 } };

static pthread_mutex_t mutex;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

void emu_lock(void)
{
    pthread_once(&once, make);
    pthread_mutex_lock(&mutex);
}

bool emu_try_lock(void)
{
    pthread_once(&once, make);
    return pthread_mutex_trylock(&mutex) == 0;
}

void emu_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

int emu_lock_scope(void)
{
    emu_lock();
    return 0;
}

void emu_unlock_scope(int *scope)
{
    (void)scope;
    emu_unlock();
}

uint64_t emu_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + emu.offset_ms;
}

void emu_violation(const char *what)
{
    emu.violations++;
    if (getenv("DOCA_EMULATOR_VERBOSE"))
        fprintf(stderr, "doca emulator: %s\n", what);
}
