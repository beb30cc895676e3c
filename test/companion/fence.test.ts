// A machine behind the fence of a real agent: Debian's cloud kernel in QEMU on a tap that was attached with a lease; root inside tries
// every way out of the tables, by sockets, by names and by frames of its own. The agent resolves names for it, with a real resolver in the
// outside world. What counts is what a packet socket on the far side of the uplink sees: granted traffic and the mediator's own questions
// for granted names, and nothing else of the machine, ever. One machine, one backend after the other; while the agents change places
// the machine is paused, and it never notices.

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { INWARD, PROBES } from '../../scripts/demo/probes.js'
import type { MachineSpec } from '../../src/companion/drivers/driver.js'
import { QemuDriver } from '../../src/companion/drivers/qemu.js'
import { ensureTap } from '../../src/companion/drivers/tap.js'
import { RunningAgent, type Slotted, until } from '../support/agent/running.js'
import { BootFolder, machine, PATIENCE_MS, saidOn } from '../support/companion/machine.js'
import { type Resolver, startResolver } from '../support/dns/resolver.js'
import { enter, remember } from '../support/ebpf/seclusion.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'
import type { SeenFrame, Sniffer } from '../support/lab/wire.js'
import {
  MEDIATES,
  MEDIATOR_MAY_ASK,
  mediatorsQuestion,
  NAME_ROWS,
  NAMES,
  NAMES_MAY_PASS,
  RESOLVING,
  replyOf,
} from './fence-names.js'
import { EGRESS, FRAMES, MAY_PASS, POISON, POISON_MAC, SOCKETS } from './fence-rows.js'

const ID = 'spiffe://fleet.example/ws/machine'
const SLOT: Slotted = {
  ...{ workspace: ID, slot: WS.slot, kind: 'tap', mac: WS.mac, gatewayMac: WS.gatewayMac },
  ...{ addresses: [WS.v4, WS.v6], gateways: [WS.gateway4, WS.gateway6] },
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const LINES = [
  `wait ${OUT.git} 443`,
  `wait ${OUT.git6} 443`,
  ...SOCKETS.map(({ line }) => line),
  MEDIATES,
  ...NAME_ROWS.map(({ line }) => line),
  ...FRAMES.flatMap(({ frames }, i) => frames.map((frame) => `frame frame${i} ${hex(frame)}`)),
  ...POISON.map(({ frame }, i) => `frame poison${i} ${hex(frame)}`),
  'round',
  `gone ${OUT.git} 443`,
]
const COMMAND = [
  'sysctl() { echo "$2" >/proc/sys/$1; }',
  'for at in all default eth0; do sysctl net/ipv6/conf/$at/accept_dad 0; sysctl net/ipv6/conf/$at/router_solicitations 0; done 2>/dev/null',
  `ip link set eth0 up; ip address add ${WS.v4}/30 dev eth0; ip -6 address add ${WS.v6}/64 dev eth0`,
  `ip route add default via ${WS.gateway4}; ip -6 route add default via ${WS.gateway6}`,
  'echo the machine is up; /opt/inside /opt/lines eth0',
].join('\n')

/** Source, protocol, destination and port (for ICMP the type), and what follows a UDP header; undefined for what is not IP. */
function readIp(bytes: Uint8Array) {
  const view = Buffer.from(bytes)
  const type = view.readUInt16BE(12)
  if (type !== 0x0800 && type !== 0x86dd) return undefined
  const six = type === 0x86dd
  const dotted = (at: number) => [...view.subarray(at, at + 4)].join('.')
  const words = (at: number) =>
    new URL(
      `http://[${Array.from({ length: 8 }, (_, i) => view.readUInt16BE(at + 2 * i).toString(16)).join(':')}]`,
    ).hostname.slice(1, -1)
  const protocol = view[six ? 20 : 23] ?? 0
  const start = six ? 54 : 14 + ((view[14] ?? 0) & 15) * 4
  const icmp = protocol === 1 || protocol === 58
  const port = icmp ? (view[start] ?? 0) : view.length >= start + 4 ? view.readUInt16BE(start + 2) : 0
  const ends = six ? { source: words(22), destination: words(38) } : { source: dotted(26), destination: dotted(30) }
  return { protocol, ...ends, port, body: view.subarray(start + 8) }
}
type Ip = NonNullable<ReturnType<typeof readIp>>
const MAY_LEAVE: ReadonlySet<string> = new Set([...MAY_PASS, ...NAMES_MAY_PASS])
/** Type and name of what the node asks its resolver, `?` for anything else that it sends there; undefined for other packets. */
const askedBy = ({ protocol, source, destination, port, body }: Ip): string | undefined =>
  protocol === 17 && source === UPLINK.node.v4 && destination === UPLINK.out.v4 && port === 53
    ? (mediatorsQuestion(body) ?? '?')
    : undefined
/** The node says that it waits no more for an answer of its resolver: ICMP type 3 code 3 with that answer's head. */
const isLate = ({ protocol, source, destination, port, body }: Ip): boolean =>
  protocol === 1 && source === UPLINK.node.v4 && destination === UPLINK.out.v4 && port === 3 && body[9] === 17
const includes = (frames: readonly SeenFrame[], mark: Uint8Array) =>
  frames.some((frame) => Buffer.from(frame.bytes).includes(Buffer.from(mark)))
const asked = (frames: readonly SeenFrame[]): readonly string[] => {
  const all = frames.flatMap(({ way, bytes }) => {
    const ip = way === 'in' ? readIp(bytes) : undefined
    return (ip && askedBy(ip)) ?? []
  })
  return [...new Set(all)].sort()
}
/** What came from the node and is neither its own ARP or neighbour discovery nor granted, in words; `mayAsk` is what its mediator may. */
function leaks(frames: readonly SeenFrame[], mayAsk: ReadonlySet<string> = new Set()): readonly string[] {
  return frames.flatMap(({ way, bytes }) => {
    if (way === 'out') return []
    const ip = readIp(bytes)
    const mac = hex(bytes.subarray(6, 12))
    if (mac !== UPLINK.node.mac.replaceAll(':', '')) return [`a frame of ${mac}`]
    if (!ip) return Buffer.from(bytes).readUInt16BE(12) === 0x0806 ? [] : [`another frame: ${hex(bytes)}`]
    const mine = [WS.v4, WS.v6].includes(ip.source)
    if (ip.protocol === 58 && [135, 136].includes(ip.port) && !mine) return []
    const question = askedBy(ip)
    if (question !== undefined) return mayAsk.has(question) ? [] : [`a question: ${question} in ${hex(ip.body)}`]
    return isLate(ip) || (mine && MAY_LEAVE.has(`${ip.protocol} ${ip.destination} ${ip.port}`))
      ? []
      : [`${ip.source} > ${ip.destination}, protocol ${ip.protocol}, port ${ip.port}`]
  })
}

it('every egress row of the demo is tried from the machine too', () => {
  const passes = new Map<string, boolean>([
    ...SOCKETS.map((row) => [row.question, row.passes] as const),
    ...FRAMES.map((row) => [row.name, row.passes] as const),
    ...POISON.map((row) => [row.name, false] as const),
  ])
  const demo = PROBES.filter(({ group }) => group !== INWARD)
  expect(demo.length).toBeGreaterThan(40)
  expect(
    demo
      .filter(({ question, name, expect: wanted }) => passes.get(question ?? name) !== (wanted === 'allowed'))
      .map(({ name }) => name),
  ).toEqual([])
})

labSuite('a machine behind the fence', () => {
  let lab: Lab
  let boot: BootFolder
  let driver: QemuDriver
  let spec: MachineSpec
  let agent: RunningAgent
  let uplink: Sniffer
  let link: Sniffer
  let resolver: Resolver
  let back = (): void => undefined

  async function fenceWith(backend: string): Promise<void> {
    agent = await RunningAgent.prepare(lab.namespace('node'), [SLOT], `attach_required: true\n${RESOLVING}`, backend)
    await agent.publish(1, [], [ID], { extra: EGRESS + NAMES })
    agent.start()
    await agent.told('active')
  }
  const attach = () => agent.ask('attach', ID, '--tap', WS.slot)

  beforeAll(async () => {
    lab = await openLab()
    const ports = { port: 53, dotPort: 8853, authorityPort: 5300 }
    resolver = await startResolver({
      ...{ namespace: lab.namespace('out'), address: UPLINK.out.v4, ...ports },
      // What one round leaves in its cache is as good for the next as it was for the first.
      server: ['cache-min-ttl: 3600'],
    })
    await lab.exec('node', ['ip', 'link', 'delete', WS.slot])
    back = remember()
    enter(lab.namespace('node'))
    boot = new BootFolder()
    mkdirSync(repositoryPath('build/test'), { recursive: true })
    const program = join(boot.directory, 'inside')
    execFileSync('cc', [
      '-O1',
      '-Wall',
      '-Wextra',
      '-static',
      '-o',
      program,
      repositoryPath('test/support/companion/inside.c'),
    ])
    writeFileSync(join(boot.directory, 'lines'), `${LINES.join('\n')}\n`)
    const files = [
      { from: program, to: '/opt/inside' },
      { from: join(boot.directory, 'lines'), to: '/opt/lines' },
    ]
    spec = machine(boot.boot({ command: COMMAND, files }), WS.slot, {
      ...{ id: 'fenced', workspace: ID },
      nic: { kind: 'tap', interface: WS.slot, mac: WS.mac },
    })
    driver = QemuDriver.open({ directory: join(boot.directory, 'run') })
    await ensureTap({
      ...{ interface: WS.slot, workspace: ID, addresses: [WS.v4, WS.v6] },
      gateway: { mac: WS.gatewayMac, addresses: [WS.gateway4, WS.gateway6] },
    })
    uplink = await lab.sniff('out', UPLINK.out.interface)
    link = await lab.sniff('node', WS.slot)
    await fenceWith('nftables')
  }, PATIENCE_MS)
  afterAll(async () => {
    for (const { id } of (await driver?.list()) ?? []) {
      await driver.kill(id)
      await driver.remove(id)
    }
    await agent?.close()
    back()
    await resolver?.close()
    await lab?.close()
    boot?.close()
  }, PATIENCE_MS)

  it('runs and reaches nothing before it is attached', { timeout: PATIENCE_MS }, async () => {
    await driver.prepare(spec)
    await driver.run(spec.id)
    await saidOn(driver, spec.id, /the machine is up\n/)
    await until('frames of the machine on its link', () => link.frames.some(({ way }) => way === 'in'))
    await uplink.settle(300, 3_000)
    expect(leaks(uplink.frames)).toEqual([])
    expect((await agent.ask('status')).json.workspaces).toMatchObject([{ workspace: ID, flags: ['suspended'] }])
  })

  for (const [i, backend] of ['nftables', 'ebpf'].entries()) {
    const round = i + 1
    it(`${backend}: only what is granted leaves it`, { timeout: PATIENCE_MS }, async () => {
      if (round > 1) {
        // Between two fences there is none: nothing may run.
        await driver.pause(spec.id)
        await agent.stop()
        expect((await agent.ask('uninstall', '--yes', '--config', 'agent.yaml')).exit).toBe(0)
        await agent.close()
        await fenceWith(backend)
        await driver.run(spec.id)
      }
      uplink.frames.length = 0
      link.frames.length = 0
      expect(await attach()).toMatchObject({ exit: 0, json: { state: 'attached', kind: 'tap', leaseGeneration: 1 } })
      const said = await saidOn(driver, spec.id, new RegExp(`round ${round} has ended\n`))
      await uplink.settle(300, 3_000)
      const result = (name: string) => new RegExp(`^row ${round} ${name} (.*)$`, 'm').exec(said)?.[1]
      const rows = [...SOCKETS, ...NAME_ROWS].map(({ name, expect: wanted }) => ({
        ...{ name, result: replyOf(result(name) ?? ''), wanted },
      }))
      expect(rows.filter((row) => !row.wanted.test(row.result))).toEqual([])
      for (const [n, row] of FRAMES.entries()) {
        expect([row.name, result(`frame${n}`)]).toEqual([row.name, 'sent'])
        expect([row.name, 'left the machine', includes(link.frames, row.mark)]).toEqual([
          row.name,
          'left the machine',
          true,
        ])
        expect([row.name, 'left the node', includes(uplink.frames, row.mark)]).toEqual([
          row.name,
          'left the node',
          row.passes,
        ])
      }
      const { stdout } = await lab.exec('node', ['ip', 'neigh', 'show', 'dev', WS.slot])
      expect(stdout).not.toContain(POISON_MAC)
      expect(leaks(uplink.frames, MEDIATOR_MAY_ASK)).toEqual([])
      expect(asked(uplink.frames)).toEqual([...MEDIATOR_MAY_ASK].sort())
    })

    it(`${backend}: nothing leaves it in quarantine, and nothing after its lease`, {
      timeout: PATIENCE_MS,
    }, async () => {
      expect((await agent.ask('quarantine', 'set', ID, '--reason', 'a proof')).exit).toBe(0)
      uplink.frames.length = 0
      const before = link.frames.length
      // It goes on trying: its frames are seen on the link, and none behind the fence.
      const tries = (more: number) => until('more frames on the link', () => link.frames.length > more + 3)
      await tries(before)
      expect((await agent.ask('detach', ID)).exit).toBe(0)
      await tries(link.frames.length)
      await uplink.settle(300, 3_000)
      expect(uplink.frames.filter(({ way, bytes }) => way === 'in' && readIp(bytes)?.source === WS.v4)).toEqual([])
      expect(leaks(uplink.frames)).toEqual([])
    })
  }
})
