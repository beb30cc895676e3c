/*
 * An nftables that refuses on demand: a libnftables that stands before the real one (SLUICE_TEST_NFT_REAL) by LD_LIBRARY_PATH, and
 * the sender of libmnl by LD_PRELOAD, which tables are read through. Both pass every call on, but while the file
 * SLUICE_TEST_NFT_FAIL exists every command and every question about a ruleset fails as one that the kernel refuses, and while
 * SLUICE_TEST_NFT_HANG exists they wait.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static bool refused;

/* Waits while there is to be waited; then says whether it is refused. */
static bool is_refused(void)
{
    const char *file = getenv("SLUICE_TEST_NFT_FAIL");
    const char *hang = getenv("SLUICE_TEST_NFT_HANG");

    while (hang && access(hang, F_OK) == 0)
        usleep(20000);
    return file && access(file, F_OK) == 0;
}

static void *real(const char *name)
{
    static void *library;

    if (!library)
        library = dlopen(getenv("SLUICE_TEST_NFT_REAL"), RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : NULL;
}

void *nft_ctx_new(uint32_t flags)
{
    return ((void *(*)(uint32_t))real("nft_ctx_new"))(flags);
}

void nft_ctx_free(void *context)
{
    ((void (*)(void *))real("nft_ctx_free"))(context);
}

int nft_ctx_buffer_output(void *context)
{
    return ((int (*)(void *))real("nft_ctx_buffer_output"))(context);
}

int nft_ctx_buffer_error(void *context)
{
    return ((int (*)(void *))real("nft_ctx_buffer_error"))(context);
}

const char *nft_ctx_get_output_buffer(void *context)
{
    return ((const char *(*)(void *))real("nft_ctx_get_output_buffer"))(context);
}

const char *nft_ctx_get_error_buffer(void *context)
{
    if (refused)
        return "Error: Could not process rule: Operation not permitted\n";
    return ((const char *(*)(void *))real("nft_ctx_get_error_buffer"))(context);
}

void nft_ctx_set_dry_run(void *context, bool dry)
{
    ((void (*)(void *, bool))real("nft_ctx_set_dry_run"))(context, dry);
}

void nft_ctx_output_set_flags(void *context, unsigned int flags)
{
    ((void (*)(void *, unsigned int))real("nft_ctx_output_set_flags"))(context, flags);
}

int nft_run_cmd_from_buffer(void *context, const char *buffer)
{
    refused = is_refused();
    if (refused)
        return -1;
    return ((int (*)(void *, const char *))real("nft_run_cmd_from_buffer"))(context, buffer);
}

static bool asks_for_a_ruleset(const void *bytes, size_t length)
{
    struct nlmsghdr message;

    if (length < sizeof message)
        return false;
    memcpy(&message, bytes, sizeof message);
    if (NFNL_SUBSYS_ID(message.nlmsg_type) != NFNL_SUBSYS_NFTABLES)
        return false;
    switch (NFNL_MSG_TYPE(message.nlmsg_type)) {
    case NFT_MSG_GETTABLE:
    case NFT_MSG_GETCHAIN:
    case NFT_MSG_GETRULE:
    case NFT_MSG_GETSET:
        return true;
    default:
        return false;
    }
}

/* Of libmnl, for whoever is linked to it. */
ssize_t mnl_socket_sendto(const void *socket, const void *bytes, size_t length)
{
    static ssize_t (*next)(const void *, const void *, size_t);

    if (asks_for_a_ruleset(bytes, length) && is_refused()) {
        errno = EPERM;
        return -1;
    }
    if (!next)
        next = (ssize_t(*)(const void *, const void *, size_t))dlsym(RTLD_NEXT, "mnl_socket_sendto");
    if (!next) {
        void *library = dlopen("libmnl.so.0", RTLD_NOW | RTLD_LOCAL);
        next = library ? (ssize_t(*)(const void *, const void *, size_t))dlsym(library, "mnl_socket_sendto") : NULL;
    }
    if (!next) {
        errno = ENOSYS;
        return -1;
    }
    return next(socket, bytes, length);
}
