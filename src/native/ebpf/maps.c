/*
 * Maps: made, filled in batches, read back, and put into a slot of the outer maps. A batch that the kernel does not know
 * (before 5.6) is written one by one.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "sluice_ebpf.h"

/* Small enough that nothing waits long behind one call, large enough that the call itself does not matter. */
#define CHUNK 4096u

int sluice_ebpf_get(const char *path)
{
    int descriptor = bpf_obj_get(path);

    return descriptor < 0 ? -errno : descriptor;
}

int sluice_ebpf_pin(int descriptor, const char *path)
{
    return bpf_obj_pin(descriptor, path) ? -errno : 0;
}

int sluice_ebpf_close(int descriptor)
{
    return close(descriptor) ? -errno : 0;
}

int sluice_ebpf_map_create(uint32_t type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags,
                           const char *name)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
    int map = bpf_map_create(type, name, key, value, entries, &options);

    return map < 0 ? -errno : map;
}

int sluice_ebpf_map_value_size(int map)
{
    struct bpf_map_info info = {};
    uint32_t size = sizeof(info);

    return bpf_obj_get_info_by_fd(map, &info, &size) ? -errno : (int)info.value_size;
}

static int write_singly(int map, const uint8_t *keys, const uint8_t *values, uint32_t count, uint32_t key_size,
                        uint32_t value_size)
{
    for (uint32_t i = 0; i < count; i++)
        if (bpf_map_update_elem(map, keys + (size_t)i * key_size, values + (size_t)i * value_size, BPF_ANY))
            return -errno;
    return 0;
}

int sluice_ebpf_map_write(int map, const uint8_t *keys, const uint8_t *values, uint32_t count, uint32_t key_size,
                          uint32_t value_size)
{
    for (uint32_t done = 0; done < count;) {
        uint32_t chunk = count - done < CHUNK ? count - done : CHUNK;
        const uint8_t *key = keys + (size_t)done * key_size, *value = values + (size_t)done * value_size;

        if (chunk == 1 || bpf_map_update_batch(map, key, value, &chunk, 0)) {
            if (chunk != 1 && errno != EINVAL && errno != ENOTSUP && errno != 524)
                return -errno;
            chunk = count - done < CHUNK ? count - done : CHUNK;
            int error = write_singly(map, key, value, chunk, key_size, value_size);
            if (error)
                return error;
        }
        done += chunk;
    }
    return count;
}

int sluice_ebpf_array_write(int map, uint32_t first, const uint8_t *values, uint32_t count, uint32_t value_size)
{
    uint32_t keys[CHUNK];

    for (uint32_t done = 0; done < count;) {
        uint32_t chunk = count - done < CHUNK ? count - done : CHUNK;
        int error;

        for (uint32_t i = 0; i < chunk; i++)
            keys[i] = first + done + i;
        error = sluice_ebpf_map_write(map, (const uint8_t *)keys, values + (size_t)done * value_size, chunk,
                                      sizeof(keys[0]), value_size);
        if (error < 0)
            return error;
        done += chunk;
    }
    return count;
}

int sluice_ebpf_array_read(int map, uint32_t first, uint8_t *values, uint32_t count, uint32_t value_size)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = first + i;

        if (bpf_map_lookup_elem(map, &key, values + (size_t)i * value_size))
            return -errno;
    }
    return count;
}

int sluice_ebpf_map_read(int map, const uint8_t *key, uint8_t *value)
{
    return bpf_map_lookup_elem(map, key, value) ? -errno : 0;
}

int sluice_ebpf_map_delete(int map, const uint8_t *key)
{
    return bpf_map_delete_elem(map, key) ? -errno : 0;
}

int sluice_ebpf_map_dump(int map, uint8_t *keys, uint8_t *values, uint32_t capacity, uint32_t key_size,
                         uint32_t value_size)
{
    const uint8_t *at = NULL;
    uint32_t count = 0;

    while (count < capacity) {
        uint8_t *key = keys + (size_t)count * key_size;

        if (bpf_map_get_next_key(map, at, key))
            return errno == ENOENT ? (int)count : -errno;
        at = key;
        /* Gone between the two calls: the next round writes over it, which `at` survives because it equals the key. */
        if (bpf_map_lookup_elem(map, key, values + (size_t)count * value_size) == 0)
            count++;
    }
    return count;
}

struct put {
    int outer;
    int inner;
    uint32_t slot;
    int error;
};

static void *put_one(void *argument)
{
    struct put *put = argument;
    int failed = put->inner < 0 ? bpf_map_delete_elem(put->outer, &put->slot)
                                : bpf_map_update_elem(put->outer, &put->slot, &put->inner, BPF_ANY);

    put->error = failed && !(put->inner < 0 && errno == ENOENT) ? -errno : 0;
    return NULL;
}

/* Each update of an outer map waits for a grace period; side by side they wait for the same one. */
int sluice_ebpf_publish(const int32_t *outer, const int32_t *inner, uint32_t count, uint32_t slot)
{
    struct put puts[8];
    pthread_t threads[8];
    int error = 0;

    if (count > 8)
        return -E2BIG;
    for (uint32_t i = 0; i < count; i++) {
        puts[i] = (struct put){.outer = outer[i], .inner = inner[i], .slot = slot};
        threads[i] = 0;
        if (i + 1 == count || pthread_create(&threads[i], NULL, put_one, &puts[i])) {
            put_one(&puts[i]);
            threads[i] = 0;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (threads[i])
            pthread_join(threads[i], NULL);
        if (puts[i].error)
            error = puts[i].error;
    }
    return error;
}
