// The real agent through its gRPC, from another namespace, one role after the other: what is answered is what packets show.

import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RunningAgent, until } from '../support/agent/running.js'
import { OUT, UPLINK } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { Mtls } from '../support/mtls.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const LISTEN = `${UPLINK.node.v4}:7443`
const ROLES = ['operator', 'companion', 'auditor'] as const

labSuite('gRPC of a running agent', () => {
  let lab: Lab
  let agent: RunningAgent
  const mtls = new Mtls()
  beforeAll(async () => {
    lab = await openLab()
    const files = `certificate: ${mtls.path('server.pem')}, key: ${mtls.path('server.key')}, client_ca: ${mtls.path('ca.pem')}`
    const ids = ROLES.map((role) => `${role}s: [spiffe://fleet.example/${role}/x]`).join(', ')
    for (const role of ROLES) {
      const { certificate, key } = mtls.client([`URI:spiffe://fleet.example/${role}/x`])
      writeFileSync(mtls.path(`${role}.pem`), certificate)
      writeFileSync(mtls.path(`${role}.key`), key)
    }
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, `api: {listen: "${LISTEN}", ${files}, ${ids}}\n`)
    await agent.publish(1, [OUT.git], [ID, ID2])
    agent.start()
    await agent.told('active')
  })
  afterAll(async () => {
    await agent?.close()
    await lab?.close()
    mtls.remove()
  })

  /** Runs calls of one role in the outside namespace; each gives its answer, or code and details. */
  // biome-ignore lint/suspicious/noExplicitAny: answers of many methods, each looked into by the test that asked.
  async function ask(role: (typeof ROLES)[number], body: string): Promise<any> {
    const program = `
      import { readFileSync } from 'node:fs'
      import { status } from '@grpc/grpc-js'
      import { AgentClient } from './dist/api/grpc-client.js'
      const at = (name) => readFileSync(${JSON.stringify(mtls.directory)} + '/' + name)
      const client = new AgentClient({ address: '${LISTEN}', serverName: 'localhost', ca: at('ca.pem'), certificate: at('${role}.pem'), key: at('${role}.key') })
      const call = (name, request) => client.call(name, request, 120_000).catch((error) => status[error.code] + ' ' + error.details)
      const ID = '${ID}'
      const found = await (async () => { ${body} })()
      console.log(JSON.stringify(found, (key, value) => value instanceof Uint8Array || value?.type === 'Buffer' ? Buffer.from(value.data ?? value).toString() : value))
      client.close()`
    const { stdout, stderr } = await lab.exec('out', [process.execPath, '--input-type=module', '-e', program])
    if (stdout === '') throw new Error(stderr)
    return JSON.parse(stdout)
  }

  it('says what is live, and judges a flow as the packets are judged', async () => {
    const [status, drift, allowed, refused] = await ask(
      'operator',
      `const flow = { workspace: ID, protocol: 1, destinationPort: 80 }
       return [await call('Enforcement/GetStatus', {}), await call('Enforcement/CheckDrift', {}),
         await call('Enforcement/Explain', { workspace: ID, packet: 'tcp 10.9.0.2:4000 > ${OUT.git}:80' }),
         await client.call('Decision/CheckFlow', { ...flow, destination: '${OUT.registry}' })]`,
    )
    expect(status).toMatchObject({ state: 3, live: { policyRevision: '1' } })
    expect(drift).toMatchObject({ asPlanned: true })
    expect(allowed).toMatchObject({ allowed: true })
    expect(refused).toMatchObject({ reason: 'no-grant' })
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
  })

  it('a companion fences and detaches, and lets nobody out', async () => {
    const [set, lift] = await ask(
      'companion',
      `return [await call('Enforcement/Quarantine', { workspace: ID, reason: 'revoked' }),
         await call('Enforcement/Lift', { workspace: ID, reason: 'please' })]`,
    )
    expect(set).toMatchObject({ changed: true })
    expect(lift).toMatch(/^PERMISSION_DENIED API_DENIED/)
    expect(await reach(lab)).toBe('timeout')
    expect(
      await ask('operator', `return call('Enforcement/Lift', { workspace: ID, reason: 'mended' })`),
    ).toHaveProperty('generation')
    await until('the workspace to be let in', async () => (await reach(lab)) === 'connected')
    const [attached, stale, wrong] = await ask(
      'companion',
      `const slot = { workspace: ID, kind: 1, interface: 'ws0' }
       return [await call('Workspaces/Attach', { ...slot, leaseGeneration: 5 }),
         await call('Workspaces/Attach', { ...slot, leaseGeneration: 4 }),
         await call('Workspaces/Attach', { ...slot, interface: 'ws1', leaseGeneration: 6 })]`,
    )
    expect(attached).toMatchObject({
      attachment: { leaseGeneration: 5, attached: true, by: 'spiffe://fleet.example/companion/x' },
    })
    expect(stale).toMatch(/^ABORTED AGENT_LEASE_STALE/)
    expect(wrong).toMatch(/^INVALID_ARGUMENT AGENT_SLOT_MISMATCH/)
    await until('the workspace to be let in', async () => (await reach(lab)) === 'connected')
  })

  it('an auditor reads the trail from where it was, and evidence', { timeout: 180_000 }, async () => {
    const { events, evidence } = await ask(
      'auditor',
      `const ending = new AbortController()
       const events = []
       for await (const { sequence, event } of client.events(2, ending.signal)) {
         events.push([sequence, JSON.parse(Buffer.from(event).toString()).metadata.sequence])
         if (events.length === 3) ending.abort()
       }
       const evidence = await call('Evidence/MakeEvidence', { nonce: Buffer.alloc(16, 7), audience: 'auditor.example' })
       return { events: events.slice(0, 3), evidence }`,
    )
    expect(events).toEqual([
      [3, 3],
      [4, 4],
      [5, 5],
    ])
    expect(typeof evidence === 'string' ? evidence : '').toBe('')
    expect(String(evidence.evidence).length).toBeGreaterThan(500)
  })
})
