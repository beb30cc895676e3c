// A process inside the node's namespace that holds one nftables driver, driven over standard input and output: one JSON request
// a line ({id, op, args}), one JSON answer a line ({id, result, tookMs} or {id, fault}). Big integers travel as text. Ends when
// its input ends, and leaves the fence as it is: that is what an agent's death looks like.

import { spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { DenialBatch, Driver, OpenOptions, Staged } from '../../../src/backends/backend.js'
import { nftablesBackend } from '../../../src/backends/nftables/index.js'
import { NftContext } from '../../../src/backends/nftables/libnftables.js'
import type { NftProgram } from '../../../src/backends/nftables/program.js'
import { causeChain, Fault } from '../../../src/base/fault.js'
import type { LearnedGrant, PlanSlice, SessionPeer } from '../../../src/plan/model.js'

let driver: Driver<NftProgram> | undefined
let counters: NftContext | undefined
let foreignChanges = 0
let stopDenials: (() => Promise<void>) | undefined
const batches: DenialBatch[] = []

/** Commands to run, once, right before and right after the transaction that switches generations; and what they said. */
const atSwitch: { before?: readonly string[]; after?: readonly string[] } = {}
const saidAtSwitch: string[] = []
const run = NftContext.prototype.run
NftContext.prototype.run = async function (script: string): Promise<string> {
  const around = script.includes('add element inet sluice gen ')
  const act = (when: 'before' | 'after'): void => {
    const [command, ...values] = (around && atSwitch[when]) || []
    if (command === undefined) return
    delete atSwitch[when]
    saidAtSwitch.push(spawnSync(command, values, { encoding: 'utf8' }).stdout)
  }
  act('before')
  const done = await run.call(this, script)
  act('after')
  return done
}

const the = (): Driver<NftProgram> => {
  if (!driver) throw new Error('no driver is open')
  return driver
}

const OPERATIONS: Readonly<Record<string, (...values: never[]) => Promise<unknown>>> = {
  open: async (options: OpenOptions) => {
    driver = await nftablesBackend.open(options)
    driver.watch?.(() => {
      foreignChanges++
    })
  },
  drops: async () => {
    counters ??= new NftContext()
    const drops: Record<string, bigint> = {}
    for (const { counter } of await counters.list('list counters')) {
      const reason = counter?.name.replace(/^c_/, '').replaceAll('_', '-') ?? ''
      // Counts what passed.
      if (counter && reason !== 'observed') drops[reason] = (drops[reason] ?? 0n) + BigInt(counter.packets)
    }
    return drops
  },
  atSwitch: (when: 'before' | 'after', argv: readonly string[]) => {
    atSwitch[when] = argv
    return Promise.resolve()
  },
  saidAtSwitch: () => Promise.resolve(saidAtSwitch.splice(0)),
  foreignChanges: () => Promise.resolve(foreignChanges),
  probe: () => the().probe(),
  capabilities: async () => nftablesBackend.capabilities(await the().probe()),
  observe: () => the().observe(),
  flagged: () => the().flagged?.() ?? Promise.resolve(undefined),
  stage: (slice: PlanSlice) => the().stage(nftablesBackend.lower(slice)),
  commit: (staged: Staged) => the().commit(staged),
  discard: (staged: Staged) => the().discard(staged),
  flag: (workspace: string, flag: 'quarantined' | 'suspended', on: boolean) => the().flag(workspace, flag, on),
  learn: (generation: number, grants: LearnedGrant[]) => the().learn(generation, grants),
  sessions: (workspace: string, peers: SessionPeer[]) =>
    the().sessions?.(workspace, peers) ?? Promise.resolve(undefined),
  listen: async () => {
    stopDenials = await the().denials((batch) => batches.push(batch))
  },
  heard: () => Promise.resolve(batches.splice(0)),
  deafen: async () => stopDenials?.(),
  inspect: () => the().inspect(),
  cut: (workspace: string) => the().cut(workspace),
  uninstall: () => the().uninstall(),
  close: async () => {
    await driver?.close()
    driver = undefined
  },
}

const answer = (message: unknown): boolean =>
  process.stdout.write(
    `${JSON.stringify(message, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))}\n`,
  )

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { id, op, args } = JSON.parse(line) as { id: number; op: string; args: never[] }
    const started = performance.now()
    const run = OPERATIONS[op]
    const done = run ? run(...args) : Promise.reject(new Error(`no operation ${op}`))
    done.then(
      (result) => answer({ id, result: result ?? null, tookMs: performance.now() - started }),
      (error: unknown) => {
        const code = error instanceof Fault ? error.code : 'not a fault'
        const stack = error instanceof Fault ? undefined : String((error as Error).stack)
        answer({ id, fault: { code, says: causeChain(error), stack } })
      },
    )
  })
  .on('close', () => process.exit(0))

answer({ id: 0, result: 'ready', tookMs: 0 })
