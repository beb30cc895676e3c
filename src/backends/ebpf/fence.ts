// The fence as it stands in the kernel: programs and maps, pinned in the BPF file system so that they outlive this process. A
// restarted agent adopts what it finds when its layout and its program are the same; a newer program of the same layout
// takes the place of the old one at every attachment, atomically; another layout is built beside the old one.
//
// Pins: <bpffs>/sluice/net-<cookie>/v<layout>/{maps,programs,links,generations/{0,1}}. The cookie keeps network namespaces
// apart, whose interfaces have the same numbers.

import { createHash, randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, unlinkSync } from 'node:fs'
import { NEVER, RESERVED } from '../../base/reserved.js'
import { ebpfFault } from './errors.js'
import { CLASS, CLASS_BITS, FENCE_LAYOUT, putAddress, STRUCTS, viewOf } from './layout.js'
import { errnoName, Native, nativePath } from './native.js'

export const OBJECT = 'fence.bpf.o'
export const MAP_TYPE = { hash: 1, array: 2, lpm: 11 } as const
export const MMAPABLE = 1 << 10
export const NO_PREALLOC = 1
export const INNER_MAP = 1 << 12

const PROGRAMS = ['fence_from', 'fence_to', 'fence_sweep'] as const
export type ProgramName = (typeof PROGRAMS)[number]
/** Maps of a generation, chosen by the generation word. */
export const OUTER = ['exact', 'facts', 'prefixes', 'ranges', 'workspaces', 'counters'] as const
export type OuterName = (typeof OUTER)[number]
const LASTING = ['live', 'about', 'tenants', 'flows', 'learned', 'sessions', 'classes', 'counts', 'events'] as const
/** Maps that only the agent reads: names of workspaces and of what was learnt. */
const OWN = {
  roster: { key: 4, value: 2056 },
  notes: { key: 40, value: 384 },
} as const
/** `names` is there where the kernel has room for a floor (floor.ts). */
export type MapName = OuterName | (typeof LASTING)[number] | keyof typeof OWN | 'names'

export class Fence {
  private readonly descriptors = new Map<string, number>()
  /** Sweeps of flows that are under way, and the count of flows that the next one waits for (cut.ts). */
  sweeps = 0
  /** Counts of flows under way. */
  counts = 0
  counting: Promise<unknown> = Promise.resolve()

  private constructor(
    readonly native: Native,
    /** Folder of the pins of this layout. */
    readonly pins: string,
    /** Number that marks the fence's own refusals. */
    readonly mark: number,
    /** True when it stood already. */
    readonly adopted: boolean,
  ) {}

  /** Adopts the fence of this network namespace, or makes it. Throws EBPF_LOAD_REFUSED with the verifier's log. */
  static open(native = Native.open()): Fence {
    const pins = pinsOf(native)
    for (const folder of ['maps', 'programs', 'links', 'cgroups', 'generations/0', 'generations/1'])
      mkdirSync(`${pins}/${folder}`, { recursive: true, mode: 0o700 })
    const digest = digestOfObjects()
    const held = readAbout(native, pins)
    const same = held?.layout === FENCE_LAYOUT && held.digest.equals(digest)
    const complete = same && PROGRAMS.every((name) => existsSync(`${pins}/programs/${name}`))
    if (!complete) load(native, OBJECT, `${pins}/maps`, `${pins}/programs`, 0)
    const mark = held !== undefined && held.mark !== 0 ? held.mark : randomInt(1, 2 ** 32 - 1)
    const fence = new Fence(native, pins, mark, complete)
    if (!complete) fence.settle(digest)
    return fence
  }

  map(name: MapName): number {
    return this.descriptor(`maps/${name}`)
  }

  program(name: ProgramName): number {
    return this.descriptor(`programs/${name}`)
  }

  close(): void {
    for (const descriptor of this.descriptors.values()) this.native.ask('close', descriptor)
    this.descriptors.clear()
  }

  /** The generation word: generation * 2 + slot; 0 when nothing is live. */
  word(): bigint {
    const value = Buffer.alloc(8)
    this.native.call('reading the generation word', 'mapRead', this.map('live'), Buffer.alloc(4), value)
    return value.readBigUInt64LE()
  }

  setWord(word: bigint): void {
    const value = Buffer.alloc(8)
    value.writeBigUInt64LE(word)
    this.native.call('writing the generation word', 'arrayWrite', this.map('live'), 0, value, 1, 8)
    const found = this.word()
    if (found !== word) throw ebpfFault('EBPF_NOT_READ_BACK', { wanted: Number(word), found: Number(found) })
  }

  /** Pinned links by file name, with what each hangs on. */
  links(): readonly string[] {
    return readdirSync(`${this.pins}/links`).sort()
  }

  /** What an agent of another layout left: to be taken away when this one judges. */
  otherLayouts(): readonly string[] {
    const base = this.pins.slice(0, this.pins.lastIndexOf('/'))
    return readdirSync(base)
      .filter((name) => /^v\d+$/.test(name))
      .map((name) => `${base}/${name}`)
      .filter((path) => path !== this.pins)
  }

  private descriptor(pin: string): number {
    let descriptor = this.descriptors.get(pin)
    if (descriptor === undefined) {
      descriptor = this.native.call(`opening ${pin}`, 'get', `${this.pins}/${pin}`)
      this.descriptors.set(pin, descriptor)
    }
    return descriptor
  }

  /** After a load: what a new fence needs before anything is attached, and the new programs where the old ones hung. */
  private settle(digest: Buffer): void {
    const { native } = this
    for (const [name, size] of Object.entries(OWN)) {
      if (existsSync(`${this.pins}/maps/${name}`)) continue
      const what = `making the map ${name}`
      const map = native.call(what, 'mapCreate', MAP_TYPE.hash, size.key, size.value, 131_072, NO_PREALLOC, name)
      native.call(what, 'pin', map, `${this.pins}/maps/${name}`)
      native.ask('close', map)
    }
    writeClasses(native, this.map('classes'))
    for (const link of this.links()) {
      // Those of cgroups have programs of their own (cgroup.ts, renewGroups).
      if (!/^\d+-(from|to)$/.test(link)) continue
      const descriptor = native.call(`opening ${link}`, 'get', `${this.pins}/links/${link}`)
      // A link whose interface is gone cannot be updated and does not matter; the next stage takes it away.
      native.ask('linkUpdate', descriptor, this.program(link.endsWith('from') ? 'fence_from' : 'fence_to'))
      native.ask('close', descriptor)
    }
    const about = Buffer.alloc(STRUCTS.fence_about.size)
    const { fields } = STRUCTS.fence_about
    about.writeUInt32LE(FENCE_LAYOUT, fields.layout)
    about.writeUInt32LE(this.mark, fields.mark)
    about.writeBigUInt64LE(native.bootNs(), fields.made_ns)
    digest.copy(about, fields.object_digest)
    native.call('signing the fence', 'arrayWrite', this.map('about'), 0, about, 1, about.length)
  }
}

/** True when a fence of this layout is pinned for this network namespace. */
export const isStanding = (native: Native): boolean => existsSync(`${pinsOf(native)}/maps/about`)

/** The folder of this network namespace and layout; the BPF file system is mounted where there is none. */
export function pinsOf(native: Native): string {
  const cookie = Buffer.alloc(8)
  native.call('reading the cookie of the network namespace', 'netCookie', cookie)
  const root = native.text('finding the BPF file system', 'bpffs', 256)
  return `${root}/sluice/net-${cookie.readBigUInt64LE()}/v${FENCE_LAYOUT}`
}

/** Of every object that stands pinned: when one is new, all are loaded anew. */
function digestOfObjects(): Buffer {
  const hash = createHash('sha256')
  for (const object of [OBJECT, 'fence_cgroup.bpf.o', 'fence_floor.bpf.o'])
    try {
      hash.update(readFileSync(nativePath(object)))
    } catch (cause) {
      throw ebpfFault('EBPF_UNAVAILABLE', { library: object, why: 'it was not built' }, { cause })
    }
  return hash.digest()
}

interface About {
  readonly layout: number
  readonly mark: number
  readonly digest: Buffer
}

function readAbout(native: Native, pins: string): About | undefined {
  const path = `${pins}/maps/about`
  if (!existsSync(path)) return undefined
  const map = native.call('opening what is pinned', 'get', path)
  const value = Buffer.alloc(STRUCTS.fence_about.size)
  native.call('reading what is pinned', 'mapRead', map, Buffer.alloc(4), value)
  native.ask('close', map)
  const { fields } = STRUCTS.fence_about
  return {
    layout: value.readUInt32LE(fields.layout),
    mark: value.readUInt32LE(fields.mark),
    digest: value.subarray(fields.object_digest, fields.object_digest + 32),
  }
}

/** Room for a verifier's log at the level that libbpf asks for after a refusal. */
const LOG_BYTES = 4 << 20

/**
 * Loads an object and pins its programs in a folder; the maps are shared by all. The last useful line of a refusal's log is the
 * message, all of it the detail.
 */
export function load(native: Native, object: string, maps: string, programs: string, attachment: number): void {
  const log = Buffer.alloc(LOG_BYTES)
  const answer = native.ask('load', nativePath(object), maps, programs, attachment, log, LOG_BYTES)
  if (answer >= 0) return
  const text = log.toString('utf8', 0, Math.max(0, log.indexOf(0)))
  throw ebpfFault('EBPF_LOAD_REFUSED', { errno: errnoName(answer), last: lastUseful(text), log: text })
}

/** The line that says why: the verifier's verdict stands before its statistics, libbpf's summary after both. */
export function lastUseful(log: string): string {
  const lines = log.split('\n').map((line) => line.trim())
  const noise =
    /^(libbpf:|processed \d+|verification time|stack depth|max_states|-- (BEGIN|END)|;|\d+: \(|from \d+|R\d+(_\w+)?=|$)/
  const verdict = lines.filter((line) => !noise.test(line)).at(-1)
  return (
    verdict ??
    lines
      .filter((line) => line.startsWith('libbpf:'))
      .at(-1)
      ?.replace(/^libbpf: /, '') ??
    'no reason given'
  )
}

/** Reserved ranges, from base/reserved.ts: there is no second list. */
function writeClasses(native: Native, map: number): void {
  const rows = [...NEVER, ...RESERVED]
  const { size, fields } = STRUCTS.fence_class_key
  const keys = Buffer.alloc(rows.length * size)
  const values = Buffer.alloc(rows.length * 4)
  const view = viewOf(keys)
  for (const [i, row] of rows.entries()) {
    const at = i * size
    view.setUint32(at + fields.bits, CLASS_BITS + row.prefix.length, true)
    view.setUint32(at + fields.family, row.prefix.family, true)
    putAddress(view, at + fields.address, row.prefix)
    // Longest match decides in the kernel, `never` before `reserved` here: a row inside one that is never opened is never.
    const never = NEVER.some((one) => one.prefix.family === row.prefix.family && holds(one.range, row.range))
    values.writeUInt32LE(never ? CLASS.never : CLASS.reserved, i * 4)
  }
  native.call('writing the reserved ranges', 'mapWrite', map, keys, values, rows.length, size, 4)
}

const holds = (
  outer: { readonly first: bigint; readonly last: bigint },
  inner: { readonly first: bigint; readonly last: bigint },
): boolean => outer.first <= inner.first && inner.last <= outer.last

/** Takes away a folder of pins and everything in it: links first, so that nothing is judged by half a fence. */
export function removePins(path: string): void {
  if (!existsSync(path)) return
  for (const name of ['links', 'cgroups', 'programs', 'maps', 'generations'].filter((one) =>
    existsSync(`${path}/${one}`),
  ))
    removeFolder(`${path}/${name}`)
  removeFolder(path)
}

/** Other network namespaces may have theirs below it. */
export function removeIfEmpty(path: string): void {
  if (existsSync(path) && readdirSync(path).length === 0) rmdirSync(path)
}

function removeFolder(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeFolder(`${path}/${entry.name}`)
    else unlinkSync(`${path}/${entry.name}`)
  }
  rmdirSync(path)
}
