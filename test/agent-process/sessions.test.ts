// Sessions of the access broker at a real agent, by the broker's own certificate: what packets show before, while and after one is
// open; that it stands and ends while the agent is dead; and that the next agent knows what stands and tells what ended.

import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RunningAgent } from '../support/agent/running.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { Mtls } from '../support/mtls.js'
import { ID, ID2, SLOTS } from './nodes.js'

const LISTEN = `${UPLINK.node.v4}:7443`
const BROKER = 'spiffe://fleet.example/broker/x'
const INGRESS = `ingress:
  - { name: broker, from: ["${OUT.broker}/32", "${OUT.git}/32"], protocol: tcp, ports: [443], session: required }
`
/** It may run out before the agent is dead: who ends it then tells the same. */
const LIFETIME_MS = 6_000

labSuite('sessions at a running agent', () => {
  let lab: Lab
  let agent: RunningAgent
  const mtls = new Mtls()
  beforeAll(async () => {
    lab = await openLab()
    await lab.ws.serveHttp([443])
    const { certificate, key } = mtls.client([`URI:${BROKER}`])
    writeFileSync(mtls.path('broker.pem'), certificate)
    writeFileSync(mtls.path('broker.key'), key)
    const files = `certificate: ${mtls.path('server.pem')}, key: ${mtls.path('server.key')}, client_ca: ${mtls.path('ca.pem')}`
    const api = `api: {listen: "${LISTEN}", ${files}, brokers: [${BROKER}]}\n`
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, api)
    await agent.publish(1, [OUT.git], [ID, ID2], { extra: INGRESS })
    agent.start()
    await agent.told('active')
  })
  afterAll(async () => {
    await agent?.close()
    await lab?.close()
    mtls.remove()
  })

  /** A call of the broker from outside; its answer, or code and details. */
  // biome-ignore lint/suspicious/noExplicitAny: answers of several methods, each looked into by the test that asked.
  async function ask(name: string, request: object): Promise<any> {
    const program = `
      import { readFileSync } from 'node:fs'
      import { status } from '@grpc/grpc-js'
      import { AgentClient } from './dist/api/grpc-client.js'
      const at = (name) => readFileSync(${JSON.stringify(mtls.directory)} + '/' + name)
      const client = new AgentClient({ address: '${LISTEN}', serverName: 'localhost', ca: at('ca.pem'), certificate: at('broker.pem'), key: at('broker.key') })
      const found = await client.call('${name}', ${JSON.stringify(request)}, 120_000).catch((error) => status[error.code] + ' ' + error.details)
      console.log(JSON.stringify(found))
      client.close()`
    const { stdout, stderr } = await lab.exec('out', [process.execPath, '--input-type=module', '-e', program])
    if (stdout === '') throw new Error(stderr)
    return JSON.parse(stdout)
  }
  const open = (sessionId: string, peer: string, lifetimeMs: number) =>
    ask('Sessions/OpenSession', { workspace: ID, sessionId, user: 'ana', peer, lifetimeMs })
  const reach = async (from: string, timeoutMs: number): Promise<string> =>
    (await lab.out.tcp({ host: WS.v4, port: 443, localAddress: from, timeoutMs })).outcome
  const lets = (from: string) => expect.poll(() => reach(from, 2_000), { timeout: 60_000 }).toBe('connected')
  const ended = (): string[] =>
    agent
      .events()
      .filter((event) => event.class_uid === 3002)
      .map((event) => String(event.status_code))

  it('lets in the peer of a session, by a clause and not beyond it', async () => {
    expect(await reach(OUT.broker, 400)).toBe('timeout')
    expect(await open('s-0', OUT.registry, 60_000)).toMatch(
      /^INVALID_ARGUMENT .*no signed ingress clause with a session lets 45\.76\.10\.20 in/,
    )
    const opened = await open('s-1', OUT.broker, 3_600_000)
    expect(opened).toMatchObject({ changed: true, grants: [`ingress/tcp/${OUT.broker}/32/443`] })
    expect(opened.session).toMatchObject({ sessionId: 's-1', by: BROKER })
    await lets(OUT.broker)
    expect(await reach(OUT.git, 400)).toBe('timeout')
    expect(await ask('Workspaces/Detach', { workspace: ID, leaseGeneration: 1 })).toMatch(/^PERMISSION_DENIED /)
    expect(await ask('Sessions/CloseSession', { workspace: ID, sessionId: 's-1' })).toMatchObject({ changed: true })
    expect(await reach(OUT.broker, 400)).toBe('timeout')
  })

  it('stands and ends while the agent is dead, and the next one knows', async () => {
    await open('s-2', OUT.broker, 3_600_000)
    const untilMs = Date.now() + LIFETIME_MS
    await open('s-3', OUT.git, LIFETIME_MS)
    await agent.kill()
    await lets(OUT.broker)
    await expect
      .poll(async () => Date.now() > untilMs + 1_000 && (await reach(OUT.git, 400)), { timeout: 90_000 })
      .toBe('timeout')
    await lets(OUT.broker)
    agent.start()
    const list = async (): Promise<string[]> => {
      const answer = await ask('Sessions/ListSessions', { workspace: ID }).catch(() => undefined)
      return (answer?.sessions ?? [])
        .map((one: Record<string, string>) => `${one.sessionId} ${one.ended ?? 'open'}`)
        .sort()
    }
    await expect.poll(list, { timeout: 90_000 }).toEqual(['s-1 closed', 's-2 open', 's-3 expired'])
    await expect
      .poll(ended, { timeout: 60_000 })
      .toEqual(['session.opened', 'session.closed', 'session.opened', 'session.opened', 'session.expired'])
    await lets(OUT.broker)
  })

  it('is closed by a quarantine, and not open again when that is lifted', async () => {
    const { exit } = await agent.ask('quarantine', 'set', ID, '--reason', 'incident')
    expect(exit).toBe(0)
    expect(await reach(OUT.broker, 400)).toBe('timeout')
    await agent.ask('quarantine', 'lift', ID, '--reason', 'over')
    await expect.poll(ended, { timeout: 60_000 }).toContain('session.quarantined')
    expect(await reach(OUT.broker, 400)).toBe('timeout')
    expect(await open('s-2', OUT.broker, 60_000)).toMatch(/^ABORTED .*is over \(quarantined\)/)
  })
})
