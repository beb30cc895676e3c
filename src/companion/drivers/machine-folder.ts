// What is kept about a machine: one folder each, with its specification, its control socket, and what its console said. The folder is
// written before the first process exists and taken away after the last one is gone, so that whatever a crash leaves is found again.
// Processes are not recorded: the cgroup knows them (cgroup.ts). What a console said last stays beside the folder when that is taken away, since
// a machine that failed is gone before anybody can ask why; as many as LAST_WORDS, each with a bound.
//
// The folder is root's; the machine's user may pass through it, and has one place inside, where QEMU makes its socket.

import {
  chownSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { Fault } from '../../base/fault.js'
import { isObject, JsonError, parseJson } from '../../base/json.js'
import type { MachineId, MachineSpec } from './driver.js'
import { checkSpec } from './spec.js'

const FORMAT = 'sluice-machine/1'
const RECORD = 'machine.json'
export const CONSOLE = 'console.log'
/** What is kept of a console: twice this, in two files. */
const CONSOLE_FILE_BYTES = 1 << 20
/** Of a machine that is gone. */
const LAST_WORDS_BYTES = 1 << 18
const LAST_WORDS = 64
const KEPT = '.console'
/** sun_path of a socket, with its end (unix(7)). */
const MOST_PATH = 107

export class MachineFolder {
  private readonly path: string
  constructor(
    private readonly root: string,
    readonly id: MachineId,
  ) {
    this.path = join(root, id)
  }

  static ids(root: string): readonly MachineId[] {
    if (!existsSync(root)) return []
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort()
  }

  /** Last words of machines that nobody may ask for any more. */
  static forgetWords(root: string, isPast: (id: MachineId) => boolean): void {
    if (!existsSync(root)) return
    for (const name of readdirSync(root))
      if (name.endsWith(KEPT) && isPast(name.slice(0, -KEPT.length))) rmSync(join(root, name), { force: true })
  }

  /** Where QEMU makes its socket. */
  get control(): string {
    return join(this.path, 'own', 'qmp')
  }
  /** A file of root's that the machine's user may read, where a name is all that it can be given. */
  file(name: string): string {
    return join(this.path, name)
  }
  share(index: number): string {
    return join(this.path, 'own', `share${index}`)
  }

  /** Throws what the file system says; TypeError for a root that is too long for a socket. */
  make(spec: MachineSpec): void {
    if (Buffer.byteLength(this.share(99)) > MOST_PATH)
      throw new TypeError(`${this.root} is too long for a socket below it`)
    mkdirSync(this.root, { recursive: true, mode: 0o711 })
    mkdirSync(this.path, { recursive: true, mode: 0o711 })
    rmSync(this.kept, { force: true })
    mkdirSync(join(this.path, 'own'), { recursive: true, mode: 0o700 })
    chownSync(join(this.path, 'own'), spec.user, spec.user)
    const beside = join(this.path, `${RECORD}.new`)
    const file = openSync(beside, 'w', 0o600)
    try {
      writeSync(file, JSON.stringify({ format: FORMAT, spec }))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(beside, join(this.path, RECORD))
  }

  /** undefined: there is none, or it is not one that `make` wrote to its end. */
  read(): MachineSpec | undefined {
    const path = join(this.path, RECORD)
    if (!existsSync(path)) return undefined
    try {
      const record = parseJson(readFileSync(path, 'utf8'))
      if (!isObject(record) || record.format !== FORMAT || !isObject(record.spec)) return undefined
      return checkSpec(record.spec as unknown as MachineSpec)
    } catch (error) {
      // A folder that says nothing is a machine about which nothing is known; its processes are killed all the same.
      if (error instanceof JsonError || error instanceof Fault || error instanceof TypeError) return undefined
      throw error
    }
  }

  /** Adds to what is kept of the console; the oldest goes. */
  keepConsole(bytes: Uint8Array): void {
    const path = join(this.path, CONSOLE)
    const file = openSync(path, 'a', 0o600)
    try {
      writeSync(file, bytes)
      if (fstatSync(file).size > CONSOLE_FILE_BYTES) renameSync(path, `${path}.1`)
    } finally {
      closeSync(file)
    }
  }

  /** The last `maxBytes` that are kept: ours, or virtlogd's, whose older ones count from 0. */
  console(maxBytes: number): Uint8Array {
    const parts: Uint8Array[] = []
    let room = maxBytes
    for (const name of ['', '.0', '.1', '.2'].map((more) => `${CONSOLE}${more}`)) {
      const path = join(this.path, name)
      if (room <= 0 || !existsSync(path)) continue
      const file = openSync(path, 'r')
      try {
        const { size } = fstatSync(file)
        const part = Buffer.alloc(Math.min(size, room))
        readSync(file, part, 0, part.length, size - part.length)
        parts.unshift(part)
        room -= part.length
      } finally {
        closeSync(file)
      }
    }
    return Buffer.concat(parts)
  }

  /** Of a machine that is gone; undefined when it said nothing, or others have taken its place since. */
  lastWords(maxBytes: number): Uint8Array | undefined {
    if (!existsSync(this.kept)) return undefined
    const words = readFileSync(this.kept)
    return words.subarray(Math.max(0, words.length - maxBytes))
  }

  exists(): boolean {
    return existsSync(this.path)
  }
  remove(): void {
    try {
      this.keepLastWords()
    } catch (error) {
      // A disk that takes nothing more keeps no machine from being taken away.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error
    }
    rmSync(this.path, { recursive: true, force: true })
  }

  private get kept(): string {
    return `${this.path}${KEPT}`
  }
  private keepLastWords(): void {
    const words = this.console(LAST_WORDS_BYTES)
    if (words.length === 0) return
    const others = readdirSync(this.root)
      .filter((name) => name.endsWith(KEPT))
      .map((name) => join(this.root, name))
      .map((path) => ({ path, atMs: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
      .sort((a, b) => b.atMs - a.atMs)
    for (const { path } of others.slice(LAST_WORDS - 1)) rmSync(path, { force: true })
    writeFileSync(this.kept, words, { mode: 0o600 })
  }
}
