// The HTTPS transport against a real TLS server: what it brings, what it refuses, and that nothing keeps it waiting.

import { randomBytes } from 'node:crypto'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { writeBundleArchive } from '../../src/agent/transports/archive.js'
import { httpsTransport } from '../../src/agent/transports/https.js'
import { DEADLINES, type Transport } from '../../src/agent/transports/transport.js'
import { spkiPin } from '../../src/agent/transports/wire.js'
import { LIMITS } from '../../src/base/limits.js'
import { makeTls, type Tls } from '../support/tls.js'
import { type Answer, files, serve, type Web } from '../support/web.js'
import { makeBundle } from '../unit/bundle/fixture.js'

const FAST = { connectMs: 500, idleMs: 300, totalMs: 900, minBytesPerSecond: 1_024, rateGraceMs: 200 }

let tls: Tls
let web: Web
let transport: Transport
let archive: Uint8Array
const content = new Map<string, Uint8Array>()
const PATH = 'policies/channels/stable/bundle.tgz'

beforeAll(async () => {
  tls = makeTls()
  archive = await writeBundleArchive(await makeBundle())
})
afterAll(() => tls.remove())
afterEach(async () => {
  transport.close()
  await web.close()
})

async function start(answer: Answer = files(content), change: Partial<Parameters<typeof httpsTransport>[0]> = {}) {
  content.clear()
  content.set(PATH, archive)
  web = await serve(tls, answer)
  transport = httpsTransport({ base: new URL('policies', web.url), ca: tls.ca, deadlines: FAST, ...change })
  return transport
}
const SINCE = { rootVersion: 1 }
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail('it was accepted'),
    (error: { code: string; message: string; detail: unknown }) => error,
  )

describe('what it brings', () => {
  test('the bundle, the freshness statement and the later roots', async () => {
    await start()
    content.set('policies/channels/stable/freshness.jws.json', Buffer.from('fresh'))
    content.set('policies/roots/2.jws.json', Buffer.from('two'))
    content.set('policies/roots/3.jws.json', Buffer.from('three'))
    content.set('policies/roots/5.jws.json', Buffer.from('five'))
    const fetched = await transport.fetch('stable', SINCE)
    expect(fetched.kind).toBe('delivered')
    expect(fetched.roots.map(String)).toEqual(['two', 'three'])
    expect(String(fetched.freshness)).toBe('fresh')
    const original = await makeBundle()
    expect(fetched.kind === 'delivered' && Buffer.from(fetched.bundle.manifest)).toEqual(Buffer.from(original.manifest))
  })

  test('an unchanged bundle is not sent again, and freshness is', async () => {
    await start()
    content.set('policies/channels/stable/freshness.jws.json', Buffer.from('fresh'))
    const first = await transport.fetch('stable', SINCE)
    if (first.kind !== 'delivered') return expect.fail('nothing came')
    const sent: number[] = []
    web.answer = (request, response) => {
      response.on('finish', () => sent.push(response.statusCode))
      files(content)(request, response)
    }
    const second = await transport.fetch('stable', { ...SINCE, tag: first.tag })
    expect(second.kind).toBe('unchanged')
    expect(String(second.freshness)).toBe('fresh')
    expect(sent).toEqual([404, 200, 304])
  })

  test('without entity tags the content decides', async () => {
    await start((request, response) => {
      const body = content.get((request.url ?? '').slice(1))
      response.writeHead(body ? 200 : 404).end(body)
    })
    const first = await transport.fetch('stable', SINCE)
    if (first.kind !== 'delivered') return expect.fail('nothing came')
    expect(first.tag).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect((await transport.fetch('stable', { ...SINCE, tag: first.tag })).kind).toBe('unchanged')
  })

  test('a download that broke off goes on where it stopped, and the parts make one archive', async () => {
    const big = await writeBundleArchive({
      ...(await makeBundle()),
      members: new Map([['noise', randomBytes(200_000)]]),
    })
    let cuts = 0
    await start((request, response) => {
      if (request.url !== `/${PATH}` || cuts >= 2) return files(content)(request, response)
      cuts++
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
      const range = from === 0 ? {} : { 'content-range': `bytes ${from}-${big.length - 1}/${big.length}` }
      const tag = `"${big.length}-${big.reduce((sum, octet) => (sum * 31 + octet) % 1_000_000_007, 7)}"`
      response.writeHead(from === 0 ? 200 : 206, { etag: tag, 'content-length': big.length - from, ...range })
      response.write(big.subarray(from, from + 60_000), () => setTimeout(() => response.destroy(), 30))
    })
    content.set(PATH, big)
    const fetched = await transport.fetch('stable', SINCE)
    expect(fetched.kind === 'delivered' && fetched.bundle.members.get('noise')?.length).toBe(200_000)
    const ranges = web.headers.map((headers) => headers.range).filter((range) => range !== undefined)
    expect(ranges).toHaveLength(2)
    expect(ranges[1]).toMatch(/^bytes=1\d{5}-$/)
  })

  test('progress counts octets up to the whole', async () => {
    const seen: string[] = []
    await start(undefined, { onProgress: ({ what, done, total }) => seen.push(`${what} ${done}/${total}`) })
    await transport.fetch('stable', SINCE)
    expect(seen.at(-1)).toBe(`channels/stable/bundle.tgz ${archive.length}/${archive.length}`)
  })
})

describe('what it refuses', () => {
  test('a server whose certificate comes from another authority', async () => {
    const other = makeTls()
    await start(undefined, { ca: other.ca })
    other.remove()
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_TLS' })
    expect(web.asked).toEqual([])
  })

  test('a server whose key is not the pinned one, and takes the pinned one', async () => {
    await start(undefined, { pins: [spkiPin(tls.ca)] })
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_TLS',
      message: '"localhost" is not the server that was configured: its key is none of the pinned ones',
    })
    expect(web.asked).toEqual([])
    transport.close()
    transport = httpsTransport({ base: new URL('policies', web.url), ca: tls.ca, pins: [spkiPin(tls.cert)] })
    expect((await transport.fetch('stable', SINCE)).kind).toBe('delivered')
  })

  test('a certificate for another name', async () => {
    const narrow = makeTls(['DNS:policy.example'])
    web = await serve(narrow, files(content))
    transport = httpsTransport({ base: new URL('policies', web.url), ca: narrow.ca })
    narrow.remove()
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_TLS',
      message: '"localhost" is not the server that was configured: the certificate is for another name',
    })
  })

  test('plain http, and a password in the address', async () => {
    await start()
    const wrong = ['http://policy.example/', 'https://a:b@policy.example/', 'https://policy.example/?x=1']
    for (const base of wrong)
      expect(() => httpsTransport({ base: new URL(base) })).toThrow(
        expect.objectContaining({ code: 'TRANSPORT_SOURCE' }),
      )
  })

  test('a redirect, also one to the same server', async () => {
    await start((_request, response) => response.writeHead(302, { location: 'https://evil.example/x' }).end())
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_REDIRECT',
      detail: { to: 'https://evil.example/x' },
    })
  })

  test.each(['a/b', '..', '../x', 'a..b', '', '-x', 'a?b', 'a%2fb', 'x.lock'])('the channel %j', async (channel) => {
    await start()
    expect(await refusal(transport.fetch(channel, SINCE))).toMatchObject({ code: 'TRANSPORT_SOURCE' })
    expect(web.asked).toEqual([])
  })

  test('a body that says it is too long, before any of it is read', async () => {
    await start((request, response) =>
      request.url === `/${PATH}`
        ? response.writeHead(200, { 'content-length': LIMITS.archiveBytes + 1 }).end()
        : response.writeHead(404).end(),
    )
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_TOO_LARGE',
      detail: { limit: LIMITS.archiveBytes },
    })
  })

  test('a body without end, at its limit', async () => {
    let sent = 0
    await start(
      (request, response) => {
        if (request.url !== `/${PATH}`) return void response.writeHead(404).end()
        response.writeHead(200)
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536
          sent += 65_536
          if (!response.destroyed) response.once('drain', more)
        }
        more()
      },
      { deadlines: DEADLINES },
    )
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_TOO_LARGE' })
    expect(sent).toBeLessThan(2 * LIMITS.archiveBytes)
  })

  test('a freshness statement one octet too long, and takes one at the limit', async () => {
    await start()
    content.set('policies/channels/stable/freshness.jws.json', new Uint8Array(LIMITS.freshnessBytes))
    expect((await transport.fetch('stable', SINCE)).freshness).toHaveLength(LIMITS.freshnessBytes)
    content.set('policies/channels/stable/freshness.jws.json', new Uint8Array(LIMITS.freshnessBytes + 1))
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_TOO_LARGE' })
  })

  test('more roots than one run follows', async () => {
    await start((request, response) =>
      request.url?.includes('/roots/') ? response.end('root') : files(content)(request, response),
    )
    expect((await transport.fetch('stable', SINCE)).roots).toHaveLength(LIMITS.rootSteps)
  })

  test.each([
    [401, 'TRANSPORT_DENIED'],
    [403, 'TRANSPORT_DENIED'],
    [404, 'TRANSPORT_NOT_FOUND'],
    [429, 'TRANSPORT_STATUS'],
    [500, 'TRANSPORT_STATUS'],
  ])('status %d of the bundle is %s', async (status, code) => {
    await start((request, response) => response.writeHead(request.url === `/${PATH}` ? status : 404).end('no'))
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code })
  })

  test('a compressed answer that nobody asked for', async () => {
    await start((_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'))
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_PROTOCOL' })
  })

  test('a part of another range than the one that was asked for', async () => {
    await start((request, response) =>
      request.url === `/${PATH}`
        ? response.writeHead(206, { 'content-range': 'bytes 5-9/10' }).end('12345')
        : response.writeHead(404).end(),
    )
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_PROTOCOL',
      message: `the answer of "localhost:${web.port}" cannot be used: it sends another range`,
    })
  })
})

describe('what it does not wait for', () => {
  test('a server that accepts and says nothing', async () => {
    await start(() => undefined)
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_DEADLINE',
      detail: { what: 'idle', limitMs: 300 },
    })
  })

  const drip =
    (everyMs: number, octets: number): Answer =>
    (_request, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write(Buffer.alloc(octets)), everyMs)
      response.on('close', () => clearInterval(timer))
    }

  test('a body that drips below the minimum rate', async () => {
    await start(drip(50, 4))
    const refused = await refusal(transport.fetch('stable', SINCE))
    expect(refused).toMatchObject({ code: 'TRANSPORT_TOO_SLOW', detail: { limit: 1_024 } })
    expect((refused.detail as { rate: number }).rate).toBeLessThan(1_024)
  })

  test('a body that is quick enough and never ends', async () => {
    await start(drip(50, 400))
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_DEADLINE',
      detail: { what: 'total', limitMs: 900 },
    })
  })

  test('a server that accepts and never begins TLS', async () => {
    await start()
    const mute = createServer((socket) => socket.resume().on('error', () => undefined))
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    const { port } = mute.address() as AddressInfo
    transport.close()
    transport = httpsTransport({
      base: new URL(`https://localhost:${port}/`),
      ca: tls.ca,
      deadlines: { ...FAST, connectMs: 100 },
    })
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_DEADLINE',
      detail: { what: 'connect', limitMs: 100 },
    })
    await new Promise((resolve) => mute.close(resolve))
  })

  test('an address where nobody listens', async () => {
    await start()
    await web.close()
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_UNREACHABLE' })
  })

  test('a line that breaks every time: the attempts are counted', async () => {
    await start((_request, response) => {
      response.writeHead(200, { 'content-length': 1_000, etag: '"a"' })
      response.write('x', () => setTimeout(() => response.destroy(), 10))
    })
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_CUT' })
    expect(web.asked).toHaveLength(4)
  })
})
