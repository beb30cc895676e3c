// The canary: three network namespaces of the agent's own (a workspace, a node, the outside), fenced by the same backend of the
// same release on the same kernel, through which evidence is earned by round trips rather than by reading configuration:
// what nothing grants is dropped and counted, a grant lets through, revoking it cuts the live flow, and when the controller is
// killed nothing opens. This process is the witness; the controller is a child, so that it can be killed.
//
// It touches no workspace, no table and no pin of the node. It needs root and iproute2. Whatever it made is taken away again, by the next
// one where this process is killed.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createInterface, type Interface } from 'node:readline'
import { promisify } from 'node:util'
import { digestOfText } from '../base/digest.js'
import type { Capabilities } from '../plan/capabilities.js'
import { closedPlan } from '../plan/closed.js'
import type { BackendName, Plan } from '../plan/model.js'
import { CANARY_FOLDER, collectCanaries, ownCanary } from './canary-left.js'
import { agentFault } from './errors.js'

/** What was seen, step by step. Every member is a measurement; nothing is inferred. */
export interface CanarySeen {
  readonly backend: BackendName
  readonly atMs: number
  /** Before there was a fence the target answered: the probe can tell. */
  readonly reachableUnfenced: boolean
  readonly defaultDeny: { readonly refused: boolean; readonly countedDrops: number }
  readonly install: { readonly connected: boolean; readonly elapsedMs: number }
  /** `cutMs`: from the commit asked for to the live flow dead; null when it lived on. */
  readonly revoke: { readonly refused: boolean; readonly cutMs: number | null }
  readonly controllerLoss: { readonly killed: boolean; readonly refused: boolean }
  /** Interfaces of the canary workspace besides loopback. */
  readonly interfaces: readonly string[]
}

export interface CanaryTools {
  /** Program and first arguments of the canary's own children (`src/bin/canary.ts`). */
  readonly program: readonly string[]
  readonly nowMs: () => number
}

const WORKSPACE = 'spiffe://canary.example/ws/canary'
const SLOT = 'slcw0'
const MAC = { inside: '02:00:00:c0:00:02', slot: '02:00:00:c0:00:01' } as const
const NET = { workspace: '10.254.77.2', gateway: '10.254.77.1', up: '10.254.78.1', out: '10.254.78.2' } as const
/** Looks public, since a fence refuses what is reserved; it exists in the namespace alone. */
const TARGET = { address: '45.76.10.10', port: 7070 } as const
const PROBE_MS = 1_500
const CUT_MS = 5_000

const run = promisify(execFile)

/** Earns it, for one backend. Throws AGENT_CANARY with the step that could not be carried out. */
export async function runCanary(backend: BackendName, tools: CanaryTools): Promise<CanarySeen> {
  await collectCanaries()
  const canary = new Canary(backend, tools)
  try {
    return await canary.story()
  } catch (cause) {
    throw agentFault('AGENT_CANARY', { step: canary.step }, { cause })
  } finally {
    await canary.clear()
  }
}

class Canary {
  step = 'making its namespaces'
  private readonly children: Child[] = []
  private readonly state = mkdtempSync(CANARY_FOLDER)
  private readonly prefix = `slc-${process.pid}-${this.state.slice(-6)}`

  constructor(
    private readonly backend: BackendName,
    private readonly tools: CanaryTools,
  ) {
    ownCanary(this.state)
  }

  async story(): Promise<CanarySeen> {
    await this.build()
    this.step = 'its target'
    await this.child('o', ['serve', TARGET.address, String(TARGET.port)]).said('ready')
    const reachableUnfenced = await this.probe()
    this.step = 'opening its backend'
    const controller = this.child('n', ['hold', this.backend, this.state])
    const { capabilities } = (await controller.answer()) as { capabilities: Capabilities }
    const closed = planOf(this.backend, capabilities, false)
    const granted = planOf(this.backend, capabilities, true)

    this.step = 'default deny'
    const drops = async (): Promise<number> => ((await controller.ask({ op: 'drops' })) as { drops: number }).drops
    await controller.ask({ op: 'apply', plan: closed, generation: 1 })
    const before = await drops()
    const refused = !(await this.probe())
    const defaultDeny = { refused, countedDrops: (await drops()) - before }

    this.step = 'install'
    const startMs = this.tools.nowMs()
    await controller.ask({ op: 'apply', plan: granted, generation: 2 })
    const install = { connected: await this.probe(), elapsedMs: this.tools.nowMs() - startMs }
    const flow = this.child('w', ['flow', TARGET.address, String(TARGET.port)])
    await flow.said('up')

    this.step = 'revoke'
    const revokeMs = this.tools.nowMs()
    await controller.ask({ op: 'apply', plan: closed, generation: 3 })
    const cut = await flow.saidWithin('cut', CUT_MS)
    const revoke = { cutMs: cut ? this.tools.nowMs() - revokeMs : null, refused: !(await this.probe()) }

    this.step = 'controller loss'
    const killed = await controller.kill()
    const controllerLoss = { killed, refused: !(await this.probe()) }
    const interfaces = await this.interfaces()
    const { backend } = this
    const atMs = this.tools.nowMs()
    return { backend, atMs, reachableUnfenced, defaultDeny, install, revoke, controllerLoss, interfaces }
  }

  private name(role: 'w' | 'n' | 'o'): string {
    return `${this.prefix}-${role}`
  }

  private async build(): Promise<void> {
    const [w, n, o] = [this.name('w'), this.name('n'), this.name('o')]
    for (const name of [w, n, o]) await run('ip', ['netns', 'add', name])
    const lines: readonly string[] = [
      `link add ${SLOT} netns ${n} address ${MAC.slot} type veth peer name eth0 netns ${w} address ${MAC.inside}`,
      `link add slco0 netns ${n} type veth peer name eth0 netns ${o}`,
    ]
    for (const line of lines) await run('ip', line.split(' '))
    const within: readonly (readonly [string, string])[] = [
      [w, 'link set lo up'],
      [w, 'link set eth0 up'],
      [w, `address add ${NET.workspace}/30 dev eth0`],
      [w, `route add default via ${NET.gateway}`],
      [n, 'link set lo up'],
      [n, `link set ${SLOT} up`],
      [n, 'link set slco0 up'],
      [n, `address add ${NET.gateway}/30 dev ${SLOT}`],
      [n, `address add ${NET.up}/30 dev slco0`],
      [n, `route add ${TARGET.address}/32 via ${NET.out}`],
      [o, 'link set lo up'],
      [o, 'link set eth0 up'],
      [o, `address add ${NET.out}/30 dev eth0`],
      [o, `address add ${TARGET.address}/32 dev lo`],
      [o, `route add default via ${NET.up}`],
    ]
    for (const [name, line] of within) await run('ip', ['-n', name, ...line.split(' ')])
    await run('ip', ['netns', 'exec', n, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward'])
  }

  private child(role: 'w' | 'n' | 'o', words: readonly string[]): Child {
    const argv = ['netns', 'exec', this.name(role), ...this.tools.program, ...words]
    const child = new Child(spawn('ip', argv, { stdio: ['pipe', 'pipe', 'ignore'] }))
    this.children.push(child)
    return child
  }

  /** Whether a connection from the workspace reaches the target. */
  private async probe(): Promise<boolean> {
    const probe = this.child('w', ['probe', TARGET.address, String(TARGET.port), String(PROBE_MS)])
    return (await probe.line()) === 'connected'
  }

  private async interfaces(): Promise<readonly string[]> {
    const { stdout } = await run('ip', ['-n', this.name('w'), '-j', 'link'])
    const links = JSON.parse(stdout) as readonly { readonly ifname: string }[]
    return links.map(({ ifname }) => ifname).filter((name) => name !== 'lo')
  }

  async clear(): Promise<void> {
    for (const child of this.children) await child.kill()
    for (const role of ['w', 'n', 'o'] as const)
      await run('ip', ['netns', 'delete', this.name(role)]).catch(() => undefined) // it was not made yet
    rmSync(this.state, { recursive: true, force: true })
  }
}

/** A child that says lines; a line that never comes ends with the child. */
class Child {
  private readonly lines: string[] = []
  private readonly reader: Interface
  private waiting: (() => void) | undefined
  private ended = false

  constructor(private readonly process: ChildProcess) {
    if (!process.stdout) throw new TypeError('a child of the canary has its output piped')
    const wake = (): void => {
      this.waiting?.()
    }
    this.reader = createInterface({ input: process.stdout })
    this.reader.on('line', (line) => {
      this.lines.push(line)
      wake()
    })
    this.reader.once('close', () => {
      this.ended = true
      wake()
    })
    process.once('error', () => {
      this.ended = true
      wake()
    })
  }

  async line(): Promise<string | undefined> {
    while (this.lines.length === 0 && !this.ended)
      await new Promise<void>((resolve) => {
        this.waiting = resolve
      })
    return this.lines.shift()
  }

  async said(word: string): Promise<void> {
    for (let line = await this.line(); line !== word; line = await this.line())
      if (line === undefined) throw new TypeError(`the canary's child ended before it said ${word}`)
  }

  async saidWithin(word: string, ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, ms, false)
    })
    const heard = this.said(word).then(
      () => true,
      () => false, // it ended without the word, which is the answer
    )
    return Promise.race([heard, late]).finally(() => {
      clearTimeout(timer)
    })
  }

  async answer(): Promise<unknown> {
    const line = await this.line()
    if (line === undefined) throw new TypeError('the controller of the canary ended')
    const given = JSON.parse(line) as { readonly failed?: string }
    if (given.failed !== undefined) throw new TypeError(given.failed)
    return given
  }

  ask(request: unknown): Promise<unknown> {
    this.process.stdin?.write(`${JSON.stringify(request)}\n`)
    return this.answer()
  }

  /** SIGKILL: it has no chance to tidy up. True when that ended it. */
  async kill(): Promise<boolean> {
    const { process } = this
    if (process.exitCode !== null || process.signalCode !== null || process.pid === undefined) return false
    const gone = new Promise((resolve) => process.once('exit', resolve))
    process.kill('SIGKILL')
    await gone
    return process.signalCode === 'SIGKILL'
  }
}

/** One workspace, that may reach the target or nothing. */
function planOf(backend: BackendName, capabilities: Capabilities, granted: boolean): Plan {
  const slot = {
    kind: 'veth',
    interface: SLOT,
    mac: MAC.inside,
    addresses: [NET.workspace],
    gateway: { mac: MAC.slot, addresses: [NET.gateway] },
  } as const
  const inventory = { audience: 'canary', revision: '1', entries: [{ workspace: WORKSPACE, slot }] }
  const plan = closedPlan({ audience: 'canary', channel: 'canary' }, inventory, [capabilities], [backend])
  if (plan.workspaces.length === 0) throw new TypeError(`${backend} cannot carry a veth here`)
  if (!granted) return plan
  const { address, port } = TARGET
  const grant = {
    id: `egress/tcp/${address}/32/${port}`,
    direction: 'egress',
    protocol: 'tcp',
    prefix: `${address}/32`,
    ports: { from: port, to: port },
    opens: false,
    clauses: [digestOfText('canary')],
  } as const
  return {
    ...plan,
    workspaces: plan.workspaces.map((entry) => ({ ...entry, network: { ...entry.network, egress: [grant] } })),
  }
}
