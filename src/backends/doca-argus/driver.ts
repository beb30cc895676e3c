// The live half of doca-argus. What is live is which plan the records are judged by; a commit replaces one small file and the
// configuration that the deployment gives to the container. Flags are kept and fence nothing: the fence of the traffic does.

import { existsSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOfText } from '../../base/digest.js'
import type { LearnedGrant, WorkspaceId } from '../../plan/model.js'
import { readArgusLine } from '../../process/argus.js'
import { bindWorkload } from '../../process/binding.js'
import type {
  ActivityBatch,
  Anchor,
  Cut,
  DenialBatch,
  Driver,
  Flag,
  Observed,
  OpenOptions,
  Probed,
  Staged,
} from '../backend.js'
import { argusFault } from './errors.js'
import { ArgusFiles } from './follow.js'
import { probeArgus } from './probe.js'
import type { ArgusProgram } from './program.js'
import { ArgusRecord } from './record.js'

const LOOK_MS = 250
/** Message ids that are remembered: a record may be written twice. */
const REMEMBERED = 10_000

export class ArgusDriver implements Driver<ArgusProgram> {
  private readonly record: ArgusRecord
  private staged: ArgusProgram | undefined
  private readonly counts = new Map<string, bigint>()

  constructor(private readonly options: OpenOptions) {
    this.record = new ArgusRecord(options.stateDirectory)
  }

  probe(): Promise<Probed> {
    return Promise.resolve(probeArgus(this.options.argus))
  }

  observe(): Promise<Observed> {
    const live = this.record.live()
    const { quarantined, suspended } = this.record.flags()
    const drops = Object.fromEntries(this.counts)
    if (!live) return Promise.resolve({ live: null, drift: [], counters: [], drops })
    const { generation, planDigest, watched } = live
    const workspaces = watched.map(({ workspace }) => workspace)
    return Promise.resolve({
      live: { generation, planDigest, workspaces, quarantined, suspended, learned: [] },
      ...{ drift: [], counters: [], drops },
    })
  }

  stage(program: ArgusProgram): Promise<Staged> {
    this.staged = program
    return Promise.resolve({ generation: program.generation, planDigest: program.planDigest })
  }

  /** Throws ARGUS_STATE, ARGUS_STALE_STAGE. */
  async commit({ generation, planDigest }: Staged): Promise<void> {
    const { staged } = this
    if (staged?.generation !== generation || staged.planDigest !== planDigest)
      throw argusFault('ARGUS_STALE_STAGE', { generation })
    this.record.saveLive({ generation, planDigest, watched: staged.watched }, staged.configuration)
    this.staged = undefined
  }

  discard(_staged: Staged): Promise<void> {
    this.staged = undefined
    return Promise.resolve()
  }

  /** Throws ARGUS_STATE. */
  async flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    const flags = this.record.flags()
    const others = flags[flag].filter((name) => name !== workspace)
    this.record.saveFlags({ ...flags, [flag]: on ? [...others, workspace].sort() : others })
  }

  learn(_generation: number, _grants: readonly LearnedGrant[]): Promise<boolean> {
    return Promise.resolve(false)
  }

  denials(_deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve())
  }

  /** Reads from where it came to last; what was delivered and not yet on record when it was killed is delivered again. */
  async activities(
    deliver: (batch: ActivityBatch) => Promise<void>,
    failed: (error: unknown) => void,
  ): Promise<() => Promise<void>> {
    const { argus } = this.options
    if (!argus) return () => Promise.resolve()
    const files = new ArgusFiles(argus.records, this.record.positions())
    this.record.savePositions(files.held())
    const seen = new Set<string>()
    const over = new AbortController()
    const look = async (): Promise<boolean> => {
      await Promise.resolve() // whoever calls has the function that ends it before the first batch
      const { lines, long, more } = files.look()
      if (lines.length === 0 && long === 0) return false
      await deliver(this.batchOf(lines, long, seen))
      this.record.savePositions(files.held())
      return more
    }
    const run = (async (): Promise<void> => {
      while (!over.signal.aborted)
        if (!(await look())) await sleep(LOOK_MS, undefined, { signal: over.signal }).catch(() => undefined) // over
    })().catch(failed)
    return async () => {
      over.abort()
      await run
    }
  }

  /** What Argus is told to look at, read back. That it does, only its records say. */
  inspect(): Promise<readonly Anchor[]> {
    const live = this.record.live()
    const configuration = this.record.configuration()
    if (!live || configuration === undefined) return Promise.resolve([])
    const owner = { kind: 'rules', digest: digestOfText(configuration) } as const
    return Promise.resolve(
      live.watched
        .filter(({ vuid }) => configuration.includes(`"${vuid}"`))
        .map(({ workspace, vuid }) => ({
          ...{ workspace, emulated: false, generation: live.generation },
          ...{ hooks: [{ hook: 'argus', on: vuid, owner }], objects: [] },
        })),
    )
  }

  /** It cuts nothing by itself. */
  cut(_workspace: WorkspaceId): Promise<Cut> {
    return Promise.resolve({ flows: 0, lastPacketAtMs: 0 })
  }

  uninstall(): Promise<readonly string[]> {
    const { stateDirectory } = this.options
    if (!existsSync(stateDirectory)) return Promise.resolve([])
    rmSync(stateDirectory, { recursive: true, force: true })
    return Promise.resolve(['whom it watched, and the configuration for DOCA Argus'])
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  private batchOf(lines: readonly string[], long: number, seen: Set<string>): ActivityBatch {
    const watched = this.record.live()?.watched ?? []
    const names = new Map(
      watched.flatMap(({ workspace, system, vuid }) => [
        [system, workspace],
        [vuid, workspace],
      ]),
    )
    const activities: ActivityBatch['activities'][number][] = []
    let lost = long
    this.count('argus-too-long', long)
    for (const line of lines) {
      const made = readArgusLine(line)
      if ('problem' in made) {
        this.count(`argus-${made.problem}`, 1)
        if (made.problem !== 'no-activity') lost++
        continue
      }
      const { record } = made
      if (record.id !== undefined && seen.has(record.id)) {
        this.count('argus-twice', 1)
        continue
      }
      if (record.id !== undefined) remember(seen, record.id)
      const bound = bindWorkload(record.workload, names, watched)
      if (bound) activities.push({ workspace: bound.workspace, boundBy: bound.by, record })
      else this.count('argus-unbound', 1)
      if (record.activity === 'other') this.count('argus-unknown', 1)
    }
    return { activities, lost }
  }

  private count(name: string, more: number): void {
    if (more > 0) this.counts.set(name, (this.counts.get(name) ?? 0n) + BigInt(more))
  }
}

function remember(seen: Set<string>, id: string): void {
  seen.add(id)
  if (seen.size <= REMEMBERED) return
  for (const oldest of seen) {
    seen.delete(oldest)
    return
  }
}
