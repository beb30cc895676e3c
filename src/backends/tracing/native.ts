// The door to the C library of the eBPF fence (src/native/ebpf/sluice_ebpf.h), as far as programs that trace and guard use it: bpf-lsm
// and exec-sensor. Each says in its own words what failed, so what it says comes in with `Faults`.

import { fileURLToPath } from 'node:url'
import { getSystemErrorName } from 'node:util'
import koffi, { type LibraryHandle } from 'koffi'
import type { Fault } from '../../base/fault.js'

const ABI = 4

/** `build/native` beside the package root, or SLUICE_NATIVE_DIR. */
export const nativePath = (name: string): string =>
  process.env.SLUICE_NATIVE_DIR === undefined
    ? fileURLToPath(new URL(`../../../build/native/${name}`, import.meta.url))
    : `${process.env.SLUICE_NATIVE_DIR}/${name}`

/** What the backend says when the library cannot be used, and when the kernel refuses something. */
export interface Faults {
  readonly unavailable: (details: { why: string }, options: { cause: unknown }) => Fault
  readonly kernel: (details: { what: string; errno: string; log?: string }) => Fault
}

const SIGNATURES = {
  bpffs: 'int sluice_ebpf_bpffs(void *path, uint32_t capacity)',
  bootNs: 'uint64_t sluice_ebpf_boot_ns()',
  load: 'int sluice_ebpf_load(const char *object, const char *maps, const char *programs, uint32_t attachment, void *log, uint32_t log_capacity)',
  attach: 'int sluice_ebpf_attach_tracing(int program, const char *pin)',
  attachRaw: 'int sluice_ebpf_attach_raw(int program, const char *tracepoint, const char *pin)',
  linkInfo: 'int sluice_ebpf_link_info(int link, void *ifindex, void *program_id)',
  programOpen: 'int sluice_ebpf_program_open(uint32_t id)',
  programInfo: 'int sluice_ebpf_program_info(int program, void *info)',
  programMaps: 'int sluice_ebpf_program_maps(int program, void *ids, uint32_t capacity)',
  mapOpen: 'int sluice_ebpf_map_open(uint32_t id)',
  mapInfo: 'int sluice_ebpf_map_info(int map, void *info)',
  get: 'int sluice_ebpf_get(const char *path)',
  close: 'int sluice_ebpf_close(int descriptor)',
  write:
    'int sluice_ebpf_map_write(int map, void *keys, void *values, uint32_t count, uint32_t key_size, uint32_t value_size)',
  read: 'int sluice_ebpf_map_read(int map, void *key, void *value)',
  remove: 'int sluice_ebpf_map_delete(int map, void *key)',
  dump: 'int sluice_ebpf_map_dump(int map, void *keys, void *values, uint32_t capacity, uint32_t key_size, uint32_t value_size)',
  eventsOpen: 'int sluice_ebpf_events_open(int map, uint32_t event_size, _Out_ void **out)',
  eventsDrain: 'int sluice_ebpf_events_drain(void *events, void *records, uint32_t capacity, uint32_t timeout_ms)',
  eventsClose: 'void sluice_ebpf_events_close(void *events)',
} as const
type Name = keyof typeof SIGNATURES
type Argument = number | string | Uint8Array | unknown[] | object

export class Native {
  private readonly functions: Readonly<Record<Name, ReturnType<LibraryHandle['func']>>>

  private constructor(
    library: LibraryHandle,
    private readonly faults: Faults,
  ) {
    this.functions = Object.fromEntries(
      Object.entries(SIGNATURES).map(([name, signature]) => [name, library.func(signature)]),
    ) as Record<Name, ReturnType<LibraryHandle['func']>>
  }

  /** Throws the backend's `unavailable`. */
  static open(faults: Faults): Native {
    try {
      const library = koffi.load(nativePath('libsluice_ebpf.so'))
      const found = Number(library.func('uint32_t sluice_ebpf_abi()')())
      if (found !== ABI) throw new TypeError(`it is of another release (${found})`)
      return new Native(library, faults)
    } catch (cause) {
      const why = String(cause instanceof Error ? cause.message : cause).split('\n')[0] ?? ''
      throw faults.unavailable({ why }, { cause })
    }
  }

  /** The bare answer: 0, a count, a descriptor, or -errno. */
  ask(name: Name, ...args: Argument[]): number {
    return Number(this.functions[name](...args))
  }
  /** As `ask`; a negative answer is the backend's `kernel`. */
  call(what: string, name: Name, ...args: Argument[]): number {
    const answer = this.ask(name, ...args)
    if (answer < 0) throw this.refused(what, answer)
    return answer
  }
  /** As `ask`, on another thread; buffers must stay untouched until it is done. */
  askAsync(name: Name, ...args: Argument[]): Promise<number> {
    return new Promise((done, failed) => {
      this.functions[name].async(...args, (error: Error | null, result: number) =>
        error ? failed(error) : done(Number(result)),
      )
    })
  }
  /** What the backend says of a refusal of the kernel's. */
  refused(what: string, answer: number, log?: string): Fault {
    return this.faults.kernel({ what, errno: errnoName(answer), ...(log === undefined ? {} : { log }) })
  }
  /** By the clock that counts sleep. */
  bootNs(): bigint {
    return BigInt(this.functions.bootNs() as number | bigint)
  }
  /** Where pins outlive this process. */
  bpffs(): string {
    const path = Buffer.alloc(256)
    this.call('finding the BPF file system', 'bpffs', path, path.length)
    return path.toString('utf8', 0, path.indexOf(0))
  }
}

/** 524 is the kernel's own ENOTSUPP, which no C library names. */
const errnoName = (answer: number): string => (answer === -524 ? 'ENOTSUPP' : getSystemErrorName(answer))
