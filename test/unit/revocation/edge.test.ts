// The push endpoint and the poll client over real TLS on loopback: how a transmitter is known, what is bounded, and what a transmitter
// that misbehaves is answered with.

import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { PollStream } from '../../../src/revocation/poll.js'
import { pollStream } from '../../../src/revocation/poll.js'
import { type PushServer, startPush } from '../../../src/revocation/push.js'
import type { Receiver, Reply } from '../../../src/revocation/receiver.js'
import { Mtls, type Pair } from '../../support/mtls.js'
import { streamOf } from '../../support/revocation/transmitter.js'
import { makeTls, type Tls } from '../../support/tls.js'
import { serve, type Web } from '../../support/web.js'

const TYPE = 'application/secevent+jwt'
const received: string[] = []
let reply: Reply = { kind: 'taken', jti: 'j', again: false }
const receiver = {
  receive: (_stream: unknown, token: string) => {
    received.push(token)
    return Promise.resolve(reply)
  },
} as unknown as Receiver

describe('the push endpoint', () => {
  let mtls: Mtls
  let server: PushServer
  let idp: Pair
  let other: Pair
  let stale: Pair
  const strangers: string[] = []
  let clockMs = 0
  beforeAll(async () => {
    mtls = new Mtls()
    idp = mtls.client(['URI:spiffe://idp.example/ssf'])
    other = mtls.client(['URI:spiffe://idp.example/ssf2', 'DNS:else.example'])
    stale = mtls.client(['URI:spiffe://idp.example/ssf'], -1)
    writeFileSync(mtls.path('token'), 'secret\n')
    writeFileSync(mtls.path('empty'), '\n')
    const client = 'spiffe://idp.example/ssf'
    server = await startPush(
      {
        ...{ host: '127.0.0.1', port: 0 },
        ...{
          certificateFile: mtls.path('server.pem'),
          keyFile: mtls.path('server.key'),
          clientCaFile: mtls.path('ca.pem'),
        },
        streams: [
          { terms: streamOf({ name: 'token' }), tokenFile: mtls.path('token') },
          { terms: streamOf({ name: 'cert' }), client },
          { terms: streamOf({ name: 'both' }), client, tokenFile: mtls.path('token') },
          { terms: streamOf({ name: 'empty' }), tokenFile: mtls.path('empty') },
          { terms: streamOf({ name: 'gone' }), tokenFile: join(mtls.directory, 'nowhere') },
        ],
      },
      {
        receiver,
        monotonicMs: () => clockMs,
        refused: (stream, _from, { err }) => {
          strangers.push(`${stream} ${err}`)
        },
      },
    )
  })
  afterAll(async () => {
    await server?.close()
    mtls?.remove()
  })
  afterEach(() => {
    received.length = 0
    strangers.length = 0
    reply = { kind: 'taken', jti: 'j', again: false }
    // Attempts that failed are forgotten after a minute.
    clockMs += 61_000
  })

  interface Sent {
    readonly path?: string
    readonly method?: string
    readonly token?: string
    readonly pair?: Pair
    readonly type?: string
    readonly body?: string
    readonly headers?: Record<string, string>
    readonly localAddress?: string
  }
  const send = ({
    path = '/token',
    method = 'POST',
    token,
    pair,
    type = TYPE,
    body = 'e30.e30.e30',
    headers = {},
    localAddress,
  }: Sent) =>
    new Promise<{ readonly status: number; readonly body: string; readonly headers: Record<string, unknown> }>(
      (resolve, reject) => {
        const asked = request(
          {
            ...{
              host: '127.0.0.1',
              port: server.port,
              path,
              method,
              ca: mtls.ca,
              agent: false,
              servername: 'localhost',
            },
            ...(localAddress === undefined ? {} : { localAddress }),
            ...(pair ? { cert: pair.certificate, key: pair.key } : {}),
            headers: {
              'content-type': type,
              ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
              ...headers,
            },
          },
          (answer) => {
            let text = ''
            answer.on('data', (chunk) => {
              text += String(chunk)
            })
            answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text, headers: answer.headers }))
          },
        )
        asked.on('error', reject)
        asked.end(body)
      },
    )
  const AUTH = 'authentication_failed'
  const codeOf = (body: string): string | undefined =>
    body === '' ? undefined : (JSON.parse(body) as { err: string }).err

  it.each<[string, Sent | (() => Sent), number, string | undefined]>([
    ['its token', { token: 'secret' }, 202, undefined],
    ['its certificate', () => ({ path: '/cert', pair: idp }), 202, undefined],
    ['both', () => ({ path: '/both', pair: idp, token: 'secret' }), 202, undefined],
    ['no token', {}, 400, AUTH],
    ['another token', { token: 'secreT' }, 400, AUTH],
    ['a token where the file is empty', { path: '/empty', token: 'x' }, 400, AUTH],
    ['a token where there is no file', { path: '/gone', token: 'x' }, 400, AUTH],
    ['no certificate', { path: '/cert' }, 400, AUTH],
    ['the certificate of somebody else', () => ({ path: '/cert', pair: other }), 400, AUTH],
    ['a certificate that has expired', () => ({ path: '/cert', pair: stale }), 400, AUTH],
    ['half of both', () => ({ path: '/both', pair: idp }), 400, AUTH],
    ['the other half', { path: '/both', token: 'secret' }, 400, AUTH],
  ])('knows a transmitter by %s', async (_name, given, status, err) => {
    const found = await send(typeof given === 'function' ? given() : given)
    expect([found.status, codeOf(found.body)]).toEqual([status, err])
    expect(received).toEqual(status === 202 ? ['e30.e30.e30'] : [])
    expect(strangers).toHaveLength(status === 202 ? 0 : 1)
  })

  it.each<[string, Sent, number]>([
    ['a path that is none', { path: '/nobody', token: 'secret' }, 404],
    ['a path with more', { path: '/token?x=1', token: 'secret' }, 404],
    ['another method', { method: 'PUT', token: 'secret' }, 405],
    ['another type', { type: 'application/jwt', token: 'secret' }, 415],
    ['a compressed body', { token: 'secret', headers: { 'content-encoding': 'gzip' } }, 415],
    ['too much', { token: 'secret', body: 'x'.repeat((64 << 10) + 1) }, 413],
  ])('refuses %s before anybody reads it', async (_name, given, status) => {
    expect((await send(given)).status).toBe(status)
    expect(received).toEqual([])
  })

  it('takes a type with parameters, and just as much as there may be', async () => {
    const body = 'x'.repeat(64 << 10)
    expect((await send({ token: 'secret', type: `${TYPE}; charset=utf-8`, body })).status).toBe(202)
    expect(received).toEqual([body])
  })

  it('says what is wrong as RFC 8935 wants it, and that it is not ready', async () => {
    reply = { kind: 'refused', refusal: { err: 'invalid_key', description: 'no' } }
    const { status, body, headers } = await send({ token: 'secret' })
    expect([status, body]).toEqual([400, '{"err":"invalid_key","description":"no"}'])
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'content-language': 'en' })
    reply = { kind: 'unavailable' }
    const later = await send({ token: 'secret' })
    expect([later.status, later.headers['retry-after']]).toEqual([503, '2'])
  })

  it('bounds guesses by address, and lets in whoever is known behind it', async () => {
    for (let i = 0; i < 60; i++) expect((await send({ token: `guess-${i}` })).status).toBe(400)
    expect((await send({ token: 'guess' })).status).toBe(429)
    expect((await send({ path: '/nobody' })).status).toBe(429)
    expect(strangers).toHaveLength(60)
    expect((await send({ token: 'secret' })).status).toBe(202)
    clockMs += 60_001
    expect((await send({ token: 'guess' })).status).toBe(400)
  })

  it('lets one address hold no more than its share of connections, and nobody hold one that says nothing', async () => {
    const idle = Array.from({ length: 200 }, () => connect(server.port, '127.0.0.1').on('error', () => undefined))
    const closed = new Set<number>()
    for (const [i, socket] of idle.entries()) socket.resume().once('close', () => closed.add(i))
    await expect.poll(() => closed.size, { timeout: 5_000 }).toBe(200 - 32)
    await expect(send({ token: 'secret' })).rejects.toThrow()
    // From another address there is room.
    expect((await send({ token: 'secret', localAddress: '127.0.0.2' })).status).toBe(202)
    await expect.poll(() => closed.size, { timeout: 15_000 }).toBe(200)
    expect((await send({ token: 'secret' })).status).toBe(202)
  }, 30_000)

  it('takes up a new certificate, keeps the old one when the new is none, and says so', async () => {
    mtls.server()
    server.refresh()
    expect((await send({ token: 'secret' })).status).toBe(202)
    writeFileSync(mtls.path('server.pem'), 'no certificate')
    expect(() => {
      server.refresh()
    }).toThrow(expect.objectContaining({ code: 'REVOCATION_LISTEN' }))
    expect((await send({ token: 'secret' })).status).toBe(202)
  })

  it('is not begun without a certificate, or where somebody listens already', async () => {
    const host = { receiver, monotonicMs: () => 0, refused: () => undefined }
    const terms = { host: '127.0.0.1', port: 0, certificateFile: '/nowhere', keyFile: '/nowhere', streams: [] }
    await expect(startPush(terms, host)).rejects.toMatchObject({ code: 'REVOCATION_LISTEN' })
    mtls.server()
    const taken = {
      ...terms,
      port: server.port,
      certificateFile: mtls.path('server.pem'),
      keyFile: mtls.path('server.key'),
    }
    await expect(startPush(taken, host)).rejects.toMatchObject({ code: 'REVOCATION_LISTEN' })
  })
})

describe('the poll client', () => {
  let tls: Tls
  let web: Web
  const asked: unknown[] = []
  /** Each answer once; the last for ever. */
  let answers: (readonly [number, string])[] = []
  beforeAll(async () => {
    tls = makeTls()
    writeFileSync(`${tls.keyFile}.token`, 'secret\n')
    web = await serve(tls, (question, response) => {
      let text = ''
      question.on('data', (chunk) => {
        text += String(chunk)
      })
      question.on('end', () => {
        asked.push(JSON.parse(text))
        const [status, body] = (answers.length > 1 ? answers.shift() : answers[0]) ?? [500, '']
        response.writeHead(status).end(body)
      })
    })
  })
  afterAll(async () => {
    await web?.close()
    tls?.remove()
  })
  afterEach(() => {
    asked.length = 0
    received.length = 0
    web.headers.length = 0
  })

  /** Polls until `enough`; gives what went wrong on the way. */
  async function poll(enough: () => boolean, longPoll = true, replies?: (jti: string) => Reply): Promise<unknown[]> {
    const failures: unknown[] = []
    const ending = new AbortController()
    const waits: number[] = []
    const stream: PollStream = {
      terms: streamOf(),
      to: { url: web.url.href, caFile: tls.caFile, tokenFile: `${tls.keyFile}.token` },
      ...{ longPoll, intervalMs: 50 },
    }
    const told = {
      receive: (_stream: unknown, token: string) => {
        received.push(token)
        return Promise.resolve(replies?.(token) ?? { kind: 'taken' as const, jti: token, again: false })
      },
    } as unknown as Receiver
    const running = pollStream(
      stream,
      {
        receiver: told,
        chance: () => 0,
        monotonicMs: () => performance.now(),
        sleep: async (ms) => {
          waits.push(ms)
          if (enough()) ending.abort()
          await sleepFor(Math.min(ms, 5))
        },
        asked: (_stream, failure) => {
          if (failure !== undefined) failures.push(failure)
        },
      },
      ending.signal,
    )
    await running
    return failures
  }

  it('takes, acknowledges at once, complains of what is wrong, and leaves what could not be done', async () => {
    answers = [
      [200, JSON.stringify({ sets: { a: 'a', b: 'b', c: 'c', d: 'x' }, moreAvailable: true })],
      [200, '{"sets":{}}'],
    ]
    const replies = (token: string): Reply =>
      token === 'b'
        ? { kind: 'refused', refusal: { err: 'invalid_key', description: 'no' } }
        : token === 'c'
          ? { kind: 'unavailable' }
          : { kind: 'taken', jti: token, again: false }
    await poll(() => asked.length >= 3, true, replies)
    expect(asked.slice(0, 3)).toEqual([
      { maxEvents: 64, returnImmediately: false },
      {
        ...{ maxEvents: 64, returnImmediately: true, ack: ['a'] },
        setErrs: {
          b: { err: 'invalid_key', description: 'no' },
          d: { err: 'invalid_request', description: 'the key is not the jti of the SET' },
        },
      },
      { maxEvents: 64, returnImmediately: false },
    ])
    expect(web.headers[0]?.authorization).toBe('Bearer secret')
  })

  it('pauses where nothing could be done, also when there is said to be more', async () => {
    answers = [[200, JSON.stringify({ sets: { a: 'a' }, moreAvailable: true })]]
    await poll(
      () => asked.length >= 4,
      true,
      () => ({ kind: 'unavailable' }),
    )
    expect(asked.length).toBe(4)
  })

  it('asks shortly where the transmitter does not hold questions', async () => {
    answers = [[200, '{"sets":{}}']]
    await poll(() => asked.length >= 2, false)
    expect(asked[1]).toEqual({ maxEvents: 64, returnImmediately: true })
  })

  it.each([
    ['an error', 503, '', 'HTTP 503'],
    ['a redirect', 302, '', 'HTTP 302'],
    ['no JSON', 200, 'sets', 'its answer is not strict JSON'],
    ['a key twice', 200, '{"sets":{"a":"a","a":"b"}}', 'its answer is not strict JSON'],
    ['no sets', 200, '{}', 'its answer has no sets'],
    ['a list', 200, '{"sets":["a"]}', 'its answer has no sets'],
  ])('goes on after %s, and acknowledges again what it had not said', async (_name, status, body, why) => {
    answers = [
      [200, '{"sets":{"a":"a"}}'],
      [status, body],
      [200, '{"sets":{}}'],
    ]
    const failures = await poll(() => asked.length >= 3)
    expect(failures).toMatchObject([{ code: 'REVOCATION_POLL', detail: { stream: 'idp', why } }])
    expect(asked.slice(1, 3)).toEqual([
      expect.objectContaining({ ack: ['a'] }),
      expect.objectContaining({ ack: ['a'] }),
    ])
  })

  it('gives up an answer that is too long', async () => {
    answers = [
      [200, `{"sets":{"a":"${'a'.repeat(5 << 20)}"}}`],
      [200, '{"sets":{}}'],
    ]
    expect(await poll(() => asked.length >= 2)).toMatchObject([{ code: 'REVOCATION_POLL' }])
    expect(received).toEqual([])
  })
})
