// A host in the laboratory's node: the real agent, the real companion over processes that push datagrams into their taps or over QEMU
// (emulated.ts), an operator who lifts quarantines, and a look at everything that may be left of it all.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { connectAgent } from '../../../src/api/client.js'
import { LifecycleClient } from '../../../src/api/lifecycle-client.js'
import type { ChangeWord } from '../../../src/api/lifecycle-ports.js'
import type { KillReport } from '../../../src/companion/lifecycle/kill.js'
import { PROGRAM, RunningAgent, type Slotted, until } from '../agent/running.js'
import { ipFrame } from '../frames.js'
import { OUT, UPLINK } from '../lab/addresses.js'
import type { Lab } from '../lab/lab.js'
import { repositoryPath } from '../lab/repository.js'
import { Mtls } from '../mtls.js'
import { endBelow, imagesFor, leftBelow, processesBelow, type Sending } from './emulated.js'

/** Its datagrams go there; every workspace may send to it, and nothing else. */
export const SINK = '45.76.10.10'
/** What a session of the access broker may let in, and to which port. */
export const PEER = '45.76.10.20'
export const SESSION_PORT = 2222
/** A machine of QEMU sends there as well; no policy grants it to anybody. */
export const FORBIDDEN = OUT.unlisted
const PORT = 9000
const LISTEN = `${UPLINK.node.v4}:7443`
const COMPANION = 'spiffe://fleet.example/companion/h1'

export const workspaceOf = (n: number): string => `spiffe://fleet.example/ws/tap${n}`
export const sourceOf = (n: number): string => `10.9.8.${4 * n + 2}`
const hexOf = (n: number): string => n.toString(16).padStart(2, '0')
export const macOf = (n: number): string => `02:00:00:00:1${hexOf(n)[1]}:02`
const slotOf = (n: number): Slotted => ({
  ...{ workspace: workspaceOf(n), slot: `tap${n}`, kind: 'tap' },
  ...{ mac: macOf(n), gatewayMac: `02:00:00:00:1${hexOf(n)[1]}:01` },
  ...{ addresses: [sourceOf(n)], gateways: [`10.9.8.${4 * n + 1}`] },
})
/** What the machine of a workspace sends for as long as it runs. */
const sendingOf = (n: number): Sending => {
  const { mac, gatewayMac } = slotOf(n)
  const frame = (destination: string) =>
    ipFrame({
      ...{ sourceMac: mac, destinationMac: gatewayMac, source: sourceOf(n), destination },
      payload: { kind: 'udp', from: 40_000, to: PORT },
    })
  return { name: `base${n}`, frames: [frame(SINK), frame(FORBIDDEN)] }
}

export interface LabHostTerms {
  /** Lines of companion.yaml, of a folder that is there by then; `exported`: keys of an entry of `export.agents`, without its name. */
  readonly more?: (folder: string, exported: string) => string | Promise<string>
  readonly backend?: 'nftables' | 'ebpf'
  /** What stands in for machines; `qemu` is the program as it is released, over real ones. */
  readonly machines?: 'processes' | 'qemu'
}

let asked = 0

export class LabHost {
  readonly lines: { readonly event: string; readonly detail: Record<string, unknown> }[] = []
  private child: ChildProcess | undefined
  private ended: Promise<unknown> = Promise.resolve()
  private said = ''
  private client: LifecycleClient | undefined

  private constructor(
    readonly lab: Lab,
    readonly agent: RunningAgent,
    private readonly mtls: Mtls,
    readonly size: number,
    private readonly machines: 'processes' | 'qemu',
  ) {}

  static async open(
    lab: Lab,
    size: number,
    { more = () => '', backend = 'nftables', machines = 'processes' }: LabHostTerms = {},
  ): Promise<LabHost> {
    const mtls = new Mtls()
    const { certificate, key } = mtls.client([`URI:${COMPANION}`])
    writeFileSync(mtls.path('companion.pem'), certificate)
    writeFileSync(mtls.path('companion.key'), key)
    const files = `certificate: ${mtls.path('server.pem')}, key: ${mtls.path('server.key')}, client_ca: ${mtls.path('ca.pem')}`
    const slots = Array.from({ length: size }, (_, n) => slotOf(n))
    const api = `attach_required: true\napi: {listen: "${LISTEN}", ${files}, companions: [${COMPANION}]}\n`
    const agent = await RunningAgent.prepare(lab.namespace('node'), slots, api, backend)
    const flood = `  - {name: flood, cidrs: ["${SINK}/32"], protocol: udp, ports: [${PORT}]}\n`
    const ingress = `ingress:\n  - {name: broker, from: ["${PEER}/32"], protocol: tcp, ports: [${SESSION_PORT}], session: required}\n`
    await agent.publish(
      1,
      [SINK],
      slots.map(({ workspace }) => workspace),
      { extra: flood + ingress },
    )
    const host = new LabHost(lab, agent, mtls, size, machines)
    mkdirSync(host.path('host'), { recursive: true, mode: 0o700 })
    host.configure(slots, await more(host.path('host'), host.exportFrom()))
    if (machines === 'qemu')
      await imagesFor(
        agent,
        slots.map((_, n) => sendingOf(n)),
      )
    agent.start()
    await agent.told('active')
    await host.start()
    return host
  }

  private exportFrom(): string {
    const node = /^node: (\S+)$/m.exec(readFileSync(this.path('agent.yaml'), 'utf8'))?.[1] ?? ''
    const files = `ca: ${this.mtls.path('ca.pem')}, certificate: ${this.mtls.path('companion.pem')}, key: ${this.mtls.path('companion.key')}`
    return `kind: grpc, node: ${node}, address: "${LISTEN}", server_name: localhost, ${files}`
  }

  private configure(slots: readonly Slotted[], more: string): void {
    const networks = slots.map(
      ({ slot, mac, addresses, gatewayMac, gateways }) =>
        `  - {name: ${slot}, kind: tap, interface: ${slot}, mac: "${mac}", addresses: ["${addresses[0]}"], gateway_mac: "${gatewayMac}", gateways: ["${gateways[0]}"]}\n`,
    )
    const { mtls } = this
    const text = `companion: ${COMPANION}
state_directory: ${this.path('host')}
events_file: ${this.path('host/events.ndjson')}
agent:
  address: ${LISTEN}
  server_name: localhost
  ca: ${mtls.path('ca.pem')}
  certificate: ${mtls.path('companion.pem')}
  key: ${mtls.path('companion.key')}
  evidence_keys: ${this.agent.path('state/agent.pub.json')}
machines: {directory: ${this.path('host/machines')}, first_user: 63000, grace_seconds: 1}
images: {directory: ${this.path('host/images')}, trust_root: ${this.agent.path(this.machines === 'qemu' ? 'image-root.json' : 'trust/root.json')}}
networks:
${networks.join('')}${more}`
    writeFileSync(this.path('companion.yaml'), text)
  }

  path(name: string): string {
    return this.agent.path(name)
  }

  /** Begins a companion, and waits until it answers. */
  async start(): Promise<void> {
    const [enter, ...words] = this.machines === 'qemu' ? this.released() : this.overProcesses()
    const child = spawn(enter, words, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.child = child
    this.lines.length = 0
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.said = `${this.said}${line}\n`.slice(-6_000)
      if (line.startsWith('{')) this.lines.push(JSON.parse(line) as (typeof this.lines)[number])
    })
    this.ended = new Promise((resolve) => child.once('close', resolve))
    await until('the companion to be ready', () => {
      if (child.exitCode !== null) throw new Error(`the companion ended: ${this.said}`)
      return this.lines.some(({ event }) => event === 'ready')
    })
    this.client?.close()
    this.client = new LifecycleClient(this.path('host/companion.sock'))
  }

  /** Its machines need this machine's cgroups, which `ip netns exec` hides. */
  private released(): readonly [string, ...string[]] {
    const words = ['companion', '--config', this.path('companion.yaml'), '--json']
    return ['nsenter', `--net=/run/netns/${this.lab.namespace('node')}`, '--', process.execPath, PROGRAM, ...words]
  }
  private overProcesses(): readonly [string, ...string[]] {
    const ends = Array.from({ length: this.size }, (_, n) => {
      const { slot, gatewayMac, addresses } = slotOf(n)
      return `${slot}/${gatewayMac}/${addresses[0]}/${SINK}`
    })
    const words = [
      repositoryPath('test/support/companion/lab-companion.mjs'),
      this.path('companion.yaml'),
      repositoryPath('test/support/companion/pusher.py'),
      ends.join(','),
    ]
    return ['ip', 'netns', 'exec', this.lab.namespace('node'), process.execPath, ...words]
  }

  /** SIGKILL. */
  async crash(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.ended
  }

  change(operation: ChangeWord, n: number, requestId = `request-${++asked}`) {
    const workspace = workspaceOf(n)
    const profile = {
      ...{ workspace, user: `user${n}`, session: `session${n}`, cpus: 1 },
      ...(this.machines === 'qemu' ? { image: sendingOf(n).name, memoryMiB: 64 } : { image: 'base', memoryMiB: 128 }),
      ...{ network: `tap${n}`, channel: 'stable', policy: 'wait-initial' as const, volumes: [] },
    }
    if (!this.client) throw new Error('nothing was started')
    const request = { requestId, operation, workspace, reason: 'a test' }
    return this.client.change(operation === 'create' ? { ...request, profile } : request, () => undefined)
  }

  /** One workspace, or everything. */
  async kill(n?: number, requestId = `request-${++asked}`): Promise<KillReport> {
    const target =
      n === undefined ? ({ kind: 'everything' } as const) : ({ kind: 'workspace', workspace: workspaceOf(n) } as const)
    if (!this.client) throw new Error('nothing was started')
    const { report } = await this.client.kill({ requestId, reason: 'a test', target })
    return JSON.parse(Buffer.from(report).toString('utf8')) as KillReport
  }

  /** The command line at this companion; its answer in JSON, and what it refused. */
  // biome-ignore lint/suspicious/noExplicitAny: answers of several commands, each looked into by the test that asked.
  async ask(...words: string[]): Promise<{ readonly exit: number; readonly json: any; readonly said: string }> {
    const all = [repositoryPath('dist/bin/sluice.js'), ...words, '--config', this.path('companion.yaml'), '--json']
    const { stdout, stderr, code } = await promisify(execFile)(process.execPath, all).then(
      (done) => ({ ...done, code: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => error,
    )
    const json = stdout === '' ? undefined : JSON.parse(stdout)
    return { exit: code, json, said: code === 0 ? '' : `${JSON.stringify(json?.error)}${stderr}` }
  }

  list() {
    if (!this.client) throw new Error('nothing was started')
    return this.client.list()
  }

  /** Whether the companion has an agent that answers: a connection that was lost is made again after a pause. */
  async reachesAgent(): Promise<boolean> {
    return (
      this.client?.sessions('').then(
        () => true,
        () => false,
      ) ?? false
    )
  }

  /** What only an operator may do, at the agent's own socket. One that is not quarantined is let be. */
  async lift(n: number): Promise<void> {
    const agent = await connectAgent(this.agent.path('state/agent.sock'))
    if (!agent) throw new Error('no agent')
    const given = { kind: 'quarantine-lift', workspace: workspaceOf(n), reason: 'a test' }
    await agent.call('quarantine', given).catch((error: { readonly code?: string }) => {
      if (error.code !== 'AGENT_NOT_QUARANTINED') throw error
    })
    agent.close()
  }

  /** Everything of it that is on the host, from the host itself. */
  async left(): Promise<{
    readonly taps: string[]
    readonly pushers: string[]
    readonly layers: string[]
    readonly attached: string[]
  }> {
    const { stdout } = await this.lab.exec('node', ['ip', '-o', 'link', 'show'])
    const taps = [...stdout.matchAll(/^\d+: (tap\d+)[:@]/gm)].map((match) => match[1] ?? '').sort()
    const layers = existsSync(this.path('host/layers')) ? readdirSync(this.path('host/layers')).sort() : []
    const agent = await connectAgent(this.agent.path('state/agent.sock'))
    agent?.close()
    const tenures = this.path('state/tenures.json')
    const body = existsSync(tenures)
      ? (JSON.parse(readFileSync(tenures, 'utf8')) as { body: { workspace: string; attached: number }[] }).body
      : []
    const attached = body
      .filter((one) => one.attached === 1)
      .map(({ workspace }) => workspace)
      .sort()
    return {
      taps,
      pushers: this.pushers()
        .map(({ id }) => id)
        .sort(),
      layers,
      attached,
    }
  }

  /** Machines of QEMU, as processes, cgroups and folders. */
  emulated() {
    return leftBelow(this.path('host/machines'))
  }
  emulators() {
    return processesBelow(this.path('host/machines'))
  }

  /** Processes that stand in for machines, by their command line. */
  pushers(): readonly { readonly pid: number; readonly id: string; readonly tap: string }[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0')
          const own = words[1]?.endsWith('pusher.py') && words[5]?.startsWith(this.path('host'))
          return own ? [{ pid: Number(name), id: words[2] ?? '', tap: words[3] ?? '' }] : []
        } catch {
          // It ended while we looked.
          return []
        }
      })
  }

  async close(): Promise<void> {
    this.client?.close()
    if (this.child && this.child.exitCode === null) await this.crash()
    for (const { pid } of this.pushers()) process.kill(pid, 'SIGKILL')
    if (this.machines === 'qemu') await endBelow(this.path('host/machines'))
    await this.agent.close()
    this.mtls.remove()
    rmSync(this.path('host'), { recursive: true, force: true })
  }
}
