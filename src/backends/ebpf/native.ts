// The one door to the C library of the eBPF fence (src/native/ebpf/sluice_ebpf.h). Everything crosses as numbers, strings and
// packed buffers, a whole map in one call. Calls that may take long run on a thread of libuv's pool and give promises; a
// negative answer becomes a fault with the name of the error.

import { constants, endianness } from 'node:os'
import { fileURLToPath } from 'node:url'
import { getSystemErrorName } from 'node:util'
import koffi, { type LibraryHandle } from 'koffi'
import { ebpfFault } from './errors.js'

const ABI = 4
const LIBRARY = 'libsluice_ebpf.so'

/** `build/native` beside the package root, or SLUICE_NATIVE_DIR. */
export const nativePath = (name: string): string =>
  process.env.SLUICE_NATIVE_DIR === undefined
    ? fileURLToPath(new URL(`../../../build/native/${name}`, import.meta.url))
    : `${process.env.SLUICE_NATIVE_DIR}/${name}`

const SIGNATURES = {
  layout: 'int sluice_ebpf_layout(void *text, uint32_t capacity)',
  bpffs: 'int sluice_ebpf_bpffs(void *path, uint32_t capacity)',
  netCookie: 'int sluice_ebpf_net_cookie(void *cookie)',
  cpus: 'int sluice_ebpf_cpus()',
  bootNs: 'uint64_t sluice_ebpf_boot_ns()',
  ifindex: 'int sluice_ebpf_ifindex(const char *name)',
  interfaces: 'int sluice_ebpf_interfaces(void *text, uint32_t capacity)',
  watch: 'int sluice_ebpf_watch(void *reader)',
  load: 'int sluice_ebpf_load(const char *object, const char *maps, const char *programs, uint32_t attachment, void *log, uint32_t log_capacity)',
  programInfo: 'int sluice_ebpf_program_info(int program, void *info)',
  programOpen: 'int sluice_ebpf_program_open(uint32_t id)',
  programMaps: 'int sluice_ebpf_program_maps(int program, void *ids, uint32_t capacity)',
  attach: 'int sluice_ebpf_attach(int program, uint32_t ifindex, uint32_t egress, const char *pin, uint32_t only)',
  detachClsact: 'int sluice_ebpf_detach_clsact(uint32_t ifindex, uint32_t egress)',
  clsactProgram: 'int sluice_ebpf_clsact_program(uint32_t ifindex, uint32_t egress)',
  attachCgroup: 'int sluice_ebpf_attach_cgroup(int program, const char *cgroup, uint32_t attach_type, const char *pin)',
  attachNetfilter:
    'int sluice_ebpf_attach_netfilter(int program, uint32_t family, uint32_t hook, int32_t priority, const char *pin)',
  linkInfo: 'int sluice_ebpf_link_info(int link, void *ifindex, void *program_id)',
  linkUpdate: 'int sluice_ebpf_link_update(int link, int program)',
  run: 'int sluice_ebpf_run(int program, void *frame, uint32_t length, void *run, void *out, uint32_t out_capacity)',
  get: 'int sluice_ebpf_get(const char *path)',
  pin: 'int sluice_ebpf_pin(int descriptor, const char *path)',
  close: 'int sluice_ebpf_close(int descriptor)',
  mapCreate:
    'int sluice_ebpf_map_create(uint32_t type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags, const char *name)',
  mapValueSize: 'int sluice_ebpf_map_value_size(int map)',
  mapOpen: 'int sluice_ebpf_map_open(uint32_t id)',
  mapInfo: 'int sluice_ebpf_map_info(int map, void *info)',
  mapWrite:
    'int sluice_ebpf_map_write(int map, void *keys, void *values, uint32_t count, uint32_t key_size, uint32_t value_size)',
  arrayWrite: 'int sluice_ebpf_array_write(int map, uint32_t first, void *values, uint32_t count, uint32_t value_size)',
  arrayRead: 'int sluice_ebpf_array_read(int map, uint32_t first, void *values, uint32_t count, uint32_t value_size)',
  mapRead: 'int sluice_ebpf_map_read(int map, void *key, void *value)',
  mapDelete: 'int sluice_ebpf_map_delete(int map, void *key)',
  mapDump:
    'int sluice_ebpf_map_dump(int map, void *keys, void *values, uint32_t capacity, uint32_t key_size, uint32_t value_size)',
  publish: 'int sluice_ebpf_publish(void *outer, void *inner, uint32_t count, uint32_t slot)',
  eventsOpen: 'int sluice_ebpf_events_open(int map, uint32_t event_size, _Out_ void **out)',
  eventsDrain: 'int sluice_ebpf_events_drain(void *events, void *records, uint32_t capacity, uint32_t timeout_ms)',
  eventsClose: 'void sluice_ebpf_events_close(void *events)',
} as const

type CFunction = ReturnType<LibraryHandle['func']>
type Name = keyof typeof SIGNATURES
type Argument = number | string | bigint | Uint8Array | Int32Array | unknown[] | object

export interface Dump {
  readonly keys: Buffer
  readonly values: Buffer
  readonly count: number
}

export class Native {
  private readonly functions: Readonly<Record<Name, CFunction>>

  private constructor(library: LibraryHandle) {
    this.functions = Object.fromEntries(
      Object.entries(SIGNATURES).map(([name, signature]) => [name, library.func(signature)]),
    ) as Record<Name, CFunction>
  }

  /** Throws EBPF_UNAVAILABLE or EBPF_NATIVE_ABI. */
  static open(): Native {
    if (endianness() !== 'LE')
      throw ebpfFault('EBPF_UNAVAILABLE', { library: LIBRARY, why: 'this machine is big-endian' })
    let library: LibraryHandle
    try {
      library = koffi.load(nativePath(LIBRARY))
    } catch (cause) {
      throw ebpfFault('EBPF_UNAVAILABLE', { library: LIBRARY, why: firstLine(cause) }, { cause })
    }
    const found = Number(library.func('uint32_t sluice_ebpf_abi()')())
    if (found !== ABI) throw ebpfFault('EBPF_NATIVE_ABI', { found, wanted: ABI })
    return new Native(library)
  }

  /** The bare answer: 0, a count, a descriptor, or -errno. */
  ask(name: Name, ...args: Argument[]): number {
    return Number(this.functions[name](...args))
  }

  /** As `ask`; a negative answer is a fault. `what` says what was tried. */
  call(what: string, name: Name, ...args: Argument[]): number {
    return checked(what, this.ask(name, ...args))
  }

  /** As `ask`, on another thread; -EAGAIN when too many are under way. Buffers must stay untouched until it is done. */
  askAsync(name: Name, ...args: Argument[]): Promise<number> {
    return new Promise((done, failed) => {
      try {
        this.functions[name].async(...args, (error: Error | null, result: number) =>
          error ? failed(error) : done(Number(result)),
        )
      } catch (error) {
        // An argument that does not fit is ours. Anything else is Koffi's limit (`max_async_calls`), which a burst of flags reaches.
        if (error instanceof TypeError) failed(error)
        else done(-constants.errno.EAGAIN)
      }
    })
  }

  async callAsync(what: string, name: Name, ...args: Argument[]): Promise<number> {
    return checked(what, await this.askAsync(name, ...args))
  }

  /** Every key and value of a hash that has at most `most`, one after another. */
  dump(what: string, map: number, keySize: number, valueSize: number, most: number): Dump {
    for (let room = 256; ; room *= 8) {
      const keys = Buffer.allocUnsafe(room * keySize)
      const values = Buffer.allocUnsafe(room * valueSize)
      const count = this.call(what, 'mapDump', map, keys, values, room, keySize, valueSize)
      if (count < room || room >= most) return { keys, values, count }
    }
  }

  bootNs(): bigint {
    return BigInt(this.functions.bootNs() as number | bigint)
  }

  /** The text that a function writes; what it gives is not its length when it is a path. */
  text(what: string, name: 'layout' | 'bpffs' | 'interfaces', capacity: number): string {
    const buffer = Buffer.alloc(capacity)
    this.call(what, name, buffer, capacity)
    return buffer.toString('utf8', 0, Math.max(0, buffer.indexOf(0)))
  }

  /** A reader of a ring buffer, or a fault. */
  eventsOpen(map: number, eventSize: number): unknown {
    const out: unknown[] = [null]
    this.call('opening the ring buffer', 'eventsOpen', map, eventSize, out)
    return out[0]
  }
}

const checked = (what: string, answer: number): number => {
  if (answer < 0) throw ebpfFault('EBPF_KERNEL', { what, errno: errnoName(answer) })
  return answer
}

/** 524 is the kernel's own ENOTSUPP, which no C library names. */
export const errnoName = (answer: number): string => (answer === -524 ? 'ENOTSUPP' : getSystemErrorName(answer))

const firstLine = (error: unknown): string =>
  String(error instanceof Error ? error.message : error).split('\n')[0] ?? ''
