// The live half of vaultfs. What is live is what the daemon says it judges by; this driver holds nothing, so that any process
// of the agent sees and changes the same. Staging mounts what is new, closed; the commit switches every volume at once.

import { existsSync, mkdirSync, rmSync } from 'node:fs'
import type { LearnedGrant, WorkspaceId } from '../../plan/model.js'
import type { VaultProgram } from '../../vault/program.js'
import { isFlagged, readAnchors, readEvents, readObserved, type Serving } from '../../vault/readback.js'
import type {
  Anchor,
  Cut,
  DenialBatch,
  Driver,
  FileDenialBatch,
  Flag,
  Observed,
  OpenOptions,
  Probed,
  Staged,
} from '../backend.js'
import { Daemon } from './daemon.js'
import { vaultfsFault } from './errors.js'
import { probeVaultfs } from './probe.js'

/** Every volume hangs in the kernel's tree of mounts, by the number of its mount. */
const MOUNTED: Serving = { hook: 'fuse', emulated: false, on: ({ mount, mountId }) => `${mount}#${mountId}` }
const NOTHING: Observed = { live: null, drift: [], counters: [], drops: {} }
/** Between two looks at the daemon's ring, which holds some seconds of what a volume may report. */
const EVENTS_MS = 250

export class VaultfsDriver implements Driver<VaultProgram> {
  private readonly daemon: Daemon

  constructor(private readonly options: OpenOptions) {
    this.daemon = new Daemon(options.stateDirectory)
  }

  probe(): Promise<Probed> {
    return probeVaultfs()
  }

  async observe(): Promise<Observed> {
    const text = await this.daemon.ask('observing', 'observe')
    return text === undefined ? NOTHING : readObserved(text)
  }

  /** Throws VAULTFS_MOUNT, VAULTFS_REFUSED, VAULTFS_DAEMON. */
  async stage(program: VaultProgram): Promise<Staged> {
    for (const { volume } of program.volumes) this.makePlace(volume.mount)
    const { generation, planDigest, table } = program
    await this.daemon.demand('staging the volumes', `stage ${table.length}`, table)
    return { generation, planDigest }
  }

  /** Throws VAULTFS_REFUSED, VAULTFS_DAEMON, VAULTFS_STALE_STAGE. */
  async commit({ generation, planDigest }: Staged): Promise<void> {
    await this.daemon.demand('switching the volumes', `commit ${generation}`)
    const { live } = await this.observe()
    if (live?.generation !== generation || live.planDigest !== planDigest)
      throw vaultfsFault('VAULTFS_STALE_STAGE', {
        generation,
        found: live ? `generation ${live.generation}` : 'nothing',
      })
  }

  async discard(_staged: Staged): Promise<void> {
    await this.daemon.ask('discarding what was staged', 'discard')
  }

  /** The daemon keeps flags in a file, also of workspaces that it serves nothing to yet. */
  async flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    await this.daemon.demand('setting a flag', `flag ${workspace} ${flag} ${on ? 1 : 0}`)
    const text = await this.daemon.demand('reading a flag back', 'observe')
    if (isFlagged(text, workspace, flag) !== on)
      throw vaultfsFault('VAULTFS_DAEMON', { why: `it does not show ${flag} as it was set` })
  }

  /** Nothing is learnt about files. */
  learn(_generation: number, _grants: readonly LearnedGrant[]): Promise<boolean> {
    return Promise.resolve(false)
  }

  denials(_deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve())
  }

  /** Resolves when listening; the returned function takes what is left and stops. */
  fileDenials(deliver: (batch: FileDenialBatch) => void): Promise<() => Promise<void>> {
    let over = false
    let wake: () => void = () => undefined
    const look = async (): Promise<void> => {
      const text = await this.daemon.ask('reading refusals', 'events').catch(() => undefined) // it is gone: drift says so
      const batch = readEvents(text ?? '')
      if (batch.denials.length > 0 || batch.lost > 0) deliver(batch)
    }
    const run = (async (): Promise<void> => {
      while (!over) {
        await look()
        if (over) return
        await new Promise<void>((done) => {
          const timer = setTimeout(done, EVENTS_MS)
          wake = () => {
            clearTimeout(timer)
            done()
          }
        })
      }
    })()
    return Promise.resolve(async () => {
      if (over) return
      over = true
      wake()
      await run
      await look()
    })
  }

  /** Calls back when the daemon goes: its volumes answer with errors until they are served again. */
  watch(changed: () => void): () => void {
    let stop: (() => void) | undefined
    let over = false
    void this.daemon
      .connect()
      .then((socket) => {
        if (over) socket?.destroy()
        socket?.once('close', () => {
          if (!over) changed()
        })
        stop = () => socket?.destroy()
      })
      .catch(() => undefined) // the sweep asks too
    return () => {
      over = true
      stop?.()
    }
  }

  /** A volume's fence hangs on its mount, and judges by the table whose octets are read back here. */
  async inspect(): Promise<readonly Anchor[]> {
    const table = await this.daemon.octets('reading the table back', 'table')
    const text = await this.daemon.ask('observing', 'observe')
    return table === undefined || table.length === 0 || text === undefined ? [] : readAnchors(text, table, MOUNTED)
  }

  /** No packet passes a volume. */
  cut(_workspace: WorkspaceId): Promise<Cut> {
    return Promise.resolve({ flows: 0, lastPacketAtMs: 0 })
  }

  /** Ends the daemon and with it every mount, and takes its directory away. */
  async uninstall(): Promise<readonly string[]> {
    const { stateDirectory } = this.options
    if (!existsSync(stateDirectory)) return []
    const socket = await this.daemon.connect()
    const { live } = socket ? await this.observe() : NOTHING
    if (socket) {
      const ended = new Promise((done) => socket.once('close', done))
      socket.write('stop\n')
      socket.resume()
      await ended
    }
    await this.daemon.clear()
    rmSync(stateDirectory, { recursive: true, force: true })
    const served = live
      ? `the volumes of ${live.workspaces.length} workspaces, and the daemon that served them`
      : undefined
    return [served ?? 'what a daemon left that served volumes']
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  private makePlace(mount: string): void {
    try {
      mkdirSync(mount, { recursive: true })
    } catch (cause) {
      // A mount whose daemon was killed is there and answers nothing: it is cleared when it is staged.
      const { code } = cause as NodeJS.ErrnoException
      if (code !== 'EEXIST' && code !== 'ENOTCONN' && code !== 'EACCES')
        throw vaultfsFault('VAULTFS_MOUNT', { mount }, { cause })
    }
  }
}
