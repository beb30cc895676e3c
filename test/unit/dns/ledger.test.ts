// What is held, what is written, what makes room, and what two names may not share.

import { describe, expect, it } from 'vitest'
import { digestOfText } from '../../../src/base/digest.js'
import { EventFold } from '../../../src/dns/events.js'
import { GRACE_MS, type JudgedAddress } from '../../../src/dns/judge.js'
import { CAPS, Ledger } from '../../../src/dns/ledger.js'
import { encodeMemory, recall } from '../../../src/dns/memory.js'
import { GrantQueue } from '../../../src/dns/queue.js'
import { NOW } from '../../support/mediator.js'
import { WS } from '../../support/plans.js'

const [ONE, TWO] = [digestOfText('one'), digestOfText('two')]
const TERMS = { pins: [], sharedAddresses: false }
const judged = (address: string, ttlSeconds = 60, clause = ONE, port = 443): JudgedAddress => ({
  address,
  ttlSeconds,
  opens: [{ clause, protocol: 'tcp', port }],
})
const propose = (
  ledger: Ledger,
  name: string,
  addresses: readonly JudgedAddress[],
  nowMs = NOW,
  terms: typeof TERMS = TERMS,
  generation = 1,
) => ledger.propose(WS, name, addresses, terms, generation, nowMs)

describe('the ledger', () => {
  it('writes a new address for its lifetime and the grace, and tells the client its lifetime', () => {
    const ledger = new Ledger()
    const proposal = propose(ledger, 'a.example', [judged('45.76.10.10', 60)])
    expect(proposal.given).toEqual([{ address: '45.76.10.10', ttlSeconds: 60 }])
    expect(proposal.grants).toEqual([
      {
        workspace: WS,
        clause: ONE,
        name: 'a.example',
        protocol: 'tcp',
        address: '45.76.10.10',
        port: 443,
        expiresAtMs: NOW + 60_000 + GRACE_MS,
      },
    ])
    expect(proposal.news).toEqual(['45.76.10.10'])
  })

  it('writes nothing while at least half of it is left, and tells the rest of it', () => {
    const ledger = new Ledger()
    propose(ledger, 'a.example', [judged('45.76.10.10', 60)])
    expect(propose(ledger, 'a.example', [judged('45.76.10.10', 60)], NOW + 29_000)).toMatchObject({
      given: [{ ttlSeconds: 31 }],
      grants: [],
      news: [],
    })
    expect(propose(ledger, 'a.example', [judged('45.76.10.10', 60)], NOW + 31_000)).toMatchObject({
      given: [{ ttlSeconds: 60 }],
      grants: [{ expiresAtMs: NOW + 91_000 + GRACE_MS }],
      news: [],
    })
  })

  it('writes again under another generation', () => {
    const ledger = new Ledger()
    propose(ledger, 'a.example', [judged('45.76.10.10')])
    expect(propose(ledger, 'a.example', [judged('45.76.10.10')], NOW, TERMS, 2).grants).toHaveLength(1)
    expect(propose(ledger, 'a.example', [judged('45.76.10.10')], NOW, TERMS, 2).grants).toHaveLength(0)
    ledger.confirm(3)
    expect(propose(ledger, 'a.example', [judged('45.76.10.10')], NOW, TERMS, 3).grants).toHaveLength(0)
  })

  it('one grant of two names lasts as long as the longer', () => {
    const ledger = new Ledger()
    propose(ledger, 'a.example', [judged('45.76.10.10', 300)])
    const second = propose(ledger, 'b.example', [judged('45.76.10.10', 5)])
    expect(second.withheld).toEqual([])
    expect(second.grants).toMatchObject([{ expiresAtMs: NOW + 300_000 + GRACE_MS }])
    expect(ledger.grants(NOW)).toHaveLength(1)
  })

  it('withholds an address that a name under other clauses has, until that has expired', () => {
    const ledger = new Ledger()
    propose(ledger, 'a.example', [judged('45.76.10.10', 60, ONE)])
    const second = propose(ledger, 'b.example', [judged('45.76.10.10', 60, TWO), judged('45.76.10.11', 60, TWO)])
    expect(second.withheld).toEqual([{ address: '45.76.10.10', name: 'a.example' }])
    expect(second.given.map(({ address }) => address)).toEqual(['45.76.10.11'])
    expect(propose(ledger, 'b.example', [judged('45.76.10.10', 60, TWO)], NOW + 60_001 + GRACE_MS).withheld).toEqual([])
  })

  it('shares it where the policy accepts that, and says so', () => {
    const ledger = new Ledger()
    const accepting = { pins: [], sharedAddresses: true }
    propose(ledger, 'a.example', [judged('45.76.10.10', 60, ONE)], NOW, accepting)
    const second = propose(ledger, 'b.example', [judged('45.76.10.10', 60, TWO)], NOW, accepting)
    expect(second).toMatchObject({ withheld: [], shared: [{ name: 'a.example' }] })
    expect(ledger.shared(WS, NOW)).toEqual([{ address: '45.76.10.10', names: ['a.example', 'b.example'] }])
    ledger.part(WS, NOW)
    expect(ledger.shared(WS, NOW)).toEqual([])
    expect(ledger.list(WS)).toHaveLength(1)
  })

  it('an address that another name is pinned to is withheld too', () => {
    const terms = { pins: [{ name: 'pinned.example', addresses: ['45.76.10.10'] }], sharedAddresses: false }
    const ledger = new Ledger()
    expect(ledger.propose(WS, 'a.example', [judged('45.76.10.10')], terms, 1, NOW).withheld).toEqual([
      { address: '45.76.10.10', name: 'pinned.example' },
    ])
  })

  it('what could not be written is not held', () => {
    const ledger = new Ledger()
    propose(ledger, 'a.example', [judged('45.76.10.10', 60)])
    const failed = propose(ledger, 'a.example', [judged('45.76.10.10', 300), judged('45.76.10.11')], NOW + 31_000)
    failed.undo()
    expect(ledger.list(WS)).toMatchObject([{ address: '45.76.10.10', expiresAtMs: NOW + 60_000 + GRACE_MS }])
  })

  it('a name keeps its newest addresses; the oldest makes room, is named, and is taken from the kernel', () => {
    const ledger = new Ledger()
    const turn = (i: number): string => `45.78.${i >> 8}.${i & 255}`
    for (let i = 0; i < CAPS.perName; i++) propose(ledger, 'a.example', [judged(turn(i), 1)], NOW + i)
    const next = propose(ledger, 'a.example', [judged(turn(999), 1)], NOW + 1000)
    expect(next.evicted.map(({ address }) => address)).toEqual([turn(0)])
    expect(next.grants.map(({ address, expiresAtMs }) => [address, expiresAtMs])).toEqual([
      [turn(999), NOW + 2000 + GRACE_MS],
      [turn(0), 0],
    ])
    expect(ledger.list(WS)).toHaveLength(CAPS.perName)
    next.undo()
    expect(ledger.list(WS).some(({ address }) => address === turn(0))).toBe(true)
  })

  it('a workspace keeps its newest grants, whatever their names', () => {
    const ledger = new Ledger()
    const ports = Array.from({ length: 64 }, (_, i) => ({ clause: ONE, protocol: 'tcp' as const, port: i + 1 }))
    for (let i = 0; i < CAPS.perWorkspace / 64; i++)
      propose(ledger, `n${i}.example`, [{ address: `45.78.0.${i}`, ttlSeconds: 60, opens: ports }], NOW + i)
    expect(ledger.grants(NOW)).toHaveLength(CAPS.perWorkspace)
    const over = propose(ledger, 'new.example', [judged('45.79.0.1')], NOW + 1000)
    expect(over.evicted.map(({ name }) => name)).toEqual(['n0.example'])
    expect(ledger.grants(NOW + 1000)).toHaveLength(CAPS.perWorkspace - 64 + 1)
  })

  it('forgets what has expired and what has no basis', () => {
    const ledger = new Ledger()
    propose(ledger, 'a.example', [judged('45.76.10.10', 60, ONE), judged('45.76.10.11', 60, TWO)])
    ledger.prune(NOW, (_, held) => held.opens[0]?.clause === ONE)
    expect(ledger.list(WS).map(({ address }) => address)).toEqual(['45.76.10.10'])
    ledger.prune(NOW + 60_000 + GRACE_MS, () => true)
    expect(ledger.list(WS)).toEqual([])
  })
})

describe('memory', () => {
  const held = [
    {
      workspace: WS,
      held: [
        {
          name: 'a.example',
          address: '45.76.10.10',
          opens: [{ clause: ONE, protocol: 'tcp' as const, port: 443 }],
          expiresAtMs: NOW,
          generation: 3,
        },
      ],
    },
  ]
  const spent = [{ workspace: WS, key: `${ONE} *.example.com`, names: ['x.example.com'] }]
  const text = encodeMemory({ boot: 'b1', held, spent })

  it('comes back as it was, for the same boot', () => {
    expect(recall(text, 'b1')).toEqual({ held, spent })
    expect(recall(undefined, 'b1')).toEqual({ held: [], spent: [] })
  })

  it('after another boot nothing is held, and budgets are', () => {
    expect(recall(text, 'b2')).toEqual({ held: [], spent, lost: 'the machine was started anew' })
  })

  it.each([
    ['', 'it is not JSON'],
    [text.slice(0, -20), 'it is not JSON'],
    ['{}', 'it has another format'],
    [text.replace('sluice-names/1', 'sluice-names/2'), 'it has another format'],
    [text.replace('45.76.10.10', '45.76.10.x'), 'it is damaged'],
    [text.replace('"port":443', '"port":0'), 'it is damaged'],
    [text.replace('"tcp"', '"icmp"'), 'it is damaged'],
    [text.replace('a.example', 'a b.example'), 'it is damaged'],
    [text.replace('"names":["x.example.com"]', '"names":"x"'), 'it is damaged'],
  ])('what is damaged is nothing, and says so', (broken, lost) => {
    expect(recall(broken, 'b1')).toEqual({ held: [], spent: [], lost })
  })
})

describe('the queue', () => {
  const grant = (address: string) => ({
    workspace: WS,
    clause: ONE,
    name: 'a.example',
    protocol: 'tcp' as const,
    address,
    port: 443,
    generation: 1,
    expiresAtMs: NOW,
  })

  it('writes what waits together, and tries each alone when that fails', async () => {
    const batches: string[][] = []
    let release = (): void => undefined
    const first = new Promise<void>((done) => {
      release = done
    })
    const queue = new GrantQueue(async (_, grants) => {
      batches.push(grants.map(({ address }) => address))
      if (batches.length === 1) await first
      if (grants.some(({ address }) => address === 'bad')) {
        if (grants.length > 1) return false
        throw new Error('refused')
      }
      return true
    })
    const all = ['a', 'b', 'bad', 'c'].map((address) => queue.write(1, [grant(address)]))
    release()
    const done = await Promise.allSettled(all)
    expect(done.map((one) => (one.status === 'fulfilled' ? one.value : 'failed'))).toEqual([true, true, 'failed', true])
    expect(batches).toEqual([['a'], ['b', 'bad', 'c'], ['b'], ['bad'], ['c']])
  })

  it('nothing to write is written at once', async () => {
    const queue = new GrantQueue(() => Promise.reject(new Error('asked')))
    expect(await queue.write(1, [])).toBe(true)
  })
})

describe('events', () => {
  const refused = (name: string, atMs: number, why = 'not-granted') =>
    ({
      kind: 'refused',
      atMs,
      name,
      type: 'A',
      why,
      rcode: 'REFUSED',
      addresses: [],
      client: { workspace: WS, address: '10.9.0.2', port: 1, server: '10.9.0.1', transport: 'udp' },
    }) as const

  it('tells the first at once and folds the like into one a second, with an exact count', () => {
    const fold = new EventFold()
    expect(fold.take(refused('a.example', NOW))).toMatchObject([{ name: 'a.example', count: 1 }])
    expect(fold.take(refused('b.example', NOW + 1))).toEqual([])
    expect(fold.take(refused('c.example', NOW + 2))).toEqual([])
    expect(fold.take(refused('d.example', NOW + 3, 'budget'))).toMatchObject([{ count: 1 }])
    expect(fold.due(NOW + 999)).toEqual([])
    expect(fold.due(NOW + 1000)).toMatchObject([
      { name: 'b.example', count: 2, mixed: true, firstAtMs: NOW + 1, atMs: NOW + 2 },
    ])
    expect(fold.due(NOW + 5000)).toEqual([])
  })
})
