/*
 * What the kernel says of programs and maps by their numbers, for evidence: whoever reads it can compare it with any other tool.
 */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "sluice_ebpf.h"

int sluice_ebpf_program_open(uint32_t id)
{
    int program = bpf_prog_get_fd_by_id(id);

    return program < 0 ? -errno : program;
}

int sluice_ebpf_program_maps(int program, uint32_t *ids, uint32_t capacity)
{
    struct bpf_prog_info info = {.nr_map_ids = capacity, .map_ids = (uintptr_t)ids};
    uint32_t size = sizeof(info);

    if (bpf_obj_get_info_by_fd(program, &info, &size))
        return -errno;
    return (int)info.nr_map_ids;
}

int sluice_ebpf_map_open(uint32_t id)
{
    int map = bpf_map_get_fd_by_id(id);

    return map < 0 ? -errno : map;
}

int sluice_ebpf_map_info(int map, struct sluice_ebpf_map_info *out)
{
    struct bpf_map_info info = {};
    uint32_t size = sizeof(info);

    if (bpf_obj_get_info_by_fd(map, &info, &size))
        return -errno;
    out->id = info.id;
    out->type = info.type;
    memcpy(out->name, info.name, sizeof(out->name));
    return 0;
}
