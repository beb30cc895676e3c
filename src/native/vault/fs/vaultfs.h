/*
 * vaultfs: volumes of workspaces, served through FUSE from outside the workspace, every operation judged by the authorizer.
 *
 * The path that is judged is the path that is opened: each operation builds the path of its node, asks, and resolves exactly
 * those octets beneath the root (openat2: no symbolic link, no mount, no way up), so that nothing can change in between what
 * the two mean. The daemon holds no descriptor of what is only known, so its number of files has no limit but memory.
 *
 * Locks, in this order: `writer` (stage, commit, stop), `serving` (what is served, flags, the deadline), a volume's `gate` (read:
 * one operation from judging to its answer; write: a rename, or a change of what is judged by), a volume's `tree` (nodes and names,
 * held for moments), the ring. That of a volume's threads (loop.c) comes last: nothing is taken under it.
 */
#ifndef SLUICE_VAULTFS_H
#define SLUICE_VAULTFS_H

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "../vault.h"

#define PATH_ROOM (VAULT_PATH + VAULT_NAME + 2)

/* One name of a node: an entry of its parent. */
struct name {
    struct name *chain;   /* of the hash by (parent, text) */
    struct name *sibling; /* other names of the same node */
    struct node *parent;
    struct node *node;
    uint16_t length;
    char text[];
};

/* A file that the kernel knows, by device and inode number, with every name that it was met by. */
struct node {
    struct node *chain; /* of the hash by (dev, ino), or of those that are retired */
    struct node **back; /* of a retired one: what points to it */
    struct name *names; /* none: the root, or removed */
    char *last;         /* of a removed one: where it was */
    uint64_t lookups;   /* the kernel's */
    uint32_t children;  /* names whose parent this is */
    uint32_t handles;
    int32_t lent; /* the kernel's number of the file below while it is handed over, or 0 */
    dev_t dev;
    ino_t ino;
    mode_t type;
    int orphan; /* descriptor of a removed one that is still known, or -1 */
    struct timespec mtime; /* at the last open, for the kernel's cache */
    off_t size;
};

struct table {
    uint32_t count, mask, used;
    struct node **nodes;
    struct name **names;
};

struct counts {
    _Atomic uint64_t by[VAULT_VERDICTS];
};

struct volume {
    struct volume *next;
    char *workspace, *name, *source, *mount;
    int root; /* O_PATH */
    dev_t dev;
    bool folds; /* its file system can have directories that fold case */
    bool direct; /* what is only written need not pass through the kernel's cache */
    bool lasts;  /* files may be handed to the kernel */
    _Atomic bool greeted; /* INIT was answered */
    struct fuse_session *session;
    struct loop *loop;
    pthread_t thread;
    pthread_rwlock_t gate;
    /* Written under `gate` for writing. */
    const struct vault_table *judge;
    uint32_t index;
    uint32_t standing;
    bool expired;
    bool stale; /* of whoever keeps the deadline: expired, and not yet taken from the kernel's caches */
    _Atomic uint32_t epoch; /* a verdict remembered under another one is void */
    pthread_mutex_t tree;
    struct node top;
    struct table known;
    struct node *retired; /* still meant by the kernel, and by no number */
    struct counts counts;
    bool pending;           /* staged and not yet live: denies everything */
    char device[24];        /* of its mount, as mountinfo has it */
    char function[160];     /* of a card, which serves it in the place of a mount; else empty */
    uint32_t mounted;       /* the kernel's number of its mount */
    _Atomic uint32_t open;  /* handles */
    _Atomic uint32_t lent;  /* of these, what nobody judges any more */
    struct handle *handles; /* all of them, under `tree` */
    _Atomic bool over;      /* its session has ended */
    /* Of the bucket of events, under the ring's lock. */
    uint64_t filled_ns;
    uint32_t tokens;
};

struct handle {
    struct handle *next, **link;
    int fd;
    struct node *node;
    pthread_mutex_t lock; /* of a directory's position */
    off_t position;
    bool lent;   /* handed to the kernel */
    _Atomic uint32_t judged_read, judged_write; /* the epochs in which they were allowed */
};

/* ---- names.c: what the kernel knows -------------------------------------------------------------------------------- */

void tree_init(struct volume *volume);
void tree_free(struct volume *volume);
struct node *tree_node(struct volume *volume, fuse_ino_t ino);
/* Adds a name and one lookup; the node of (dev, ino), made if need be. NULL without memory. */
struct node *tree_meet(struct volume *volume, struct node *parent, const char *name, const struct stat *attr);
void tree_forget(struct volume *volume, struct node *node, uint64_t lookups);
void tree_hold(struct volume *volume, struct node *node, int by);
/* After a removal: takes the name away. `fd` (or -1) becomes the node's own if nothing else names the file, else is closed. */
void tree_drop(struct volume *volume, struct node *parent, const char *name, int fd);
bool tree_knows(struct volume *volume, struct node *parent, const char *name);
void tree_move(struct volume *volume, struct node *from, const char *old, struct node *to, const char *new, bool exchange);
/* Writes the path of the n-th name of a node; its length, 0 when there is no such name, or -ENAMETOOLONG. */
int tree_path(struct volume *volume, struct node *node, uint32_t nth, char *path);

/* ---- reach.c: judging, and opening what was judged ----------------------------------------------------------------- */

/* One operation under way. `path` is the path that was judged, from the root, NUL-terminated. */
struct reach {
    struct volume *volume;
    struct node *node;
    char path[PATH_ROOM];
    int length;
};

struct volume *volume_of(fuse_req_t req);
/* Bits of enum vault_standing. */
uint32_t standing_of(const struct volume *volume);
/* Judges an operation on a node, or on an entry of it when `name` is not NULL. 0, or the errno to answer with. */
int reach_judge(struct reach *reach, fuse_req_t req, fuse_ino_t node, const char *name, enum vault_op op);
/* As above for a handle, whose verdict is remembered while nothing changes. */
int reach_handle(fuse_req_t req, struct handle *handle, enum vault_op op, bool write);
/* Opens what was judged; for a node (not an entry) only if it is still the file that the kernel means. */
int reach_open(const struct reach *reach, int flags, struct stat *attr);
/* Opens the directory that an entry was judged in. */
int reach_parent(const struct reach *reach);
/* Opens one entry of an open directory of the volume. */
int reach_entry(const struct volume *volume, int directory, const char *name, int flags);
/* Makes one, or opens what is there; what is made has that mode. */
int reach_create(int directory, const char *name, int flags, mode_t mode);
void reach_deny(struct volume *volume, fuse_req_t req, enum vault_op op, int verdict, const char *path, uint32_t node,
                uint32_t right);
/* A refusal of the file system below that stands for a way out of the volume; anything else stays as it is. */
int reach_errno(struct volume *volume, fuse_req_t req, enum vault_op op, const char *path, int error);

#define ENTER(volume) pthread_rwlock_rdlock(&(volume)->gate)
#define LEAVE(volume) pthread_rwlock_unlock(&(volume)->gate)

/* ---- operations ---------------------------------------------------------------------------------------------------- */

void ops_meta(struct fuse_lowlevel_ops *ops);
void ops_tree(struct fuse_lowlevel_ops *ops);
void ops_data(struct fuse_lowlevel_ops *ops);
void ops_list(struct fuse_lowlevel_ops *ops);
void ops_xattr(struct fuse_lowlevel_ops *ops);
/* Judges a node and opens it, if it is still the file that the kernel means; -errno. */
int open_judged(fuse_req_t req, fuse_ino_t ino, enum vault_op op, int flags, struct stat *attr, struct reach *reach);
/* Answers with the entry at an open O_PATH descriptor, which it closes; counts a lookup. */
int entry_fill(struct volume *volume, struct node *parent, const char *name, int fd, struct fuse_entry_param *entry);
/* As above for what was looked at: `fd` stays the caller's. */
int entry_meet(struct volume *volume, struct node *parent, const char *name, int fd, const struct stat *attr,
               struct fuse_entry_param *entry);
/* As the caller, for what is made: owner and group, without losing the daemon's rights. */
void as_caller(fuse_req_t req);
void as_daemon(fuse_req_t req);

extern const double ATTR_SECONDS;

/* ---- handle.c: what is open ---------------------------------------------------------------------------------------- */

/* A handle holds its descriptor and its node. NULL without memory; then the descriptor is still the caller's. */
struct handle *handle_make(struct volume *volume, struct node *node, int fd);
void handle_end(struct volume *volume, struct handle *handle);
struct handle *handle_of(const struct fuse_file_info *info);
/* Answers an open with a handle of `fd`, which it takes; with an error where that is negative. */
void handle_reply(fuse_req_t req, struct node *node, int fd, struct fuse_file_info *info);
void handle_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void handle_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info);

/* ---- lend.c, and what stands for it where there is no kernel to hand files to ----------------------------------------- */

/* Answer with a handle, as fuse_reply_open and fuse_reply_create do: -ENOENT when nobody took it. */
int answer_open(fuse_req_t req, struct fuse_file_info *info, struct handle *handle);
int answer_create(fuse_req_t req, const struct fuse_entry_param *entry, struct fuse_file_info *info, struct handle *handle);
/* Takes back what was handed over with it, if nobody else has the file open. Before the handle lets go of its node. */
void answer_release(struct volume *volume, struct handle *handle);

/* ---- events.c ------------------------------------------------------------------------------------------------------ */

/* Counts, and puts into the ring what the bucket of the volume lets through. */
void event_put(struct volume *volume, fuse_req_t req, enum vault_op op, int verdict, const char *path, const char *clause,
               uint64_t generation);
/* Takes what is there as lines into `text`, and how many were lost since the last time. Bytes written. */
size_t event_take(char *text, size_t room, uint64_t *lost);
/* Octets that are not printable ASCII, and the escape itself, as %XX: a line stays a line, and a word a word. */
size_t put_escaped(char *text, const char *from);

/* ---- serve.c: volumes and what they are judged by ------------------------------------------------------------------- */

int serve_stage(void *block, uint64_t size, char *why, size_t room);
int serve_commit(uint64_t generation, char *why, size_t room);
void serve_discard(void);
int serve_flag(const char *workspace, uint32_t bit, bool on);
/* What is live, as lines; bytes written. */
size_t serve_observe(char *text, size_t room);
/* The octets that are judged by, as the caller's own; NULL and 0 while nothing is live, NULL and another size without memory. */
void *serve_table(size_t *size);
/* Suspends what the deadline is for, if it has come. Milliseconds until then, or -1. Of one thread. */
int serve_deadline(void);
void serve_stop(void);

/* ---- flags.c -------------------------------------------------------------------------------------------------------- */

struct flagged {
    struct flagged *next;
    uint32_t bits;
    char workspace[];
};

/* Reads what an earlier daemon wrote into the directory; 0 or -errno. */
int flags_open(const char *directory);
int flags_save(void);
uint32_t flags_of(const char *workspace);
/* The entry of a workspace, made if need be; NULL without memory. */
struct flagged *flags_at(const char *workspace);
const struct flagged *flags_first(void);

/* ---- left.c -------------------------------------------------------------------------------------------------------- */

/* Reads what an earlier daemon of this directory wrote down since the machine started; 0 or -errno. */
int left_open(const char *directory);
/* Before a file of the workspace is handed over. -errno: then nothing may be. */
int left_note(const char *workspace);
/* A mount ended while files of it were handed over. */
void left_behind(const char *workspace);
/* May files be open that a mount or a daemon handed over which is gone? */
bool left_of(const char *workspace);

/* ---- root.c -------------------------------------------------------------------------------------------------------- */

/* A volume of the table with its root open, which nobody serves yet. NULL, and `why` says what is in the way. */
struct volume *volume_make(const struct vault_table *table, uint32_t index, char *why, size_t room);
void volume_free(struct volume *volume);

/* ---- init.c -------------------------------------------------------------------------------------------------------- */

/* Before a session is served. -errno. */
int init_begin(struct volume *volume);

/* ---- loop.c -------------------------------------------------------------------------------------------------------- */

/* The longest write that one request may carry, in octets. */
#define LONGEST_WRITE (1u << 20)

/* The threads of a mounted session, none of which runs yet. NULL without memory. */
struct loop *loop_make(struct fuse_session *session);
/* Serves until the session ends or is stopped, and until what was begun by then is done. */
void loop_run(struct loop *loop);
/* From any thread, also before and after it runs. */
void loop_stop(struct loop *loop);
/* Not while it runs. */
void loop_free(struct loop *loop);

/* ---- volume.c ------------------------------------------------------------------------------------------------------ */

/* Serves a volume that denies everything until it is no longer `pending`. NULL, and `why` says what is in the way. */
struct volume *volume_open(const struct vault_table *table, uint32_t index, char *why, size_t room);
/* Is its mount still where it was put? */
bool volume_stands(const struct volume *volume);
/* Beyond its row: is what it is served by what a volume of its name belongs to now? */
bool volume_belongs(const struct volume *volume);
/* Beyond its mount: has it what a volume of that name is to be served by? */
bool volume_holds(const struct volume *volume, const char *workspace, const char *name);
void volume_close(struct volume *volume);
/* Makes the kernel ask again about everything that it has cached, removed files too. Call without a gate. -ENOMEM: not everything. */
int volume_refresh(struct volume *volume);

/* The name of a daemon's mounts, by its directory, and what takes away all mounts of that name. How many, or -errno. */
extern char volume_label[32];
int volume_clear(void);

/* ---- control.c ----------------------------------------------------------------------------------------------------- */

/* Serves requests at a Unix socket until `stop` becomes readable. -errno. */
int control_run(const char *path, int stop);

#endif
