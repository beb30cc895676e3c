// Names under a running agent: it hosts the mediator itself, keeps what was learnt over changes of plan and a kill, refuses
// names of a workspace in quarantine, and says in its metrics what it was asked.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { RunningAgent, until } from '../support/agent/running.js'
import { hasUnbound, type Resolver, startResolver } from '../support/dns/resolver.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const HTTP = '127.0.0.1:9465'
const named = (...hosts: readonly string[]) => ({
  extra: hosts.map((host, i) => `  - {name: n${i}, hosts: [${host}], protocol: tcp, ports: [80]}\n`).join(''),
})

labSuite('names of a running agent', () => {
  if (!hasUnbound()) {
    it('needs unbound', (context) => context.skip('unbound or ldnsutils is not installed'))
    return
  }
  let lab: Lab
  let resolver: Resolver
  let agent: RunningAgent
  beforeAll(async () => {
    lab = await openLab()
    const ports = { port: 53, dotPort: 8853, authorityPort: 5300 }
    resolver = await startResolver({ namespace: lab.namespace('out'), address: UPLINK.out.v4, ...ports })
    const more = `dns: {upstreams: ["udp://${UPLINK.out.v4}"]}\nhttp: "${HTTP}"\n`
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, more)
    await agent.publish(1, [OUT.inference], [ID, ID2], named('git.lab.example'))
    agent.start()
    await agent.told('active')
  }, 180_000)
  afterAll(async () => {
    await agent?.close()
    await resolver?.close()
    await lab?.close()
  }, 60_000)

  /** The status of the fence's answer. */
  const dig = async (name: string): Promise<string> => {
    const { stdout } = await lab.exec('ws', ['dig', `@${WS.gateway4}`, '+tries=1', '+time=8', '+nocookie', name])
    return /status: (\w+)/.exec(stdout)?.[1] ?? 'none'
  }
  const answered = (name: string) => until(`an answer about ${name}`, async () => (await dig(name)) === 'NOERROR')

  it('an answer leaves when its address is open; what is not granted is refused', async () => {
    expect(await reach(lab)).toBe('reset')
    await answered('git.lab.example')
    expect(await reach(lab)).toBe('connected')
    expect([await dig('registry.lab.example'), await reach(lab, OUT.registry)]).toEqual(['REFUSED', 'reset'])
  })

  it('a change of plan keeps what was learnt and asks nothing again', async () => {
    await agent.publish(2, [OUT.inference], [ID, ID2], named('git.lab.example', 'registry.lab.example'))
    await agent.told('active', ({ revision }) => revision === '2')
    expect(await reach(lab)).toBe('connected')
    await answered('registry.lab.example')
    expect(await reach(lab, OUT.registry)).toBe('connected')
  })

  it('a kill loses nothing that was learnt', async () => {
    await agent.kill()
    expect(await reach(lab)).toBe('connected')
    agent.start()
    await agent.told('stands')
    expect(await reach(lab)).toBe('connected')
    await answered('git.lab.example')
  })

  it('a quarantine refuses its names, and lifting gives back nothing but the right to ask', async () => {
    expect((await agent.ask('quarantine', 'set', ID, '--reason', 'leak')).exit).toBe(0)
    expect(await reach(lab)).toBe('timeout')
    expect((await agent.ask('quarantine', 'lift', ID, '--reason', 'mended')).exit).toBe(0)
    await answered('git.lab.example')
    expect(await reach(lab)).toBe('connected')
  })

  it('metrics say what was asked, answered and held', async () => {
    const program = `fetch('http://${HTTP}/metrics').then((reply) => reply.text()).then((text) => process.stdout.write(text))`
    const { stdout } = await lab.exec('node', [process.execPath, '-e', program])
    const value = (line: string): number =>
      Number(
        stdout
          .split('\n')
          .find((at) => at.startsWith(`${line} `))
          ?.split(' ')[1],
      )
    expect(value('sluice_dns_replies_total{rcode="NOERROR"}')).toBeGreaterThan(0)
    expect(value('sluice_dns_hold_duration_seconds_bucket{le="+Inf"}')).toBe(
      value('sluice_dns_hold_duration_seconds_count'),
    )
    expect(value('sluice_dns_hold_duration_seconds_count')).toBeGreaterThan(0)
  })
})
