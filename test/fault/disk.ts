// A disk that loses power: the few file operations that the agent's state uses, in memory, with what is on stable storage kept
// apart from what is only in caches. A crash gives every disk that POSIX allows afterwards: data without fsync is old, absent,
// half there or whole; names without fsync of their directory are there or not, each by itself, in any combination.
//
// Stricter than any one file system: ext4 keeps names in order, this does not. Writes are short, as they may be.

import { posix } from 'node:path'

interface Inode {
  readonly folder: boolean
  cached: Uint8Array
  stable: Uint8Array
}
/** One name put into a folder or taken out of it; a rename is one operation on two names. */
type NameChange = readonly { readonly path: string; readonly inode: Inode | undefined }[]

const missing = (path: string): Error => Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
const NOTHING = new Uint8Array(0)
const MOST_CHANGES = 8

export class Disk {
  private names = new Map<string, Inode>()
  private stableNames = new Map<string, Inode>()
  private pending: NameChange[] = []
  private readonly open = new Map<number, string>()
  private handles = 3
  /** Operations that change something, so far. */
  operations = 0
  /** The operation with this number and all later ones do not happen: the power is gone. */
  powerUntil = Number.POSITIVE_INFINITY

  constructor() {
    this.names.set('/', { folder: true, cached: NOTHING, stable: NOTHING })
    this.stableNames = new Map(this.names)
  }

  private change(): void {
    if (this.operations >= this.powerUntil) throw new Error('the power is gone')
    this.operations++
  }
  private inode(path: string): Inode {
    const found = this.names.get(path)
    if (!found) throw missing(path)
    return found
  }
  private rename(change: NameChange): void {
    this.pending.push(change)
    for (const { path, inode } of change)
      if (inode) this.names.set(path, inode)
      else this.names.delete(path)
  }

  /** What `node:fs` is replaced by. */
  readonly fs = {
    openSync: (path: string, flags: string): number => {
      if (flags === 'w') {
        this.change()
        const there = this.names.get(path)
        if (there) there.cached = NOTHING
        else {
          this.inode(posix.dirname(path))
          this.rename([{ path, inode: { folder: false, cached: NOTHING, stable: NOTHING } }])
        }
      } else this.inode(path)
      this.open.set(++this.handles, path)
      return this.handles
    },
    writeSync: (handle: number, bytes: Uint8Array, at: number): number => {
      this.change()
      const inode = this.inode(this.open.get(handle) ?? '')
      const length = Math.max(1, Math.ceil((bytes.length - at) / 2))
      inode.cached = new Uint8Array([...inode.cached, ...bytes.subarray(at, at + length)])
      return length
    },
    fsyncSync: (handle: number): void => {
      this.change()
      const path = this.open.get(handle) ?? ''
      const inode = this.inode(path)
      inode.stable = inode.cached
      if (!inode.folder) return
      const here = (change: NameChange) => change.some((one) => posix.dirname(one.path) === path)
      for (const change of this.pending.filter(here)) this.settle(change)
      this.pending = this.pending.filter((change) => !here(change))
    },
    closeSync: (handle: number): void => {
      this.open.delete(handle)
    },
    renameSync: (from: string, to: string): void => {
      this.change()
      const below = [...this.names.keys()].filter((path) => path === from || path.startsWith(`${from}/`))
      this.rename(
        below.flatMap((path) => [
          { path: to + path.slice(from.length), inode: this.inode(path) },
          { path, inode: undefined },
        ]),
      )
    },
    mkdirSync: (path: string): string | undefined => {
      if (this.names.has(path)) return undefined
      const first = this.fs.mkdirSync(posix.dirname(path))
      this.change()
      this.rename([{ path, inode: { folder: true, cached: NOTHING, stable: NOTHING } }])
      return first ?? path
    },
    rmSync: (path: string): void => {
      this.change()
      if (this.names.has(path)) this.rename([{ path, inode: undefined }])
    },
    readFileSync: (path: string): Uint8Array => this.inode(path).cached,
    existsSync: (path: string): boolean => this.names.has(path),
    readdirSync: (path: string): string[] => {
      this.inode(path)
      const inside = [...this.names.keys()].filter((name) => name !== path && posix.dirname(name) === path)
      return inside.map((name) => posix.basename(name))
    },
  }

  private settle(change: NameChange): void {
    for (const { path, inode } of change) {
      if (inode) this.stableNames.set(path, inode)
      else this.stableNames.delete(path)
    }
  }

  /** Every disk that may be found after the power comes back. */
  *afterCrash(): Generator<Disk> {
    if (this.pending.length > MOST_CHANGES) throw new Error(`${this.pending.length} names are not on stable storage`)
    for (let subset = 0; subset < 1 << this.pending.length; subset++) {
      const kept = this.pending.filter((_, i) => ((subset >> i) & 1) === 1)
      const names = new Map(this.stableNames)
      for (const change of kept)
        for (const { path, inode } of change) {
          if (inode) names.set(path, inode)
          else names.delete(path)
        }
      // A name below a folder that was lost is lost with it.
      for (const path of [...names.keys()]) if (!whole(names, path)) names.delete(path)
      for (const data of ['stable', 'empty', 'half', 'cached'] as const) yield this.rebuilt(names, data)
    }
  }

  private rebuilt(names: ReadonlyMap<string, Inode>, data: 'stable' | 'empty' | 'half' | 'cached'): Disk {
    const disk = new Disk()
    for (const [path, { folder, cached, stable }] of names) {
      const half = cached.subarray(0, cached.length >> 1)
      const content = cached === stable ? stable : { stable, cached, empty: NOTHING, half }[data]
      disk.names.set(path, { folder, cached: content, stable: content })
    }
    disk.stableNames = new Map(disk.names)
    return disk
  }
}

const whole = (names: ReadonlyMap<string, Inode>, path: string): boolean =>
  path === '/' || (names.has(posix.dirname(path)) && whole(names, posix.dirname(path)))
