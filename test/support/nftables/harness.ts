// The typed end of child.ts: an nftables driver in the node's namespace of the laboratory. Faults come back as values of
// HarnessFault, so that a test asserts the code.

import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type {
  Anchor,
  Capabilities,
  Cut,
  DenialBatch,
  Flag,
  Flagged,
  Observed,
  Probed,
  Staged,
} from '../../../src/backends/backend.js'
import type { LearnedGrant, PlanSlice, SessionPeer } from '../../../src/plan/model.js'
import { repositoryPath } from '../lab/repository.js'
import { compiled } from './compiled.js'

export class HarnessFault extends Error {
  constructor(
    readonly code: string,
    readonly says: readonly string[],
    stack?: string,
  ) {
    super(`${code}: ${says.join(' <- ')}${stack === undefined ? '' : `\n${stack}`}`)
  }
}

export interface Timed<T> {
  readonly result: T
  readonly tookMs: number
}

const NATIVE = ['libsluice_native.so', 'floor.bpf.o'].map((name) => repositoryPath('build/native', name))
let built = false
function buildNative(): void {
  if (!built) execFileSync('make', ['-s', '-f', repositoryPath('src/native/Makefile'), ...NATIVE], { stdio: 'pipe' })
  built = true
}

export class NftHarness {
  private readonly waiting = new Map<number, { done: (value: Timed<never>) => void; failed: (error: Error) => void }>()
  private readonly child: ChildProcessWithoutNullStreams
  private lastId = 0
  private stderr = ''

  private constructor(namespace: string, program: string) {
    this.child = spawn('ip', ['netns', 'exec', namespace, process.execPath, '--enable-source-maps', program], {
      env: { ...process.env, SLUICE_NATIVE_DIR: repositoryPath('build/native') },
    })
    this.child.stderr.on('data', (data) => {
      this.stderr = `${this.stderr}${data}`.slice(-4000)
    })
    // Writing to a process that died is answered by its close event below.
    this.child.stdin.on('error', () => undefined)
    this.child.on('close', (status) => {
      for (const { failed } of this.waiting.values()) failed(new Error(`driver ended (${status}): ${this.stderr}`))
      this.waiting.clear()
    })
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const { id, fault, ...timed } = JSON.parse(line, revive) as Timed<never> & {
        id: number
        fault?: { code: string; says: string[]; stack?: string }
      }
      const call = this.waiting.get(id)
      this.waiting.delete(id)
      if (fault) call?.failed(new HarnessFault(fault.code, fault.says, fault.stack))
      else call?.done(timed)
    })
  }

  static async start(namespace: string, stateDirectory: string, attachInterfaces = ['ws*']): Promise<NftHarness> {
    buildNative()
    const harness = new NftHarness(namespace, compiled('test/support/nftables/child.js'))
    await new Promise((done, failed) => harness.waiting.set(0, { done, failed }))
    await harness.call('open', { attachInterfaces, stateDirectory })
    return harness
  }

  call<T>(op: string, ...args: unknown[]): Promise<Timed<T>> {
    const id = ++this.lastId
    return new Promise<Timed<T>>((done, failed) => {
      this.waiting.set(id, { done, failed })
      this.child.stdin.write(`${JSON.stringify({ id, op, args })}\n`)
    })
  }

  private async value<T>(op: string, ...args: unknown[]): Promise<T> {
    return (await this.call<T>(op, ...args)).result
  }

  probe = (): Promise<Probed> => this.value('probe')
  capabilities = (): Promise<Capabilities> => this.value('capabilities')
  observe = (): Promise<Observed> => this.value('observe')
  flagged = (): Promise<Flagged | null> => this.value('flagged')
  stage = (slice: PlanSlice): Promise<Staged> => this.value('stage', slice)
  commit = (staged: Staged): Promise<void> => this.value('commit', staged)
  discard = (staged: Staged): Promise<void> => this.value('discard', staged)
  apply = async (slice: PlanSlice): Promise<void> => this.commit(await this.stage(slice))
  flag = (workspace: string, flag: Flag, on: boolean): Promise<Timed<void>> => this.call('flag', workspace, flag, on)
  sessions = (workspace: string, peers: readonly SessionPeer[]): Promise<boolean> =>
    this.value('sessions', workspace, peers)
  learn = (generation: number, grants: readonly LearnedGrant[]): Promise<boolean> =>
    this.value('learn', generation, grants)
  listen = (): Promise<void> => this.value('listen')
  heard = (): Promise<DenialBatch[]> => this.value('heard')
  deafen = (): Promise<void> => this.value('deafen')
  /** The counters of refused packets by reason, and nothing else: what `observe` says, at a hundredth of its cost. */
  drops = (): Promise<Readonly<Record<string, bigint>>> => this.value('drops')
  /** Runs a command in the driver's process, once, right before or after the next switch of generations. */
  atSwitch = (when: 'before' | 'after', argv: readonly string[]): Promise<void> => this.value('atSwitch', when, argv)
  saidAtSwitch = (): Promise<string[]> => this.value('saidAtSwitch')
  /** How often the driver was told that somebody else changed the ruleset. */
  foreignChanges = (): Promise<number> => this.value('foreignChanges')
  inspect = (): Promise<readonly Anchor[]> => this.value('inspect')
  cut = (workspace: string): Promise<Cut> => this.value('cut', workspace)
  uninstall = (): Promise<string[]> => this.value('uninstall')

  /** Ends the process as it is; the fence stays. */
  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    await new Promise((done) => {
      this.child.once('close', done)
      this.child.stdin.end()
    })
  }
}

const revive = (_: string, value: unknown): unknown =>
  typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value

/** A directory of its own for the driver's state; `remove` takes it away. */
export function stateDirectory(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'sluice-nft-'))
  return { path, remove: () => existsSync(path) && rmSync(path, { recursive: true }) }
}
