// Findings provoked for real: packets, questions, gRPC calls and bundles against an agent process on nftables. Each is one valid
// event with its reaction done: the fence shows it, the receipt and the events of the quarantine carry the same command.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { digestOf } from '../../src/base/digest.js'
import { type Event, RunningAgent, until } from '../support/agent/running.js'
import { hasUnbound, type Resolver, startResolver } from '../support/dns/resolver.js'
import { chance, letters } from '../support/findings/sights.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { Mtls } from '../support/mtls.js'
import { type Schema, validateOcsf } from '../support/ocsf-validator.js'
import { sharedFolder } from '../support/shared-data.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

// Declared here: where it is unset, a skipped test of this file says so, and the rest goes on.
const SCHEMAS = sharedFolder('SLUICE_OCSF')
const LISTEN = `${UPLINK.node.v4}:7443`
const HTTP = '127.0.0.1:9465'
const COMPANION = 'spiffe://fleet.example/companion/x'
const FINDINGS = `findings:
  denial_burst: {reaction: quarantine, destinations: 20}
  dns_entropy: {reaction: quarantine, names: 20}
  lifecycle_rate: {reaction: quarantine, per_workspace: 6}
  new_destination: {reaction: kill, learn_seconds: 1}
  rollback_attempt: {reaction: observe}
`

interface FindingEvent extends Event {
  readonly activity_id: number
  readonly finding_info: { readonly uid: string; readonly types: readonly string[] }
  readonly device: { readonly uid: string }
  readonly disposition_id: number
  readonly count: number
  readonly evidences: readonly { readonly data: Readonly<Record<string, unknown>> }[]
  readonly unmapped: {
    readonly after_sequence: number
    readonly command_uids?: readonly string[]
    readonly outcome: string
  }
}

labSuite('findings of a running agent', () => {
  if (!hasUnbound()) {
    it('needs unbound', (context) => context.skip('unbound or ldnsutils is not installed'))
    return
  }
  let lab: Lab
  let resolver: Resolver
  let agent: RunningAgent
  const mtls = new Mtls()
  beforeAll(async () => {
    lab = await openLab()
    const ports = { port: 53, dotPort: 8853, authorityPort: 5300 }
    resolver = await startResolver({ namespace: lab.namespace('out'), address: UPLINK.out.v4, ...ports })
    const { certificate, key } = mtls.client([`URI:${COMPANION}`])
    writeFileSync(mtls.path('companion.pem'), certificate)
    writeFileSync(mtls.path('companion.key'), key)
    const files = `certificate: ${mtls.path('server.pem')}, key: ${mtls.path('server.key')}, client_ca: ${mtls.path('ca.pem')}`
    const api = `api: {listen: "${LISTEN}", ${files}, companions: [${COMPANION}]}\n`
    const dns = `dns: {upstreams: ["udp://${UPLINK.out.v4}"]}\nhttp: "${HTTP}"\n`
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, `${api}${dns}${FINDINGS}`)
    const extra = '  - {name: names, hosts: [git.lab.example], protocol: tcp, ports: [80]}\n'
    await agent.publish(3, [OUT.git], [ID, ID2], { extra })
    agent.start()
    await agent.told('active')
  }, 180_000)
  afterAll(async () => {
    await agent?.close()
    await resolver?.close()
    await lab?.close()
    mtls.remove()
  }, 60_000)

  const found = (kind: string): FindingEvent[] =>
    agent
      .events()
      .filter((event) => event.class_uid === 2004)
      .map((event) => event as FindingEvent)
      .filter(({ finding_info: { types } }) => types.includes(kind))
  const told = (kind: string): Promise<FindingEvent> => until(`a finding ${kind}`, () => found(kind)[0])

  /** Exactly one valid event, the quarantine under its command, a receipt; then an operator lets the workspace out. */
  async function fenced(kind: string, workspace: string, did = 'quarantine done'): Promise<FindingEvent> {
    const [reaction, outcome] = did.split(' ')
    const event = await told(kind)
    expect(event).toMatchObject({
      activity_id: 1,
      disposition_id: 4,
      unmapped: { reaction, outcome },
    })
    const [command] = event.unmapped.command_uids ?? []
    const set = await until('the quarantine in the trail', () =>
      agent.events().find((one) => 'command_uid' in one && one.command_uid === command),
    )
    expect(set).toMatchObject({
      ...{ class_uid: 7004, activity_id: 1, device: { uid: workspace } },
      ...{ actor: { user: { name: 'sluice' } }, remediation: { desc: `finding ${event.finding_info.uid}: ${kind}` } },
    })
    const receipts = readdirSync(agent.path('state/receipts')).map((name) =>
      digestOf(readFileSync(agent.path(`state/receipts/${name}`))),
    )
    expect(receipts).toContain((set as { readonly unmapped?: { readonly receipt?: string } }).unmapped?.receipt)
    const { json } = await agent.ask('status')
    expect(json.quarantines.map((one: { workspace: string }) => one.workspace)).toEqual([workspace])
    expect(json.findings).toContainEqual(expect.objectContaining({ finding: kind, uid: event.finding_info.uid }))
    expect((await agent.ask('quarantine', 'lift', workspace, '--reason', 'looked at')).exit).toBe(0)
    return event
  }

  it('denial-burst: a sweep of ports', async () => {
    expect(await reach(lab)).toBe('connected')
    for (let port = 1_000; port < 1_030; port++) await lab.ws.tcp({ host: OUT.registry, port, timeoutMs: 600 })
    await told('denial-burst')
    expect(await reach(lab)).toBe('timeout')
    const event = await fenced('denial-burst', ID)
    expect(event.device.uid).toBe(ID)
    expect(event.evidences[0]?.data).toMatchObject({ reason: 'destinations' })
    // What led to it is in the trail, after the number that it names and before itself.
    const led = agent.events().filter(({ class_uid, status_code, metadata: { sequence } }) => {
      const between = sequence > event.unmapped.after_sequence && sequence < event.metadata.sequence
      return class_uid === 4001 && status_code === 'no-grant' && between
    })
    expect(led.length).toBeGreaterThanOrEqual(20)
    await until('the workspace to be let in', async () => (await reach(lab)) === 'connected')
  }, 120_000)

  it('dns-entropy: a tunnel asks through the fence', async () => {
    const pick = chance(5)
    const file = agent.path('names.txt')
    // Four more than it takes: those are asked of a fence that is closed already.
    writeFileSync(
      file,
      Array.from({ length: 24 }, () => `${letters(pick, 60)}.${letters(pick, 60)}.t.lab.example\n`).join(''),
    )
    await lab.exec('ws', ['dig', `@${WS.gateway4}`, '+tries=1', '+time=1', '+nocookie', '+short', '-f', file])
    const event = await fenced('dns-entropy', ID)
    expect(event.evidences[0]?.data).toMatchObject({ reason: 'labels', parent: 'lab.example' })
    await until('the workspace to be let in', async () => (await reach(lab)) === 'connected')
  }, 120_000)

  it('lifecycle-rate: a companion that attaches and detaches', async () => {
    const program = `
      import { readFileSync } from 'node:fs'
      import { AgentClient } from './dist/api/grpc-client.js'
      const at = (name) => readFileSync(${JSON.stringify(mtls.directory)} + '/' + name)
      const client = new AgentClient({ address: '${LISTEN}', serverName: 'localhost', ca: at('ca.pem'), certificate: at('companion.pem'), key: at('companion.key') })
      for (let lease = 1; lease <= 5; lease++) {
        await client.call('Workspaces/Attach', { workspace: '${ID2}', kind: 1, interface: 'ws1', leaseGeneration: lease }, 30_000)
        await client.call('Workspaces/Detach', { workspace: '${ID2}', leaseGeneration: lease }, 30_000)
      }
      client.close()`
    const { status, stderr } = await lab.exec('out', [process.execPath, '--input-type=module', '-e', program])
    expect([status, stderr]).toEqual([0, ''])
    const event = await fenced('lifecycle-rate', ID2)
    expect(event.evidences[0]).toMatchObject({
      ...{ actor: { user: { name: COMPANION } }, data: { reason: 'perWorkspace', workspaces: [ID2] } },
    })
  }, 120_000)

  it('new-destination: an observed workspace goes where it did not go while it was learnt from', async () => {
    const extra = `observe: {until: ${new Date(Date.now() + 3_600_000).toISOString()}}\n`
    await agent.publish(4, [OUT.git], [ID], { extra })
    await agent.told('active', ({ revision }) => revision === '4')
    let port = 2_000
    // Each port is new; those of the first second are only learnt.
    await until('a finding', async () => {
      await lab.ws.tcp({ host: OUT.registry, port: ++port, timeoutMs: 600 })
      return found('new-destination').length > 0
    })
    const event = await fenced('new-destination', ID, 'kill fenced')
    expect(port).toBeGreaterThan(2_001)
    expect(event.evidences[0]?.data).toMatchObject({ reason: 'destination', destination: OUT.registry })
    expect(Number(event.evidences[0]?.data.known_places)).toBeGreaterThan(1)
  }, 120_000)

  it('rollback-attempt: an older bundle in the channel', async () => {
    await agent.publish(2, [OUT.git, OUT.registry], [ID, ID2])
    const event = await told('rollback-attempt')
    expect(event).toMatchObject({ severity_id: 5, disposition_id: 15, unmapped: { reaction: 'observe' } })
    expect(event.evidences[0]?.data).toMatchObject({ offered_revision: '2', held_revision: '4' })
  }, 120_000)

  it('each was told once, every event is valid, and the metrics count them', async () => {
    const kinds = ['denial-burst', 'dns-entropy', 'lifecycle-rate', 'new-destination', 'rollback-attempt']
    expect(kinds.map((kind) => found(kind).length)).toEqual([1, 1, 1, 1, 1])
    const all = agent.events().filter(({ class_uid }) => class_uid === 2004)
    expect(all.length).toBe(5)
    const program = `fetch('http://${HTTP}/metrics').then((reply) => reply.text()).then((text) => process.stdout.write(text))`
    const { stdout } = await lab.exec('node', [process.execPath, '-e', program])
    for (const kind of kinds)
      expect(stdout).toMatch(new RegExp(`^sluice_findings_total\\{finding="${kind}",reaction="\\w+"\\} 1$`, 'm'))
    if (SCHEMAS === undefined) return
    const schema = JSON.parse(readFileSync(join(SCHEMAS, 'ocsf-1.8.0-trimmed.json'), 'utf8')) as Schema
    expect(agent.events().flatMap((event) => validateOcsf(schema, event))).toEqual([])
  }, 60_000)
})
