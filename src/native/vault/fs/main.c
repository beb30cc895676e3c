/*
 * sluice-vaultfs DIRECTORY: serves the volumes that the agent stages, until SIGTERM. One daemon to a directory, which holds its
 * socket, its lock and the flags of workspaces. It stands by itself: the agent may come and go.
 * sluice-vaultfs --clear DIRECTORY: takes away the mounts that a daemon of that directory left when it was killed.
 * sluice-vaultfs --probe: says what this kernel has of what it needs, one line a feature.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <linux/openat2.h>
#include <linux/securebits.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vaultfs.h"

static int fail(const char *what, int error)
{
    fprintf(stderr, "sluice-vaultfs: %s: %s\n", what, strerror(error));
    return 1;
}

static int probe(void)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    int root = open("/", O_PATH | O_CLOEXEC);
    int found = (int)syscall(SYS_openat2, root, ".", &how, sizeof(how));

    printf("resolve-beneath %s %s\n", found >= 0 ? "yes" : "no", found >= 0 ? "openat2" : strerror(errno));
    found = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    printf("fuse %s %s\n", found >= 0 ? "yes" : "no", found >= 0 ? "/dev/fuse opens" : strerror(errno));
    printf("root %s %s\n", geteuid() == 0 ? "yes" : "no", geteuid() == 0 ? "mounts are its own" : "mounting needs it");
    return 0;
}

/* A directory's own number: two daemons never mistake each other's mounts. */
static int label(const char *directory)
{
    struct stat attr;

    if (stat(directory, &attr) != 0)
        return errno;
    snprintf(volume_label, sizeof(volume_label), "sluice-%llu", (unsigned long long)attr.st_ino);
    return 0;
}

static int clear(const char *directory)
{
    int error = label(directory);

    return error != 0 ? fail(directory, error) : volume_clear() < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    char path[4096];
    sigset_t ends;
    int lock, stop, error;

    if (argc == 2 && strcmp(argv[1], "--probe") == 0)
        return probe();
    if (argc == 3 && strcmp(argv[1], "--clear") == 0)
        return clear(argv[2]);
    if (argc != 2 || (size_t)snprintf(path, sizeof(path), "%s/lock", argv[1]) >= sizeof(path)) {
        fprintf(stderr, "usage: sluice-vaultfs DIRECTORY\n");
        return 64;
    }
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return fail(path, errno);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0)
        return fail(path, errno);
    error = label(argv[1]);
    if (error != 0)
        return fail(argv[1], error);
    umask(0);
    /* What is made gets its maker's owner by the thread's filesystem user, and the daemon keeps its rights meanwhile. */
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) != 0)
        return fail("securebits", errno);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    stop = signalfd(-1, &ends, SFD_CLOEXEC);
    if (stop < 0)
        return fail("signalfd", errno);
    error = flags_open(argv[1]);
    if (error != 0)
        return fail("the flags of workspaces", -error);
    error = left_open(argv[1]);
    if (error != 0)
        return fail("what was handed over", -error);
    snprintf(path, sizeof(path), "%s/vaultfs.sock", argv[1]);
    error = control_run(path, stop);
    serve_stop();
    return error == 0 ? 0 : fail(path, -error);
}
