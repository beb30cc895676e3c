// The ground of `BACKEND=doca`: once every probe has passed without a fence, the enforcement node becomes a DPU. Its interfaces
// are the cables of the software BlueField, which forwards between them; the Arm keeps the card's own netdevices (pf0vf0, p0),
// which outlive the agent as a representor does, and an out-of-band link for what it asks for itself. The agent runs as a
// process of its own, because the pipes go with the process that has the card.

import { OUT, UPLINK, type WorkspaceEnd, WS, WS2 } from '../../test/support/lab/addresses.js'
import type { Lab } from '../../test/support/lab/lab.js'
import { repositoryPath } from '../../test/support/lab/repository.js'
import { type Begun, type Product, textAt } from './product.js'
import { progress, type Row } from './report.js'

const PCI = '0000:03:00.0'
const WIRE = 'p0'
const OOB = 'oob0'
/** Representor, VUID and cable of each workspace. */
const FUNCTIONS = [
  { representor: 'pf0vf0', vuid: 'DEMOVF0', end: WS },
  { representor: 'pf0vf1', vuid: 'DEMOVF1', end: WS2 },
] as const
const REBUILD_LIMIT_MS = 30_000

export const CARD_SLOT = `{ kind: representor, interface: ${FUNCTIONS[0].representor}, vuid: ${FUNCTIONS[0].vuid} }`
export const CARD_GATEWAY = FUNCTIONS[0].representor

const TOPOLOGY = [
  `dev ${PCI} ${WIRE} ${UPLINK.node.interface}`,
  ...FUNCTIONS.map(({ representor, vuid, end }) => `rep ${PCI} ${representor} ${vuid} ${end.slot}`),
].join('; ')

/** For every process of the product from now on: the card that it finds. */
export function plugIn(): void {
  process.env.DOCA_EMULATOR = TOPOLOGY
}

export class Card {
  private agent: Begun | undefined

  constructor(
    private readonly lab: Lab,
    private readonly product: Product,
  ) {}

  /** Needs the lab as it was built. Without an agent the card's cables lead nowhere from here on. */
  async insert(): Promise<void> {
    const { lab } = this
    const inside = async (role: 'node' | 'out', lines: readonly string[]): Promise<void> => {
      const { status, stderr } = await lab.exec(role, ['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
      if (status !== 0) throw new Error(`ip in ${lab.namespace(role)}: ${stderr}`)
    }
    const cables = [UPLINK.node.interface, ...FUNCTIONS.map(({ end }) => end.slot)]
    await lab.exec('node', [
      'sh',
      '-c',
      'echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding',
    ])
    await inside('node', [
      ...cables.flatMap((cable) => [`address flush dev ${cable}`, `link set ${cable} addrgenmode none arp off`]),
      `tuntap add ${WIRE} mode tap`,
      `link set ${WIRE} addrgenmode none up`,
      ...FUNCTIONS.flatMap(({ representor, end }) => gatewayLines(representor, end)),
      `link add ${OOB} type veth peer name ${OOB} netns ${lab.namespace('out')}`,
      `link set ${OOB} up`,
      `address add ${UPLINK.node.v4}/30 dev ${OOB}`,
    ])
    // What a router behind the card knows: it is the workspace's gateway, and the workspace is on its cable.
    const { interface: wire } = UPLINK.out
    await inside('out', [
      `address flush dev ${wire} scope global`,
      // One segment a frame, so that what is sent and what arrives can be compared frame by frame.
      `link set ${wire} address ${WS.gatewayMac} gso_max_segs 1`,
      `link set ${OOB} up`,
      `address add ${UPLINK.out.v4}/30 dev ${OOB}`,
      ...[`${WS.v4}/32`, `${WS.v6}/128`].map((address) => `route add ${address} dev ${wire}`),
      ...[WS.v4, WS.v6].map((address) => `neigh replace ${address} lladdr ${WS.mac} dev ${wire} nud permanent`),
    ])
    progress('the node is a DPU now: a software BlueField between its cables, everything that follows is emulated')
  }

  async start(): Promise<void> {
    this.agent = await this.product.begin(' stands ', 'agent', '--config', 'agent.yaml')
  }

  async stop(): Promise<void> {
    await this.agent?.stop()
    this.agent = undefined
  }

  /** SIGKILL: the card has lost its owner. Nothing passes until another one has built everything anew. */
  async killed(): Promise<Row[]> {
    const { ws } = this.lab
    const { number } = await ws.download({ host: OUT.git, port: 443, rate: 200_000 })
    await this.bytes(number, 1)
    await this.agent?.kill()
    const dark = performance.now()
    const stopped = await this.bytes(number)
    const rows = [
      row(KILLED, 'a granted name', 'dropped', await this.reach(OUT.git), 'no agent, no pipes'),
      row(KILLED, 'an address that is not granted', 'dropped', await this.reach(OUT.unlisted), 'no agent, no pipes'),
      row(
        KILLED,
        'a download that ran',
        'stands still',
        (await this.bytes(number)) === stopped ? 'stands still' : 'goes on',
        '',
      ),
    ]
    await this.start()
    rows.push(row(KILLED, 'a granted name, once the agent is back', 'allowed', await this.again(), 'git_forge'))
    progress(`the agent was killed: no traffic for ${(performance.now() - dark).toFixed(0)} ms, probes included`)
    rows.push(
      row(KILLED, 'an address that is not granted, then', 'dropped', await this.reach(OUT.unlisted), 'no-grant'),
      row(
        KILLED,
        'status',
        'active',
        textAt((await this.product.run('status', '--config', 'agent.yaml')).json, 'state'),
        '',
      ),
    )
    await ws.stopDownload([number])
    return rows
  }

  /** The card forgets everything under a running agent, which finds out and rebuilds it. */
  async reset(): Promise<Row[]> {
    const { lab } = this
    await lab.exec('node', [repositoryPath('build/doca/doca-card'), PCI, 'reset'])
    const dark = performance.now()
    const closed = await this.reach(OUT.unlisted)
    const back = await this.again()
    progress(`the card was reset: traffic again after ${(performance.now() - dark).toFixed(0)} ms at most`)
    return [
      row(RESET, 'an address that is not granted', 'dropped', closed, 'the card is empty'),
      row(RESET, 'a granted name, once the agent has rebuilt', 'allowed', back, 'git_forge'),
      row(RESET, 'an address that is not granted, then', 'dropped', await this.reach(OUT.unlisted), 'no-grant'),
    ]
  }

  private async reach(host: string): Promise<string> {
    const got = await this.lab.ws.tcp({ host, port: 443, timeoutMs: 800 })
    return got.outcome === 'connected' ? 'allowed' : got.outcome === 'timeout' ? 'dropped' : got.outcome
  }

  /** Asks until a granted address answers again. */
  private async again(): Promise<string> {
    const end = performance.now() + REBUILD_LIMIT_MS
    let said = await this.reach(OUT.git)
    while (said !== 'allowed' && performance.now() < end) said = await this.reach(OUT.git)
    return said
  }

  /** Octets that a download has brought; waits until there are as many as wanted. */
  private async bytes(number: number, wanted = 0): Promise<number> {
    const end = performance.now() + REBUILD_LIMIT_MS
    for (;;) {
      const got = (await this.lab.ws.downloads([number]))[0]?.bytes ?? 0
      if (got >= wanted || performance.now() > end) return got
    }
  }
}

const KILLED = 'the agent is killed (card emulated)'
const RESET = 'the card is reset (card emulated)'

const row = (group: string, probe: string, expected: string, observed: string, clause: string): Row => ({
  ...{ group, probe, expected, observed, clause },
  ok: expected === observed,
})

/** The Arm's own netdevice of a function is what the workspace knows as its gateway. */
const gatewayLines = (representor: string, end: WorkspaceEnd): string[] => [
  `tuntap add ${representor} mode tap`,
  `link set ${representor} address ${end.gatewayMac} addrgenmode none up`,
  `address add ${end.gateway4}/30 dev ${representor}`,
  `address add ${end.gateway6}/64 dev ${representor} nodad`,
]
