// The upstream client against a real resolver: every awkward zone, by every way, with the exact outcome of each.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import type { Answer, QuestionType } from '../../src/dns/model.js'
import { openUpstreams, type UpstreamClient, type UpstreamLimits } from '../../src/dns/upstream/client.js'
import type { Destination } from '../../src/dns/upstream/connect.js'
import { parseUpstreamUrl } from '../../src/dns/upstream/parse.js'
import { CACHE_LIMITS, UPSTREAM_LIMITS } from '../support/dns/patience.js'
import { RESOLVER_NAME, type Resolver } from '../support/dns/resolver.js'
import { resolverSuite } from '../support/dns/suite.js'
import { CHAIN, MANY, manyAddresses, NEGATIVE_SECONDS } from '../support/dns/zones.js'
import { makeTls } from '../support/tls.js'

const WAYS = ['udp', 'tcp', 'dot'] as const
/** What the resolver remembers has run a little, by whole seconds. */
const within = (most: number): unknown => ({ asymmetricMatch: (value: number) => value > 0 && value <= most })
const UP_TO_A_MINUTE = within(60)
/** A name without an AAAA for each way. */
const ONE_FAMILY = { udp: 'registry', tcp: 'inference', dot: 'v4only' } as const

resolverSuite('upstream client and unbound', (start) => {
  let resolver: Resolver
  let client: UpstreamClient | undefined
  beforeAll(async () => {
    resolver = await start()
  })
  afterEach(async () => {
    await client?.close()
    client = undefined
  })
  afterAll(() => resolver.close())

  const to = (way: (typeof WAYS)[number]): Destination => {
    const url = `${way}://${resolver.address}:${way === 'dot' ? resolver.dotPort : resolver.port}`
    const parsed = parseUpstreamUrl(way === 'dot' ? `${url}#${RESOLVER_NAME}` : url)
    if (typeof parsed === 'string') throw new Error(parsed)
    return way === 'dot' ? { ...parsed, ca: resolver.tls.ca } : parsed
  }
  const open = (destination: Destination, limits: Partial<UpstreamLimits> = {}): UpstreamClient => {
    client = openUpstreams([destination], { ...UPSTREAM_LIMITS, ...limits })
    return client
  }
  const ask = (name: string, type: QuestionType = 'A'): Promise<Answer> =>
    (client as UpstreamClient).ask({ name, type }, new AbortController().signal)
  const addressesOf = ({ records }: Answer): string[] =>
    records.flatMap((record) => (record.type === 'CNAME' ? [] : [record.address]))

  it('what was answered is not given up', async () => {
    open(to('udp'))
    const abort = vi.spyOn(AbortController.prototype, 'abort')
    try {
      expect(addressesOf(await ask('git.lab.example'))).toEqual(['45.76.10.10'])
      expect(abort).not.toHaveBeenCalled()
    } finally {
      abort.mockRestore()
    }
  })
  for (const way of WAYS) {
    it(`${way}: addresses of both families, with owner and time`, async () => {
      open(to(way))
      const port = way === 'dot' ? resolver.dotPort : resolver.port
      expect(await ask('git.lab.example')).toEqual({
        outcome: 'answer',
        records: [{ owner: 'git.lab.example', type: 'A', ttlSeconds: UP_TO_A_MINUTE, address: '45.76.10.10' }],
        negativeTtlSeconds: 0,
        validated: false,
        from: `${way}://127.0.0.1:${port}${way === 'dot' ? `#${RESOLVER_NAME}` : ''}`,
      })
      expect((await ask('git.lab.example', 'AAAA')).records).toEqual([
        { owner: 'git.lab.example', type: 'AAAA', ttlSeconds: UP_TO_A_MINUTE, address: '2a05:9:9::10' },
      ])
    })
    it(`${way}: a name that is not there, and one without addresses, with the time that this may be remembered`, async () => {
      open(to(way))
      const missing = await ask(`no-${way}.lab.example`)
      expect([missing.outcome, missing.records]).toEqual(['no-such-name', []])
      expect(missing.negativeTtlSeconds).toEqual(within(NEGATIVE_SECONDS))
      const empty = await ask(`${ONE_FAMILY[way]}.lab.example`, 'AAAA')
      expect([empty.outcome, empty.records, empty.negativeTtlSeconds]).toEqual(['answer', [], within(NEGATIVE_SECONDS)])
    })
    it(`${way}: hundreds of addresses, whole`, async () => {
      const { counters } = open(to(way))
      const answer = await ask('many.lab.example')
      expect(addressesOf(answer).sort()).toEqual(manyAddresses().sort())
      expect(answer.records).toHaveLength(MANY)
      // 1232 octets hold some seventy of them: the rest of the way is TCP.
      expect(counters.call(client).truncated).toBe(way === 'udp' ? 1 : 0)
    })
    it(`${way}: a chain of ${CHAIN} names, in order`, async () => {
      open(to(way))
      const { records } = await ask('chain0.lab.example')
      expect(records).toHaveLength(CHAIN + 1)
      for (const [i, record] of records.slice(0, CHAIN).entries())
        expect(record).toMatchObject({ owner: `chain${i}.lab.example`, target: `chain${i + 1}.lab.example` })
      expect(records.at(-1)).toMatchObject({ owner: `chain${CHAIN}.lab.example`, address: '45.76.10.10' })
    })
    it(`${way}: validated where the zone is signed, AD was said, and the way is authenticated`, async () => {
      open(to(way))
      // This resolver is on loopback, so that all three ways are.
      expect((await ask('www.signed.example')).validated).toBe(true)
      expect((await ask('alias.signed.example')).validated).toBe(true)
      expect((await ask('git.lab.example')).validated).toBe(false)
    })
    it(`${way}: SERVFAIL and REFUSED are outcomes`, async () => {
      open(to(way))
      expect((await ask('servfail.live.example')).outcome).toBe('failed')
      expect((await ask('www.example.com')).outcome).toBe('refused')
    })
    it(`${way}: a loop of aliases fails or has no address, and ends`, async () => {
      open(to(way))
      for (const name of ['loop-a.lab.example', 'self.lab.example']) expect(addressesOf(await ask(name))).toEqual([])
    })
  }

  it('answers that change at every query are never kept', async () => {
    const { counters } = open(to('udp'))
    const seen = new Set<string>()
    for (let i = 0; i < 5; i++) for (const address of addressesOf(await ask('rotate.live.example'))) seen.add(address)
    expect(seen.size).toBe(5)
    expect(counters.call(client)).toMatchObject({ asked: 5, cached: 0, sentUdp: 5 })
  })
  it('a name of zero seconds is never kept; one of a minute is, and its time runs', async () => {
    const { counters } = open(to('udp'))
    for (let i = 0; i < 3; i++) expect((await ask('zero.lab.example')).records[0]?.ttlSeconds).toBe(0)
    expect(counters.call(client)).toMatchObject({ cached: 0, sentUdp: 3 })
    const first = (await ask('registry.lab.example')).records[0]?.ttlSeconds ?? 0
    while (((await ask('registry.lab.example')).records[0]?.ttlSeconds ?? first) === first) await sleep(50)
    expect((await ask('registry.lab.example')).records[0]?.ttlSeconds).toBe(first - 1)
    expect(counters.call(client).sentUdp).toBe(4)
  })
  it('rebinding shows: what was public is private at the next query', async () => {
    open(to('udp'), { cache: { ...CACHE_LIMITS, maxTtlSeconds: 0 } })
    const got = [await ask('rebind.live.example'), await ask('rebind.live.example')].map(addressesOf)
    expect(got).toEqual([['45.76.10.10'], ['10.50.0.10']])
  })
  it('the same question asked at once is asked once', async () => {
    const { counters } = open(to('udp'))
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask('slow-200.live.example')))
    expect(new Set(answers.map((answer) => addressesOf(answer).join()))).toEqual(new Set(['45.76.10.10']))
    expect(counters.call(client)).toMatchObject({ asked: 50, joined: 49, sentUdp: 1 })
  })
  it('fifty questions at once over one stream, answered in any order', async () => {
    for (const way of ['tcp', 'dot'] as const) {
      const { counters } = open(to(way))
      const names = Array.from({ length: 50 }, (_, i) =>
        i % 2 === 0 ? `x${i}.wild.lab.example` : `slow-${i}.live.example`,
      )
      const answers = await Promise.all(names.map((name) => ask(name)))
      for (const [i, answer] of answers.entries())
        expect(answer.records[0]).toMatchObject({
          owner: names[i],
          address: i % 2 === 0 ? '45.76.10.20' : '45.76.10.10',
        })
      expect(counters.call(client).connections).toBe(1)
      await client?.close()
    }
  })

  {
    const failure = async (destination: Destination, limits: Partial<UpstreamLimits> = {}) => {
      open(destination, limits)
      try {
        await ask('git.lab.example')
      } catch (error) {
        const fault = error as { code: string; cause?: { code: string; message: string } }
        return [fault.code, fault.cause?.code, fault.cause?.message.replace(/^.*?: /, '')]
      }
      return 'answered'
    }
    it('DoT: another name, another CA, another key are refused before a question is sent', async () => {
      const dot = to('dot')
      expect(await failure({ ...dot, name: 'other.example' })).toEqual([
        ...['DNS_UPSTREAM', 'DNS_UPSTREAM_IDENTITY', 'its certificate is for another name'],
      ])
      const { ca: _ca, ...untrusted } = dot
      expect(await failure(untrusted)).toEqual([
        ...['DNS_UPSTREAM', 'DNS_UPSTREAM_IDENTITY', 'its certificate is not trusted'],
      ])
      const wrong = Buffer.alloc(32).toString('base64')
      expect(await failure({ ...dot, pins: [wrong] })).toEqual([
        ...['DNS_UPSTREAM', 'DNS_UPSTREAM_IDENTITY', 'its key is none of the pinned ones'],
      ])
      expect(client?.counters().sentDot).toBe(0)
      expect(client?.counters().sentUdp).toBe(0)
    })
    it('DoT: the right key is enough without a name, and counts beside one', async () => {
      const { name: _name, ca: _ca, ...bare } = to('dot')
      const other = makeTls()
      const wrong = Buffer.alloc(32).toString('base64')
      try {
        expect(await failure({ ...bare, pins: [wrong, resolver.pin] })).toBe('answered')
        expect(await failure({ ...to('dot'), pins: [resolver.pin] })).toBe('answered')
        expect(await failure({ ...to('dot'), ca: other.ca, pins: [resolver.pin] })).toEqual([
          ...['DNS_UPSTREAM', 'DNS_UPSTREAM_IDENTITY', 'its certificate is not trusted'],
        ])
      } finally {
        other.remove()
      }
    })
    it('DoT: a server that speaks no TLS is refused, and nothing goes in clear', async () => {
      // It takes the greeting for the length of a question, and waits for the rest.
      const said = await failure({ ...to('dot'), port: resolver.port }, { tryMs: 100, totalMs: 1_000 })
      expect(said.slice(0, 2)).toEqual(['DNS_UPSTREAM', 'DNS_UPSTREAM_SILENT'])
      expect(client?.counters()).toMatchObject({ sentUdp: 0, sentTcp: 0, sentDot: 0 })
    })
  }
})
