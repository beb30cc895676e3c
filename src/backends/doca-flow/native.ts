// The one door to the DOCA shim (doca-shims/include/sluice_doca.h). Everything crosses as numbers, strings and packed buffers,
// a batch of entries in one call; a negative answer becomes a fault with the shim's own text.

import { endianness } from 'node:os'
import { fileURLToPath } from 'node:url'
import koffi, { type LibraryHandle } from 'koffi'
import { ABI, type Name, SIGNATURES, SIZES } from './abi.js'
import { docaFault } from './errors.js'
import { FIELDS, type MatchField, PIPE_KINDS, type PipeKind, TRANSPORTS, type Transport } from './program.js'
import { ACTION_MEMORY, type Limits, ZONES } from './room.js'

const [DEVICE, REPRESENTOR, MATCH, PIPE, ENTRY, COUNT, FACTS, CONNECTION] = SIZES
/** In front of each frame of a queue: its length, and how many octets of it are kept. */
const HEAD = 8
const LIBRARY = 'libsluice_doca.so'

/** `build/doca` beside the package root, or SLUICE_DOCA_DIR. */
export const docaPath = (name: string): string =>
  process.env.SLUICE_DOCA_DIR === undefined
    ? fileURLToPath(new URL(`../../../build/doca/${name}`, import.meta.url))
    : `${process.env.SLUICE_DOCA_DIR}/${name}`

export const SHIM_FULL = -24
const ENTRY_FAILED = -105
const NOT_COMPLETED = -104
/** A state of an entry. */
export const IN_FORCE = 2

type CFunction = ReturnType<LibraryHandle['func']>
type Argument = number | bigint | string | Buffer | null

export type Handle = bigint

/** Where a packet goes, with handles in place of names. */
export type Target =
  | { readonly kind: 'drop' | 'kernel' | 'each' }
  | { readonly kind: 'port' | 'queue'; readonly port: number }
  | { readonly kind: 'pipe'; readonly pipe: Handle }
const FORWARDS = { drop: 1, port: 2, pipe: 3, kernel: 4, each: 5, queue: 6 } as const

export interface PipeSpec {
  readonly name: string
  readonly kind: PipeKind
  readonly root: boolean
  readonly room: number
  readonly transport: Transport
  readonly counted: boolean
  /** As `counted` when absent. */
  readonly missCounted?: boolean
  readonly setsMeta: boolean
  readonly fields: readonly MatchField[]
  readonly miss: Target
}

export interface NewEntry {
  readonly key: Uint8Array
  readonly mask?: Uint8Array
  readonly target: Target
  readonly priority?: number
  readonly meta?: number
  /** ACL pipes only. */
  readonly transport?: Transport
}

export interface Facts {
  readonly release: string
  readonly shape: number
  readonly updates: boolean
  readonly emulated: boolean
  readonly tracking: boolean
  readonly limits: Limits
}

/** By its first packet. */
export interface Connection {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly sourcePort: number
  readonly destinationPort: number
  readonly protocol: number
  readonly zone: number
  readonly idleSeconds: number
}

export interface Count {
  readonly packets: bigint
  readonly octets: bigint
}

export class Native {
  private readonly functions: Readonly<Record<Name, CFunction>>
  private readonly text: CFunction
  private room = Buffer.alloc(0)

  private constructor(library: LibraryHandle) {
    this.functions = Object.fromEntries(
      Object.entries(SIGNATURES).map(([name, signature]) => [name, library.func(signature)]),
    ) as Record<Name, CFunction>
    this.text = library.func('const char *sluice_doca_text(int32_t code)')
  }

  /** Throws DOCA_UNAVAILABLE or DOCA_NATIVE_ABI. */
  static open(): Native {
    if (endianness() !== 'LE')
      throw docaFault('DOCA_UNAVAILABLE', { library: LIBRARY, why: 'this machine is big-endian' })
    let library: LibraryHandle
    try {
      library = koffi.load(docaPath(LIBRARY))
    } catch (cause) {
      const why = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? ''
      throw docaFault('DOCA_UNAVAILABLE', { library: LIBRARY, why }, { cause })
    }
    const sizes = Buffer.alloc(SIZES.length * 4)
    const count = Number(library.func('int32_t sluice_doca_layout(void *sizes, uint32_t count)')(sizes, SIZES.length))
    const abi = Number(library.func('int32_t sluice_doca_abi()')())
    const found = `${abi}: ${Array.from({ length: Math.min(count, SIZES.length) }, (_, i) => sizes.readUInt32LE(i * 4)).join(' ')}`
    const wanted = `${ABI}: ${SIZES.join(' ')}`
    if (found !== wanted || count !== SIZES.length) throw docaFault('DOCA_NATIVE_ABI', { found, wanted })
    return new Native(library)
  }

  /** The bare answer: 0, a count, or a negative code. */
  ask(name: Name, ...args: Argument[]): number {
    return Number(this.functions[name](...args))
  }

  /** As `ask`; a negative answer is a fault. `what` says what was tried. */
  call(what: string, name: Name, ...args: Argument[]): number {
    return this.checked(what, this.ask(name, ...args))
  }

  why(code: number): string {
    return String(this.text(code))
  }

  facts(): Facts {
    const out = Buffer.alloc(FACTS)
    this.call('reading the release of DOCA', 'facts', out)
    return {
      release: textAt(out, 32, 32),
      shape: out.readUInt32LE(64),
      updates: out.readUInt32LE(68) === 1,
      emulated: out.readUInt32LE(72) === 1,
      tracking: out.readUInt32LE(76) === 1,
      limits: { pipes: Number(out.readBigUInt64LE(80)), entries: Number(out.readBigUInt64LE(88)) },
    }
  }

  devices(): string[] {
    const room = 16
    const out = Buffer.alloc(room * 16)
    const count = this.call('listing devices', 'devices', out, room)
    return Array.from({ length: Math.min(count, room) }, (_, i) => textAt(out, i * 16, 16))
  }

  /** Starts library, device and its own port, whose id is 0. */
  openDevice(pci: string, counters: number, connections: number): void {
    const device = Buffer.alloc(DEVICE)
    device.write(pci, 0, 15, 'latin1')
    device.writeUInt32LE(512, 16)
    device.writeUInt32LE(counters, 20)
    device.writeUInt32LE(ACTION_MEMORY, 24)
    device.writeUInt16LE(ZONES, 30)
    device.writeUInt32LE(connections, 32)
    this.call(`opening ${pci}`, 'open', device)
  }

  representors(): { readonly vuid: string; readonly interface: string }[] {
    const count = this.call('listing representors', 'representors', Buffer.alloc(0), 0)
    const out = Buffer.alloc(Math.max(1, count) * REPRESENTOR)
    this.call('listing representors', 'representors', out, count)
    return Array.from({ length: count }, (_, i) => ({
      vuid: textAt(out, i * REPRESENTOR, 128),
      interface: textAt(out, i * REPRESENTOR + 144, 64),
    }))
  }

  /** Frames that pipes forwarded to a software queue, at most `room`; of each the first `octets`. */
  taken(queue: number, room: number, octets: number): Buffer[] {
    const stride = HEAD + octets
    // Asked hundreds of times a second, and mostly for nothing: the room is kept, and frames are copied out of it.
    if (this.room.length < room * stride) this.room = Buffer.alloc(room * stride)
    const out = this.room
    const count = this.call('reading a queue', 'queueTake', queue, out, stride, room)
    return Array.from({ length: count }, (_, i) => {
      const at = i * stride + HEAD
      return Buffer.from(out.subarray(at, at + out.readUInt32LE(at - 4)))
    })
  }

  /** Through the Arm's netdevice of that representor, or of the device itself (null). False: it took no frame. */
  send(vuid: string | null, frame: Buffer): boolean {
    return this.ask('send', vuid, frame, frame.length) === 0
  }

  tracker(hit: Handle, miss: Handle): Handle {
    const handle = Buffer.alloc(8)
    this.call('creating the pipe of connections', 'trackerCreate', hit, miss, handle)
    return handle.readBigUInt64LE(0)
  }

  /** Queues connections; gives the handles of those that were, in order, and why the next was not. */
  connect(tracker: Handle, list: readonly Connection[]): { readonly handles: Handle[]; readonly refused: number } {
    const out = Buffer.alloc(list.length * CONNECTION)
    for (const [i, one] of list.entries()) {
      const at = i * CONNECTION
      out.set(one.source, at)
      out.set(one.destination, at + 16)
      out.writeUInt16BE(one.sourcePort, at + 32)
      out.writeUInt16BE(one.destinationPort, at + 34)
      out.writeUInt8(one.protocol, at + 36)
      out.writeUInt8(one.source.length === 16 ? 1 : 0, at + 37)
      out.writeUInt32LE(one.zone, at + 40)
      out.writeUInt32LE(one.idleSeconds, at + 44)
    }
    const handles = Buffer.alloc(list.length * 8)
    const refused = Buffer.alloc(4)
    const what = 'adding connections'
    const queued = this.call(what, 'connectionsAdd', tracker, out, list.length, handles, refused)
    return { handles: unpacked(handles, queued), refused: refused.readInt32LE(0) }
  }

  disconnect(handles: readonly Handle[]): void {
    if (handles.length === 0) return
    const what = 'removing connections'
    const refused = Buffer.alloc(4)
    const queued = this.call(what, 'connectionsRemove', packed(handles), handles.length, refused)
    if (queued < handles.length) this.checked(what, refused.readInt32LE(0))
  }

  /** Both ways together. */
  traffic(handles: readonly Handle[]): Count[] {
    if (handles.length === 0) return []
    const out = Buffer.alloc(handles.length * 2 * COUNT)
    this.call('reading connections', 'connectionsCount', packed(handles), handles.length, out)
    return handles.map((_, i) => {
      const [there, back] = [countAt(out, 2 * i * COUNT), countAt(out, (2 * i + 1) * COUNT)]
      return { packets: there.packets + back.packets, octets: there.octets + back.octets }
    })
  }

  /** Connections that have been idle for too long, each told once. */
  aged(room: number): Handle[] {
    const handles = Buffer.alloc(room * 8)
    return unpacked(handles, this.call('looking for idle connections', 'connectionsAged', handles, room))
  }

  pipe(spec: PipeSpec): Handle {
    const out = Buffer.alloc(PIPE)
    out.write(spec.name.slice(0, 47), 0, 'latin1')
    const miss = spec.miss
    const words = [
      PIPE_KINDS[spec.kind],
      spec.root ? 1 : 0,
      Math.max(1, spec.room),
      TRANSPORTS[spec.transport],
      spec.counted ? 1 : 0,
      (spec.missCounted ?? spec.counted) ? 1 : 0,
      spec.setsMeta ? 1 : 0,
      FORWARDS.each,
      0,
      FORWARDS[miss.kind],
    ]
    for (const [i, word] of words.entries()) out.writeUInt32LE(word, 48 + i * 4)
    out.writeBigUInt64LE(miss.kind === 'pipe' ? miss.pipe : 0n, 96)
    out.writeUInt32LE(spec.fields.length, 104)
    for (const [i, { field, value, mask }] of spec.fields.entries()) {
      const at = 112 + i * MATCH
      out.writeUInt8(FIELDS[field].number, at)
      out.writeUInt8(value === undefined ? 1 : 0, at + 1)
      if (value) out.set(value, at + 8)
      out.set(mask, at + 24)
    }
    const handle = Buffer.alloc(8)
    this.call(`creating the pipe ${spec.name}`, 'pipeCreate', out, handle)
    return handle.readBigUInt64LE(0)
  }

  /** False: operations on it are still under way. */
  destroyPipe(pipe: Handle): boolean {
    return this.ask('pipeDestroy', pipe) === 0
  }

  /** Queues the entries; all of them, or a fault. */
  add(what: string, pipe: Handle, entries: readonly NewEntry[]): Handle[] {
    const first = entries[0]
    if (!first) return []
    const stride = (ENTRY + first.key.length + (first.mask?.length ?? 0) + 7) & ~7
    const batch = Buffer.alloc(stride * entries.length)
    for (const [i, entry] of entries.entries()) {
      const at = i * stride
      writeTarget(batch, at, entry.target)
      batch.writeUInt32LE(entry.priority ?? 0, at + 16)
      batch.writeUInt32LE(TRANSPORTS[entry.transport ?? 'none'], at + 20)
      batch.writeUInt32LE(entry.meta ?? 0, at + 24)
      batch.set(entry.key, at + ENTRY)
      if (entry.mask) batch.set(entry.mask, at + ENTRY + entry.key.length)
    }
    return this.addPacked(what, pipe, batch, entries.length)
  }

  /** `batch` is packed as the header says. */
  addPacked(what: string, pipe: Handle, batch: Buffer, count: number): Handle[] {
    const handles = Buffer.alloc(count * 8)
    const refused = Buffer.alloc(4)
    const queued = this.call(what, 'entriesAdd', pipe, batch, batch.length, count, handles, refused)
    if (queued < count) this.checked(what, refused.readInt32LE(0))
    return unpacked(handles, count)
  }

  remove(what: string, handles: readonly Handle[]): void {
    if (handles.length === 0) return
    const refused = Buffer.alloc(4)
    const queued = this.call(what, 'entriesRemove', packed(handles), handles.length, refused)
    if (queued < handles.length) this.checked(what, refused.readInt32LE(0))
  }

  update(what: string, handle: Handle, target: Target): void {
    const entry = Buffer.alloc(ENTRY)
    writeTarget(entry, 0, target)
    this.call(what, 'entryUpdate', handle, entry)
  }

  /** Everything queued is in force, or a fault. */
  settle(what: string, waitMs: number): void {
    const code = this.ask('settle', waitMs)
    if (code === NOT_COMPLETED) throw docaFault('DOCA_NOT_COMPLETED', { what, waitedMs: waitMs })
    this.checked(what, code)
  }

  /** True when every one of them is in force. */
  inForce(handles: readonly Handle[]): boolean {
    return this.states(handles).every((state) => state === IN_FORCE)
  }

  /** Of each entry or connection: 0 gone, 1 under way, IN_FORCE, 3 failed. */
  states(handles: readonly Handle[]): readonly number[] {
    if (handles.length === 0) return []
    const states = Buffer.alloc(handles.length)
    this.call('reading entries back', 'entriesState', packed(handles), handles.length, states)
    return [...states]
  }

  counts(handles: readonly Handle[]): Count[] {
    if (handles.length === 0) return []
    const out = Buffer.alloc(handles.length * COUNT)
    this.call('reading counters', 'entriesCount', packed(handles), handles.length, out)
    return handles.map((_, i) => countAt(out, i * COUNT))
  }

  missed(pipe: Handle): Count {
    const out = Buffer.alloc(COUNT)
    this.call('reading a miss counter', 'pipeMissed', pipe, out)
    return countAt(out, 0)
  }

  private checked(what: string, code: number): number {
    if (code >= 0) return code
    const why = code === ENTRY_FAILED ? `${this.why(code)} (${what})` : this.why(code)
    throw docaFault('DOCA_DEVICE', { what, why })
  }
}

function writeTarget(out: Buffer, at: number, target: Target): void {
  out.writeUInt32LE(FORWARDS[target.kind], at)
  out.writeUInt32LE(target.kind === 'port' || target.kind === 'queue' ? target.port : 0, at + 4)
  out.writeBigUInt64LE(target.kind === 'pipe' ? target.pipe : 0n, at + 8)
}

const unpacked = (handles: Buffer, count: number): Handle[] =>
  Array.from({ length: count }, (_, i) => handles.readBigUInt64LE(i * 8))

function packed(handles: readonly Handle[]): Buffer {
  const out = Buffer.alloc(handles.length * 8)
  for (const [i, handle] of handles.entries()) out.writeBigUInt64LE(handle, i * 8)
  return out
}

const countAt = (out: Buffer, at: number): Count => ({
  packets: out.readBigUInt64LE(at),
  octets: out.readBigUInt64LE(at + 8),
})

function textAt(buffer: Buffer, at: number, room: number): string {
  const end = buffer.indexOf(0, at)
  return buffer.toString('utf8', at, end < 0 || end > at + room ? at + room : end)
}
