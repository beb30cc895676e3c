// A host, an agent and an access broker in memory, for the life of workspaces. What is there outlives a companion: `boot` begins one
// over it, and a companion can be ended before or after any of its effects (`crashAt`), after which nothing that it does has an
// effect any more. Every effect is judged: a machine whose CPUs run without a slot that was attached and proved is a violation.

import { Fault } from '../../../src/base/fault.js'
import { type KillHost, kill } from '../../../src/companion/lifecycle/kill.js'
import { Lifecycle, type LifecycleTerms, type Told } from '../../../src/companion/lifecycle/lifecycle.js'
import type { FenceSeen, HostSeen } from '../../../src/companion/lifecycle/ports.js'
import type { Profile } from '../../../src/companion/lifecycle/profile.js'
import type { WorkspaceRecord } from '../../../src/companion/lifecycle/record.js'
import type { Ports } from '../../../src/companion/lifecycle/steps.js'
import { type RecordFiles, RecordStore } from '../../../src/companion/lifecycle/store.js'

export const WS = 'spiffe://fleet.example/ws/one'
export const profileOf = (workspace = WS, more: Partial<Profile> = {}): Profile => ({
  ...{ workspace, user: 'jane', session: '', image: 'base', cpus: 1, memoryMiB: 128, network: 'ws0' },
  ...{ channel: 'stable', policy: 'wait-initial', volumes: [] },
  ...more,
})

type MachineState = 'prepared' | 'running'
const faultOf = (code: string, reaction: 'reject' | 'retry' = 'retry'): Fault =>
  new Fault(code, { reaction, say: () => code, remedy: 'Look at the test.' }, {})

export class World {
  readonly machines = new Map<string, MachineState>()
  readonly layers = new Set<string>()
  readonly interfaces = new Set<string>()
  /** The live tenure of each workspace: its lease, and whether evidence was given for it. */
  readonly attached = new Map<string, { readonly lease: number; proved: boolean }>()
  readonly leases = new Map<string, number>()
  readonly quarantined = new Set<string>()
  readonly sessionsClosed: string[] = []
  /** What a host without a broker says of its sessions. */
  toldNobody: string | undefined
  readonly disk = new Map<string, Uint8Array>()
  readonly receipts = new Map<string, Uint8Array>()
  readonly violations: string[] = []
  readonly done: string[] = []
  image = 'base@1'
  policy = 'p'
  state = 'active'
  channel = 'stable'
  /** Effects that fail, and with which code. */
  readonly broken = new Map<string, string>()
  /** Effects that wait until they are let go. */
  readonly held = new Map<string, Promise<void>>()

  /** No CPU runs that was not let run behind a proved fence. */
  judge(after: string): void {
    for (const [id, state] of this.machines)
      if (state === 'running' && !this.attached.has(id.split('#')[0] ?? ''))
        this.violations.push(`${after}: ${id} runs without a fence`)
  }

  /** What is left on the host, in words. */
  left(): readonly string[] {
    return [
      ...[...this.machines].map(([id, state]) => `machine ${id} ${state}`),
      ...[...this.layers].map((id) => `layer ${id}`),
      ...[...this.interfaces].map((name) => `interface ${name}`),
      ...[...this.attached.keys()].map((workspace) => `attached ${workspace}`),
    ].sort()
  }
}

export interface Booted {
  readonly lifecycle: Lifecycle
  readonly kills: KillHost
  readonly told: Told[]
  /** Effects so far, each counted before and after. */
  readonly boundaries: () => number
  /** Never resolves unless it was ended. */
  readonly death: Promise<'dead'>
  /** Ends it at that effect from now on. */
  readonly crashIn: (boundaries: number) => void
  /** Lets so much time pass for whatever sleeps. */
  readonly pass: (ms: number) => void
}

export async function boot(world: World, terms: Pick<LifecycleTerms, 'mayStart'> = {}): Promise<Booted> {
  let [count, crashAt, isDead] = [0, Number.POSITIVE_INFINITY, false]
  let die: (word: 'dead') => void = () => undefined
  const death = new Promise<'dead'>((resolve) => {
    die = resolve
  })
  const never = new Promise<never>(() => undefined)
  /** The process ends here: nothing that it waits for comes any more. */
  const boundary = (): Promise<void> => {
    if (isDead) return never
    if (++count < crashAt) return Promise.resolve()
    isDead = true
    die('dead')
    return never
  }
  const effect = async <T>(name: string, act: () => T): Promise<T> => {
    await boundary()
    await world.held.get(name)
    if (isDead) return never
    const code = world.broken.get(name)
    if (code !== undefined) throw faultOf(code)
    const gave = act()
    world.done.push(name)
    world.judge(name)
    await boundary()
    return gave
  }
  const clock = clockOf()
  const ports = { ...portsOf(world, effect), clock }
  const files = filesOf(world.disk, world.held, effect)
  const told: Told[] = []
  const lifecycle = new Lifecycle({
    ports,
    store: await RecordStore.open(files),
    terms: { waitInitialMs: 1_000, unfencedMs: 10_000, ...terms },
    tell: (one) => {
      told.push(one)
      return Promise.resolve()
    },
  })
  const kills = {
    companion: 'spiffe://fleet.example/companion/h1',
    lifecycle,
    receipts: filesOf(world.receipts, world.held, effect),
  }
  return {
    ...{ lifecycle, kills, told, death, pass: clock.pass },
    boundaries: () => count,
    crashIn: (boundaries) => {
      crashAt = count + boundaries
    },
  }
}

/** Pauses of a look pass at once; longer ones wait for `pass`. */
function clockOf() {
  let now = 1_000_000
  const sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>()
  const pass = (ms: number): void => {
    now += ms
    for (const one of [...sleepers]) if (one.untilMs <= now) one.wake()
  }
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const one = {
        untilMs: now + ms,
        wake: () => {
          sleepers.delete(one)
          resolve()
        },
      }
      if (signal?.aborted) return resolve()
      signal?.addEventListener('abort', one.wake, { once: true })
      sleepers.add(one)
      if (ms <= 200) setImmediate(() => pass(ms))
    })
  return { nowMs: () => now, monotonicMs: () => now, sleep, pass }
}

type Effect = <T>(name: string, act: () => T) => Promise<T>

function filesOf(disk: Map<string, Uint8Array>, held: World['held'], effect: Effect): RecordFiles {
  return {
    list: () => Promise.resolve([...disk.keys()]),
    read: async (name) => {
      await held.get('read')
      const bytes = disk.get(name)
      if (!bytes) throw new Error('ENOENT')
      return bytes
    },
    replace: (name, bytes) =>
      effect('write', () => {
        disk.set(name, bytes)
      }),
    remove: (name) =>
      effect('unlink', () => {
        disk.delete(name)
      }),
  }
}

const idOf = (workspace: string, incarnation: number): string => `${workspace}#${incarnation}`
const splitId = (id: string) => ({ workspace: id.split('#')[0] ?? '', incarnation: Number(id.split('#')[1]) })
const ownId = ({ workspace, incarnation }: WorkspaceRecord): string => idOf(workspace, incarnation)
const ofWorkspace = (workspace: string) => (id: string) => splitId(id).workspace === workspace

function portsOf(world: World, effect: Effect): Omit<Ports, 'clock'> {
  const { machines, layers, interfaces, attached, leases, quarantined } = world
  const end = (workspace: string): void => {
    for (const id of [...machines.keys()].filter(ofWorkspace(workspace))) machines.delete(id)
  }
  return {
    machine: {
      look: () =>
        effect(
          'machine.look',
          (): HostSeen => ({
            machines: [...machines].map(([id, state]) => ({ ...splitId(id), state })),
            layers: [...layers].map(splitId),
            interfaces: [...interfaces].map((workspace) => ({ name: workspace, workspace })),
          }),
        ),
      layer: ({ workspace }, incarnation) =>
        effect('layer', () => {
          layers.add(idOf(workspace, incarnation))
          return world.image
        }),
      sweep: (workspace, keep) =>
        effect('sweep', () => {
          for (const id of [...layers].filter(ofWorkspace(workspace)))
            if (splitId(id).incarnation !== keep) layers.delete(id)
        }),
      prepare: (record) =>
        effect('prepare', () => {
          if (!layers.has(ownId(record))) throw faultOf('MACHINE_IMAGE')
          interfaces.add(record.workspace)
          if (!machines.has(ownId(record))) machines.set(ownId(record), 'prepared')
        }),
      run: (record) =>
        effect('run', () => {
          if (!machines.has(ownId(record))) throw faultOf('MACHINE_UNKNOWN')
          if (!attached.get(record.workspace)?.proved) world.violations.push(`run: ${record.workspace} was not proved`)
          machines.set(ownId(record), 'running')
        }),
      halt: ({ workspace }) => effect('halt', () => end(workspace)),
      end: (workspace) => effect('end', () => end(workspace)),
      unplug: ({ workspace }) =>
        effect('unplug', () => {
          interfaces.delete(workspace)
        }),
      consoleOf: () => Promise.resolve(new TextEncoder().encode('login: ')),
    },
    fence: {
      look: () =>
        effect(
          'fence.look',
          (): FenceSeen => ({
            ...{ state: world.state, channel: world.channel },
            workspaces: new Map(
              [WS, `${WS}2`, `${WS}3`].map((workspace) => [
                workspace,
                { policy: world.policy, quarantined: quarantined.has(workspace), suspended: !attached.has(workspace) },
              ]),
            ),
            attached: new Map([...attached].map(([workspace, { lease }]) => [workspace, lease])),
            leases,
          }),
        ),
      attach: ({ workspace }, lease) =>
        effect('attach', () => {
          if (!interfaces.has(workspace)) throw faultOf('AGENT_SLOT_ABSENT')
          if (lease <= (leases.get(workspace) ?? 0)) throw faultOf('AGENT_LEASE_STALE')
          leases.set(workspace, lease)
          attached.set(workspace, { lease, proved: false })
          return { attachmentId: `att-${lease}` }
        }),
      detach: (workspace, lease) =>
        effect('detach', () => {
          if (attached.get(workspace)?.lease === lease) attached.delete(workspace)
        }),
      prove: (workspace, attachmentId) =>
        effect('prove', () => {
          const at = attached.get(workspace)
          if (!at || `att-${at.lease}` !== attachmentId) throw faultOf('AGENT_EVIDENCE_UNPROVED')
          at.proved = true
          return 'sha256:evidence'
        }),
      quarantine: (workspace) =>
        effect('quarantine', () => {
          quarantined.add(workspace)
          return { receipt: 'agent-receipt', elapsedMs: 1, generation: 7 }
        }),
    },
    sessions: {
      close: ({ workspace }) =>
        effect('sessions', () => {
          world.sessionsClosed.push(workspace)
          return world.toldNobody
        }),
    },
  }
}

/** Lets time pass until it is done. */
export async function inTime<T>({ pass }: Booted, done: Promise<T>): Promise<T> {
  let isOver = false
  const over = (): void => {
    isOver = true
  }
  done.then(over, over)
  while (!isOver) {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    pass(1_000)
  }
  return done
}

let requests = 0
/** A request that nobody has made before. */
export const fresh = (): string => `r-${++requests}`

const BY = { by: 'user:test', reason: 'a test' }
export const ask = (
  { lifecycle }: Booted,
  change: 'create' | 'start' | 'stop' | 'rebake' | 'revoke' | 'delete',
  requestId = fresh(),
  workspace = WS,
) =>
  lifecycle.operate({
    requestId,
    change,
    workspace,
    ...BY,
    ...(change === 'create' ? { profile: profileOf(workspace) } : {}),
  })

export const askKill = ({ kills }: Booted, requestId = fresh(), workspace = WS) =>
  kill(kills, { requestId, target: { kind: 'workspace', workspace }, ...BY })
