// The whole mediator on loopback over the memory backend: an answer leaves after its grant, and not otherwise.

import { connect } from 'node:net'
import type { DecodedPacket } from 'dns-packet'
import { afterEach, describe, expect, it } from 'vitest'
import type { Mediator } from '../../../src/dns/mediator.js'
import { recall } from '../../../src/dns/memory.js'
import { a, askTcp, askUdp, Bench, cname, framed, LOOP, mediatedPlan, query } from '../../support/mediator.js'
import { egress, WS } from '../../support/plans.js'

const FILES = egress('files', ['files.example.com'], 'tcp', ['443'])
const open: Mediator[] = []
afterEach(async () => {
  for (const mediator of open.splice(0)) await mediator.stop()
})

async function started(bench: Bench, recalled = bench.kept): Promise<{ mediator: Mediator; port: number }> {
  const mediator = bench.mediator(recalled)
  open.push(mediator)
  await mediator.start()
  const port = mediator.portAt('127.0.0.1')
  if (port === undefined) throw new Error(`not listening: ${JSON.stringify(mediator.status())}`)
  return { mediator, port }
}

const addresses = (packet: DecodedPacket): string[] =>
  (packet.answers ?? []).flatMap((record) => (record.type === 'A' || record.type === 'AAAA' ? [record.data] : []))
const rcode = (packet: DecodedPacket): string => (packet as unknown as { rcode: string }).rcode

describe('a granted name', () => {
  it('is answered with what was granted, for the time that it was granted', async () => {
    const bench = new Bench()
    await bench.apply(mediatedPlan([FILES]))
    bench.upstream.say('files.example.com', [
      a('files.example.com', '45.76.10.10', 900),
      a('files.example.com', '2a05:9:9::10', 0),
    ])
    const { port } = await started(bench)
    const v4 = await askUdp(port, query('FILES.example.COM', 'A'))
    expect(rcode(v4)).toBe('NOERROR')
    expect(v4.questions).toEqual([{ name: 'FILES.example.COM', type: 'A', class: 'IN' }])
    expect(v4.answers).toMatchObject([{ name: 'FILES.example.COM', type: 'A', ttl: 300, data: '45.76.10.10' }])
    expect(await bench.granted()).toEqual(['45.76.10.10:443 tcp'])
    const v6 = await askUdp(port, query('files.example.com', 'AAAA'))
    expect(v6.answers).toMatchObject([{ type: 'AAAA', ttl: 1, data: '2a05:9:9::10' }])
    expect(await bench.granted()).toEqual(['2a05:9:9::10:443 tcp', '45.76.10.10:443 tcp'])
    expect(bench.upstream.asked).toEqual(['A files.example.com', 'AAAA files.example.com'])
  })

  it('is not answered before its grant is in the kernel', async () => {
    const bench = new Bench()
    await bench.apply(mediatedPlan([FILES]))
    bench.upstream.say('files.example.com', [a('files.example.com', '45.76.10.10')])
    const order: string[] = []
    let release = (): void => undefined
    const gate = new Promise<void>((done) => {
      release = done
    })
    bench.beforeLearn = async () => {
      order.push('writing')
      await gate
      order.push('written')
    }
    const { port } = await started(bench)
    const asking = askUdp(port, query('files.example.com', 'A')).then((packet) => {
      order.push('answered')
      return packet
    })
    while (!order.includes('writing')) await new Promise((done) => setImmediate(done))
    release()
    expect(addresses(await asking)).toEqual(['45.76.10.10'])
    expect(order).toEqual(['writing', 'written', 'answered'])
  })

  it('is SERVFAIL when the grant cannot be written, and the address is not held', async () => {
    const bench = new Bench()
    await bench.apply(mediatedPlan([FILES]))
    bench.upstream.say('files.example.com', [a('files.example.com', '45.76.10.10')])
    bench.beforeLearn = () => Promise.reject(new Error('no memory'))
    const { port, mediator } = await started(bench)
    expect(rcode(await askUdp(port, query('files.example.com', 'A')))).toBe('SERVFAIL')
    expect(mediator.status().learned).toBe(0)
    expect(mediator.counters().refused).toEqual({ grant: 1 })
    bench.beforeLearn = () => Promise.resolve()
    expect(addresses(await askUdp(port, query('files.example.com', 'A')))).toEqual(['45.76.10.10'])
  })
})

describe('what happens on the way', () => {
  const ready = async (clauses = [FILES], bench = new Bench()) => {
    await bench.apply(mediatedPlan(clauses))
    bench.upstream.say('files.example.com', [a('files.example.com', '45.76.10.10')])
    return { bench, ...(await started(bench)) }
  }

  it('questions alike share one hold', async () => {
    const { bench, port, mediator } = await ready()
    const said = bench.upstream.says.get('A files.example.com')
    let asked = 0
    bench.upstream.says.set('A files.example.com', async () => {
      asked++
      while (mediator.counters().coalesced < 2) await new Promise((done) => setImmediate(done))
      return said as Awaited<ReturnType<typeof bench.upstream.ask>>
    })
    const all = await Promise.all([1, 2, 3].map((id) => askUdp(port, query('files.example.com', 'A', { id }))))
    expect(all.map(addresses)).toEqual([['45.76.10.10'], ['45.76.10.10'], ['45.76.10.10']])
    expect(asked).toBe(1)
  })

  it('a plan that becomes live during the hold judges the answer again', async () => {
    const { bench, port } = await ready()
    const other = mediatedPlan([FILES, egress('more', ['more.example.com'], 'tcp', ['443'])])
    let changed = false
    bench.beforeLearn = async () => {
      if (changed) return
      changed = true
      await bench.apply(other, 2)
    }
    expect(addresses(await askUdp(port, query('files.example.com', 'A')))).toEqual(['45.76.10.10'])
    expect((await bench.driver.observe()).live?.learned).toMatchObject([{ generation: 2, address: '45.76.10.10' }])
  })

  it('a clause that goes during the hold refuses the question', async () => {
    const { bench, port } = await ready()
    let changed = false
    bench.beforeLearn = async () => {
      if (!changed) await bench.apply(mediatedPlan([egress('more', ['more.example.com'], 'tcp', ['443'])]), 2)
      changed = true
    }
    expect(rcode(await askUdp(port, query('files.example.com', 'A')))).toBe('REFUSED')
    expect(await bench.granted()).toEqual([])
  })

  it('a quarantine during the hold refuses it, and takes back what was written', async () => {
    const { bench, port, mediator } = await ready()
    let set = false
    bench.beforeLearn = () => {
      if (!set && bench.standing) bench.standing = { ...bench.standing, quarantined: new Set([WS]) }
      set = true
      return Promise.resolve()
    }
    expect(rcode(await askUdp(port, query('files.example.com', 'A')))).toBe('REFUSED')
    await mediator.look()
    expect(await bench.granted()).toEqual([])
    expect(mediator.status().learned).toBe(0)
  })

  it('what disappears from the kernel is put back, and what nobody learnt is taken away', async () => {
    const { bench, port, mediator } = await ready()
    await askUdp(port, query('files.example.com', 'A'))
    const [grant] = (await bench.driver.observe()).live?.learned ?? []
    if (!grant) throw new Error('nothing learnt')
    await bench.driver.learn(1, [
      { ...grant, expiresAtMs: 0 },
      { ...grant, address: '45.76.10.66' },
    ])
    expect(await bench.granted()).toEqual(['45.76.10.66:443 tcp'])
    await mediator.look()
    expect(await bench.granted()).toEqual(['45.76.10.10:443 tcp'])
    expect(mediator.counters()).toMatchObject({ rewritten: 1, takenBack: 1 })
  })

  it('says NXDOMAIN, empty and SERVFAIL as the upstream does', async () => {
    const { bench, port } = await ready()
    bench.upstream.says.clear()
    expect(rcode(await askUdp(port, query('files.example.com', 'A')))).toBe('NXDOMAIN')
    bench.upstream.say('files.example.com', [cname('files.example.com', 'b.example.net')])
    expect(await askUdp(port, query('files.example.com', 'A'))).toMatchObject({
      rcode: 'NOERROR',
      answers: [{ type: 'CNAME', data: 'b.example.net' }],
    })
    bench.upstream.says.set('A files.example.com', () => Promise.reject(new Error('dead')))
    expect(rcode(await askUdp(port, query('files.example.com', 'A')))).toBe('SERVFAIL')
    bench.upstream.say('files.example.com', [a('files.example.com', '10.0.0.1')])
    expect(rcode(await askUdp(port, query('files.example.com', 'A')))).toBe('SERVFAIL')
  })

  it('passes on that an answer was validated only when all of it is there, to who asks', async () => {
    const { bench, port } = await ready()
    const flags = async (more = {}) =>
      ((await askUdp(port, query('files.example.com', 'A', more))) as unknown as { flag_ad: boolean }).flag_ad
    bench.upstream.say('files.example.com', [a('files.example.com', '45.76.10.10')], { validated: true })
    expect(await flags()).toBe(false)
    expect(await flags({ flags: 256 | 32 })).toBe(true)
    bench.upstream.say(
      'files.example.com',
      [a('files.example.com', '45.76.10.10'), a('files.example.com', '10.0.0.1')],
      { validated: true },
    )
    expect(await flags({ flags: 256 | 32 })).toBe(false)
  })

  it('tells grants and refusals, once each', async () => {
    const { bench, port, mediator } = await ready()
    await askUdp(port, query('files.example.com', 'A'))
    await askUdp(port, query('files.example.com', 'A'))
    await askUdp(port, query('other.example.com', 'A'))
    await askUdp(port, query('another.example.com', 'A'))
    await mediator.stop()
    expect(bench.told.map((event) => `${event.kind} ${event.name} ${event.count}`)).toEqual([
      'granted files.example.com 1',
      'refused other.example.com 1',
      'refused another.example.com 1',
    ])
    expect(bench.upstream.closed).toBe(true)
  })
})

describe('a restart', () => {
  it('keeps grants with their expiry, and budgets; a damaged memory keeps neither and opens nothing', async () => {
    const bench = new Bench(1)
    await bench.apply(mediatedPlan([FILES, egress('wild', ['*.cdn.example.com'], 'tcp', ['443'])]))
    bench.upstream.say('files.example.com', [a('files.example.com', '45.76.10.10', 100)])
    bench.upstream.say('x.cdn.example.com', [a('x.cdn.example.com', '45.76.10.20', 100)])
    const first = await started(bench)
    await askUdp(first.port, query('files.example.com', 'A'))
    await askUdp(first.port, query('x.cdn.example.com', 'A'))
    await first.mediator.stop()
    const { live } = await bench.driver.observe()
    await bench.driver.learn(
      1,
      (live?.learned ?? []).map((grant) => ({ ...grant, expiresAtMs: 0 })),
    )
    bench.nowMs += 50_000
    const second = await started(bench)
    expect(await bench.granted()).toEqual(['45.76.10.10:443 tcp', '45.76.10.20:443 tcp'])
    expect(rcode(await askUdp(second.port, query('y.cdn.example.com', 'A')))).toBe('REFUSED')
    await second.mediator.stop()
    const third = await started(bench, recall('damaged', 'boot'))
    expect(await bench.granted()).toEqual([])
    expect(rcode(await askUdp(third.port, query('y.cdn.example.com', 'A')))).toBe('NXDOMAIN')
  })
})

describe('the wire', () => {
  const tcpReady = async () => {
    const bench = new Bench()
    await bench.apply(mediatedPlan([FILES]))
    const many = Array.from({ length: 32 }, (_, i) => a('files.example.com', `45.77.0.${i}`))
    bench.upstream.say('files.example.com', many)
    return { bench, ...(await started(bench)) }
  }

  it('cuts what does not fit, and gives all of it over TCP, several questions on one connection', async () => {
    const { port, mediator } = await tcpReady()
    const cut = await askUdp(port, query('files.example.com', 'A'))
    expect(cut).toMatchObject({ flag_tc: true, answers: [] })
    expect(cut.octets.length).toBeLessThanOrEqual(512)
    expect(mediator.counters().truncated).toBe(1)
    const answers = await askTcp(port, [
      query('files.example.com', 'A', { id: 1 }),
      query('nothing.example.com', 'A', { id: 2 }),
      query('files.example.com', 'AAAA', { id: 3 }),
    ])
    expect(answers.map((one) => [one.id, rcode(one), one.answers?.length]).sort()).toEqual([
      [1, 'NOERROR', 32],
      [2, 'REFUSED', 0],
      [3, 'NOERROR', 0],
    ])
  })

  it('speaks EDNS without options, and refuses another version', async () => {
    const { port } = await tcpReady()
    const opt = (ednsVersion: number) => ({
      additionals: [
        {
          type: 'OPT' as const,
          name: '.' as const,
          udpPayloadSize: 4096,
          extendedRcode: 0,
          ednsVersion,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    })
    const fits = await askUdp(port, query('files.example.com', 'AAAA', opt(0)))
    expect(fits.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232, options: [] }])
    const whole = await askUdp(port, query('files.example.com', 'A', opt(0)))
    expect(whole.octets.length).toBeLessThanOrEqual(1232)
    expect((await askUdp(port, query('files.example.com', 'A', opt(1)))).additionals).toMatchObject([
      { extendedRcode: 1 },
    ])
  })

  it.each([
    ['two questions', (octets: Buffer) => octets.writeUInt16BE(2, 4), 'FORMERR'],
    ['an answer in it', (octets: Buffer) => octets.writeUInt16BE(1, 6), 'FORMERR'],
    ['another opcode', (octets: Buffer) => octets.writeUInt16BE(0x2800, 2), 'NOTIMP'],
    ['a pointer as name', (octets: Buffer) => octets.writeUInt16BE(0xc00c, 12), 'FORMERR'],
    ['another class', (octets: Buffer) => octets.writeUInt16BE(3, octets.length - 2), 'REFUSED'],
  ])('a question with %s is refused', async (_, spoil, expected) => {
    const { port } = await tcpReady()
    const octets = query('files.example.com', 'A')
    spoil(octets)
    expect(rcode(await askUdp(port, octets))).toBe(expected)
  })

  it('a client of another address is nobody, whatever it asks', async () => {
    const bench = new Bench()
    const entry = { ...LOOP, slot: { ...LOOP.slot, addresses: ['10.9.0.2'] } }
    await bench.apply(mediatedPlan([FILES], {}, [entry]))
    const { port, mediator } = await started(bench)
    expect(rcode(await askUdp(port, query('files.example.com', 'A')))).toBe('REFUSED')
    expect(mediator.counters().refused).toEqual({ 'unknown-client': 1 })
    expect(bench.upstream.asked).toEqual([])
  })

  it('garbage, oversized and half-said messages on TCP leave it answering others', async () => {
    const { port } = await tcpReady()
    const talk = (octets: Buffer): Promise<void> =>
      new Promise((done) => {
        const socket = connect(port, '127.0.0.1')
        socket.on('error', () => undefined)
        socket.on('close', () => done())
        socket.resume()
        socket.write(octets)
      })
    await talk(Buffer.from([0xff, 0xff, 1, 2, 3]))
    await talk(Buffer.from([0, 0]))
    await talk(framed(Buffer.from([1, 2, 3])))
    const half = connect(port, '127.0.0.1')
    half.on('error', () => undefined)
    half.write(Buffer.from([0, 40, 1]))
    expect(addresses((await askTcp(port, [query('files.example.com', 'A')]))[0] as DecodedPacket)).toHaveLength(32)
    half.destroy()
  })
})
