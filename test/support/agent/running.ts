// A node of its own with a real agent: an operator's directory (configuration, keys, inventory, bundles), a published folder
// as the channel, and `sluice agent` as a process in the laboratory's enforcement namespace. Everything is awaited by what
// the agent tells or the kernel shows.

import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { command } from '../lab/command.js'
import { repositoryPath } from '../lab/repository.js'
import { Operator } from '../operator.js'

export const PROGRAM = repositoryPath('dist/bin/sluice.js')
const PATIENCE_MS = 50_000

export interface Line {
  readonly level: string
  readonly event: string
  readonly detail: Readonly<Record<string, unknown>>
}

export interface Slotted {
  readonly workspace: string
  readonly slot: string
  readonly mac: string
  readonly gatewayMac: string
  readonly addresses: readonly string[]
  readonly gateways: readonly string[]
  /** A representor of the card with this VUID; a veth when absent. */
  readonly vuid?: string
  /** A tap, made by whoever runs its machine. */
  readonly kind?: 'tap'
}

export class RunningAgent {
  readonly operator = new Operator()
  readonly lines: Line[] = []
  /** More of the environment of the process that is started next. */
  environment: Readonly<Record<string, string>> = {}
  /** What starts that process, before its own words: `setpriv` and the like. */
  launcher: readonly string[] = []
  /** The release that is started and asked. */
  program: string = PROGRAM
  private child: ChildProcess | undefined
  private ended: Promise<unknown> = Promise.resolve()
  private stderr = ''

  private constructor(readonly namespace: string) {
    this.operator.nowMs = Date.now()
  }

  /** The directory of a node that never held a bundle; nothing runs yet. A namespace that is a path is entered with this
   * machine's own mounts: `ip netns exec` hides cgroups. */
  static async prepare(
    namespace: string,
    slots: readonly Slotted[],
    more = '',
    backend = 'nftables',
  ): Promise<RunningAgent> {
    const agent = new RunningAgent(namespace)
    await agent.must(`init . --backend ${backend} ${slots.map((at) => `--interface ${at.slot}`).join(' ')}`)
    agent.write('inventory.yaml', inventoryOf(slots))
    await agent.must('inventory sign inventory.yaml --key keys/inventory.key')
    appendFileSync(
      agent.path('agent.yaml'),
      `source: {from: pub, inventory: inventory.yaml, interval_seconds: 1}\n${more}`,
    )
    return agent
  }

  /** Of the running process. */
  get pid(): number {
    return this.child?.pid ?? 0
  }
  path(name: string): string {
    return join(this.operator.directory, name)
  }
  write(name: string, text: string): void {
    writeFileSync(this.path(name), text)
  }
  async must(line: string): Promise<string> {
    const { exit, out, error } = await this.operator.sluice(line)
    if (exit !== 0) throw new Error(`sluice ${line}: exit ${exit}: ${error}${out}`)
    return out
  }

  /** Signs and publishes a revision whose policy has these egress rules; `extra` is more of the document. */
  async publish(
    revision: number,
    egress: readonly string[],
    workspaces: readonly string[],
    terms: Terms = {},
  ): Promise<void> {
    const { extra = '', lifetimeMs = 86_400_000, tamper } = terms
    rmSync(this.path('next'), { recursive: true, force: true })
    this.operator.shell('mkdir -p next')
    this.write('next/fence.yaml', fenceOf(egress, workspaces, extra))
    const times = `--not-before ${new Date(Date.now() - 60_000).toISOString()} --expires ${new Date(Date.now() + lifetimeMs).toISOString()}`
    await this.must(
      `bundle sign next --id node --author keys/author.key --release keys/release.key --revision ${revision} --audience fleet.example/dev ${times}`,
    )
    tamper?.(this.path('next'))
    await this.must('bundle push next --to pub --channel stable')
  }

  start(...more: readonly string[]): void {
    const words = [
      ...this.launcher,
      process.execPath,
      this.program,
      'agent',
      '--config',
      'agent.yaml',
      '--json',
      ...more,
    ]
    const [first, ...rest] = this.enter
    this.lines.length = 0
    this.stderr = ''
    const child = spawn(first, [...rest, ...words], {
      cwd: this.operator.directory,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...this.environment },
    })
    this.child = child
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.stderr = `${this.stderr}${line}\n`.slice(-8_000)
      if (line.startsWith('{')) this.lines.push(JSON.parse(line) as Line)
    })
    this.ended = new Promise((resolve) => child.once('close', resolve))
  }

  private get enter(): readonly [string, ...string[]] {
    return this.namespace.startsWith('/')
      ? ['nsenter', `--net=${this.namespace}`, '--']
      : ['ip', 'netns', 'exec', this.namespace]
  }

  /** Waits for something that the agent tells. */
  async told(event: string, matches: (detail: Line['detail']) => boolean = () => true): Promise<Line> {
    return until(`the agent to tell ${event}`, () => {
      const found = this.lines.find((line) => line.event === event && matches(line.detail))
      if (!found && this.child?.exitCode !== null) throw new Error(`the agent ended: ${this.stderr}`)
      return found
    }).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : ''}\n${this.stderr}`)
    })
  }

  /** SIGTERM, and its exit status. */
  async stop(): Promise<number | null> {
    this.child?.kill('SIGTERM')
    await this.ended
    return this.child?.exitCode ?? null
  }
  /** SIGKILL, at once. `ip netns exec` has become the agent itself. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.ended
  }

  /** A command line of the same node, in its namespace, with its JSON. */
  async ask(...words: readonly string[]) {
    const argv = [...this.enter, process.execPath, this.program, ...words, '--json']
    const { status, stdout, stderr } = await command(argv, { cwd: this.operator.directory })
    // biome-ignore lint/suspicious/noExplicitAny: the JSON of many commands, each looked into by the test that asked.
    const json: any = stdout.trim() === '' ? {} : JSON.parse(stdout)
    return { exit: status, json, stderr }
  }

  events(file = 'events.ndjson'): Event[] {
    if (!existsSync(this.path(file))) return []
    return readFileSync(this.path(file), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Event)
  }

  async close(): Promise<void> {
    if (this.child && this.child.exitCode === null) await this.kill()
    this.operator.close()
  }
}

export interface Event {
  readonly class_uid: number
  readonly status_code?: string
  readonly message?: string
  readonly metadata: { readonly sequence: number }
}

export interface Terms {
  readonly extra?: string
  readonly lifetimeMs?: number
  readonly tamper?: (directory: string) => void
}

/** Asks again until there is an answer; throws after a patience that no healthy run needs. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const inventoryOf = (slots: readonly Slotted[]): string => `apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: fleet.example/dev
revision: 2
workspaces:
${slots
  .map(
    (at) => `  - id: ${at.workspace}
    slot: {kind: ${at.kind ?? (at.vuid === undefined ? 'veth' : 'representor')}, interface: ${at.slot}${at.vuid === undefined ? '' : `, vuid: ${at.vuid}`}}
    mac: "${at.mac}"
    addresses: [${at.addresses.map((address) => `"${address}"`).join(', ')}]
    gateway: {mac: "${at.gatewayMac}", addresses: [${at.gateways.map((address) => `"${address}"`).join(', ')}]}
`,
  )
  .join('')}`

const fenceOf = (
  egress: readonly string[],
  workspaces: readonly string[],
  extra: string,
): string => `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata:
  name: node
applies_to:
  workspaces: [${workspaces.join(', ')}]
egress:
${egress
  .map((address, i) => `  - {name: e${i}, cidrs: ["${address}/32"], protocol: tcp, ports: [80, 443]}\n`)
  .join('')}${extra}`
