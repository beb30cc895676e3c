/*
 * The test's side of the emulated card: functions that there are, requests as a guest's kernel sends them, and what a program did
 * that a device would not take. The emulator is strict where the published calls are: order, required settings, one completion for
 * each request, the guest's memory reached by copies only and what a request brings copied once.
 */
#ifndef DOCA_EMULATED_GUEST_H_
#define DOCA_EMULATED_GUEST_H_

#include <linux/fuse.h>
#include <stdint.h>

#include "doca_error.h"

struct emulated_request {
    uint32_t opcode;
    uint64_t nodeid;
    uint32_t uid, gid, pid;
    const void *arg; /* the operation's structure, or NULL */
    uint32_t arg_size;
    const void *given; /* names and payload, in the guest's memory */
    uint32_t given_size;
    const void *later; /* what the guest puts in its place once it was copied; NULL: it stays */
    uint32_t room;     /* of what may come back, in `pieces` buffers (0: one) */
    uint32_t pieces;
};
struct emulated_answer {
    doca_error_t status;
    int32_t error; /* as the guest sees it: 0 or a negative errno */
    uint32_t length;
    union {
        struct fuse_entry_out entry;
        struct fuse_attr_out attr;
        struct fuse_open_out open;
        struct fuse_write_out write;
        struct fuse_statfs_out statfs;
        struct fuse_getxattr_out xattr;
        struct fuse_ioctl_out ioctl;
        struct fuse_init_out init;
    } body;
    struct fuse_open_out opened; /* of create */
    uint32_t got;
    char data[1 << 20];
};
struct emulated_pending;

/* A card at a PCI address with functions by VUID, separated by commas. Once, before anything else. */
void emulated_card(const char *pci, const char *vuids);
/* Hands a request to the function; NULL when nothing runs there. */
struct emulated_pending *emulated_send(const char *vuid, const struct emulated_request *request);
/* Waits until it is completed; frees it. */
void emulated_wait(struct emulated_pending *pending, struct emulated_answer *answer);
/* Both. Status NOT_CONNECTED when nothing runs there. */
void emulated_ask(const char *vuid, const struct emulated_request *request, struct emulated_answer *answer);
/* Copies are held back until they are let go, so that a test can see what waits for them. */
void emulated_hold_copies(int on);
/* Lets the next n go all the same. */
void emulated_pass_copies(uint32_t n);
/* The n-th copy from now fails (0: none). */
void emulated_fail_copy(uint32_t n);
/* The tag of a function, "" when it is not up. */
const char *emulated_tag(const char *vuid);
/* What was done that is not allowed, a line each; how many. */
uint32_t emulated_violations(char *text, uint32_t room);

#endif
