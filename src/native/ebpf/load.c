/*
 * Loading: an object file's maps are taken from their pins or pinned, its programs pinned in place of the old ones. What libbpf
 * and the verifier say goes to the caller and nowhere else.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "sluice_ebpf.h"

/* libbpf's own words go where the verifier's do; one load at a time. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static char *said;
static uint32_t said_left;

static int listen_to(enum libbpf_print_level level, const char *format, va_list arguments)
{
    int wrote;

    if (level == LIBBPF_DEBUG || !said || said_left < 2)
        return 0;
    wrote = vsnprintf(said, said_left, format, arguments);
    if (wrote > 0) {
        uint32_t used = (uint32_t)wrote < said_left ? (uint32_t)wrote : said_left - 1;

        said += used;
        said_left -= used;
    }
    return 0;
}

static int keep_silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    return 0;
}

/* Nothing of this library writes to the process's standard error by itself. */
__attribute__((constructor)) static void begin_silent(void)
{
    libbpf_set_print(keep_silent);
}

static int pin_maps(struct bpf_object *object, const char *folder)
{
    struct bpf_map *map;
    char path[512];

    bpf_object__for_each_map(map, object)
    {
        if (bpf_map__is_internal(map))
            continue;
        if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, bpf_map__name(map)) >= sizeof(path))
            return -ENAMETOOLONG;
        if (bpf_map__set_pin_path(map, path))
            return -errno;
    }
    return 0;
}

static int pin_programs(struct bpf_object *object, const char *folder)
{
    struct bpf_program *program;
    char path[512];

    bpf_object__for_each_program(program, object)
    {
        if (!bpf_program__autoload(program))
            continue;
        if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, bpf_program__name(program)) >= sizeof(path))
            return -ENAMETOOLONG;
        if (unlink(path) && errno != ENOENT)
            return -errno;
        if (bpf_obj_pin(bpf_program__fd(program), path))
            return -errno;
    }
    return 0;
}

/* The object's one read-only variable: which workspace it stands at, where the hook does not say. */
static int set_attachment(struct bpf_object *object, uint32_t attachment)
{
    struct bpf_map *map;

    bpf_object__for_each_map(map, object)
    {
        if (!bpf_map__is_internal(map) || !strstr(bpf_map__name(map), ".rodata") ||
            bpf_map__value_size(map) != sizeof(attachment))
            continue;
        if (bpf_map__set_initial_value(map, &attachment, sizeof(attachment)))
            return -errno;
    }
    return 0;
}

/* The library of this distribution is older than programs on netfilter hooks: it is told by number what they are. */
#define NETFILTER_PROGRAM 32
#define NETFILTER_ATTACH 45

static void name_types(struct bpf_object *object)
{
    struct bpf_program *program;

    bpf_object__for_each_program(program, object)
    {
        if (strcmp(bpf_program__section_name(program), "netfilter"))
            continue;
        bpf_program__set_type(program, NETFILTER_PROGRAM);
        bpf_program__set_expected_attach_type(program, NETFILTER_ATTACH);
    }
}

#define LSM "lsm/"

/* Programs for LSM hooks that not every kernel has (`?lsm/...`): loaded where this one does. */
static int choose_hooks(struct bpf_object *object)
{
    struct bpf_program *program;
    struct btf *types = NULL;
    char hook[128];

    bpf_object__for_each_program(program, object)
    {
        const char *section = bpf_program__section_name(program);

        if (bpf_program__autoload(program) || strncmp(section, LSM, sizeof(LSM) - 1))
            continue;
        if (!types)
            types = btf__load_vmlinux_btf();
        if (!types)
            return -errno;
        snprintf(hook, sizeof(hook), "bpf_lsm_%s", section + sizeof(LSM) - 1);
        bpf_program__set_autoload(program, btf__find_by_name_kind(types, hook, BTF_KIND_FUNC) > 0);
    }
    btf__free(types);
    return 0;
}

int sluice_ebpf_load(const char *path, const char *maps, const char *programs, uint32_t attachment, char *log,
                     uint32_t log_capacity)
{
    LIBBPF_OPTS(bpf_object_open_opts, options);
    struct bpf_object *object;
    int error;

    if (log_capacity == 0)
        return -EINVAL;
    pthread_mutex_lock(&loading);
    log[0] = 0;
    said = log;
    said_left = log_capacity;
    libbpf_set_print(listen_to);
    object = bpf_object__open_file(path, &options);
    if (!object) {
        error = -errno;
    } else {
        name_types(object);
        error = pin_maps(object, maps);
        if (!error)
            error = choose_hooks(object);
        if (!error)
            error = set_attachment(object, attachment);
        if (!error)
            error = bpf_object__load(object);
        if (!error)
            error = pin_programs(object, programs);
        bpf_object__close(object);
    }
    libbpf_set_print(keep_silent);
    said = NULL;
    pthread_mutex_unlock(&loading);
    return error;
}

int sluice_ebpf_program_info(int program, struct sluice_ebpf_program_info *out)
{
    struct bpf_prog_info info = {};
    uint32_t size = sizeof(info);

    if (bpf_obj_get_info_by_fd(program, &info, &size))
        return -errno;
    memcpy(out->tag, info.tag, 8);
    out->id = info.id;
    out->instructions = info.xlated_prog_len;
    return 0;
}
