/*
 * Ways to run what a policy does not list, tried by a process inside a fenced cgroup. It joins the cgroup, becomes an ordinary user and
 * then root of user and mount namespaces of its own, and tries each way in a child of its own, whose name is the way's, so that the
 * refusals in the trail can be told apart. A program that ran leaves a mark.
 *
 * Arguments: the cgroup's cgroup.procs, the folder of the programs, the folder of the marks. Prints a line a way: `NAME ran|refused ERRNO`.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

static char folder[256], marks[256], mark[600];
static char *environment[] = {mark, NULL};
static char *arguments[] = {"program", NULL};

static const char *at(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

static int copy(const char *from, const char *to, int flags)
{
    struct stat status;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | flags, 0755);

    if (in < 0 || out < 0 || fstat(in, &status))
        return -1;
    for (off_t at = 0; at < status.st_size;)
        if (sendfile(out, in, &at, status.st_size - at) <= 0)
            return -1;
    fchmod(out, 0755);
    close(in);
    close(out);
    return 0;
}

static void fill(int to)
{
    struct stat status;
    int in = open(at("evil"), O_RDONLY);

    fstat(in, &status);
    for (off_t from = 0; from < status.st_size;)
        if (sendfile(to, in, &from, status.st_size - from) <= 0)
            break;
    close(in);
}

static void run(const char *path)
{
    execve(path, arguments, environment);
}
static void run_by_proc(int file) { char path[64]; snprintf(path, sizeof(path), "/proc/self/fd/%d", file); run(path); }
static void run_open(int file) { syscall(SYS_execveat, file, "", arguments, environment, AT_EMPTY_PATH); run_by_proc(file); }
static void write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

    if (file >= 0) {
        if (write(file, text, strlen(text)) < 0)
            errno = EIO;
        close(file);
    }
}
static void script(const char *path, const char *interpreter)
{
    char text[400];

    snprintf(text, sizeof(text), "#!%s\n", interpreter);
    write_text(path, text);
    chmod(path, 0755);
}

/* Masquerading, T1036; the plain thing first. */
static void plain(void) { run(at("evil")); }
static void dotted(void) { run(at("../ws/./evil")); }
static void relative(void) { if (!chdir(folder)) run("./evil"); }
static void no_arguments(void) { char *none[] = {NULL}; execve(at("evil"), none, environment); }
static void by_symlink(void) { if (!symlink(at("evil"), at("link"))) run(at("link")); }
static void by_hard_link(void) { if (!link(at("evil"), at("hard"))) run(at("hard")); }
static void by_copy(void) { copy(at("evil"), at("copied"), 0); run(at("copied")); }
static void by_listed_name(void) { mkdir(at("sub"), 0755); copy(at("evil"), at("sub/ok"), 0); run(at("sub/ok")); }
static void trailing_space(void) { copy(at("evil"), at("ok "), 0); run(at("ok ")); }

/* Reflective code loading, T1620. */
static void memory_by_descriptor(void) { int file = memfd_create("x", 0); fill(file); fexecve(file, arguments, environment); }
static void memory_by_proc(void) { int file = memfd_create("y", MFD_CLOEXEC); fill(file); run_by_proc(file); }
static void memory_sealed(void)
{
    int file = memfd_create("z", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    fill(file);
    fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
    run_open(file);
}
static void unnamed(void)
{
    char from[64];
    int file = open(folder, O_TMPFILE | O_RDWR, 0755), again;

    fill(file);
    snprintf(from, sizeof(from), "/proc/self/fd/%d", file);
    again = open(from, O_RDONLY);
    close(file);
    run_open(again);
}
static void deleted(void)
{
    int file;

    copy(at("evil"), at("gone"), 0);
    file = open(at("gone"), O_RDONLY);
    unlink(at("gone"));
    run_open(file);
}
static void shared_memory(void) { copy(at("evil"), "/dev/shm/evil", 0); run("/dev/shm/evil"); }

/* execveat and descriptors. */
static void by_descriptor(void) { run_open(open(at("evil"), O_RDONLY)); }
static void by_path_descriptor(void) { run_open(open(at("evil"), O_PATH)); }
static void by_folder_descriptor(void) { syscall(SYS_execveat, open(folder, O_RDONLY | O_DIRECTORY), "evil", arguments, environment, 0); }
static void by_own_root(void) { char path[600]; snprintf(path, sizeof(path), "/proc/self/root%s", at("evil")); run(path); }
static void itself(void) { run("/proc/self/exe"); }

/* Interpreters: Linux and its loaders, binfmt handlers. */
static void by_loader(void) { char *with[] = {"ld.so", (char *)at("dynamic"), NULL}; execve("/lib64/ld-linux-x86-64.so.2", with, environment); }
static void by_script(void) { script(at("s1"), at("evil")); run(at("s1")); }
static void script_of_listed(void) { script(at("s2"), at("ok")); run(at("s2")); }
static void listed_script(void) { run(at("script")); }
/* The node has handlers for two endings, `.esc` with a program that is not listed and `.okx` with one that is. */
static void by_binfmt(void) { write_text(at("it.esc"), "anything"); chmod(at("it.esc"), 0755); run(at("it.esc")); }
static void listed_with_handler(void) { run(at("listed.esc")); }
static void handler_is_listed(void) { run(at("plain.okx")); }

/* As a 32-bit program asks for it, with everything that it names below 4 GiB. */
static void by_32_bits(void)
{
    char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    char *path = strcpy(low + 64, at("evil")), *variable = strcpy(low + 1024, mark);
    unsigned *lists = (unsigned *)low;
    long result;

    lists[0] = (unsigned)(unsigned long)path;
    lists[2] = (unsigned)(unsigned long)variable;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(11L), "b"(path), "c"(lists), "d"(lists + 2) : "memory", "r8", "r9", "r10", "r11");
    errno = (int)-result;
}

/* Mounts in namespaces of one's own, T1611 in spirit: another file under a listed path. */
static void bind_over(void) { mount(at("evil"), at("ok"), NULL, MS_BIND, NULL); run(at("ok")); }
static void bind_pinned(void) { mount(at("evil"), at("pinned"), NULL, MS_BIND, NULL); run(at("pinned")); }
static void tmpfs_over(void)
{
    copy(at("evil"), "/tmp/kept-evil", 0);
    mount("tmpfs", folder, "tmpfs", 0, "mode=755");
    copy("/tmp/kept-evil", at("ok"), 0);
    run(at("ok"));
}
static void overlay_over(void)
{
    char options[1800];

    mkdir("/tmp/up", 0755);
    mount("tmpfs", "/tmp/up", "tmpfs", 0, NULL);
    mkdir("/tmp/up/u", 0755);
    mkdir("/tmp/up/w", 0755);
    copy(at("evil"), "/tmp/up/u/ok", 0);
    snprintf(options, sizeof(options), "lowerdir=%s,upperdir=/tmp/up/u,workdir=/tmp/up/w,userxattr", folder);
    if (mount("overlay", folder, "overlay", 0, options))
        mount("/tmp/up/u", folder, NULL, MS_BIND, NULL);
    run(at("ok"));
}
static void in_chroot(void)
{
    mkdir("/tmp/jail", 0755);
    mkdir("/tmp/jail/opt", 0755);
    mkdir("/tmp/jail/opt/ws", 0755);
    mkdir("/tmp/jail/tmp", 0755);
    mkdir("/tmp/jail/tmp/marks", 0755);
    mount(marks, "/tmp/jail/tmp/marks", NULL, MS_BIND, NULL);
    copy(at("evil"), "/tmp/jail/opt/ws/ok", 0);
    if (!chroot("/tmp/jail") && !chdir("/"))
        run("/opt/ws/ok");
}

/* Time of check, time of use; content of a pinned file, T1554, with its times put back, T1070.006. */
static void rename_over(void) { copy(at("evil"), at("new"), 0); if (!rename(at("new"), at("pinned2"))) run(at("pinned2")); }
static void written_over(void) { copy(at("evil"), at("pinned3"), 0); run(at("pinned3")); }
static void times_put_back(void)
{
    struct stat before;
    int file;

    stat(at("pinned4"), &before);
    file = open(at("pinned4"), O_WRONLY);
    fill(file);
    futimens(file, (struct timespec[]){before.st_atim, before.st_mtim});
    close(file);
    run(at("pinned4"));
}
static void appended(void)
{
    int file = open(at("pinned5"), O_WRONLY | O_APPEND);

    if (write(file, "x", 1) == 1)
        close(file);
    run(at("pinned5"));
}
static volatile int racing = 1;
static void *flip(void *unused)
{
    (void)unused;
    while (racing) {
        unlink(at("race"));
        if (symlink("ok", at("race")))
            continue;
        unlink(at("race"));
        if (symlink("evil", at("race")))
            continue;
    }
    return NULL;
}
static void race_links(void)
{
    pthread_t thread;
    char link[512];

    snprintf(link, sizeof(link), "%s", at("race"));
    pthread_create(&thread, NULL, flip, NULL);
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();

        if (child == 0) {
            prctl(PR_SET_NAME, "race_links");
            run(link);
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    racing = 0;
    pthread_join(thread, NULL);
    /* Once by the wrong end of it for certain. */
    run(at("evil"));
}

/* Ways to be somebody else: new namespaces, other cgroups, other parents. */
static void again_user(void) { unshare(CLONE_NEWUSER | CLONE_NEWNS); run(at("evil")); }
static void in_new_cgroup(void)
{
    unshare(CLONE_NEWCGROUP);
    mkdir("/sys/fs/cgroup/ws0/own", 0755);
    write_text("/sys/fs/cgroup/ws0/own/cgroup.procs", "0");
    write_text("/sys/fs/cgroup/cgroup.procs", "0");
    run(at("evil"));
}
static void by_vfork(void) { if (vfork() == 0) { run(at("evil")); _exit(1); } wait(NULL); }
static void by_spawn(void) { pid_t child; posix_spawn(&child, at("evil"), NULL, NULL, arguments, environment); waitpid(child, NULL, 0); }
static void as_orphan(void)
{
    int ends[2];
    char one;

    /* Open in whatever runs, so that its end is waited for. */
    if (pipe(ends))
        return;
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            prctl(PR_SET_NAME, "as_orphan");
            run(at("evil"));
        }
        _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], &one, 1) < 0)
        errno = EIO;
}
static void *run_evil(void *unused) { (void)unused; prctl(PR_SET_NAME, "by_thread"); run(at("evil")); return NULL; }
static void by_thread(void) { pthread_t thread; pthread_create(&thread, NULL, run_evil, NULL); pthread_join(thread, NULL); }
static void without_new_privileges(void) { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); run(at("evil")); }

#define WAY(name) {#name, name, "evil"}
#define WAY_TO(name, wanted) {#name, name, wanted}
static const struct {
    const char *name;
    void (*go)(void);
    const char *wanted; /* whose mark says that it ran */
} WAYS[] = {
    WAY(plain), WAY(dotted), WAY(relative), WAY(no_arguments), WAY(by_symlink), WAY(by_hard_link), WAY(by_copy),
    WAY(by_listed_name), WAY(trailing_space), WAY(memory_by_descriptor), WAY(memory_by_proc), WAY(memory_sealed),
    WAY(unnamed), WAY(deleted), WAY(shared_memory), WAY(by_descriptor), WAY(by_path_descriptor),
    WAY(by_folder_descriptor), WAY(by_own_root), WAY(itself), WAY(by_loader), WAY(by_script), WAY_TO(script_of_listed, "ok"),
    WAY(listed_script), WAY(by_binfmt), WAY(listed_with_handler), WAY_TO(handler_is_listed, "ok"), WAY(by_32_bits),
    WAY(bind_over), WAY(bind_pinned), WAY(tmpfs_over), WAY(overlay_over),
    WAY(in_chroot), WAY(rename_over), WAY(written_over), WAY(times_put_back), WAY_TO(appended, "ok"), WAY(race_links),
    WAY(again_user), WAY(in_new_cgroup), WAY(by_vfork), WAY(by_spawn), WAY(as_orphan), WAY(by_thread),
    WAY(without_new_privileges),
};

/* What may run, runs: or all of the above would prove nothing. */
static void listed(void) { run(at("ok")); }
static void listed_pinned(void) { run(at("pinned")); }
static void listed_by_handler(void) { run(at("listed.okx")); }
static void listed_by_link(void) { if (!symlink("ok", at("to-ok"))) run(at("to-ok")); }

/* `wanted`: which program leaves the mark that is looked for. */
static void attempt(const char *name, void (*go)(void), const char *wanted)
{
    char left[640];
    int result[2], error = 0;
    pid_t child;

    if (pipe2(result, O_CLOEXEC))
        exit(70);
    snprintf(mark, sizeof(mark), "MARK=%s/%s", marks, name);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_NAME, name);
        /* Mounts of one way are not those of the next. */
        unshare(CLONE_NEWNS);
        errno = 0;
        go();
        error = errno;
        if (write(result[1], &error, sizeof(error)) < 0)
            _exit(70);
        _exit(0);
    }
    close(result[1]);
    if (read(result[0], &error, sizeof(error)) < 0)
        error = EIO;
    close(result[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    snprintf(left, sizeof(left), "%s.%s", mark + 5, wanted);
    printf("%s %s %s\n", name, access(left, F_OK) ? "refused" : "ran", strerrorname_np(error) ?: "0");
    fflush(stdout);
}

int main(int count, char **words)
{
    if (count != 4) {
        /* One of the ways: this program, run again. */
        if (getenv("MARK")) {
            snprintf(mark, sizeof(mark), "%s.evil", getenv("MARK"));
            write_text(mark, "");
        }
        return 64;
    }
    snprintf(folder, sizeof(folder), "%s", words[2]);
    snprintf(marks, sizeof(marks), "%s", words[3]);
    write_text(words[1], "0");
    if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
        return 70;
    prctl(PR_SET_DUMPABLE, 1);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
        return 71;
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "0 1000 1");
    write_text("/proc/self/gid_map", "0 1000 1");
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    attempt("listed", listed, "ok");
    attempt("listed_pinned", listed_pinned, "ok");
    attempt("listed_by_link", listed_by_link, "ok");
    attempt("listed_by_handler", listed_by_handler, "ok");
    for (size_t i = 0; i < sizeof(WAYS) / sizeof(WAYS[0]); i++)
        attempt(WAYS[i].name, WAYS[i].go, WAYS[i].wanted);
    return 0;
}
