// The laboratory itself: without a fence everything is reachable, every way of being refused is told from the others, raw
// frames arrive as they were sent, and nothing is left behind, whichever way a run ends. The other kernel suites rest on it.

import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isV6, OUT, OUT_PORTS, UPLINK, WS, WS2 } from '../support/lab/addresses.js'
import { command } from '../support/lab/command.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { collectLeftovers, namespaceOf } from '../support/lab/namespaces.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'

const namespaces = (): string[] => (existsSync('/run/netns') ? readdirSync('/run/netns') : [])

labSuite('laboratory', () => {
  let lab: Lab
  beforeAll(async () => {
    lab = await openLab()
    lab.hosts('ws', { 'git.example': [OUT.git, OUT.git6] })
  })
  afterAll(async () => {
    await lab.close()
    expect(namespaces().filter((name) => name.startsWith(`slu-${process.pid}-`))).toEqual([])
    expect(existsSync(`/etc/netns/${namespaceOf('ws')}`)).toBe(false)
  })

  it('reaches every outside address by HTTP, TCP, UDP and echo when there is no fence', async () => {
    for (const address of Object.values(OUT)) {
      const http = await lab.ws.httpGet({ host: address, port: OUT_PORTS.http[1] })
      expect(http, address).toMatchObject({ outcome: 'answered', status: 200, reached: address })
      expect(await lab.ws.tcp({ host: address, port: 22, say: 'hello' }), address).toMatchObject({
        outcome: 'connected',
      })
      expect(await lab.ws.udp({ host: address, port: 5000 }), address).toMatchObject({ outcome: 'answered' })
      expect((await lab.ping('ws', address)).outcome, address).toBe('answered')
    }
  })

  it('reaches both workspaces from outside', async () => {
    await lab.ws.serveTcpEcho([22])
    await lab.ws2.serveTcpEcho([22])
    for (const host of [WS.v4, WS.v6]) {
      const result = await lab.out.tcp({ host, port: 22, say: 'hi', localAddress: isV6(host) ? OUT.git6 : OUT.broker })
      expect(result, host).toMatchObject({ outcome: 'connected' })
    }
    expect(await lab.out.tcp({ host: WS2.v4, port: 22, say: 'hi' })).toMatchObject({ outcome: 'connected' })
  })

  it('resolves pinned names and no others', async () => {
    expect((await lab.ws.lookup('git.example')).sort()).toEqual([OUT.git6, OUT.git].sort())
    expect(await lab.ws.lookup('other.example')).toEqual([])
  })

  it('tells a reset, an ICMP refusal and silence apart', async () => {
    expect(await lab.ws.tcp({ host: OUT.git, port: 1 })).toMatchObject({ outcome: 'reset', code: 'ECONNREFUSED' })
    expect(await lab.ws.udp({ host: OUT.git, port: 1 })).toMatchObject({ outcome: 'reset' })
    const route = (verb: string, kind: string) => lab.exec('node', ['ip', 'route', verb, kind, '45.76.10.99/32'])
    expect((await route('add', 'prohibit')).status).toBe(0)
    expect(await lab.ws.tcp({ host: '45.76.10.99', port: 443 })).toMatchObject({ outcome: 'prohibited' })
    expect(await lab.ws.udp({ host: '45.76.10.99', port: 443 })).toMatchObject({ outcome: 'prohibited' })
    expect((await lab.ping('ws', '45.76.10.99')).outcome).toBe('prohibited')
    await route('delete', 'prohibit')
    expect((await route('add', 'blackhole')).status).toBe(0)
    expect(await lab.ws.tcp({ host: '45.76.10.99', port: 443, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    expect((await lab.ping('ws', '45.76.10.99')).outcome).toBe('timeout')
  })

  it('runs downloads at their rate and says when one was cut', async () => {
    const one = await lab.ws.download({ host: OUT.git, port: 443, rate: 200_000 })
    const two = await lab.ws.download({ host: OUT.git6, port: 443, rate: 200_000 })
    await new Promise((done) => setTimeout(done, 600))
    const numbers = [one.number, two.number]
    for (const seen of await lab.ws.downloads(numbers)) {
      expect(seen.state).toBe('open')
      expect(seen.bytes).toBeGreaterThan(30_000)
      expect(seen.bytes).toBeLessThan(400_000)
    }
    await lab.exec('out', ['ss', '-K', `dport = ${one.localPort}`])
    await new Promise((done) => setTimeout(done, 200))
    const [cut, kept] = await lab.ws.downloads(numbers)
    await lab.ws.stopDownload(numbers)
    expect(['reset', 'closed']).toContain(cut?.state)
    expect(kept?.state).toBe('open')
  })

  it('sends raw frames as they are, and sniffs them at the other end', async () => {
    const sender = await lab.sender('ws', WS.inside)
    const sniffer = await lab.sniff('node', WS.slot)
    const tagged = Buffer.from(`${'02000000090102000000ffff8100006488b5'}${'00'.repeat(60)}`, 'hex')
    await sender.send([tagged])
    await sniffer.settle()
    const found = sniffer.frames.find((frame) => Buffer.from(frame.bytes).equals(tagged))
    expect(found?.way).toBe('in')
    expect(Math.abs((found?.atMs ?? 0) - Date.now())).toBeLessThan(10_000)
    await sender.close()
    await sniffer.close()
  })

  it('reads the kernel counters of a namespace', async () => {
    const counters = await lab.out.tcpCounters()
    expect(Object.keys(counters).sort()).toEqual(['EstabResets', 'OutRsts', 'RetransSegs', 'TCPTimeouts'])
    expect(counters.OutRsts).toBeGreaterThan(0)
  })

  it('joins node and outside world', async () => {
    const result = await lab.exec('node', ['ip', '-j', 'route', 'get', OUT.unlisted])
    expect(JSON.parse(result.stdout)[0]).toMatchObject({ gateway: UPLINK.out.v4, dev: UPLINK.node.interface })
  })
})

labSuite('laboratory of a run that ends early', () => {
  const makeAndWait = `for role in ws ws2 node out; do ip netns add slu-$$-$role; done; mkdir -p /etc/netns/slu-$$-ws; echo made; exec sleep 60`

  it('is collected by the next run once its process is gone, and not before', async () => {
    const child = spawn('sh', ['-c', makeAndWait], { stdio: ['ignore', 'pipe', 'ignore'] })
    await new Promise((done) => child.stdout.once('data', done))
    const mine = (): string[] => namespaces().filter((name) => name.startsWith(`slu-${child.pid}-`))
    expect(collectLeftovers()).not.toContain(child.pid)
    expect(mine()).toHaveLength(4)
    child.kill('SIGKILL')
    await new Promise((done) => child.once('close', done))
    expect(collectLeftovers()).toContain(child.pid)
    expect(mine()).toEqual([])
    expect(existsSync(`/etc/netns/slu-${child.pid}-ws`)).toBe(false)
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('removes itself on %s', async (signal) => {
    await command([
      process.execPath,
      repositoryPath('node_modules/typescript/bin/tsc'),
      '-p',
      repositoryPath('scripts/demo/tsconfig.json'),
    ])
    const lab = repositoryPath('build/demo/test/support/lab/lab.js')
    const program = `import(${JSON.stringify(lab)}).then((m) => m.openLab()).then(() => console.log('open'))`
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    expect(String(await new Promise((done) => child.stdout.once('data', done).once('end', () => done('ended'))))).toBe(
      'open\n',
    )
    expect(namespaces()).toContain(`slu-${child.pid}-node`)
    child.kill(signal)
    const status = await new Promise((done) => child.once('close', done))
    expect(status).toBe(signal === 'SIGINT' ? 130 : 143)
    expect(namespaces().filter((name) => name.startsWith(`slu-${child.pid}-`))).toEqual([])
  })
})
