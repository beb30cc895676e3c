// The companion's records on the disk: a file for each workspace, replaced as a whole (write beside it, fsync, rename, fsync the
// folder), and written while other things go on, so that a slow disk holds up no fence. Behind an interface, so that tests can end
// the companion at every write. A workspace that was deleted keeps its answers for a while.

import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { utf8 } from '../../base/bytes.js'
import { digestOfText } from '../../base/digest.js'
import { causeChain } from '../../base/fault.js'
import { lifecycleFault } from './errors.js'
import { decodeRecord, encodeRecord, type WorkspaceRecord } from './record.js'

export interface RecordFiles {
  list(): Promise<readonly string[]>
  read(name: string): Promise<Uint8Array>
  /** On return the new content is on stable storage; a crash leaves the old or the new. */
  replace(name: string, bytes: Uint8Array): Promise<void>
  remove(name: string): Promise<void>
}

/** Makes the folder where it is missing. */
export async function recordFiles(directory: string): Promise<RecordFiles> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const synced = async (path: string, flags: string, write?: Uint8Array): Promise<void> => {
    const file = await open(path, flags, 0o600)
    try {
      if (write) await file.writeFile(write)
      await file.sync()
    } finally {
      await file.close()
    }
  }
  return {
    list: () => readdir(directory),
    read: (name) => readFile(join(directory, name)),
    replace: async (name, bytes) => {
      const path = join(directory, name)
      await synced(`${path}.new`, 'w', bytes)
      await rename(`${path}.new`, path)
      await synced(directory, 'r')
    },
    remove: (name) => rm(join(directory, name), { force: true }),
  }
}

/** Deleted workspaces whose answers are kept, those that were touched last. */
const TOMBSTONES = 256

export class RecordStore {
  private readonly records = new Map<string, WorkspaceRecord>()
  /** Why a file is not what was written, by its name. It stays as it is: no other record of that workspace is written. */
  readonly damaged = new Map<string, string>()
  /** Whose such a file is, where it says so itself. */
  private readonly owners = new Map<string, string>()
  /** Writes of one workspace follow one another. */
  private readonly writing = new Map<string, Promise<void>>()

  private constructor(private readonly files: RecordFiles) {}

  /**
   * Reads every record. One that is damaged is held apart: nothing is guessed about what may run, and the kill switch of every other
   * workspace does not depend on it. */
  static async open(files: RecordFiles): Promise<RecordStore> {
    const store = new RecordStore(files)
    for (const name of [...(await files.list())].sort()) {
      // Left over from a write that a crash ended.
      if (!name.endsWith('.json')) continue
      const read = await files.read(name).catch((error: unknown) => causeChain(error).join(': '))
      const found = typeof read === 'string' ? read : decodeRecord(read)
      if (typeof found === 'string') {
        store.damaged.set(name, found)
        const owner = typeof read === 'string' ? undefined : namedIn(name, read)
        if (owner !== undefined) store.owners.set(name, owner)
      } else if (fileOf(found.workspace) !== name) store.damaged.set(name, `it is of ${found.workspace}`)
      else store.records.set(found.workspace, found)
    }
    return store
  }

  get(workspace: string): WorkspaceRecord | undefined {
    return this.records.get(workspace)
  }

  /** Throws COMPANION_STORE for a workspace whose record is damaged. */
  sound(workspace: string): void {
    const why = this.damageOf(workspace)
    if (why !== undefined) throw lifecycleFault('COMPANION_STORE', { file: fileOf(workspace), why })
  }

  /** Why the record of that workspace is not what was written. */
  damageOf(workspace: string): string | undefined {
    return this.damaged.get(fileOf(workspace))
  }

  /** Whose a damaged file is: the name in it, or one of these; only a name that the file is called after. */
  ownerOf(file: string, names: readonly string[]): string | undefined {
    return this.owners.get(file) ?? names.find((name) => fileOf(name) === file)
  }

  /** By workspace; deleted ones too. */
  all(): readonly WorkspaceRecord[] {
    return [...this.records.values()].sort((a, b) => (a.workspace < b.workspace ? -1 : 1))
  }

  /**
   * What holds from now on, and is on the disk when this resolves. Throws COMPANION_STORE_WRITE; then it holds in memory only, as where
   * the file is damaged. */
  async put(record: WorkspaceRecord): Promise<void> {
    const { workspace } = record
    this.records.delete(workspace)
    this.records.set(workspace, record)
    const name = fileOf(workspace)
    if (this.damaged.has(name)) return
    const before = this.writing.get(workspace) ?? Promise.resolve()
    const written = before
      // Whoever made that write heard of it.
      .catch(() => undefined)
      .then(() => this.files.replace(name, utf8(encodeRecord(record))))
    this.writing.set(workspace, written)
    try {
      await written
    } catch (cause) {
      throw lifecycleFault('COMPANION_STORE_WRITE', { file: name }, { cause })
    } finally {
      if (this.writing.get(workspace) === written) this.writing.delete(workspace)
    }
    await this.prune()
  }

  private async prune(): Promise<void> {
    const gone = [...this.records.values()].filter(
      ({ workspace, profile, doing, owed }) =>
        !profile && !doing && owed.length === 0 && !this.damaged.has(fileOf(workspace)),
    )
    for (const { workspace } of gone.slice(0, -TOMBSTONES)) {
      this.records.delete(workspace)
      // One that stays is read again, and is a tombstone again.
      await this.files.remove(fileOf(workspace)).catch(() => undefined)
    }
  }
}

const fileOf = (workspace: string): string => `${digestOfText(workspace).slice(7, 39)}.json`

// untrusted: `bytes`, until the name that is in them gives the name of the file
function namedIn(file: string, bytes: Uint8Array): string | undefined {
  const names = Buffer.from(bytes)
    .toString('latin1')
    .matchAll(/"workspace":"([^"\\]{1,1024})"/g)
  return [...names].map(([, name = '']) => name).find((name) => fileOf(name) === file)
}
