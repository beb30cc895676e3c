/*
 * What a workspace that is a cgroup may do with the files of its volumes, judged where they lie (BPF LSM). A file is the path of its
 * entry from the root of its volume, as the kernel's own tree of the file system has it: whatever mount, root, link, handle or
 * descriptor led there, the path is the same. The rights of a path are those of src/plan/evaluate-file.ts; what they rest on, nobody in
 * the workspace can move, so an entry that is moved while its path is read has the same rights on the way.
 *
 * Gives -EACCES or -EROFS and an event for what is denied, for what lies too deep, and for what has no path on a device where a volume
 * of the workspace is. What lies on no volume is not judged here; between a volume and the rest nothing is renamed or linked.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "guard_judge.h"

#define KIND(mode) ((mode) & 0170000u)
#define FOLDER 0040000u
#define CHARACTERS 0020000u
#define BLOCKS 0060000u
#define MAY_WRITE 2
#define FOR_WRITE 2u /* FMODE_WRITE */
#define SHARED_MAPPING 1ul /* the bit of MAP_SHARED and MAP_SHARED_VALIDATE */
#define SHARED_AREA 8ul /* VM_SHARED */
#define WRITABLE 2ul /* PROT_WRITE */
#define VERSION(major, minor) (((major) << 16) + ((minor) << 8))

extern int LINUX_KERNEL_VERSION __kconfig;

char _license[] SEC("license") = "GPL";

/* Nothing is known of the arguments but that they are eight octets each: hooks differ between kernels in more than a type would say. */
static __always_inline __u64 word(const unsigned long long *context, __u32 which)
{
    __u64 value = 0;

    bpf_probe_read_kernel(&value, sizeof(value), &context[which]);
    return value;
}

/*
 * The entry of an open file. Where a file system shows another's file under its own path (overlayfs), the file's inode is the other's:
 * then it is an entry of that inode.
 */
static __always_inline __u64 entry_of(struct file *file, __u32 *mode)
{
    struct dentry *entry = BPF_CORE_READ(file, f_path.dentry);
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    struct hlist_node *alias;

    *mode = BPF_CORE_READ(inode, i_mode);
    if (BPF_CORE_READ(entry, d_inode) == inode || BPF_CORE_READ(entry, d_sb) == BPF_CORE_READ(inode, i_sb))
        return (__u64)entry;
    alias = BPF_CORE_READ(inode, i_dentry.first);
    return alias ? (__u64)alias - bpf_core_field_offset(((struct dentry *)0)->d_u.d_alias) : 0;
}

static __always_inline int judge_file(struct file *file, __u32 reading, __u32 writing, int writes)
{
    __u32 mode;
    __u64 entry = entry_of(file, &mode);

    return judge(entry, KIND(mode) == FOLDER ? FILE_OP_LIST : writes ? writing : reading);
}

/* Of the kernel's own, what only this file reads. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct vm_area_struct {
    unsigned long vm_flags;
    struct file *vm_file;
};
struct socket {
    struct sock *sk;
};
struct unix_sock {
    struct path path;
};
#pragma clang attribute pop

/* A socket that lies in a file system is spoken to as a file there is opened for writing (unix(7)). */
static __always_inline int judge_ear(struct sock *ear)
{
    struct dentry *entry = BPF_CORE_READ((struct unix_sock *)ear, path.dentry);

    return entry ? judge((__u64)entry, FILE_OP_OPEN_WRITE) : 0;
}

#define HOOK(name) SEC("lsm/" #name) int guard_##name(unsigned long long *context)
/* One that not every kernel has (load.c). */
#define HOOK_IF_THERE(name) SEC("?lsm/" #name) int guard_##name(unsigned long long *context)

/* clang-format off */
HOOK(file_open)
{
    struct file *file = (struct file *)word(context, 0);

    return judge_file(file, FILE_OP_OPEN, FILE_OP_OPEN_WRITE, BPF_CORE_READ(file, f_mode) & FOR_WRITE);
}
/* Handed over by somebody who may more. */
HOOK(file_receive)
{
    struct file *file = (struct file *)word(context, 0);

    return judge_file(file, FILE_OP_OPEN, FILE_OP_OPEN_WRITE, BPF_CORE_READ(file, f_mode) & FOR_WRITE);
}
/* What is open is judged again before every octet: a flag or a plan may have come since. */
HOOK(file_permission)
{
    return judge_file((struct file *)word(context, 0), FILE_OP_READ, FILE_OP_WRITE, word(context, 1) & MAY_WRITE);
}
/* A shared mapping of what is open for writing can be made writable at any time: only its making is asked about. */
HOOK(mmap_file)
{
    struct file *file = (struct file *)word(context, 0);
    __u64 protection = word(context, 2), flags = word(context, 3);

    if (!file)
        return 0;
    return judge_file(file, FILE_OP_READ, FILE_OP_WRITE,
                      flags & SHARED_MAPPING && (protection & WRITABLE || BPF_CORE_READ(file, f_mode) & FOR_WRITE));
}
/* What was mapped before its rules came is judged when more is asked of it. */
HOOK(file_mprotect)
{
    struct vm_area_struct *area = (struct vm_area_struct *)word(context, 0);
    struct file *file = BPF_CORE_READ(area, vm_file);

    if (!file)
        return 0;
    return judge_file(file, FILE_OP_READ, FILE_OP_WRITE,
                      BPF_CORE_READ(area, vm_flags) & SHARED_AREA && word(context, 2) & WRITABLE);
}
/* Those of descriptors and terminals are about no file; clones are judged as reading and writing. */
#define TERMINALS 0x54u
#define CLONE 0x40049409u
#define CLONE_RANGE 0x4020940du
#define SAME_RANGE 0xc0189436u
static __always_inline int judge_command(const unsigned long long *context)
{
    __u32 command = (__u32)word(context, 1);

    if (command >> 8 == TERMINALS || command == CLONE || command == CLONE_RANGE || command == SAME_RANGE)
        return 0;
    return judge_file((struct file *)word(context, 0), FILE_OP_IOCTL, FILE_OP_IOCTL, 1);
}
HOOK(file_ioctl) { return judge_command(context); }
HOOK_IF_THERE(file_ioctl_compat) { return judge_command(context); }
HOOK(path_notify)
{
    return judge((__u64)BPF_CORE_READ((struct path *)word(context, 0), dentry), FILE_OP_LIST);
}

HOOK(inode_create) { return judge(word(context, 1), FILE_OP_CREATE); }
HOOK(inode_mkdir) { return judge(word(context, 1), FILE_OP_MKDIR); }
HOOK(inode_symlink) { return judge(word(context, 1), FILE_OP_SYMLINK); }
HOOK(inode_unlink) { return judge(word(context, 1), FILE_OP_UNLINK); }
HOOK(inode_rmdir) { return judge(word(context, 1), FILE_OP_RMDIR); }
HOOK(inode_mknod)
{
    __u32 kind = KIND((__u32)word(context, 2));

    return judge(word(context, 1), kind == CHARACTERS || kind == BLOCKS ? FILE_OP_MAKE_DEVICE : FILE_OP_MKNOD);
}
HOOK(inode_link)
{
    return judge_pair(word(context, 0), FILE_OP_LINK_FROM, word(context, 2), FILE_OP_LINK_TO);
}
/* An exchange is asked about twice, each way. */
HOOK(inode_rename)
{
    return judge_pair(word(context, 1), FILE_OP_RENAME_FROM, word(context, 3), FILE_OP_RENAME_TO);
}

/* A stream is judged when it connects, a datagram each time. */
HOOK(unix_stream_connect) { return judge_ear((struct sock *)word(context, 1)); }
HOOK(unix_may_send) { return judge_ear(BPF_CORE_READ((struct socket *)word(context, 1), sk)); }

/* What a move leaves behind where it is asked to is a device node. */
#define WHITEOUT 4u
HOOK_IF_THERE(path_rename)
{
    return (__u32)word(context, 4) & WHITEOUT ? judge(word(context, 1), FILE_OP_MAKE_DEVICE) : 0;
}

HOOK(inode_readlink) { return judge(word(context, 0), FILE_OP_READLINK); }
HOOK(inode_getattr)
{
    return judge((__u64)BPF_CORE_READ((struct path *)word(context, 0), dentry), FILE_OP_GETATTR);
}
/* 6.9 put the mount's map of identities before the entry. */
HOOK(inode_setattr)
{
    return judge(word(context, LINUX_KERNEL_VERSION >= VERSION(6, 9) ? 1 : 0), FILE_OP_SETATTR);
}
/* Flags by a call of their own, as an ioctl would set them (6.17). */
HOOK_IF_THERE(inode_file_setattr) { return judge(word(context, 0), FILE_OP_IOCTL); }
HOOK(inode_getxattr) { return judge(word(context, 0), FILE_OP_GETXATTR); }
HOOK(inode_listxattr) { return judge(word(context, 0), FILE_OP_GETXATTR); }

/* Attributes that are more than data are those that are not the user's. */
static __always_inline int judge_attribute(__u64 entry, __u64 name)
{
    char first[6] = {};

    bpf_probe_read_kernel_str(first, sizeof(first), (const void *)name);
    return judge(entry, first[0] == 'u' && first[1] == 's' && first[2] == 'e' && first[3] == 'r' && first[4] == '.'
                            ? FILE_OP_SETXATTR
                            : FILE_OP_SET_PRIVILEGE);
}
HOOK(inode_setxattr) { return judge_attribute(word(context, 1), word(context, 2)); }
HOOK(inode_removexattr) { return judge_attribute(word(context, 1), word(context, 2)); }
/* Since 6.2 ACLs have hooks of their own. */
HOOK_IF_THERE(inode_set_acl) { return judge(word(context, 1), FILE_OP_SET_PRIVILEGE); }
HOOK_IF_THERE(inode_remove_acl) { return judge(word(context, 1), FILE_OP_SET_PRIVILEGE); }
HOOK_IF_THERE(inode_get_acl) { return judge(word(context, 1), FILE_OP_GETXATTR); }
/* clang-format on */
