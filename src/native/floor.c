/*
 * The deny floor's loader: puts bpf/floor.bpf.c at the egress of interfaces as an ordinary tc filter, so that it needs no bpffs
 * and stays when the agent is gone. A restarted agent finds the program by its filter's handle and name, and takes its
 * maps over; a program of another version is replaced filter by filter.
 */
#define _GNU_SOURCE
#include "sluice_native.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS, V4, V6, DROPS, MAPS };

static const char *const MAP_NAMES[MAPS] = { "floor_links", "floor_v4", "floor_v6", "floor_drops" };
static const char PROGRAM[] = "sluice_floor_1";
/* Ours among the filters of an interface: nobody picks this pair by chance, and the program's name confirms it. */
static const uint32_t HANDLE = 0x510e, PRIORITY = 0x510e;

struct sluice_floor {
    int program;
    int maps[MAPS];
};

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    return 0;
}

static void hook_of(struct bpf_tc_hook *hook, uint32_t ifindex)
{
    memset(hook, 0, sizeof *hook);
    hook->sz = sizeof *hook;
    hook->ifindex = (int)ifindex;
    hook->attach_point = BPF_TC_EGRESS;
}

static void our_filter(struct bpf_tc_opts *options)
{
    memset(options, 0, sizeof *options);
    options->sz = sizeof *options;
    options->handle = HANDLE;
    options->priority = PRIORITY;
}

/* The id of the program in our filter's place, or 0. */
static uint32_t filter_program(uint32_t ifindex)
{
    struct bpf_tc_hook hook;
    struct bpf_tc_opts options;
    hook_of(&hook, ifindex);
    our_filter(&options);
    libbpf_set_print(quiet);
    return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
}

static int info_of(int fd, struct bpf_prog_info *info)
{
    uint32_t length = sizeof *info;
    return bpf_obj_get_info_by_fd(fd, info, &length);
}

static int is_current(int fd)
{
    struct bpf_prog_info info;
    memset(&info, 0, sizeof info);
    return info_of(fd, &info) == 0 && strcmp(info.name, PROGRAM) == 0;
}

static int take_maps(struct sluice_floor *floor)
{
    struct bpf_prog_info info;
    uint32_t ids[16];
    memset(&info, 0, sizeof info);
    info.map_ids = (uint64_t)(uintptr_t)ids;
    info.nr_map_ids = 16;
    if (info_of(floor->program, &info) != 0)
        return -errno;
    for (uint32_t i = 0; i < info.nr_map_ids && i < 16; i++) {
        struct bpf_map_info map;
        uint32_t length = sizeof map;
        int used = 0, fd = bpf_map_get_fd_by_id(ids[i]);
        memset(&map, 0, sizeof map);
        if (fd < 0 || bpf_obj_get_info_by_fd(fd, &map, &length) != 0)
            return -errno;
        for (int m = 0; m < MAPS; m++)
            if (strcmp(map.name, MAP_NAMES[m]) == 0 && floor->maps[m] < 0) {
                floor->maps[m] = fd;
                used = 1;
            }
        if (!used)
            close(fd);
    }
    for (int m = 0; m < MAPS; m++)
        if (floor->maps[m] < 0)
            return -ENOENT;
    return 0;
}

static int find_attached(void)
{
    struct if_nameindex *links = if_nameindex();
    int found = -1;
    if (links == NULL)
        return -1;
    for (struct if_nameindex *at = links; at->if_index != 0 && found < 0; at++) {
        uint32_t id = filter_program(at->if_index);
        int fd = id == 0 ? -1 : bpf_prog_get_fd_by_id(id);
        if (fd >= 0 && is_current(fd))
            found = fd;
        else if (fd >= 0)
            close(fd);
    }
    if_freenameindex(links);
    return found;
}

static int load(const char *path)
{
    libbpf_set_print(quiet);
    struct bpf_object *object = bpf_object__open_file(path, NULL);
    if (object == NULL)
        return -errno;
    int failed = bpf_object__load(object);
    struct bpf_program *program = failed ? NULL : bpf_object__find_program_by_name(object, PROGRAM);
    int fd = failed ? failed : program == NULL ? -ENOENT : dup(bpf_program__fd(program));
    int reason = fd < 0 && !failed && program != NULL ? -errno : fd;
    bpf_object__close(object);
    return reason;
}

int sluice_floor_open(const char *object_path, struct sluice_floor **out, uint32_t *reused)
{
    struct sluice_floor *floor = calloc(1, sizeof *floor);
    if (floor == NULL)
        return -ENOMEM;
    for (int m = 0; m < MAPS; m++)
        floor->maps[m] = -1;
    floor->program = find_attached();
    uint32_t taken = floor->program >= 0;
    if (!taken)
        floor->program = load(object_path);
    int failed = floor->program < 0 ? floor->program : take_maps(floor);
    if (failed != 0) {
        sluice_floor_close(floor);
        return failed;
    }
    *out = floor;
    *reused = taken;
    return 0;
}

void sluice_floor_close(struct sluice_floor *floor)
{
    for (int m = 0; m < MAPS; m++)
        if (floor->maps[m] >= 0)
            close(floor->maps[m]);
    if (floor->program >= 0)
        close(floor->program);
    free(floor);
}

int sluice_floor_attached(uint32_t ifindex)
{
    uint32_t id = filter_program(ifindex);
    int fd = id == 0 ? -1 : bpf_prog_get_fd_by_id(id);
    if (fd < 0)
        return 0;
    int current = is_current(fd);
    close(fd);
    return current;
}

int sluice_floor_attach(struct sluice_floor *floor, uint32_t ifindex)
{
    struct bpf_tc_hook hook;
    struct bpf_tc_opts options;
    if (sluice_floor_attached(ifindex))
        return 1;
    hook_of(&hook, ifindex);
    /* clsact holds both directions; one that somebody else made serves as well. */
    int failed = bpf_tc_hook_create(&hook);
    if (failed != 0 && failed != -EEXIST)
        return failed;
    our_filter(&options);
    options.prog_fd = floor->program;
    options.flags = BPF_TC_F_REPLACE;
    return bpf_tc_attach(&hook, &options);
}

int sluice_floor_detach(uint32_t ifindex)
{
    struct bpf_tc_hook hook;
    struct bpf_tc_opts options;
    uint32_t id = filter_program(ifindex);
    if (id == 0)
        return 1;
    hook_of(&hook, ifindex);
    our_filter(&options);
    int failed = bpf_tc_detach(&hook, &options);
    return failed;
}

/* Makes a map hold exactly these keys: additions first. */
static int replace_keys(int map, const uint8_t *keys, uint32_t count, size_t size)
{
    uint8_t one = 1, key[16], next[16], stale[16];
    int have_key = 0, have_stale = 0;

    for (uint32_t i = 0; i < count; i++)
        if (bpf_map_update_elem(map, keys + i * size, &one, BPF_ANY) != 0)
            return -errno;
    /* A key is deleted only after the walk has gone past it: deleting it first would restart the walk. */
    while (bpf_map_get_next_key(map, have_key ? key : NULL, next) == 0) {
        int wanted = 0;
        for (uint32_t i = 0; i < count && !wanted; i++)
            wanted = memcmp(keys + i * size, next, size) == 0;
        if (have_stale && bpf_map_delete_elem(map, stale) != 0 && errno != ENOENT)
            return -errno;
        have_stale = !wanted;
        memcpy(stale, next, size);
        memcpy(key, next, size);
        have_key = 1;
    }
    if (have_stale && bpf_map_delete_elem(map, stale) != 0 && errno != ENOENT)
        return -errno;
    return 0;
}

int sluice_floor_guard(struct sluice_floor *floor, const uint32_t *ifindexes, uint32_t ifindex_count, const uint8_t *v4,
                       uint32_t v4_count, const uint8_t *v6, uint32_t v6_count)
{
    int failed = replace_keys(floor->maps[LINKS], (const uint8_t *)ifindexes, ifindex_count, 4);
    if (failed == 0)
        failed = replace_keys(floor->maps[V4], v4, v4_count, 4);
    if (failed == 0)
        failed = replace_keys(floor->maps[V6], v6, v6_count, 16);
    return failed;
}

int sluice_floor_drops(struct sluice_floor *floor, uint64_t *drops)
{
    uint32_t zero = 0;
    uint64_t value;
    if (bpf_map_lookup_elem(floor->maps[DROPS], &zero, &value) != 0)
        return -errno;
    *drops = value;
    return 0;
}
