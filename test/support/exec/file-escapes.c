/*
 * Ways to read what the rules of a volume hide, and to change what they only let read, by names, links, moves and mounts: first as an
 * ordinary user, then as root of user and mount namespaces of its own. file-held.c has those by descriptors, memory and sockets.
 *
 * Arguments: the cgroup's cgroup.procs and the volume.
 */
#include "file-ways.h"

#include <pthread.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

/* Names: path traversal (CWE-22), links (CWE-59). */
static void plain(void) { look_at(at(TOKEN)); }
static void dot_dot(void) { look_at(at("project/out/../.secrets/token")); }
static void dots(void) { look_at(at("project//./.secrets/.//token")); }
static void symlink_file(void) { if (!symlink("../.secrets/token", at("project/out/s1"))) look_at(at("project/out/s1")); }
static void symlink_folder(void) { if (!symlink("../.secrets", at("project/out/s2"))) look_at(at("project/out/s2/token")); }
static void symlink_absolute(void) { if (!symlink(at(TOKEN), at("project/out/s3"))) look_at(at("project/out/s3")); }
static void symlink_chain(void) { if (!symlink("..", at("project/out/up")) && !symlink("up/.secrets", at("project/out/s4"))) look_at(at("project/out/s4/token")); }
static void hard_link(void) { did(link(at(TOKEN), at("project/out/h1"))); look_at(at("project/out/h1")); }
static void hard_link_main(void) { did(link(at(MAIN), at("project/out/h2"))); }
static void hard_link_out(void) { make("project/out/mine"); did(link(at("project/out/mine"), "/srv/ws/outside")); }
static void hard_link_in(void) { int file = open("/srv/ws/theirs", O_RDWR | O_CREAT, 0644); close(file); did(link("/srv/ws/theirs", at("project/out/h3"))); }
static void change_folder(void) { if (!chdir(at("project/.secrets"))) look_at("token"); }
static void by_folder_descriptor(void) { look(openat(open(at("project/.secrets"), O_PATH | O_DIRECTORY), "token", O_RDONLY)); }
static void change_by_descriptor(void) { if (!fchdir(open(at("project/.secrets"), O_PATH))) look_at("./token"); }
static void elsewhere(void) { look_at(at("elsewhere/notes")); }
static void no_rule_listing(void) { DIR *list = opendir(at("")); if (list && readdir(list)) got = 1; }
static void denied_listing(void) { DIR *list = opendir(at("project/.secrets")); if (list && readdir(list)) got = 1; }
static void look_of_it(void) { struct stat status; did(stat(at(TOKEN), &status)); }
static void look_by_path_descriptor(void) { struct stat status; did(fstat(open(at(TOKEN), O_PATH), &status)); }
static void watch_it(void) { did(inotify_add_watch(inotify_init(), at("project/.secrets"), IN_ALL_EVENTS)); }
static void attribute_of_it(void) { char text[16]; did(getxattr(at(TOKEN), "user.x", text, sizeof(text))); }
static void run_it(void) { char *words[] = {"token", NULL}; did(execv(at(TOKEN), words)); }

/* Descriptors and /proc. */
static void by_path_descriptor(void) { reopen(open(at(TOKEN), O_PATH), O_RDONLY, 0); }
static void by_own_root(void) { char path[600]; snprintf(path, sizeof(path), "/proc/self/root%s", at(TOKEN)); look_at(path); }
static void by_own_folder(void) { if (!chdir(at("project"))) look_at("/proc/self/cwd/.secrets/token"); }

/* Moving what the rules are about. */
static void move_secrets(void) { did(rename(at("project/.secrets"), at("project/out/r1"))); }
static void move_token(void) { did(rename(at(TOKEN), at("project/out/r2"))); }
static void exchange_token(void) { make("project/out/x1"); did(renameat2(AT_FDCWD, at(TOKEN), AT_FDCWD, at("project/out/x1"), RENAME_EXCHANGE)); }
static void exchange_folders(void) { mkdir(at("project/out/x2"), 0755); did(renameat2(AT_FDCWD, at("project/out/x2"), AT_FDCWD, at("project/.secrets"), RENAME_EXCHANGE)); }
static void move_writable(void) { did(rename(at("project/out"), at("project/gone"))); }
static void move_project(void) { did(rename(at("project"), at("elsewhere/p"))); }
static void move_volume(void) { did(rename(volume, "/srv/ws/other")); }
static void move_away(void) { make("project/out/m1"); did(rename(at("project/out/m1"), "/srv/ws/away")); }
static void move_in(void) { close(open("/srv/ws/brought", O_RDWR | O_CREAT, 0644)); did(rename("/srv/ws/brought", at("project/out/m2"))); }
static void whiteout(void) { make("project/out/w"); did(renameat2(AT_FDCWD, at("project/out/w"), AT_FDCWD, at("project/out/v"), RENAME_WHITEOUT)); }

/* Changing what may only be read. */
static void write_main(void) { did(open(at(MAIN), O_WRONLY)); }
static void append_main(void) { did(open(at(MAIN), O_WRONLY | O_APPEND)); }
static void empty_main(void) { did(truncate(at(MAIN), 0)); }
static void create_over_main(void) { did(creat(at(MAIN), 0644)); }
static void mode_of_main(void) { did(chmod(at(MAIN), 0777)); }
static void times_of_main(void) { did(utimensat(AT_FDCWD, at(MAIN), NULL, 0)); }
static void owner_of_main(void) { did(chown(at(MAIN), getuid(), getgid())); }
static void mode_by_descriptor(void) { did(fchmod(open(at(MAIN), O_RDONLY), 0777)); }
static void remove_main(void) { did(unlink(at(MAIN))); }
static void move_over_main(void) { make("project/out/o"); did(rename(at("project/out/o"), at(MAIN))); }
static void write_by_link(void) { if (!symlink("../main.c", at("project/out/s5"))) did(open(at("project/out/s5"), O_WRONLY)); }
static void reopen_for_writing(void) { reopen(open(at(MAIN), O_RDONLY), O_RDWR, 1); }
static void reopen_path_for_writing(void) { reopen(open(at(MAIN), O_PATH), O_WRONLY, 1); }
static void map_for_writing(void) { did(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, open(at(MAIN), O_RDONLY), 0) == MAP_FAILED ? -1 : 0); }
static void protect_for_writing(void) { void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, open(at(MAIN), O_RDONLY), 0); did(mprotect(map, 4096, PROT_READ | PROT_WRITE)); }
static void attribute_of_main(void) { did(setxattr(at(MAIN), "user.x", "x", 1, 0)); }
static void flags_of_main(void) { int flags = 0; did(ioctl(open(at(MAIN), O_RDONLY), _IOR('f', 1, long), &flags)); }
static void new_file(void) { did(open(at("project/new"), O_WRONLY | O_CREAT, 0644)); }
static void new_folder(void) { did(mkdir(at("project/new"), 0755)); }
static void new_pipe(void) { did(mkfifo(at("project/new"), 0644)); }
static void new_link(void) { did(symlink("x", at("project/new"))); }
static void new_device(void) { did(mknod(at("project/out/null"), S_IFCHR | 0666, 0x103)); }
static void new_socket(void) { struct sockaddr_un name = {.sun_family = AF_UNIX}; snprintf(name.sun_path, sizeof(name.sun_path), "%.60s/project/new", volume); did(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&name, sizeof(name))); }
static void unnamed_file(void) { did(open(at("project"), O_TMPFILE | O_RDWR, 0644)); }
static void unnamed_then_linked(void)
{
    char path[64];
    int file = open(at("project/out"), O_TMPFILE | O_RDWR, 0644);

    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    did(linkat(AT_FDCWD, path, AT_FDCWD, at("project/new"), AT_SYMLINK_FOLLOW));
}
static void denied_name(void) { did(open(at("project/out/.keys"), O_WRONLY | O_CREAT, 0644)); }
static void denied_name_moved(void) { mkdir(at("project/out/k1"), 0755); did(rename(at("project/out/k1"), at("project/out/.keys"))); }
static void denied_name_linked(void) { make("project/out/k2"); did(link(at("project/out/k2"), at("project/out/.keys"))); }

/* Time of check, time of use. */
static volatile int racing = 1;
static void *flip_link(void *unused)
{
    (void)unused;
    while (racing) {
        unlink(at("project/out/race"));
        if (symlink("mine", at("project/out/race"))) continue;
        unlink(at("project/out/race"));
        if (symlink("../.secrets/token", at("project/out/race"))) continue;
    }
    return NULL;
}
static void *flip_folders(void *unused)
{
    (void)unused;
    while (racing) {
        rename(at("project/out/a/b"), at("project/out/b"));
        rename(at("project/out/b"), at("project/out/a/b"));
    }
    return NULL;
}
static void race(void *(*flip)(void *), const char *path)
{
    pthread_t thread;

    pthread_create(&thread, NULL, flip, NULL);
    for (int i = 0; i < 200 && !got; i++) {
        int file = open(path, O_RDONLY);

        look(file);
        if (file >= 0)
            close(file);
    }
    racing = 0;
    pthread_join(thread, NULL);
    /* Once by the wrong end of it for certain. */
    look_at(at(TOKEN));
}
static void race_links(void) { make("project/out/mine"); race(flip_link, at("project/out/race")); }
static void race_folders(void)
{
    mkdir(at("project/out/a"), 0755);
    mkdir(at("project/out/a/b"), 0755);
    race(flip_folders, at("project/out/a/b/../../../.secrets/token"));
}

/* Mounts in namespaces of one's own. */
static void folder(const char *path) { mkdir(path, 0755); }
static void bind_folder(void) { folder("/tmp/b1"); mount(at("project/.secrets"), "/tmp/b1", NULL, MS_BIND, NULL); look_at("/tmp/b1/token"); }
static void bind_file(void) { close(open("/tmp/b2", O_CREAT | O_RDWR, 0644)); mount(at(TOKEN), "/tmp/b2", NULL, MS_BIND, NULL); look_at("/tmp/b2"); }
static void bind_above(void) { folder("/tmp/b3"); mount("/srv", "/tmp/b3", NULL, MS_BIND | MS_REC, NULL); look_at("/tmp/b3/ws/volume/project/.secrets/token"); }
static void bind_onto_writable(void) { mount(at("project/.secrets"), at("project/out"), NULL, MS_BIND, NULL); look_at(at("project/out/token")); }
static void bind_and_write(void) { folder("/tmp/b4"); mount(at("project"), "/tmp/b4", NULL, MS_BIND, NULL); did(open("/tmp/b4/main.c", O_WRONLY)); }
static void move_mount_point(void) { folder("/tmp/b5"); folder("/tmp/b6"); mount(at("project"), "/tmp/b5", NULL, MS_BIND, NULL); mount("/tmp/b5", "/tmp/b6", NULL, MS_MOVE, NULL); look_at("/tmp/b6/.secrets/token"); }
static void detached_tree(void) { look(openat((int)syscall(SYS_open_tree, AT_FDCWD, at("project/.secrets"), OPEN_TREE_CLONE), "token", O_RDONLY)); }
static void overlay(const char *lower, const char *path)
{
    char options[600];

    folder("/tmp/o");
    mount("tmpfs", "/tmp/o", "tmpfs", 0, NULL);
    folder("/tmp/o/u");
    folder("/tmp/o/w");
    folder("/tmp/o/m");
    snprintf(options, sizeof(options), "lowerdir=%s,upperdir=/tmp/o/u,workdir=/tmp/o/w,userxattr", at(lower));
    mount("overlay", "/tmp/o/m", "overlay", 0, options);
    look_at(path);
}
static void overlay_folder(void) { overlay("project/.secrets", "/tmp/o/m/token"); }
static void overlay_project(void) { overlay("project", "/tmp/o/m/.secrets/token"); }
static void overlay_upper(void)
{
    char options[600];

    folder("/tmp/o2");
    mount("tmpfs", "/tmp/o2", "tmpfs", 0, NULL);
    folder("/tmp/o2/l");
    folder("/tmp/o2/m");
    folder("/srv/ws/w");
    snprintf(options, sizeof(options), "lowerdir=/tmp/o2/l,upperdir=%s,workdir=/srv/ws/w,userxattr", at("project"));
    mount("overlay", "/tmp/o2/m", "overlay", 0, options);
    close(open("/tmp/o2/m/new", O_WRONLY | O_CREAT, 0644));
    did(access(at("project/new"), F_OK));
}
static void other_root(void) { if (!chroot(at("project"))) look_at("/.secrets/token"); }
static void root_and_out(void) { folder("/tmp/j"); int up = open("/", O_PATH); if (!chroot("/tmp/j") && !fchdir(up)) look_at("srv/ws/volume/project/.secrets/token"); }
static void pivot(void)
{
    folder("/tmp/p");
    mount("/", "/tmp/p", NULL, MS_BIND | MS_REC, NULL);
    folder("/tmp/p/tmp/old");
    if (!syscall(SYS_pivot_root, "/tmp/p", "/tmp/p/tmp/old"))
        look_at(at(TOKEN));
    else
        look_at("/tmp/p/srv/ws/volume/project/.secrets/token");
}
static void new_namespaces(void) { unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP); look_at(at(TOKEN)); }
static void own_cgroup(void)
{
    int file;

    mkdir("/sys/fs/cgroup/ws0/own", 0755);
    file = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY);
    if (file >= 0 && write(file, "0", 1) == 1)
        got = 1;
    look_at(at(TOKEN));
}

static const struct way AS_USER[] = {
    WAY(plain), WAY(dot_dot), WAY(dots), WAY(symlink_file), WAY(symlink_folder), WAY(symlink_absolute), WAY(symlink_chain),
    WAY(hard_link), WAY(hard_link_main), WAY(hard_link_out), WAY(hard_link_in), WAY(change_folder),
    WAY(by_folder_descriptor), WAY(change_by_descriptor), WAY(elsewhere), WAY(no_rule_listing), WAY(denied_listing),
    WAY(look_of_it), WAY(look_by_path_descriptor), WAY(watch_it), WAY(attribute_of_it), WAY(run_it),
    WAY(by_path_descriptor), WAY(by_own_root), WAY(by_own_folder),
    WAY(move_secrets), WAY(move_token), WAY(exchange_token), WAY(exchange_folders), WAY(move_writable),
    WAY(move_project), WAY(move_volume), WAY(move_away), WAY(move_in), WAY(write_main), WAY(append_main),
    WAY(empty_main), WAY(create_over_main), WAY(mode_of_main), WAY(times_of_main), WAY(owner_of_main),
    WAY(mode_by_descriptor), WAY(remove_main), WAY(move_over_main), WAY(write_by_link), WAY(reopen_for_writing),
    WAY(reopen_path_for_writing), WAY(map_for_writing), WAY(protect_for_writing), WAY(attribute_of_main),
    WAY(flags_of_main), WAY(new_file), WAY(new_folder), WAY(new_pipe), WAY(new_link), WAY(new_socket),
    WAY(unnamed_file), WAY(unnamed_then_linked), WAY(denied_name), WAY(denied_name_moved), WAY(denied_name_linked),
    WAY(race_links), WAY(race_folders),
};
static const struct way AS_ROOT[] = {
    WAY(whiteout), WAY(new_device), WAY(bind_folder), WAY(bind_file), WAY(bind_above),
    WAY(bind_onto_writable), WAY(bind_and_write), WAY(move_mount_point), WAY(detached_tree), WAY(overlay_folder),
    WAY(overlay_project), WAY(overlay_upper), WAY(other_root), WAY(root_and_out), WAY(pivot), WAY(new_namespaces),
    WAY(own_cgroup),
};

/* What is allowed, works: or all of the above would prove nothing. */
static void may_read(void) { char text[8]; did(read(open(at(MAIN), O_RDONLY), text, 8) > 0 ? 0 : -1); }
static void may_list(void) { DIR *list = opendir(at("project")); if (list && readdir(list)) got = 1; }
static void may_write(void) { did(make("project/out/a1")); }
static void may_move(void) { make("project/out/a2"); did(rename(at("project/out/a2"), at("project/out/a3"))); }
static void may_link(void) { make("project/out/a4"); did(link(at("project/out/a4"), at("project/out/a5"))); }
static void may_map(void) { int file = make("project/out/a6"); did(mmap(NULL, 4, PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED ? -1 : 0); }
static void may_name_the_unnamed(void)
{
    char path[64];
    int file = open(at("project/out"), O_TMPFILE | O_RDWR, 0644);

    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    did(linkat(AT_FDCWD, path, AT_FDCWD, at("project/out/a7"), AT_SYMLINK_FOLLOW));
}
static void may_elsewhere(void) { did(open("/srv/ws/free", O_RDWR | O_CREAT, 0644)); }
static const struct way ALLOWED[] = {
    WAY(may_read), WAY(may_list), WAY(may_write), WAY(may_move), WAY(may_link), WAY(may_map), WAY(may_name_the_unnamed),
    WAY(may_elsewhere),
};

int main(int count, char **words)
{
    if (count != 3)
        return 64;
    snprintf(volume, sizeof(volume), "%s", words[2]);
    join(words[1]);
    become_user();
    EACH(ALLOWED);
    EACH(AS_USER);
    become_root_of_namespaces();
    EACH(AS_ROOT);
    return 0;
}
