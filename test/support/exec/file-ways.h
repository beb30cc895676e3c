/*
 * What the programs have in common that try ways round the rules of a volume from inside a fenced cgroup: each way in a child of its own,
 * whose number is printed, so that refusals in the trail can be told apart. Prints a line a way: `NAME got|refused ERRNO PID`, where
 * `got` is what must not be, or, of what is allowed, what must.
 *
 * The volume has main.c to read under project, a token that is denied under project/.secrets, and project/out to write; a rule denies
 * project/out/.keys, which is not there.
 */
#ifndef FILE_WAYS_H
#define FILE_WAYS_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char volume[64];
static volatile int got;

static inline const char *at(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, 512, "%s/%s", volume, name);
    return path;
}

/* Is it the token? */
static inline void look(int file)
{
    char text[64] = "";

    if (file >= 0 && read(file, text, sizeof(text) - 1) > 0 && strstr(text, "SECRET"))
        got = 1;
}
static inline void look_at(const char *path) { look(open(path, O_RDONLY)); }
static inline void did(long result)
{
    if (result >= 0)
        got = 1;
}
static inline int make(const char *name)
{
    int file = open(at(name), O_RDWR | O_CREAT, 0644);

    if (file >= 0 && write(file, "own\n", 4) < 0)
        errno = EIO;
    return file;
}
static inline void reopen(int file, int flags, int write_it)
{
    char path[64];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    again = open(path, flags);
    if (write_it)
        did(again < 0 ? -1 : write(again, "x", 1));
    else
        look(again);
}

#define TOKEN "project/.secrets/token"
#define MAIN "project/main.c"

#define WAY(name) {#name, name}
struct way {
    const char *name;
    void (*go)(void);
};
/* ONLY=NAME tries no other. */
static void attempt(const struct way *way)
{
    int ends[2], result[2] = {0, 0};
    pid_t child;

    if (getenv("ONLY") && strcmp(getenv("ONLY"), way->name))
        return;
    if (pipe2(ends, O_CLOEXEC))
        exit(70);
    child = fork();
    if (child == 0) {
        /* Mounts of one way are not those of the next. */
        unshare(CLONE_NEWNS);
        errno = 0;
        way->go();
        result[1] = errno;
        result[0] = got;
        if (write(ends[1], result, sizeof(result)) < 0)
            _exit(70);
        _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], result, sizeof(result)) != sizeof(result))
        result[1] = EIO;
    close(ends[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    printf("%s %s %s %d\n", way->name, result[0] ? "got" : "refused", strerrorname_np(result[1]) ?: "0", (int)child);
    fflush(stdout);
}

static inline void write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY);

    if (file >= 0 && write(file, text, strlen(text)) < 0)
        errno = EIO;
    close(file);
}

#define EACH(list)                                          \
    for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) \
        attempt(&list[i])

/* Everything from here on is judged. */
static inline void join(const char *procs) { write_text(procs, "0"); }

static inline void become_user(void)
{
    if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
        exit(70);
    prctl(PR_SET_DUMPABLE, 1);
}

static inline void become_root_of_namespaces(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
        exit(71);
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 1000 1");
    write_text("/proc/self/gid_map", "0 1000 1");
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

#endif
