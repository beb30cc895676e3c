// What a caller can do wrong, over real connections: certificates, identities, octets, sizes, floods, deadlines. Whatever it
// is, the answer is one clear refusal, the next caller is served, and the server's own trouble stays its own.

import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { agentFault } from '../../src/agent/errors.js'
import { DECISIONS, QUESTIONS, URGENT } from '../../src/api/buckets.js'
import { METHOD_NAMES } from '../../src/api/methods.js'
import { toStatus } from '../../src/api/status.js'
import { Mtls, type Pair } from '../support/mtls.js'
import { IDS, Scene, WS } from './scene.js'

let scene: Scene
beforeEach(async () => {
  scene = await Scene.open()
})
afterEach(() => scene.close())

const stillServes = async (): Promise<void> => {
  scene.monotonicMs += 60_000
  expect(await scene.client(IDS.operator).call('Enforcement/GetStatus', {})).toMatchObject({ state: 3 })
}
const refusal = (pair: Pair) =>
  scene
    .clientWith(pair)
    .call('Enforcement/GetStatus', {}, 5_000)
    .then(() => 'served')
    .catch((error: { code: number; details: string }) => `${status[error.code] ?? ''}: ${error.details}`)

describe('certificates', () => {
  it('of another authority, expired ones and none do not get past the handshake', async () => {
    const foreign = new Mtls('foreign')
    try {
      expect(await refusal(foreign.client([`URI:${IDS.operator}`]))).toMatch(/^UNAVAILABLE: /)
      expect(await refusal(scene.mtls.client([`URI:${IDS.operator}`], -1))).toMatch(/^UNAVAILABLE: /)
    } finally {
      foreign.remove()
    }
    const bare = new Client(`127.0.0.1:${scene.server.port}`, credentials.createSsl(scene.mtls.ca), {
      'grpc.ssl_target_name_override': 'localhost',
    })
    const failed = await new Promise((resolve) => {
      bare.makeUnaryRequest(
        '/sluice.v1alpha1.Enforcement/GetStatus',
        () => Buffer.alloc(0),
        (octets) => octets,
        {},
        new Metadata(),
        { deadline: Date.now() + 5_000 },
        resolve,
      )
    })
    bare.close()
    expect(failed).toMatchObject({ code: status.UNAVAILABLE })
    expect(scene.asked).toEqual([])
    await stillServes()
  })

  it.each([
    ['no name at all', [], 'the certificate has no subject alternative name'],
    ['no URI', ['DNS:operator.example'], 'the certificate has 0 URIs, and must have one'],
    ['two URIs', [`URI:${IDS.operator}`, `URI:${IDS.auditor}`], 'the certificate has 2 URIs, and must have one'],
    ['a URI of another kind', ['URI:https://fleet.example/operator/ann'], 'its URI is no SPIFFE ID'],
    [
      'a name that hides another',
      ['DNS:x, URI:spiffe://fleet.example/operator/ann'],
      'a name of the certificate is not plain text',
    ],
  ])('with %s are UNAUTHENTICATED', async (_name, names, why) => {
    expect(await refusal(scene.mtls.client(names))).toBe(
      `UNAUTHENTICATED: API_IDENTITY: the caller cannot be named: ${why}`,
    )
    expect(scene.asked).toEqual([])
  })

  it('that expire while a connection is open end with it', async () => {
    const client = scene.client(IDS.operator)
    await client.call('Enforcement/GetStatus', {})
    scene.aheadMs = 3 * 86_400_000
    await expect(client.call('Enforcement/GetStatus', {})).rejects.toMatchObject({
      code: status.UNAUTHENTICATED,
      details: 'API_IDENTITY: the caller cannot be named: the certificate is not valid now',
    })
  })

  it('of the server are read again without a restart, and files that do not fit change nothing', async () => {
    const seen = async () => {
      const client = scene.mtls.client([`URI:${IDS.operator}`])
      return new Promise<string>((resolve, reject) => {
        const { certificate: cert, key } = client
        const socket = connectTls({
          port: scene.server.port,
          host: '127.0.0.1',
          servername: 'localhost',
          ca: scene.mtls.ca,
          cert,
          key,
          ALPNProtocols: ['h2'],
        })
        socket.once('secureConnect', () => {
          resolve(socket.getPeerCertificate().fingerprint256)
          socket.destroy()
        })
        socket.once('error', reject)
      })
    }
    const open = scene.client(IDS.operator)
    await open.call('Enforcement/GetStatus', {})
    const first = await seen()
    const key = readFileSync(scene.mtls.path('server.key'))
    scene.mtls.server()
    const next = readFileSync(scene.mtls.path('server.key'))
    writeFileSync(scene.mtls.path('server.key'), key)
    expect(() => scene.server.reload()).toThrow(expect.objectContaining({ code: 'API_CERTIFICATE' }))
    expect(await seen()).toBe(first)
    writeFileSync(scene.mtls.path('server.key'), next)
    scene.server.reload()
    expect(await seen()).not.toBe(first)
    await open.call('Enforcement/GetStatus', {})
  })
})

describe('octets', () => {
  const raw = (path: string, body: Buffer) => {
    const { certificate, key } = scene.mtls.client([`URI:${IDS.operator}`])
    const client = new Client(
      `127.0.0.1:${scene.server.port}`,
      credentials.createSsl(scene.mtls.ca, key, certificate),
      {
        'grpc.ssl_target_name_override': 'localhost',
      },
    )
    const send = (octets: Buffer, to = path): Promise<{ code: number; details: string }> =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          to,
          (given: Buffer) => given,
          (given: Buffer) => given,
          octets,
          new Metadata(),
          { deadline: Date.now() + 50_000 },
          (error) => resolve(error ?? { code: status.OK, details: '' }),
        )
      })
    return send(body).then((answer) => ({ answer, send, close: () => client.close() }))
  }

  it('that are no message of the method are refused, whichever method, and nothing breaks', async () => {
    const unary = METHOD_NAMES.filter((name) => name !== 'Audit/StreamEvents')
    const codes = new Set<string>()
    const one = await raw('/sluice.v1alpha1.Enforcement/GetStatus', Buffer.alloc(0))
    for (const name of unary) {
      scene.monotonicMs += 60_000
      const sent = Array.from({ length: 20 }, (_, i) => one.send(randomBytes(i * 3), `/sluice.v1alpha1.${name}`))
      for (const { code } of await Promise.all(sent)) codes.add(status[code] ?? String(code))
    }
    one.close()
    // Some octets happen to be a message; then the fields are refused, or the method needs none.
    const clear = ['OK', 'INTERNAL', 'INVALID_ARGUMENT', 'UNIMPLEMENTED']
    expect([...codes].filter((code) => !clear.includes(code))).toEqual([])
    expect(codes).toContain('INVALID_ARGUMENT')
    expect(scene.failures).toEqual([])
    await stillServes()
  })

  it('beyond the limit of a message are RESOURCE_EXHAUSTED', async () => {
    const { answer, close } = await raw('/sluice.v1alpha1.Enforcement/Quarantine', Buffer.alloc(70_000, 0x0a))
    expect(answer.code).toBe(status.RESOURCE_EXHAUSTED)
    close()
    await stillServes()
  })

  it('for a method that is not there are UNIMPLEMENTED', async () => {
    const { answer, close } = await raw('/sluice.v1alpha1.Enforcement/Apply', Buffer.alloc(0))
    expect(answer.code).toBe(status.UNIMPLEMENTED)
    close()
  })

  it('that are no TLS at all end their connection alone', async () => {
    for (const octets of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), randomBytes(4_096), Buffer.alloc(0)])
      await new Promise<void>((resolve) => {
        const socket = connectTcp(scene.server.port, '127.0.0.1', () => socket.end(octets))
        socket.on('error', () => undefined)
        socket.on('close', () => resolve())
        socket.resume()
      })
    await stillServes()
  })
})

describe('fields', () => {
  it.each([
    ['Enforcement/Quarantine', { workspace: 'ws0', reason: 'x' }, 'workspace must be a SPIFFE URI of a workspace'],
    ['Enforcement/Quarantine', { workspace: WS, reason: ' ' }, 'reason must be 1 to 1024 characters on one line'],
    ['Enforcement/Lift', { workspace: WS, reason: 'a\nb' }, 'reason must be 1 to 1024 characters on one line'],
    ['Enforcement/Explain', { workspace: WS, packet: '' }, 'packet must be a packet as text'],
    ['Workspaces/Attach', { workspace: WS, interface: 'ws0', leaseGeneration: 1 }, 'kind must be a kind of slot'],
    ['Workspaces/Attach', { workspace: WS, kind: 1, leaseGeneration: 1 }, 'interface must be the name of the slot'],
    [
      'Workspaces/Attach',
      { workspace: WS, kind: 1, interface: 'ws0' },
      'lease_generation must be a number from 1 to 2^53 - 1',
    ],
    [
      'Workspaces/Attach',
      { workspace: WS, kind: 1, interface: 'ws0', leaseGeneration: 1, netns: '../x' },
      'netns must be an absolute path, or empty',
    ],
    [
      'Workspaces/Detach',
      { workspace: WS, leaseGeneration: 2 ** 53 },
      'lease_generation must be a number from 1 to 2^53 - 1',
    ],
    ['Decision/CheckFlow', { workspace: WS, destination: '1.2.3.4' }, 'protocol must be a protocol'],
    [
      'Decision/CheckFlow',
      { workspace: WS, protocol: 1, destination: 'host.example' },
      'destination must be an IPv4 or IPv6 address',
    ],
    [
      'Decision/CheckFlow',
      { workspace: WS, protocol: 1, destination: '1.2.3.4', destinationPort: 65_536 },
      'destination_port must be a port',
    ],
    ['Decision/CheckAction', { workspace: WS }, 'question must be 1 to 32768 octets of JSON'],
    [
      'Decision/CheckAction',
      { workspace: WS, question: new Uint8Array(32_769).fill(32) },
      'question must be 1 to 32768 octets of JSON',
    ],
    [
      'Decision/CheckAction',
      { workspace: WS, question: Uint8Array.of(0xff) },
      'question must be 1 to 32768 octets of JSON',
    ],
    [
      'Decision/CheckAction',
      { workspace: WS, question: Uint8Array.of(123), audience: 'gateway', nonce: new Uint8Array(15) },
      'nonce must be 16 to 64 octets',
    ],
    ['Evidence/MakeEvidence', { nonce: new Uint8Array(15), audience: 'a' }, 'nonce must be 16 to 64 octets'],
  ] as const)('of %s: %j', async (name, request, say) => {
    await expect(scene.client(IDS.operator).call(name, request as object)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: `API_FIELD: ${say}`,
    })
    expect(scene.asked).toEqual([])
  })
})

describe('floods', () => {
  it('of one caller empty its own bucket, not that of another, and not the one for quarantines', async () => {
    const loud = scene.client(IDS.operator)
    const answers = await Promise.all(
      Array.from({ length: QUESTIONS.burst + 50 }, () =>
        loud.call('Enforcement/GetStatus', {}).then(
          () => 'ok',
          (error: { code: number; details: string }) => `${status[error.code] ?? ''} ${error.details}`,
        ),
      ),
    )
    expect(answers.filter((answer) => answer === 'ok')).toHaveLength(QUESTIONS.burst)
    expect(new Set(answers.filter((answer) => answer !== 'ok'))).toEqual(
      new Set([`RESOURCE_EXHAUSTED API_TOO_OFTEN: ${IDS.operator} asks too often`]),
    )
    await scene.client(IDS.auditor).call('Enforcement/GetStatus', {})
    await loud.call('Enforcement/Quarantine', { workspace: WS, reason: 'x' })
    scene.monotonicMs += 1_000
    await loud.call('Enforcement/GetStatus', {})
  })

  it('of decisions are bounded by a bucket of their own, which is wider', async () => {
    const runtime = scene.client(IDS.runtime)
    const question = new TextEncoder().encode('{}')
    const ask = () => runtime.call('Decision/CheckAction', { workspace: WS, question, audience: '' })
    const calls = Array.from({ length: DECISIONS.burst + 20 }, () =>
      ask().then(
        () => 1,
        () => 0,
      ),
    )
    expect((await Promise.all(calls)).reduce((sum: number, one) => sum + one, 0)).toBe(DECISIONS.burst)
    await expect(runtime.call('Decision/CheckFlow', { workspace: WS })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    })
    scene.monotonicMs += 1_000
    expect((await ask()).allowed).toBe(true)
  })

  it('of quarantines are bounded too', async () => {
    const client = scene.client(IDS.companion)
    const calls = Array.from({ length: URGENT.burst + 10 }, () =>
      client.call('Enforcement/Quarantine', { workspace: WS, reason: 'x' }).then(
        () => 1,
        () => 0,
      ),
    )
    expect((await Promise.all(calls)).reduce((sum: number, one) => sum + one, 0)).toBe(URGENT.burst)
  })
})

describe('what the agent behind says', () => {
  it.each([
    [agentFault('AGENT_WORKSPACE_UNKNOWN', { workspace: WS }), 'NOT_FOUND'],
    [agentFault('AGENT_SLOT_MISMATCH', { workspace: WS, found: 'a', inventory: 'b' }), 'INVALID_ARGUMENT'],
    [agentFault('AGENT_BACKEND_UNKNOWN', { backend: 'x' }), 'FAILED_PRECONDITION'],
    [agentFault('AGENT_LEASE_STALE', { workspace: WS, given: 1, held: 2 }), 'ABORTED'],
    [agentFault('AGENT_STOPPING', { lane: 'work' }), 'UNAVAILABLE'],
    [agentFault('AGENT_QUEUE_FULL', { lane: 'work', waiting: 2 }), 'RESOURCE_EXHAUSTED'],
    [agentFault('AGENT_NOT_LIVE', { backend: 'x', expected: 'a', found: 'b' }), 'INTERNAL'],
  ])('%s is %s', (fault, code) => {
    const error = toStatus(fault)
    expect(status[error.code]).toBe(code)
    expect(error.details).toBe(`${fault.code}: ${fault.message}`)
    expect(error.metadata.get('sluice-code')).toEqual([fault.code])
    expect(error.metadata.get('sluice-remedy')).toEqual([fault.remedy])
  })

  it('a defect of ours is INTERNAL without a word about it, and is told to the log', async () => {
    await scene.close()
    scene = await Scene.open({ status: () => Promise.reject(new TypeError('secret path /x')) })
    const failed = scene.client(IDS.operator).call('Enforcement/GetStatus', {})
    await expect(failed).rejects.toMatchObject({ code: status.INTERNAL, details: 'INTERNAL: a defect of sluice' })
    expect(scene.failures).toMatchObject([{ message: 'secret path /x' }])
  })

  it('nothing, within the deadline of the caller', async () => {
    await scene.close()
    scene = await Scene.open({ status: () => new Promise(() => undefined) })
    await expect(scene.client(IDS.operator).call('Enforcement/GetStatus', {}, 200)).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
    })
  })
})
