// What the kernel's maps hold, octet by octet: the same as src/native/bpf/sensor.h, which a test compares. Little-endian.

export const STRUCTS = {
  sensor_state: { size: 40, fields: { generation: 0, digest: 8 } },
  sensor_end: { size: 24, fields: { family: 0, port: 2, peer: 4 } },
  sensor_event: {
    size: 624,
    fields: {
      at_ns: 0,
      cgroup: 8,
      inode: 16,
      device: 24,
      links: 28,
      pid: 32,
      parent: 36,
      uid: 40,
      arguments_length: 44,
      ends: 48,
      comm: 96,
      path: 112,
      arguments: 368,
    },
  },
} as const
export const MAX_TENANTS = 1_024
export const COMM_OCTETS = 16
export const PATH_OCTETS = 256
/** Rows of sensor_counts. */
export const COUNTS = ['exec-told', 'exec-unreported'] as const
