/*
 * A libnftables that refuses on demand: it stands before the real one (SLUICE_TEST_NFT_REAL) by LD_LIBRARY_PATH and passes every
 * call on, but while the file SLUICE_TEST_NFT_FAIL exists every command fails as one that the kernel refuses, and while
 * SLUICE_TEST_NFT_HANG exists every command waits.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static bool refused;

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
    const char *file = getenv("SLUICE_TEST_NFT_FAIL");
    const char *hang = getenv("SLUICE_TEST_NFT_HANG");

    while (hang && access(hang, F_OK) == 0)
        usleep(20000);
    refused = file && access(file, F_OK) == 0;
    if (refused)
        return -1;
    return ((int (*)(void *, const char *))real("nft_run_cmd_from_buffer"))(context, buffer);
}
