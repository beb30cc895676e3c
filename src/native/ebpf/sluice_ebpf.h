/*
 * The flat C interface between the agent and the eBPF fence: loading and pinning, maps in batches, attaching, running a program
 * on a crafted frame, and draining events.
 *
 * Every function gives 0, a count or a descriptor on success and -errno on failure; out-parameters are untouched on failure.
 * No callbacks. Functions that name interfaces work in the network namespace of the calling thread. Map functions may run on
 * any thread; two calls on one reader of events may not overlap.
 */
#ifndef SLUICE_EBPF_H
#define SLUICE_EBPF_H

#include <stdint.h>

/* Raised with every change of a signature; the binding refuses any other number. */
#define SLUICE_EBPF_ABI 4u

uint32_t sluice_ebpf_abi(void);

/* Lines of `struct size field=offset ...` for every shared struct, then the layout number. Gives the length. */
int sluice_ebpf_layout(char *text, uint32_t capacity);

/* ---- surroundings --------------------------------------------------------------------------------------------------- */

/*
 * Finds the BPF file system that outlives this process: /sys/fs/bpf, or that of its oldest ancestor where this mount namespace
 * is a throwaway of `ip netns exec`. Mounts it when it is nowhere. Writes the path, which is good while this process runs.
 */
int sluice_ebpf_bpffs(char *path, uint32_t capacity);
/* The number of this network namespace that is never given twice between reboots. */
int sluice_ebpf_net_cookie(uint64_t *cookie);
int sluice_ebpf_cpus(void);
uint64_t sluice_ebpf_boot_ns(void);

/* The index of an interface; 0 when there is none of that name. */
int sluice_ebpf_ifindex(const char *name);
/* Lines of `index name`. Gives the length. */
int sluice_ebpf_interfaces(char *text, uint32_t capacity);

/*
 * Gives the reading end of a pipe that becomes readable when interfaces of this network namespace come, change or go. The
 * caller closes it, which ends the watch.
 */
int sluice_ebpf_watch(int32_t *reader);

/* ---- programs ------------------------------------------------------------------------------------------------------- */

/*
 * Loads an object file. Its maps are pinned in the folder `maps`, or taken from there when they are pinned already and have the
 * same definition; its programs are pinned in `programs`, in place of what was there. Before: both folders exist.
 * `attachment` goes into the one read-only variable of an object that has one. On failure `log` holds what libbpf and the
 * verifier said.
 */
int sluice_ebpf_load(const char *object, const char *maps, const char *programs, uint32_t attachment, char *log,
                     uint32_t log_capacity);

struct sluice_ebpf_program_info {
    uint8_t tag[8];
    uint32_t id;
    uint32_t instructions; /* as translated, in octets */
};
int sluice_ebpf_program_info(int program, struct sluice_ebpf_program_info *info);
/* A descriptor of the program with this number. */
int sluice_ebpf_program_open(uint32_t id);
/* Numbers of the maps that the program uses. Gives how many there are, of which `capacity` were written. */
int sluice_ebpf_program_maps(int program, uint32_t *ids, uint32_t capacity);

#define SLUICE_EBPF_TCX 1
#define SLUICE_EBPF_CLSACT 2

/*
 * Attaches at the ingress (0) or egress (1) of an interface, before everything else there. tcx where the kernel has it: the link
 * is pinned at `pin`. Otherwise a clsact filter, which needs no pin. Gives SLUICE_EBPF_TCX or _CLSACT. `only` forces one of the
 * two; 0 leaves the choice.
 */
int sluice_ebpf_attach(int program, uint32_t ifindex, uint32_t egress, const char *pin, uint32_t only);
/* Takes a clsact filter of ours away, and the qdisc when nothing else hangs on it. */
int sluice_ebpf_detach_clsact(uint32_t ifindex, uint32_t egress);
/* The id of the program in our clsact filter; 0 when there is none. */
int sluice_ebpf_clsact_program(uint32_t ifindex, uint32_t egress);

/* attach_type as in linux/bpf.h; `pin` as above. */
int sluice_ebpf_attach_cgroup(int program, const char *cgroup, uint32_t attach_type, const char *pin);

/* Hangs a program on a netfilter hook (NF_INET_*) of a family (NFPROTO_*) in this network namespace; `pin` as above. */
int sluice_ebpf_attach_netfilter(int program, uint32_t family, uint32_t hook, int32_t priority, const char *pin);

/* Hangs a program on what its section names: a hook of BPF LSM, a tracepoint with types. `pin` as above. */
int sluice_ebpf_attach_tracing(int program, const char *pin);

/* Hangs a program on a raw tracepoint. `pin` as above. */
int sluice_ebpf_attach_raw(int program, const char *tracepoint, const char *pin);

/* What a pinned link hangs on: *ifindex is 0 when the interface is gone. */
int sluice_ebpf_link_info(int link, uint32_t *ifindex, uint32_t *program_id);
int sluice_ebpf_link_update(int link, int program);

struct sluice_ebpf_run {
    uint32_t ifindex;
    uint32_t ingress_ifindex;
    uint32_t mark;
    uint32_t priority;
    uint32_t repeat;
    /* out */
    int32_t verdict;
    uint32_t nanoseconds; /* mean of the repeats */
    uint32_t cb[2];
    uint32_t out_length;
    uint32_t mark_out;
};
/* BPF_PROG_TEST_RUN. `out` receives the frame as the program left it. -EINVAL when the kernel will not take the frame. */
int sluice_ebpf_run(int program, const uint8_t *frame, uint32_t length, struct sluice_ebpf_run *run, uint8_t *out,
                    uint32_t out_capacity);

/* ---- maps ----------------------------------------------------------------------------------------------------------- */

int sluice_ebpf_get(const char *path);
int sluice_ebpf_pin(int descriptor, const char *path);
int sluice_ebpf_close(int descriptor);
int sluice_ebpf_map_create(uint32_t type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags,
                           const char *name);
/* Octets of one value. */
int sluice_ebpf_map_value_size(int map);
/* A descriptor of the map with this number: what user space reads from an outer map is such a number. */
int sluice_ebpf_map_open(uint32_t id);
struct sluice_ebpf_map_info {
    uint32_t id;
    uint32_t type;
    char name[16];
};
int sluice_ebpf_map_info(int map, struct sluice_ebpf_map_info *info);
/* `count` keys and values, one after another. Gives how many were written. */
int sluice_ebpf_map_write(int map, const uint8_t *keys, const uint8_t *values, uint32_t count, uint32_t key_size,
                          uint32_t value_size);
/* Rows first, first + 1, ... of an array. */
int sluice_ebpf_array_write(int map, uint32_t first, const uint8_t *values, uint32_t count, uint32_t value_size);
int sluice_ebpf_array_read(int map, uint32_t first, uint8_t *values, uint32_t count, uint32_t value_size);
int sluice_ebpf_map_read(int map, const uint8_t *key, uint8_t *value);
int sluice_ebpf_map_delete(int map, const uint8_t *key);
/* Copies keys and values of a hash. Gives how many; a map that changes meanwhile may show some twice or not at all. */
int sluice_ebpf_map_dump(int map, uint8_t *keys, uint8_t *values, uint32_t capacity, uint32_t key_size,
                         uint32_t value_size);
/*
 * Puts `count` inner maps into one slot of as many outer maps, or takes them out (inner -1); returns when no running program
 * can still see what was there before. One grace period for all of them.
 */
int sluice_ebpf_publish(const int32_t *outer, const int32_t *inner, uint32_t count, uint32_t slot);

/* ---- events --------------------------------------------------------------------------------------------------------- */

struct sluice_ebpf_events;
int sluice_ebpf_events_open(int map, uint32_t event_size, struct sluice_ebpf_events **out);
/* Waits up to timeout_ms for at least one event, then moves up to capacity of them. Gives the number moved. */
int sluice_ebpf_events_drain(struct sluice_ebpf_events *events, uint8_t *records, uint32_t capacity,
                             uint32_t timeout_ms);
/* Before: no drain is under way. */
void sluice_ebpf_events_close(struct sluice_ebpf_events *events);

#endif
