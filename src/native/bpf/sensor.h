/*
 * What the sensor of programs and the agent share. Little-endian, no padding that is not named. src/backends/exec-sensor/layout.ts
 * has the same offsets, and a test compares them.
 */
#ifndef SLUICE_SENSOR_H
#define SLUICE_SENSOR_H

#define SENSOR_TENANTS 1024
#define SENSOR_PATH 256
#define SENSOR_ARGUMENTS 256

/* Standard input and output, in that order. */
#define SENSOR_ENDS 2

struct sensor_state {
    __u64 generation;
    __u8 digest[32];
};

struct sensor_end {
    __u16 family; /* 0: no socket */
    __u16 port;   /* of the peer, as it is on the wire */
    __u8 peer[16];
    __u32 pad;
};

struct sensor_event {
    __u64 at_ns;
    __u64 cgroup; /* of the workspace */
    __u64 inode;
    __u32 device;
    __u32 links; /* 0: the file has no name */
    __u32 pid;
    __u32 parent;
    __u32 uid;
    __u32 arguments_length;
    struct sensor_end ends[SENSOR_ENDS];
    char comm[16];
    char path[SENSOR_PATH]; /* as it was called */
    char arguments[SENSOR_ARGUMENTS];
};

#endif
