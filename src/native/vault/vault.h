/*
 * The file authorizer: decides (volume of a workspace, operation, path) against a compiled table. It is one library for
 * whatever serves files outside the workspace: vaultfs on a node, virtio-fs handlers on a DPU. The meaning is
 * src/plan/evaluate-file.ts, and a test compares the two.
 *
 * A table is one block of octets made by src/vault/lower.ts, little-endian, every place in it a number counted from
 * its beginning. It is checked in full before it is used; deciding then reads it and allocates nothing.
 */
#ifndef SLUICE_VAULT_H
#define SLUICE_VAULT_H

#include <stddef.h>
#include <stdint.h>

#define VAULT_ABI 1u
#define VAULT_MAGIC 0x746c7556u /* "Vult" */
#define VAULT_PATH 4095u
#define VAULT_NAME 255u
#define VAULT_NONE 0xffffffffu

/* Rights of a rule, as bits: a path may be named with several. */
enum vault_right { VAULT_DENY = 1, VAULT_READ = 2, VAULT_WRITE = 4 };

/* In the order of FILE_OPERATIONS (src/plan/file-operations.ts). */
enum vault_op {
    VAULT_OP_LOOKUP,
    VAULT_OP_GETATTR,
    VAULT_OP_STATFS,
    VAULT_OP_LIST,
    VAULT_OP_READLINK,
    VAULT_OP_OPEN,
    VAULT_OP_OPEN_WRITE,
    VAULT_OP_GETXATTR,
    VAULT_OP_CREATE,
    VAULT_OP_MKDIR,
    VAULT_OP_MKNOD,
    VAULT_OP_SYMLINK,
    VAULT_OP_UNLINK,
    VAULT_OP_RMDIR,
    VAULT_OP_RENAME_FROM,
    VAULT_OP_RENAME_TO,
    VAULT_OP_LINK_FROM,
    VAULT_OP_LINK_TO,
    VAULT_OP_SETATTR,
    VAULT_OP_SETXATTR,
    VAULT_OP_WRITE,
    VAULT_OP_READ,
    VAULT_OP_FALLOCATE,
    VAULT_OP_COPY,
    VAULT_OP_MAKE_DEVICE,
    VAULT_OP_SET_PRIVILEGE,
    VAULT_OP_IOCTL,
    VAULT_OP_OPEN_HANDLE,
    VAULT_OPS
};

/* 0 allows. The others in the order of FILE_DENIALS (src/plan/evaluate-file.ts). */
enum vault_verdict {
    VAULT_ALLOW,
    VAULT_QUARANTINED,
    VAULT_SUSPENDED,
    VAULT_NO_VOLUME,
    VAULT_BAD_PATH,
    VAULT_NEVER,
    VAULT_DENIED,
    VAULT_NO_RULE,
    VAULT_READ_ONLY,
    VAULT_ANCHORED,
    VAULT_VERDICTS
};

/* Standing of a volume's workspace, beside and above every table. */
enum vault_standing { VAULT_IS_QUARANTINED = 1, VAULT_IS_SUSPENDED = 2 };

/* What a policy says of a volume as a whole. */
enum vault_term {
    VAULT_HOLDS = 1, /* the deadline is not for it (on_expiry: hold) */
    VAULT_LASTS = 2, /* what is open may stay open, whatever happens after (open_files: until-closed) */
};

struct vault_header {
    uint32_t magic;
    uint32_t abi;
    uint64_t generation;
    uint8_t digest[32];    /* of the plan */
    int64_t deadline_ms;   /* since 1970, read once, at the commit; workspaces that do not hold beyond it are suspended from then on */
    uint32_t volumes;      /* count of struct vault_volume, after this header */
    uint32_t nodes;        /* count of struct vault_node, after the volumes */
    uint32_t text;         /* octets of names and paths, after the nodes */
    uint32_t size;         /* of everything */
};

/* Text is a place in the text and a length; it ends with a NUL that is not counted. */
struct vault_text {
    uint32_t at;
    uint32_t length;
};

struct vault_volume {
    struct vault_text workspace;
    struct vault_text name;
    struct vault_text source;
    struct vault_text mount;
    uint32_t root; /* its node */
    uint32_t terms; /* bits of enum vault_term */
};

/* One segment of a path that rules speak of. Children stand together, sorted by octets. */
struct vault_node {
    struct vault_text name;
    uint32_t child;
    uint32_t children;
    uint32_t rights;         /* of the rules at exactly this path */
    uint32_t leads;          /* 1: something that may be read lies here or below */
    struct vault_text clause[3]; /* that each right is from, in the order of enum vault_right; empty where there is none */
};

struct vault_table; /* = the block */

/*
 * Before: `size` octets at `block`, aligned to 8, that outlive the table. After: every number in it is within it, and the
 * table can be decided against. 0, -EPROTO for another format, -EINVAL for a damaged one.
 */
int sluice_vault_open(const void *block, uint64_t size, const struct vault_table **out);

/* Number of the volume, or VAULT_NONE. */
uint32_t sluice_vault_find(const struct vault_table *table, const char *workspace, const char *volume);

/*
 * The verdict on one operation; `path` is `length` octets from the volume's root. `node` (may be NULL) takes the node whose
 * clause the verdict names and `right` its index in clause[], or VAULT_NONE. Reads only; any number of threads.
 */
int sluice_vault_decide(const struct vault_table *table, uint32_t volume, uint32_t standing, uint32_t op, const char *path,
                        uint32_t length, uint32_t *node, uint32_t *right);

/* What the caller is told: 0, EACCES or EROFS. */
int sluice_vault_errno(int verdict);

/* Sizes and offsets of the above as text, and the counts of the lists, for the test that compares them. */
int sluice_vault_layout(char *text, uint32_t capacity);
uint32_t sluice_vault_abi(void);

/* ---- for those who serve, in C ------------------------------------------------------------------------------------- */

const struct vault_header *vault_header_of(const struct vault_table *table);
const struct vault_volume *vault_volume_at(const struct vault_table *table, uint32_t volume);
const struct vault_node *vault_node_at(const struct vault_table *table, uint32_t node);
const char *vault_text_at(const struct vault_table *table, struct vault_text text);

#endif
