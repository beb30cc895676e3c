// Programs that stand without an agent: their links, programs and maps as pins in a folder of the BPF file system. An object is loaded
// from its file, and beside its pins stand the digest of that file and the names of its programs, so that another build of it is seen for
// what it is and put in the place of the one before, and a link that is gone is missed. The new program hangs before the old one goes: in between both judge, and never nobody.
//
// Refuses what the kernel refuses, in the words of the backend.

import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import type { AnchorHook, AnchorObject } from '../backend.js'
import { type Native, nativePath } from './native.js'

const LOG_OCTETS = 65_536
const LOG_SHOWN = 900
const MAPS = 64
const INFO = { program: 16, map: 24 } as const

/** An object file and where its programs hang: LSM hooks by their own section, or one raw tracepoint. */
export interface TracingObject {
  /** Without `.bpf.o`. */
  readonly name: string
  readonly tracepoint?: string
}

export class Pinned {
  private readonly descriptors = new Map<string, number>()

  /** `folder` is below the BPF file system: `sluice/guard-1`. */
  constructor(
    readonly native: Native,
    private readonly folder: string,
  ) {}

  /** Does the program hang? Without a name: does anything? What an older release left has one link without a name. */
  stands(program?: string): boolean {
    if (program !== undefined) return existsSync(`${this.path('links')}/${program}`)
    const links = existsSync(this.path('links')) ? readdirSync(this.path('links')) : []
    return links.length > 0 || existsSync(this.path('link'))
  }

  /**
   * The object's programs hang, and are those of the file that is installed. Costs a digest of the file where that is so already. Throws
   * what the kernel refuses; then what hung before hangs on.
   */
  raise({ name, tracepoint }: TracingObject): void {
    const { native } = this
    const build = createHash('sha256')
      .update(readFileSync(nativePath(`${name}.bpf.o`)))
      .digest('hex')
    if (this.record(name)?.build === build && this.missing(name).length === 0) return
    this.clear('fresh')
    this.clear('next')
    for (const folder of ['maps', 'programs', 'links', 'builds', 'fresh', 'next'])
      mkdirSync(this.path(folder), { recursive: true, mode: 0o700 })
    const log = Buffer.alloc(LOG_OCTETS)
    const object = nativePath(`${name}.bpf.o`)
    const loaded = native.ask('load', object, this.path('maps'), this.path('fresh'), 0, log, log.length)
    const said = log.toString('utf8', 0, Math.max(0, log.indexOf(0)))
    if (loaded < 0) throw native.refused(`loading ${name}`, loaded, said.slice(-LOG_SHOWN))
    const programs = readdirSync(this.path('fresh'))
    for (const program of programs) this.hang(program, tracepoint)
    // Maps of which no pin was left are others now, and what was opened before leads nowhere.
    this.close()
    for (const program of programs) {
      renameSync(`${this.path('next')}/${program}`, `${this.path('links')}/${program}`)
      renameSync(`${this.path('fresh')}/${program}`, `${this.path('programs')}/${program}`)
    }
    if (existsSync(this.path('link'))) unlinkSync(this.path('link'))
    this.clear('fresh')
    this.clear('next')
    rmSync(`${this.path('builds')}/new`, { force: true })
    symlinkSync([build, ...programs].join(' '), `${this.path('builds')}/new`)
    renameSync(`${this.path('builds')}/new`, `${this.path('builds')}/${name}`)
  }

  /** What should hang of the object and does not: its programs, or the object itself where nothing says what its programs are. */
  missing(name: string): readonly string[] {
    const { programs = [] } = this.record(name) ?? {}
    return programs.length === 0 ? [name] : programs.filter((program) => !this.stands(program))
  }

  /** A descriptor of a pinned map, kept until `close` or until `raise` loads something. */
  map(name: string): number {
    const held = this.descriptors.get(name)
    if (held !== undefined) return held
    const opened = this.native.call(`opening ${name}`, 'get', `${this.path('maps')}/${name}`)
    this.descriptors.set(name, opened)
    return opened
  }

  /** Keys of a hash, or as many as there is room for. */
  keys(name: string, key: number, value: number, most: number): Buffer[] {
    const [keys, values] = [Buffer.alloc(most * key), Buffer.alloc(most * value)]
    const count = this.native.call(`reading ${name}`, 'dump', this.map(name), keys, values, most, key, value)
    return Array.from({ length: count }, (_, i) => keys.subarray(i * key, (i + 1) * key))
  }

  /** A row of an array of 64-bit counters; 0 where it cannot be read. */
  count(name: string, row: number): bigint {
    const [key, value] = [Buffer.alloc(4), Buffer.alloc(8)]
    key.writeUInt32LE(row)
    return this.native.ask('read', this.map(name), key, value) < 0 ? 0n : value.readBigUInt64LE()
  }

  /** What hangs, by the kernel's own numbers: each program by id and tag on its hook, and the maps that they use. */
  anchors(on: string, hookOf: (program: string) => string): { hooks: AnchorHook[]; objects: AnchorObject[] } {
    const links = existsSync(this.path('links')) ? readdirSync(this.path('links')).sort() : []
    const seen = links.map((program) => ({ program, ...this.programOf(program) }))
    const maps = [...new Set(seen.flatMap(({ maps }) => maps))]
    return {
      hooks: seen.map(({ program, id, tag }) => ({ hook: hookOf(program), on, owner: { kind: 'program', id, tag } })),
      objects: maps.map((id) => ({ kind: 'map', name: this.mapName(id), id: String(id) })),
    }
  }

  close(): void {
    for (const descriptor of this.descriptors.values()) this.native.ask('close', descriptor)
    this.descriptors.clear()
  }

  /** Takes everything away; first what says that it hangs. */
  remove(): void {
    this.close()
    if (existsSync(this.path('link'))) unlinkSync(this.path('link'))
    for (const folder of ['builds', 'links', 'next', 'fresh', 'programs', 'maps']) this.clear(folder)
    rmdirSync(this.path(''))
  }

  /** Takes away what releases with other maps left: `guard-1` of the family `guard`. Called when this one judges. */
  retire(family: string): void {
    const above = `${this.native.bpffs()}/${dirname(this.folder)}`
    for (const name of readdirSync(above))
      if (new RegExp(`^${family}-\\d+$`).test(name) && name !== basename(this.folder))
        new Pinned(this.native, `${dirname(this.folder)}/${name}`).remove()
  }

  private path(name: string): string {
    return `${this.native.bpffs()}/${this.folder}${name === '' ? '' : `/${name}`}`
  }

  /** An older release kept no programs. */
  private record(name: string): { readonly build: string; readonly programs: readonly string[] } | undefined {
    try {
      const [build = '', ...programs] = readlinkSync(`${this.path('builds')}/${name}`).split(' ')
      return { build, programs }
    } catch {
      return undefined // nothing hangs yet, or an older release hung it
    }
  }

  private hang(name: string, tracepoint: string | undefined): void {
    const { native } = this
    const program = native.call(`opening ${name}`, 'get', `${this.path('fresh')}/${name}`)
    const pin = `${this.path('next')}/${name}`
    try {
      if (tracepoint === undefined) native.call(`attaching ${name}`, 'attach', program, pin)
      else native.call(`attaching ${name}`, 'attachRaw', program, tracepoint, pin)
    } finally {
      native.ask('close', program)
    }
  }

  private clear(folder: string): void {
    if (!existsSync(this.path(folder))) return
    for (const name of readdirSync(this.path(folder))) unlinkSync(`${this.path(folder)}/${name}`)
    rmdirSync(this.path(folder))
  }

  private programOf(name: string): { readonly id: number; readonly tag: string; readonly maps: readonly number[] } {
    const { native } = this
    const link = native.call(`opening the link of ${name}`, 'get', `${this.path('links')}/${name}`)
    const [on, number] = [Buffer.alloc(4), Buffer.alloc(4)]
    try {
      native.call(`reading the link of ${name}`, 'linkInfo', link, on, number)
    } finally {
      native.ask('close', link)
    }
    const id = number.readUInt32LE()
    const program = native.call(`opening program ${id}`, 'programOpen', id)
    const [info, ids] = [Buffer.alloc(INFO.program), Buffer.alloc(MAPS * 4)]
    try {
      native.call(`reading program ${id}`, 'programInfo', program, info)
      const count = Math.min(MAPS, native.call(`reading maps of program ${id}`, 'programMaps', program, ids, MAPS))
      const maps = Array.from({ length: count }, (_, i) => ids.readUInt32LE(i * 4))
      return { id, tag: info.toString('hex', 0, 8), maps }
    } finally {
      native.ask('close', program)
    }
  }

  private mapName(id: number): string {
    const { native } = this
    const map = native.call(`opening map ${id}`, 'mapOpen', id)
    const info = Buffer.alloc(INFO.map)
    try {
      native.call(`reading map ${id}`, 'mapInfo', map, info)
      return info.toString('latin1', 8, info.indexOf(0, 8))
    } finally {
      native.ask('close', map)
    }
  }
}
