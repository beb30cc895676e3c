// What holds when things go wrong: quarantine beside every load and commit, a foreign flush of the whole ruleset, an agent that
// dies and comes back, interfaces that appear later, refused packets on their way to the audit, and the removal of everything.

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import type { Denial } from '../../src/backends/backend.js'
import { arpFrame, ipFrame } from '../support/frames.js'
import { OUT, UPLINK, WS, WS2 } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { ID, ID2, sliceOf, type Wanted } from '../support/nftables/slices.js'

const GRANTED: Wanted = { egress: [`tcp ${OUT.git} 80`, `tcp ${OUT.git} 443`, `udp ${OUT.git} 5000`] }
const many = (count: number): Wanted => ({
  egress: [
    ...(GRANTED.egress ?? []),
    ...Array.from({ length: count }, (_, i) => `tcp 52.${i >> 16}.${(i >> 8) & 255}.${i & 255} 443`),
  ],
})

labSuite('nftables, when things go wrong', () => {
  let lab: Lab
  let nft: NftHarness
  let generation = 0
  const state = stateDirectory()
  const apply = (ws: Wanted, ws2: Wanted = {}): Promise<void> => nft.apply(sliceOf(++generation, ws, ws2))
  const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
  const reach = (port = 80) => lab.ws.tcp({ host: OUT.git, port, timeoutMs: 400 })
  const node = (...argv: string[]) => lab.exec('node', argv)
  /** An interface that came a moment ago gets its deny floor when it is heard of, and is reported until then. */
  const drift = async (): Promise<readonly string[]> => {
    for (;;) {
      const seen = (await nft.observe()).drift
      if (!seen.some((line) => line.endsWith(' has no deny floor'))) return seen
      await pause(20)
    }
  }
  /** The second workspace's link as the laboratory made it: an interface that was down or renamed has lost its addresses. */
  const readdress = async (): Promise<void> => {
    const side = (device: string, v4: string, v6: string): string =>
      `ip link set ${device} up; ip addr replace ${v4}/30 dev ${device}; ip addr replace ${v6}/64 dev ${device} nodad`
    await node('sh', '-ec', side('ws1', WS2.gateway4, WS2.gateway6))
    const routes = `ip route replace default via ${WS2.gateway4}; ip -6 route replace ::/0 via ${WS2.gateway6}`
    await lab.exec('ws2', ['sh', '-ec', `${side('eth0', WS2.v4, WS2.v6)}; ${routes}`])
  }

  beforeAll(async () => {
    lab = await openLab()
    nft = await NftHarness.start(lab.namespace('node'), state.path)
  })
  afterAll(async () => {
    await nft?.end()
    await lab?.close()
    state.remove()
  })
  beforeEach(async () => {
    await apply(GRANTED)
  })

  it('finds everything it needs here', async () => {
    expect((await nft.probe()).probes.map(({ feature, answer }) => `${feature} ${answer}`)).toEqual([
      'libnftables yes',
      'ruleset yes',
      'conntrack yes',
      'nflog yes',
      'deny-floor yes',
    ])
    expect(await nft.capabilities()).toMatchObject({ usable: true, commit: 'atomic', cutNotice: 'next-packet' })
  })

  it('finds it while somebody else looks as well', async () => {
    const apart = stateDirectory()
    const other = await NftHarness.start(lab.namespace('node'), apart.path)
    try {
      const answers = async (one: NftHarness): Promise<(string | undefined)[]> => {
        const seen: (string | undefined)[] = []
        for (let look = 0; look < 25; look++)
          seen.push((await one.probe()).probes.find(({ feature }) => feature === 'nflog')?.answer)
        return seen
      }
      expect(new Set((await Promise.all([nft, other].map(answers))).flat())).toEqual(new Set(['yes']))
    } finally {
      await other.end()
      apart.remove()
    }
  })

  it('quarantine stops everything both ways, ARP too, outlives commits, and lifting revives nothing', async () => {
    const { number } = await lab.ws.download({ host: OUT.git, port: 80, rate: 500_000 })
    const atOut = await lab.sniff('out', 'eth0')
    const atWs = await lab.sniff('ws', 'eth0')
    await nft.flag(ID, 'quarantined', true)
    const fencedMs = Date.now()
    await apply(many(500))
    const raw = await lab.sender('ws', 'eth0')
    await raw.send([arpFrame({ senderIp: WS.v4, targetIp: WS.gateway4 })])
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    expect(await lab.ping('out', WS.v4, { timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    const late = (at: typeof atOut, way: 'in') =>
      at.frames.filter((frame) => frame.way === way && frame.atMs > fencedMs + 1 && mentions(frame.bytes, WS.v4))
    expect(late(atOut, 'in')).toEqual([])
    expect(late(atWs, 'in')).toEqual([])
    expect((await nft.observe()).live).toMatchObject({ quarantined: [ID], suspended: [], generation })
    expect(await lab.ws2.udp({ host: OUT.git, port: 5000 })).toMatchObject({ outcome: 'prohibited' })
    await nft.flag(ID, 'quarantined', false)
    const [stopped] = await lab.ws.downloads([number])
    await pause(500)
    expect((await lab.ws.downloads([number]))[0]?.bytes).toBe(stopped?.bytes)
    expect(await reach()).toMatchObject({ outcome: 'connected' })
    expect((await nft.observe()).live?.quarantined).toEqual([])
    await lab.ws.stopDownload([number])
    await atOut.close()
    await atWs.close()
  })

  it('a flag that another process sets or lifts is neither lost nor brought back by a commit', async () => {
    const other = await NftHarness.start(lab.namespace('node'), state.path)
    await other.flag(ID, 'quarantined', true)
    await apply(GRANTED)
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    expect((await nft.observe()).live?.quarantined).toEqual([ID])
    await other.flag(ID, 'quarantined', false)
    await apply(GRANTED)
    expect(await reach()).toMatchObject({ outcome: 'connected' })
    expect((await nft.observe()).live?.quarantined).toEqual([])
    await other.end()
  })

  it('after a foreign flush a flag puts the fence back closed, for the node itself too', async () => {
    await node('nft', 'flush', 'ruleset')
    await nft.flag(ID, 'quarantined', true)
    const { stdout } = await node('nft', 'list', 'ruleset')
    for (const hook of ['input', 'forward', 'output', 'prerouting']) expect(stdout).toContain(`hook ${hook} priority`)
    expect(await lab.ws.tcp({ host: WS.gateway4, port: 22, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    await apply(GRANTED)
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    await nft.flag(ID, 'quarantined', false)
    expect(await reach()).toMatchObject({ outcome: 'connected' })
  })

  it('destroys a flow that came in through a translation of the node', async () => {
    await nft.apply(sliceOf(++generation, { ...GRANTED, ingress: [`tcp ${OUT.broker} 8022`] }))
    const nat = 'add table ip test_nat; add chain ip test_nat pre { type nat hook prerouting priority -100; };'
    await node('nft', `${nat} add rule ip test_nat pre iifname != "ws0" tcp dport 9022 dnat to ${WS.v4}:8022`)
    await lab.ws.serveTcpEcho([8022])
    expect(await lab.out.tcp({ host: UPLINK.node.v4, port: 9022, localAddress: OUT.broker })).toMatchObject({
      outcome: 'connected',
    })
    const entries = async () => (await node('conntrack', '-L', '-p', 'tcp', '--orig-port-dst', '9022')).stdout
    expect(await entries()).toContain('dport=9022')
    await nft.flag(ID, 'quarantined', true)
    await pause(300)
    expect(await entries()).not.toContain('dport=9022')
    await nft.flag(ID, 'quarantined', false)
    await node('nft', 'delete', 'table', 'ip', 'test_nat')
  })

  it('suspends in the same way, beside a quarantine', async () => {
    await nft.flag(ID, 'suspended', true)
    await nft.flag(ID, 'quarantined', true)
    await nft.flag(ID, 'quarantined', false)
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    expect((await nft.observe()).live).toMatchObject({ quarantined: [], suspended: [ID] })
    await nft.flag(ID, 'suspended', false)
    expect(await reach()).toMatchObject({ outcome: 'connected' })
  })

  it('sets a flag in the middle of a load of 50,000 grants without waiting for it', async () => {
    const { number } = await lab.ws.download({ host: OUT.git, port: 80, rate: 500_000 })
    const slice = sliceOf(++generation, many(50_000))
    const loading = nft.stage(slice)
    let loaded = false
    void loading.then(() => {
      loaded = true
    })
    await pause(20)
    expect(loaded).toBe(false)
    await nft.flag(ID, 'quarantined', true)
    expect(loaded).toBe(false)
    await pause(50)
    const [stopped] = await lab.ws.downloads([number])
    await nft.commit(await loading)
    await nft.flag(ID, 'quarantined', false)
    expect((await lab.ws.downloads([number]))[0]?.bytes).toBe(stopped?.bytes)
    const seen = await nft.observe()
    expect(seen.drift).toEqual([])
    // Of 50,003 grants none has counted anything since the switch.
    expect(seen.counters).toEqual([])
    expect(await lab.ws.stopDownload([number])).toBe(null)
  })

  it('observes, applies and flags at the same time', async () => {
    const work = Array.from({ length: 12 }, async (_, i) => {
      if (i % 3 === 0) await nft.observe()
      else if (i % 3 === 1) await nft.flag(i % 2 === 0 ? ID : ID2, 'quarantined', i < 6)
      else await apply(many(300))
    })
    await Promise.all(work)
    for (const id of [ID, ID2]) await nft.flag(id, 'quarantined', false)
    const seen = await nft.observe()
    expect(seen).toMatchObject({ drift: [], live: { generation, quarantined: [] } })
  })

  it('forwards nothing after a foreign flush of the ruleset, says so, and comes back', async () => {
    const { number } = await lab.ws.download({ host: OUT.git, port: 80, rate: 500_000 })
    const [atOut, atWs] = [await lab.sniff('out', 'eth0'), await lab.sniff('ws', 'eth0')]
    const heard = await nft.foreignChanges()
    expect((await node('nft', 'flush', 'ruleset')).status).toBe(0)
    const flushedMs = Date.now()
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    expect(await lab.ws.udp({ host: OUT.git, port: 5000, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    expect(await lab.ping('ws', OUT.git6, { timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    expect(await lab.ping('out', WS.v4, { timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    const after = (at: typeof atOut) =>
      at.frames.filter(({ way, atMs, bytes }) => way === 'in' && atMs > flushedMs + 1 && isIp(bytes) && !isNd(bytes))
    expect(after(atOut)).toEqual([])
    expect(after(atWs)).toEqual([])
    expect(await nft.foreignChanges()).toBe(heard + 1)
    const seen = await nft.observe()
    expect(seen.live).toBe(null)
    expect(seen.drift).toEqual([
      'table inet sluice is gone',
      'table netdev sluice is gone',
      'table arp sluice is gone',
      'table bridge sluice is gone',
    ])
    expect(seen.drops['deny-floor']).toBeGreaterThan(2n)
    await nft.flag(ID2, 'quarantined', true)
    expect((await nft.observe()).live).toBe(null)
    await nft.apply(sliceOf(generation, GRANTED, GRANTED))
    expect(await reach()).toMatchObject({ outcome: 'connected' })
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    const repaired = await nft.observe()
    expect(repaired.drift).toEqual([])
    expect(repaired.live?.quarantined).toEqual([ID2])
    await nft.flag(ID2, 'quarantined', false)
    await lab.ws.stopDownload([number])
    await atOut.close()
    await atWs.close()
  })

  it("leaves the node's own traffic and that of others alone, also after a flush", async () => {
    expect(await lab.exec('node', ['ping', '-c', '1', '-W', '1', OUT.git])).toMatchObject({ status: 0 })
    await node('nft', 'flush', 'ruleset')
    expect(await lab.exec('node', ['ping', '-c', '1', '-W', '1', OUT.git])).toMatchObject({ status: 0 })
  })

  it('an agent that dies leaves the fence; the next one finds it as it was left and carries on', async () => {
    const { number } = await lab.ws.download({ host: OUT.git, port: 80, rate: 200_000 })
    await nft.flag(ID2, 'quarantined', true)
    await nft.end()
    expect(await reach()).toMatchObject({ outcome: 'connected' })
    expect(await reach(22)).toMatchObject({ outcome: 'reset' })
    nft = await NftHarness.start(lab.namespace('node'), state.path)
    const seen = await nft.observe()
    expect(seen.drift).toEqual([])
    expect(seen.live).toMatchObject({ generation, workspaces: [ID, ID2], quarantined: [ID2] })
    expect(seen.counters.map(({ grant }) => grant)).toContain(`egress/tcp/${OUT.git}/32/80`)
    await apply(GRANTED, GRANTED)
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    await nft.flag(ID2, 'quarantined', false)
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
    // The flow that stayed granted goes on, however slow the machine is.
    const bytes = async () => (await lab.ws.downloads([number]))[0]?.bytes ?? 0
    const before = await bytes()
    await vi.waitUntil(async () => (await bytes()) > before, { timeout: 10_000 })
    await lab.ws.stopDownload([number])
  })

  it('drops what matches attach.interfaces and is not attached, and fences interfaces that come later', async () => {
    await node('ip', 'link', 'add', 'ws9', 'type', 'veth', 'peer', 'name', 'eth9', 'netns', lab.namespace('out'))
    await node(
      'sh',
      '-c',
      'ip link set ws9 up; ip addr add 45.77.0.1/24 dev ws9; ip -6 addr add fd77::1/64 dev ws9 nodad',
    )
    const out = (...argv: string[]) => lab.exec('out', argv)
    await out('sh', '-c', 'ip link set eth9 up; ip addr add 45.77.0.2/24 dev eth9')
    expect((await out('ping', '-c', '1', '-W', '1', '-I', 'eth9', '45.77.0.1')).status).not.toBe(0)
    expect((await node('ping', '-c', '1', '-W', '1', '45.77.0.2')).status).not.toBe(0)
    expect((await node('tc', 'filter', 'show', 'dev', 'ws9', 'egress')).stdout).toContain('sluice_floor')
    await node('ip', 'link', 'add', 'zz0', 'type', 'veth', 'peer', 'name', 'zz1')
    await node('ip', 'link', 'set', 'zz0', 'up')
    await pause(150)
    expect((await node('tc', 'filter', 'show', 'dev', 'zz0', 'egress')).stdout).toContain('sluice_floor')
    expect(await drift()).toEqual([])
    await node('sh', '-c', 'ip link del ws9; ip link del zz0')
  })

  it('a slot whose interface is renamed or made again is denied and reported, and attached by the next commit', async () => {
    const shell = (script: string) => node('sh', '-ec', script)
    const heard = await nft.foreignChanges()
    // The node's own services, from a source that nobody owns: the gateway's other address.
    const forged = ipFrame({
      source: '45.99.0.9',
      destination: WS2.gateway4,
      sourceMac: WS2.mac,
      destinationMac: WS2.gatewayMac,
      payload: { kind: 'udp', from: 9, to: 7777 },
    })
    const raw = await lab.sender('ws2', 'eth0')
    const arrived = async (): Promise<number> => {
      const station = await lab.station('node')
      await station.serveUdpEcho([WS2.gateway4], [7777])
      await raw.send([forged, forged])
      const own = await lab.exec('node', ['ping', '-c', '1', '-W', '1', '-I', 'lo', '127.0.0.1'])
      expect(own.status).toBe(0)
      const { udp } = await station.served()
      await station.close()
      return udp
    }
    await shell('ip link set ws1 down; ip link set ws1 name old1; ip link set old1 up')
    expect(await drift()).toEqual(['interface ws1 is called old1 now, and nothing of it passes'])
    expect(await arrived()).toBe(0)
    expect((await nft.observe()).drops['not-attached']).toBeGreaterThan(0n)
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    expect((await node('ping', '-c', '1', '-W', '1', WS2.v4)).status).not.toBe(0)
    await shell(`ip link add ws1 address ${WS2.gatewayMac} type veth peer name tmp1`)
    expect(await drift()).toEqual([
      'interface ws1 is another one than was attached, and nothing of it passes until the next commit',
    ])
    await shell('ip link del ws1; ip link set old1 down')
    await shell('ip link set old1 name ws1; ip link set ws1 up')
    expect(await drift()).toEqual([])
    while ((await nft.foreignChanges()) === heard) await pause(20)
    // Made again for good: denied until a commit looks at it.
    await shell(
      `ip link del ws1; ip link add ws1 netns ${lab.namespace('node')} address ${WS2.gatewayMac} type veth peer name eth0 netns ${lab.namespace('ws2')} address ${WS2.mac}`,
    )
    await readdress()
    expect(await drift()).toEqual([
      'interface ws1 is another one than was attached, and nothing of it passes until the next commit',
    ])
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    await apply(GRANTED, GRANTED)
    expect(await drift()).toEqual([])
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
  })

  it('attaches an interface that was not there when its plan was committed', async () => {
    await node('ip', 'link', 'set', 'ws1', 'down')
    await node('ip', 'link', 'set', 'ws1', 'name', 'away1')
    await apply(GRANTED, GRANTED)
    expect(await drift()).toEqual([])
    await node('ip', 'link', 'set', 'away1', 'name', 'ws1')
    await readdress()
    while ((await nft.observe()).drift.length > 0) await pause(20)
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
  })

  it('refuses a port of a bridge, and lets nothing of one pass that became it later', async () => {
    const shell = (script: string) => node('sh', '-ec', script)
    await shell(
      `ip link add br0 type bridge; ip link set br0 up; ip addr add 45.88.0.1/24 dev br0; ip link set ws1 master br0`,
    )
    await shell(
      'ip link add pt0 type veth peer name pt1; ip link set pt0 up; ip link set pt1 up; ip link set pt0 master br0',
    )
    expect(await drift()).toEqual(['interface ws1 is a port of br0, and nothing of it passes'])
    const other = await lab.sniff('node', 'pt1')
    const before = (await nft.observe()).drops['link-layer'] ?? 0n
    const station = await lab.station('node')
    await station.serveUdpEcho(['45.88.0.1'], [7777])
    const raw = await lab.sender('ws2', 'eth0')
    const bridge = JSON.parse((await node('ip', '-j', 'link', 'show', 'br0')).stdout)[0].address as string
    for (const [destination, to] of [
      [bridge, '45.88.0.1'],
      ['02:00:00:00:77:77', '45.88.0.9'],
      ['ff:ff:ff:ff:ff:ff', '45.88.0.255'],
    ] as const)
      await raw.send([
        ipFrame({
          source: '45.88.0.2',
          destination: to,
          sourceMac: WS2.mac,
          destinationMac: destination,
          payload: { kind: 'udp', from: 9, to: 7777 },
        }),
      ])
    await raw.send([arpFrame({ senderIp: '45.88.0.2', targetIp: '45.88.0.1', senderMac: WS2.mac, sourceMac: WS2.mac })])
    while (((await nft.observe()).drops['link-layer'] ?? 0n) < before + 4n) await pause(20)
    expect((await station.served()).udp).toBe(0)
    expect(other.frames.filter(({ bytes }) => mentions(bytes, '45.88.0.2'))).toEqual([])
    await station.close()
    await other.close()
    await expect(nft.stage(sliceOf(generation + 1, GRANTED))).rejects.toMatchObject({
      code: 'NFT_BRIDGED',
      says: ['ws1 is a port of br0: frames between its ports never reach the inet hooks'],
    })
    await shell('ip link set ws1 nomaster; ip link del br0; ip link del pt0')
    expect(await drift()).toEqual([])
  })

  it('reports refused packets with workspace, reason and addresses, and counts what it samples away', async () => {
    await nft.listen()
    await nft.heard()
    await lab.ws.tcp({ host: OUT.unlisted, port: 443, localPort: 41_234 })
    await lab.ws.tcp({ host: OUT.metadata, port: 80 })
    await lab.ws2.udp({ host: OUT.unlisted6, port: 53, timeoutMs: 300 })
    await lab.out.tcp({ host: WS.v4, port: 22, timeoutMs: 200, localAddress: OUT.broker })
    await nft.flag(ID, 'quarantined', true)
    await lab.ws.tcp({ host: OUT.git, port: 80, timeoutMs: 200 })
    await nft.flag(ID, 'quarantined', false)
    await pause(150)
    const denials = (await nft.heard()).flatMap((batch) => batch.denials)
    const find = (wanted: Partial<Denial>): Denial | undefined =>
      denials.find((denial) => Object.entries(wanted).every(([key, value]) => denial[key as keyof Denial] === value))
    const first = find({ workspace: ID, reason: 'no-grant', destination: OUT.unlisted })
    expect(first).toMatchObject({
      direction: 'from',
      protocol: 6,
      source: WS.v4,
      sourcePort: 41_234,
      destinationPort: 443,
      generation,
    })
    expect(Math.abs(Date.now() - (first?.atMs ?? 0))).toBeLessThan(5_000)
    expect(find({ workspace: ID, reason: 'never', destination: OUT.metadata })).toBeDefined()
    expect(find({ workspace: ID2, reason: 'dns', destination: OUT.unlisted6, protocol: 17 })).toBeDefined()
    expect(find({ workspace: ID, reason: 'no-flow', direction: 'to', source: OUT.broker })).toBeDefined()
    expect(find({ workspace: ID, reason: 'quarantined', direction: 'from', destination: OUT.git })).toBeDefined()
    const before = (await nft.observe()).drops['no-grant'] ?? 0n
    for (let i = 0; i < 30; i++)
      await Promise.all(Array.from({ length: 10 }, () => lab.ws.tcp({ host: OUT.unlisted, port: 9 })))
    await pause(150)
    const flooded = (await nft.heard()).flatMap((batch) => batch.denials)
    expect(((await nft.observe()).drops['no-grant'] ?? 0n) - before).toBe(300n)
    expect(flooded.length).toBeLessThan(300)
    expect(flooded.length).toBeGreaterThan(50)
    await nft.deafen()
  })

  it('takes everything away, and says what', async () => {
    const removed = await nft.uninstall()
    expect(removed).toEqual([
      'table inet sluice',
      'table netdev sluice',
      'table arp sluice',
      'table bridge sluice',
      'deny floor on ws0',
      'deny floor on up0',
      'deny floor on ws1',
      'nf_conntrack_tcp_loose set back',
      'nftables.json',
    ])
    expect((await node('nft', 'list', 'ruleset')).stdout).toBe('')
    expect((await node('tc', 'qdisc', 'show')).stdout).not.toContain('clsact')
    expect((await node('sysctl', '-n', 'net.netfilter.nf_conntrack_tcp_loose')).stdout.trim()).toBe('1')
    expect(() => readFileSync(`${state.path}/nftables.json`)).toThrow('ENOENT')
    expect(await reach(443)).toMatchObject({ outcome: 'connected' })
    expect(await nft.uninstall()).toEqual([])
    expect(await nft.observe()).toMatchObject({ live: null, drift: [], counters: [] })
  })

  it('a flag set between stage and commit is in force when the workspace appears', async () => {
    await nft.uninstall()
    const staged = await nft.stage(sliceOf(++generation, GRANTED))
    await nft.flag(ID, 'quarantined', true)
    await nft.commit(staged)
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    expect((await nft.observe()).live).toMatchObject({ quarantined: [ID], generation })
    await nft.flag(ID, 'quarantined', false)
    expect(await reach()).toMatchObject({ outcome: 'connected' })
    await nft.uninstall()
  })
})

const etherType = (frame: Uint8Array): number => ((frame[12] ?? 0) << 8) | (frame[13] ?? 0)
const isIp = (frame: Uint8Array): boolean => etherType(frame) === 0x0800 || etherType(frame) === 0x86dd
const isNd = (frame: Uint8Array): boolean => etherType(frame) === 0x86dd && frame[20] === 58 && (frame[54] ?? 0) >= 130
/** An IPv4 or ARP frame that carries this address anywhere in its first 42 octets. */
function mentions(frame: Uint8Array, address: string): boolean {
  const wanted = address.split('.').map(Number)
  for (let at = 14; at < 42; at++) if (wanted.every((octet, i) => frame[at + i] === octet)) return true
  return false
}
