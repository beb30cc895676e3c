/*
 * The words in which files are judged: rights, operations, verdicts, each with its number. By themselves and without another header, for
 * a program in the kernel. The lists are those of src/plan, in the same order, and a test compares them.
 */
#ifndef SLUICE_GUARD_WORDS_H
#define SLUICE_GUARD_WORDS_H

/* Rights of a rule, as bits: a path may be named with several. */
enum file_right { FILE_DENY = 1, FILE_READ = 2, FILE_WRITE = 4 };

/* In the order of FILE_OPERATIONS (src/plan/file-operations.ts). */
enum file_op {
    FILE_OP_LOOKUP,
    FILE_OP_GETATTR,
    FILE_OP_STATFS,
    FILE_OP_LIST,
    FILE_OP_READLINK,
    FILE_OP_OPEN,
    FILE_OP_OPEN_WRITE,
    FILE_OP_GETXATTR,
    FILE_OP_CREATE,
    FILE_OP_MKDIR,
    FILE_OP_MKNOD,
    FILE_OP_SYMLINK,
    FILE_OP_UNLINK,
    FILE_OP_RMDIR,
    FILE_OP_RENAME_FROM,
    FILE_OP_RENAME_TO,
    FILE_OP_LINK_FROM,
    FILE_OP_LINK_TO,
    FILE_OP_SETATTR,
    FILE_OP_SETXATTR,
    FILE_OP_WRITE,
    FILE_OP_READ,
    FILE_OP_FALLOCATE,
    FILE_OP_COPY,
    FILE_OP_MAKE_DEVICE,
    FILE_OP_SET_PRIVILEGE,
    FILE_OP_IOCTL,
    FILE_OP_OPEN_HANDLE,
    FILE_OPS
};

/* 0 allows. The others in the order of FILE_DENIALS (src/plan/evaluate-file.ts). */
enum file_verdict {
    FILE_ALLOW,
    FILE_QUARANTINED,
    FILE_SUSPENDED,
    FILE_NO_VOLUME,
    FILE_BAD_PATH,
    FILE_NEVER,
    FILE_DENIED,
    FILE_NO_RULE,
    FILE_READ_ONLY,
    FILE_ANCHORED,
    FILE_VERDICTS
};

#endif
