// What doca-argus keeps: which plan it judges by, who is flagged, and how far it has read. Each is one small file, replaced as a whole;
// one that cannot be read back counts as none, so that the agent puts it there again.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, isDigest } from '../../base/digest.js'
import { isObject } from '../../base/json.js'
import type { Flag } from '../backend.js'
import { argusFault } from './errors.js'
import type { Watched } from './program.js'

export interface LiveRecord {
  readonly generation: number
  readonly planDigest: Digest
  readonly watched: readonly Watched[]
}
export type Flags = Readonly<Record<Flag, readonly string[]>>

export const NO_FLAGS: Flags = { quarantined: [], suspended: [] }
const [LIVE, FLAGS, READ] = ['live.json', 'flags.json', 'read.json']
export const CONFIGURATION = 'doca-argus.yaml'

/** How far one file was read; `head` knows it again when its number was given to another. */
export interface Position {
  readonly file: string
  readonly offset: number
  readonly head: string
}

export class ArgusRecord {
  constructor(private readonly directory: string) {}

  live(): LiveRecord | undefined {
    const found = this.read(LIVE)
    const { generation, planDigest, watched } = found ?? {}
    if (typeof generation !== 'number' || typeof planDigest !== 'string' || !isDigest(planDigest)) return undefined
    return Array.isArray(watched) ? { generation, planDigest, watched: watched as readonly Watched[] } : undefined
  }
  saveLive(live: LiveRecord, configuration: string): void {
    this.write(CONFIGURATION, configuration)
    this.write(LIVE, JSON.stringify(live))
  }
  /** As it lies there for the container of Argus; undefined where none does. */
  configuration(): string | undefined {
    try {
      return readFileSync(join(this.directory, CONFIGURATION), 'utf8')
    } catch {
      return undefined // nothing was made live yet, or somebody took it away
    }
  }
  flags(): Flags {
    const { quarantined, suspended } = this.read(FLAGS) ?? {}
    const names = (value: unknown): readonly string[] =>
      Array.isArray(value) ? value.filter((name) => typeof name === 'string') : []
    return { quarantined: names(quarantined), suspended: names(suspended) }
  }
  saveFlags(flags: Flags): void {
    this.write(FLAGS, JSON.stringify(flags))
  }
  /** undefined: never read anything. */
  positions(): ReadonlyMap<string, Position> | undefined {
    const list = this.read(READ)?.positions
    if (!Array.isArray(list)) return undefined
    const sound = list.filter(
      (one: unknown): one is Position =>
        typeof (one as Position | null)?.file === 'string' &&
        Number.isSafeInteger((one as Position).offset) &&
        typeof (one as Position).head === 'string',
    )
    return new Map(sound.map((one) => [one.file, one]))
  }
  savePositions(positions: readonly Position[]): void {
    this.write(READ, JSON.stringify({ positions }))
  }

  private read(name: string): { readonly [key: string]: unknown } | undefined {
    try {
      const value: unknown = JSON.parse(readFileSync(join(this.directory, name), 'utf8'))
      return isObject(value as never) ? (value as { readonly [key: string]: unknown }) : undefined
    } catch {
      return undefined // not there yet, or torn by a crash: as if nothing had been kept
    }
  }

  /** Throws ARGUS_STATE. */
  private write(name: string, text: string): void {
    const path = join(this.directory, name)
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 })
      const file = openSync(`${path}.new`, 'w', 0o600)
      try {
        writeSync(file, text)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(`${path}.new`, path)
    } catch (cause) {
      throw argusFault('ARGUS_STATE', { file: path }, { cause })
    }
  }
}
