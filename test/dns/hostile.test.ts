// The upstream client against servers that are broken, confused, forged, slow, dead or closing: what it gives, what it ignores and
// counts, and what it never does. Where time has to pass, limits are short and nothing is concluded from how long it took.

import { createSocket } from 'node:dgram'
import { afterEach, describe, expect, it } from 'vitest'
import type { Answer } from '../../src/dns/model.js'
import { openUpstreams, type UpstreamClient, type UpstreamLimits } from '../../src/dns/upstream/client.js'
import type { Destination } from '../../src/dns/upstream/connect.js'
import { type Asked, address, type Hostile, replyTo, type Say, startHostile } from '../support/dns/hostile.js'
import { CACHE_LIMITS, UPSTREAM_LIMITS } from '../support/dns/patience.js'
import { freePort } from '../support/dns/ports.js'
import { makeTls, type Tls } from '../support/tls.js'

const NAME = 'git.lab.example'
const good: Say = (asked) => replyTo(asked, [address(asked)])
/** For what is to run into a limit. */
const HASTY = { tryMs: 100, totalMs: 1_000, rounds: 1 } as const
const NO_CACHE = { ...CACHE_LIMITS, maxTtlSeconds: 0, maxNegativeTtlSeconds: 0, failureSeconds: 0 }

let client: UpstreamClient
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const serve = async (say: Say, tls?: Tls): Promise<Hostile> => {
  const server = await startHostile(say, tls)
  closing.push(() => server.close())
  return server
}
const open = (to: readonly Destination[], limits: Partial<UpstreamLimits> = {}): UpstreamClient => {
  client = openUpstreams(to, { ...UPSTREAM_LIMITS, cache: NO_CACHE, ...limits })
  const opened = client
  closing.push(() => opened.close())
  return client
}
const at = (server: { address: string; port: number }, transport: 'udp' | 'tcp' = 'udp'): Destination => ({
  ...{ transport, address: server.address, port: server.port, pins: [] },
})
const ask = (name = NAME, signal = new AbortController().signal): Promise<Answer> =>
  client.ask({ name, type: 'A' }, signal)
const addressesOf = ({ records }: Answer): string[] =>
  records.flatMap((record) => (record.type === 'CNAME' ? [] : [record.address]))
interface Failure {
  readonly code: string
  readonly message: string
  readonly cause?: Failure
}
const failure = async (asking: Promise<Answer>): Promise<Failure> => {
  try {
    await asking
  } catch (error) {
    return error as Failure
  }
  throw new Error('it was answered')
}
/** Ours; the system's own codes end the chain. */
const codes = ({ code, cause }: Failure): string[] =>
  code.startsWith('DNS_') ? [code, ...(cause ? codes(cause) : [])] : []
/** Letters in the other case, wherever there are some. */
const swapped = (name: string): string =>
  [...name].map((letter) => (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase())).join('')

describe('over UDP', () => {
  it('every question has a port, an id and a spelling of its own', async () => {
    const server = await serve(good)
    open([at(server)])
    for (let i = 0; i < 200; i++) expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
    const distinct = (of: (asked: Asked) => unknown) => new Set(server.asked.map(of)).size
    // 200 draws from 28,000 ports and 65,536 ids: far fewer different ones would be no draw. 2^13 spellings of the name.
    expect(distinct((asked) => asked.fromPort)).toBeGreaterThan(190)
    expect(distinct((asked) => asked.id)).toBeGreaterThan(190)
    expect(distinct((asked) => asked.name)).toBeGreaterThan(180)
    expect(new Set(server.asked.map((asked) => asked.name.toLowerCase()))).toEqual(new Set([NAME]))
    const ports = server.asked.map((asked) => asked.fromPort)
    expect(ports.filter((port, i) => port === (ports[i - 1] ?? 0) + 1).length).toBeLessThan(10)
  })

  const strays: readonly (readonly [string, (asked: Asked) => Uint8Array, object])[] = [
    ['another id', (asked) => replyTo({ ...asked, id: asked.id ^ 1 }, [address(asked, '6.6.6.6')]), { id: 1 }],
    [
      'another name',
      (asked) => replyTo({ ...asked, name: 'evil.example' }, [address(asked, '6.6.6.6')]),
      { question: 1 },
    ],
    ['another type', (asked) => replyTo({ ...asked, type: 'AAAA' }, [address(asked, '6.6.6.6')]), { question: 1 }],
    ['the question itself', (asked) => asked.octets, { query: 1 }],
  ]
  for (const [name, forged, counted] of strays)
    it(`a message with ${name} is ignored and counted, and the answer behind it taken`, async () => {
      open([at(await serve((asked) => [forged(asked), replyTo(asked, [address(asked)])]))])
      expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
      expect(client.counters().strays).toEqual({ query: 0, id: 0, question: 0, case: 0, ...counted })
    })
  it('garbage, half an answer and an answer of wrong lengths are ignored and counted', async () => {
    const bad = (asked: Asked): Uint8Array[] => {
      const whole = replyTo(asked, [address(asked, '6.6.6.6')])
      const longer = Buffer.concat([whole, Buffer.of(9)])
      longer.writeUInt16BE(5, whole.length - 6)
      return [Buffer.from('garbage'), whole.subarray(0, whole.length - 7), longer]
    }
    open([at(await serve((asked) => [...bad(asked), replyTo(asked, [address(asked)])]))])
    expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
    expect(client.counters().malformed).toBe(3)
  })
  it('other letters go on over TCP, where the server may have its way', async () => {
    const server = await serve((asked) =>
      replyTo({ ...asked, name: asked.name.toLowerCase() }, [
        address(asked, asked.way === 'udp' ? '6.6.6.6' : '45.76.10.10'),
      ]),
    )
    open([at(server)])
    expect(addressesOf(await ask('abcdefghijklmnopqrstuvwxyz.lab.example'))).toEqual(['45.76.10.10'])
    expect(server.asked.map(({ way }) => way)).toEqual(['udp', 'tcp'])
    expect(client.counters()).toMatchObject({ otherCase: 1, strays: { case: 1 } })
  })
  it('upper case throughout on a stream is still the same name', async () => {
    open([at(await serve((asked) => replyTo({ ...asked, name: swapped(asked.name) }, [address(asked)])), 'tcp')])
    expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
  })
  it('an answer cut short is fetched over TCP, whatever stood in it', async () => {
    const server = await serve((asked) =>
      asked.way === 'udp'
        ? replyTo(asked, [address(asked, '6.6.6.6')], { flags: 1 << 9 })
        : replyTo(asked, [address(asked)]),
    )
    open([at(server)])
    expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
    expect(server.asked.map(({ way }) => way)).toEqual(['udp', 'tcp'])
  })
  it('an answer from another port never arrives', async () => {
    const other = await serve(() => undefined)
    const forger = createSocket('udp4')
    closing.push(() => new Promise<void>((resolve) => forger.close(() => resolve())))
    const server = await serve(async (asked) => {
      const forged = replyTo(asked, [address(asked, '6.6.6.6')])
      await new Promise<void>((resolve) => forger.send(forged, asked.fromPort, '127.0.0.1', () => resolve()))
      return replyTo(asked, [address(asked)])
    })
    open([at(server)])
    expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
    // The kernel drops it before anything is read: the socket is connected.
    expect(client.counters()).toMatchObject({ strays: { id: 0, question: 0, case: 0 }, malformed: 0 })
    expect(other.asked).toEqual([])
  })
  it('extra records are no answers to other questions', async () => {
    const server = await serve((asked) =>
      asked.name.toLowerCase() === NAME
        ? replyTo(asked, [address(asked)], {
            authorities: [{ type: 'NS', name: 'example', ttl: 9_999, data: 'evil.example' }],
            additionals: [{ type: 'A', name: 'other.example', ttl: 9_999, data: '6.6.6.6' }],
          })
        : replyTo(asked, [], { flags: 3 }),
    )
    open([at(server)], { cache: CACHE_LIMITS })
    expect((await ask()).records).toEqual([{ owner: NAME, type: 'A', ttlSeconds: 60, address: '45.76.10.10' }])
    expect((await ask('other.example')).outcome).toBe('no-such-name')
  })
  it('an unreadable server falls silent, and says so', async () => {
    open([at(await serve(() => Buffer.from('garbage')))], HASTY)
    const error = await failure(ask())
    expect(codes(error)).toEqual(['DNS_UPSTREAM', 'DNS_UPSTREAM_SILENT'])
    expect(error.message).toBe(`no upstream answers for "${NAME}" A: it was tried`)
    expect(client.counters()).toMatchObject({ malformed: 1, failedTries: 1, unanswered: 1 })
  })
  it('a port where nothing listens is known at once', async () => {
    const port = await freePort('127.0.0.1')
    open([at({ address: '127.0.0.1', port })])
    const error = await failure(ask())
    expect(codes(error)).toEqual(['DNS_UPSTREAM', 'DNS_UPSTREAM_LINK'])
    expect(error.cause?.message).toBe(`udp://127.0.0.1:${port} cannot be used: nothing listens there`)
  })
})

describe('over TCP', () => {
  it('answers come in pieces of one octet, together, and in any order', async () => {
    const held: Asked[] = []
    const server = await serve((asked) => {
      held.push(asked)
      if (held.length < 3) return undefined
      const frames = Buffer.concat(
        held.reverse().flatMap((one) => {
          const octets = replyTo(one, [address(one, `45.76.0.${one.name.charAt(1)}`)])
          return [Buffer.from([octets.length >> 8, octets.length & 255]), octets]
        }),
      )
      for (const octet of frames) asked.raw(Uint8Array.of(octet))
      return undefined
    })
    open([at(server, 'tcp')])
    const answers = await Promise.all(['n1.example', 'n2.example', 'n3.example'].map((name) => ask(name)))
    expect(answers.map(addressesOf)).toEqual([['45.76.0.1'], ['45.76.0.2'], ['45.76.0.3']])
    expect(server.accepted()).toBe(1)
  })
  it('the largest message there is', async () => {
    const server = await serve((asked) => {
      // 16 octets a record behind a pointer; as many as fit.
      const head = Buffer.from(replyTo(asked, []))
      const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 45, 78, 0, 0])
      const count = 2_000
      head.writeUInt16BE(count, 6)
      return Buffer.concat([head, ...Array.from({ length: count }, () => record)])
    })
    open([at(server, 'tcp')])
    expect(addressesOf(await ask())).toHaveLength(2_000)
  })
  const endings: readonly (readonly [string, Say, string])[] = [
    ['closes without a word', (asked) => void asked.end(), 'DNS_UPSTREAM_LINK'],
    [
      'sends half an answer and closes',
      (asked) => {
        asked.raw(Buffer.concat([Buffer.of(0, 200), replyTo(asked, [address(asked)])]))
        setImmediate(asked.end)
        return undefined
      },
      'DNS_UPSTREAM_LINK',
    ],
    ['sends an empty message', (asked) => void asked.raw(Uint8Array.of(0, 0)), 'DNS_UPSTREAM_REPLY'],
    [
      'sends garbage under the right id',
      (asked) => Buffer.from([asked.id >> 8, asked.id & 255, 1, 2, 3]),
      'DNS_UPSTREAM_REPLY',
    ],
    [
      'answers another question',
      (asked) => replyTo({ ...asked, name: 'evil.example' }, [address(asked)]),
      'DNS_UPSTREAM_REPLY',
    ],
    ['cuts an answer short', (asked) => replyTo(asked, [], { flags: 1 << 9 }), 'DNS_UPSTREAM_REPLY'],
  ]
  for (const [name, say, code] of endings)
    it(`a server that ${name} gives ${code}, and its connection is not used again`, async () => {
      const server = await serve(say)
      open([at(server, 'tcp')], { rounds: 1 })
      expect(codes(await failure(ask()))).toEqual(['DNS_UPSTREAM', code])
      server.say = good
      expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
      expect(server.accepted()).toBe(2)
    })
  it('a connection that the server closed while it was idle is replaced without a failure', async () => {
    const server = await serve(good)
    open([at(server, 'tcp')], { rounds: 1 })
    await ask()
    server.say = (asked) => {
      server.say = good
      return void asked.end()
    }
    expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
    expect(client.counters()).toMatchObject({ connections: 2, failedTries: 0, sentTcp: 3 })
  })
  it('silence ends the connection for everybody; a slow name among others does not', async () => {
    const server = await serve((asked) => (asked.name.startsWith('slow') ? undefined : good(asked)))
    open([at(server, 'tcp')], { ...HASTY, tryMs: 200 })
    const slow = failure(ask('slow.example'))
    // Questions go on being answered beside it.
    let ended = false
    void slow.then(() => {
      ended = true
    })
    for (let i = 0; !ended; i++) expect(addressesOf(await ask(`n${i}.example`))).toHaveLength(1)
    expect(codes(await slow)).toEqual(['DNS_UPSTREAM', 'DNS_UPSTREAM_SILENT'])
    expect(client.counters().connections).toBe(1)
    await failure(ask('slow.example'))
    await ask()
    expect(client.counters().connections).toBe(2)
  })
  it('a late answer is counted and given to nobody', async () => {
    const held: Asked[] = []
    const server = await serve((asked) => {
      if (asked.name.startsWith('late')) return void held.push(asked)
      for (const one of held.splice(0)) one.send(replyTo(one, [address(one, '6.6.6.6')]))
      return good(asked)
    })
    open([at(server, 'tcp')])
    const gone = new AbortController()
    const late = failure(ask('late.example', gone.signal))
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve))
    gone.abort(new TypeError('gone'))
    expect((await late).message).toBe('gone')
    expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
    expect(client.counters().strays.id).toBe(1)
  })
})

describe('over TLS', () => {
  it('sessions are resumed, and the certificate still counts', async () => {
    const tls = makeTls(['DNS:dns.example'])
    closing.push(async () => tls.remove())
    const server = await serve((asked) => {
      if (server.asked.length % 2 === 0) setImmediate(asked.end)
      return good(asked)
    }, tls)
    open([
      { transport: 'dot', address: server.address, port: server.tlsPort, name: 'dns.example', pins: [], ca: tls.ca },
    ])
    for (let i = 0; i < 6; i++) expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
    const { connections, resumedSessions, sentUdp, sentTcp } = client.counters()
    expect(connections).toBeGreaterThan(1)
    expect(resumedSessions).toBe(connections - 1)
    expect([sentUdp, sentTcp]).toEqual([0, 0])
    expect(server.asked.every(({ way, octets }) => way === 'tls' && octets.length === 128)).toBe(true)
  })
})

describe('several upstreams', () => {
  it('a dead one is passed over, set aside, and asked again when it is back', async () => {
    const first = await serve(() => undefined)
    const second = await serve((asked) => replyTo(asked, [address(asked, '45.76.10.20')]))
    open([at(first), at(second)], { tryMs: 100 })
    expect(await ask()).toMatchObject({ from: `udp://127.0.0.1:${second.port}` })
    expect(client.status().map(({ failures }) => failures)).toEqual([1, 0])
    for (let i = 0; i < 3; i++) await ask(`n${i}.example`)
    expect(first.asked.length).toBeLessThan(4)
    first.say = good
    let from = ''
    for (let i = 0; from !== `udp://127.0.0.1:${first.port}`; i++) from = (await ask(`m${i}.example`)).from
    expect(client.status()).toEqual([
      { upstream: `udp://127.0.0.1:${first.port}`, failures: 0, asideMs: 0 },
      { upstream: `udp://127.0.0.1:${second.port}`, failures: 0, asideMs: 0 },
    ])
  })
  it('SERVFAIL and REFUSED are somebody else’s turn, and the answer when there is nobody else', async () => {
    const failing = await serve((asked) => replyTo(asked, [], { flags: 2 }))
    const working = await serve(good)
    open([at(failing), at(working)])
    expect(await ask()).toMatchObject({ outcome: 'answer', from: `udp://127.0.0.1:${working.port}` })
    working.say = (asked) => replyTo(asked, [], { flags: 5 })
    expect(await ask()).toMatchObject({ outcome: 'failed', from: `udp://127.0.0.1:${failing.port}` })
    expect(client.status().map(({ failures }) => failures)).toEqual([0, 0])
  })
  it('that a name is not there is an answer: nobody else is asked', async () => {
    const first = await serve((asked) => replyTo(asked, [], { flags: 3 }))
    const second = await serve(good)
    open([at(first), at(second)])
    expect((await ask()).outcome).toBe('no-such-name')
    expect(second.asked).toEqual([])
  })
  it('all dead: every one is tried in every round, and the fault names the last cause', async () => {
    const ports = [await freePort('127.0.0.1'), await freePort('127.0.0.1')]
    open(ports.map((port) => at({ address: '127.0.0.1', port })))
    const error = await failure(ask())
    expect(error.message).toBe(`no upstream answers for "${NAME}" A: all 2 were tried`)
    expect(codes(error)).toEqual(['DNS_UPSTREAM', 'DNS_UPSTREAM_LINK'])
    expect(client.counters()).toMatchObject({ failedTries: 4, unanswered: 1 })
  })
  it('an answer is validated only if its way is authenticated', async () => {
    const server = await serve((asked) => replyTo(asked, [address(asked)], { flags: 1 << 5 }))
    open([at(server)])
    expect((await ask()).validated).toBe(true)
    server.say = good
    expect((await ask()).validated).toBe(false)
  })
})

describe('whoever asks', () => {
  it('gets the reason of the signal, and the others their answer', async () => {
    const held: Asked[] = []
    const server = await serve((asked) => void held.push(asked))
    open([at(server)])
    const gone = new AbortController()
    const leaving = failure(ask(NAME, gone.signal))
    const staying = ask()
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve))
    gone.abort(new TypeError('gone'))
    expect((await leaving).message).toBe('gone')
    for (const one of held) one.send(replyTo(one, [address(one)]))
    expect(addressesOf(await staying)).toEqual(['45.76.10.10'])
    expect(held).toHaveLength(1)
  })
  it('nobody left: the question is given up, and can be asked anew', async () => {
    const server = await serve(() => undefined)
    open([at(server)])
    const gone = new AbortController()
    const leaving = failure(ask(NAME, gone.signal))
    while (server.asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
    gone.abort()
    expect(((await leaving) as unknown as DOMException).name).toBe('AbortError')
    server.say = good
    expect(addressesOf(await ask())).toEqual(['45.76.10.10'])
    expect(client.counters()).toMatchObject({ joined: 0, unanswered: 0, failedTries: 0 })
    await expect(ask(NAME, AbortSignal.abort(new TypeError('before')))).rejects.toThrow('before')
  })
  it('too many different questions are refused, not queued', async () => {
    const server = await serve(() => undefined)
    open([at(server)], { outstanding: 2 })
    const waiting = ['a.example', 'b.example'].map((name) => failure(ask(name)))
    const error = await failure(ask('c.example'))
    expect(error.message).toBe('no upstream answers for "c.example" A: too many questions are on their way')
    await client.close()
    for (const one of waiting) expect((await one).message).toMatch(/A: the mediator is ending$/)
    expect((await failure(ask())).message).toMatch(/A: the mediator is ending$/)
  })
  it('a name that is no host name is not sent', async () => {
    const server = await serve(good)
    open([at(server)])
    for (const name of ['', 'a..b', 'a b.example', 'ä.example', `${'a'.repeat(64)}.example`])
      expect((await failure(ask(name))).message).toMatch(/A: it is no host name$/)
    expect(server.asked).toEqual([])
  })
})
