// The .proto, what is generated from it, and what is served: one contract. The linter is clean, the generated files are
// current, every method of the file is in the tables, and health and reflection answer as everybody's tools expect.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { credentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LIFECYCLE_METHOD_NAMES } from '../../src/api/lifecycle-methods.js'
import { METHOD_NAMES } from '../../src/api/methods.js'
import { repositoryPath } from '../support/lab/repository.js'
import { HealthClient } from './health-client.js'
import { CHAIN, IDS, Scene, WS } from './scene.js'

const run = (program: string, ...words: string[]) => {
  const { status, stdout, stderr } = spawnSync(program, words, { cwd: repositoryPath('.'), encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}`.replace(/^npm warn.*\n/gm, '') }
}

describe('sluice.proto', () => {
  it('passes the linter', () => {
    expect(run(process.execPath, 'scripts/proto.mjs', 'lint')).toEqual({ status: 0, said: '' })
  })
  it('is what src/api/gen was generated from (make proto)', () => {
    expect(run(process.execPath, 'scripts/proto.mjs')).toEqual({ status: 0, said: '' })
  })
  it.each([
    ['sluice.proto', METHOD_NAMES],
    ['companion.proto', LIFECYCLE_METHOD_NAMES],
  ])('%s has exactly the methods of its table', (file, names) => {
    const text = readFileSync(repositoryPath(`src/api/${file}`), 'utf8')
    const named: string[] = []
    for (const [, service, body = ''] of text.matchAll(/^service (\w+) \{([\s\S]*?)^\}/gm))
      for (const [, method] of body.matchAll(/^ {2}rpc (\w+)\(/gm)) named.push(`${service}/${method}`)
    expect(named).toEqual(names)
  })
})

describe('what is served', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await Scene.open()
  })
  afterAll(() => scene.close())

  it('answers with everything that a message has', async () => {
    const client = scene.client(IDS.operator)
    expect(await client.call('Enforcement/GetStatus', {})).toMatchObject({
      node: 'spiffe://fleet.example/node/n1',
      state: 3,
      live: { generation: 7, policyRevision: '18446744073709551615', expiresAtMs: 9_000 },
      workspaces: [{ workspace: WS, policy: '', grants: 3, quarantined: true, suspended: false }],
      quarantines: [{ reason: 'x', atMs: 3 }],
      sinks: [
        {
          ...{ name: 'siem', kind: 'http', state: 'failing', sequence: 40, lag: 2, delivered: 38, refused: 2 },
          ...{ discarded: 1, failures: 5, error: 'it answered 503' },
        },
      ],
      drops: { spoof: 12 },
    })
    expect(Buffer.from((await client.call('Enforcement/GetPlan', {})).plan).toString()).toBe('{}')
    const attach = { workspace: WS, kind: 1, interface: 'ws0', leaseGeneration: 4 }
    expect(await client.call('Workspaces/Attach', attach)).toMatchObject({
      attachment: { attachmentId: 'att-1', leaseGeneration: 4, kind: 1, attached: true },
      generation: 7,
    })
    expect(scene.asked.at(-1)).toBe(`attach ${WS} by ${IDS.operator}`)
  })

  it('streams events from where the reader was, and ends when the reader does', async () => {
    const client = scene.client(IDS.auditor)
    const ending = new AbortController()
    const seen: string[] = []
    for await (const { sequence, event } of client.events(40, ending.signal)) {
      seen.push(`${sequence} ${Buffer.from(event).toString()}`)
      if (seen.length === 2) ending.abort()
    }
    expect(seen.slice(0, 2)).toEqual(['41 {"n":41}', '42 {"n":42}'])
    expect(scene.asked.at(-1)).toBe('events 40')
  })

  it('says how far the journal goes, and reads on in the chain that the reader names', async () => {
    const client = scene.client(IDS.companion)
    const place = { chainUid: CHAIN, firstSequence: 2, lastSequence: 44, fingerprint: '0a', lost: 1 }
    expect(await client.call('Audit/GetTrail', {})).toMatchObject(place)
    const ending = new AbortController()
    for await (const { sequence } of client.events(44, ending.signal, CHAIN)) if (sequence === 45) ending.abort()
    expect(scene.asked.at(-1)).toBe(`events 44${CHAIN}`)
    const wrong = client.events(44, new AbortController().signal, 'chain-7')[Symbol.asyncIterator]()
    await expect(wrong.next()).rejects.toMatchObject({ details: expect.stringContaining('chain_uid') })
  })

  it('says by the health protocol whether the fence is read back', async () => {
    const { certificate, key } = scene.mtls.client([`URI:${IDS.runtime}`])
    const health = new HealthClient(
      `127.0.0.1:${scene.server.port}`,
      credentials.createSsl(scene.mtls.ca, key, certificate),
    )
    expect(await health.check()).toBe('NOT_SERVING')
    scene.server.setReady(true)
    expect(await health.check()).toBe('SERVING')
    scene.server.setReady(false)
    expect(await health.check()).toBe('NOT_SERVING')
    expect((await health.services()).sort()).toEqual([
      'sluice.v1alpha1.Audit',
      'sluice.v1alpha1.Decision',
      'sluice.v1alpha1.Enforcement',
      'sluice.v1alpha1.Evidence',
      'sluice.v1alpha1.Sessions',
      'sluice.v1alpha1.Workspaces',
    ])
    health.close()
  })
})
