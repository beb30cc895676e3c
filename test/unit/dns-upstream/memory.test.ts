// What the client remembers: answers, as long as they say and no longer, and which upstream to ask next.

import { describe, expect, it } from 'vitest'
import type { Answer } from '../../../src/dns/model.js'
import { AnswerCache, CACHE_LIMITS, lifetimeSeconds } from '../../../src/dns/upstream/cache.js'
import { failed, HEALTHY, type Health, orderOf, tried } from '../../../src/dns/upstream/health.js'

const Q = { name: 'git.lab.example', type: 'A' } as const
const answer = (more: Partial<Answer> = {}, ...ttls: number[]): Answer => ({
  outcome: 'answer',
  records: ttls.map((ttlSeconds) => ({ owner: Q.name, type: 'A', ttlSeconds, address: '45.76.10.10' })),
  negativeTtlSeconds: 0,
  validated: false,
  from: 'udp://127.0.0.1',
  ...more,
})

describe('cache', () => {
  it('gives an answer with what is left of its time, and not in its last second', () => {
    const cache = new AnswerCache()
    cache.put(Q, answer({}, 10, 20), 5_000)
    const ttls = (nowMs: number) => cache.get(Q, nowMs)?.records.map((record) => record.ttlSeconds)
    expect(ttls(5_000)).toEqual([10, 20])
    expect(ttls(5_999)).toEqual([10, 20])
    expect(ttls(8_000)).toEqual([7, 17])
    expect(ttls(14_000)).toEqual([1, 11])
    expect(ttls(14_001)).toBeUndefined()
    expect(cache.size).toBe(0)
  })
  it('is for exactly the question', () => {
    const cache = new AnswerCache()
    cache.put(Q, answer({}, 10), 0)
    expect(cache.get({ ...Q, type: 'AAAA' }, 0)).toBeUndefined()
    expect(cache.get({ ...Q, name: 'x.git.lab.example' }, 0)).toBeUndefined()
    expect(cache.get(Q, 0)).toBeDefined()
  })
  const lifetimes: readonly (readonly [string, Answer, number])[] = [
    ['the shortest record', answer({}, 60, 5, 30), 5],
    ['no longer than the limit', answer({}, 604_800), CACHE_LIMITS.maxTtlSeconds],
    ['zero seconds', answer({}, 60, 0), 0],
    ['a name that is not there', answer({ outcome: 'no-such-name', negativeTtlSeconds: 7 }), 7],
    ['the limit of what is not there', answer({ negativeTtlSeconds: 3_600 }), CACHE_LIMITS.maxNegativeTtlSeconds],
    ['a negative answer without a time', answer({ outcome: 'no-such-name' }), 0],
    ['SERVFAIL', answer({ outcome: 'failed' }), CACHE_LIMITS.failureSeconds],
    ['REFUSED', answer({ outcome: 'refused' }), CACHE_LIMITS.failureSeconds],
  ]
  for (const [name, value, seconds] of lifetimes)
    it(`lives as long as: ${name}`, () => expect(lifetimeSeconds(value, CACHE_LIMITS)).toBe(seconds))
  it('an alias bounds the time too', () => {
    const alias = { owner: Q.name, type: 'CNAME', ttlSeconds: 2, target: 'x.example' } as const
    expect(lifetimeSeconds(answer({ records: [alias, ...answer({}, 60).records] }), CACHE_LIMITS)).toBe(2)
  })
  it('what may not be kept takes the old answer away', () => {
    const cache = new AnswerCache()
    cache.put(Q, answer({}, 60), 0)
    cache.put(Q, answer({}, 0), 0)
    expect(cache.get(Q, 0)).toBeUndefined()
  })
  it('forgets what was not used for longest', () => {
    const cache = new AnswerCache({ ...CACHE_LIMITS, entries: 2 })
    const name = (one: string) => ({ name: one, type: 'A' }) as const
    cache.put(name('a'), answer({}, 60), 0)
    cache.put(name('b'), answer({}, 60), 0)
    cache.get(name('a'), 0)
    cache.put(name('c'), answer({}, 60), 0)
    expect(['a', 'b', 'c'].filter((one) => cache.get(name(one), 0))).toEqual(['a', 'c'])
    expect(cache.size).toBe(2)
  })
  it('a clock that went back makes everything of unknown age', () => {
    const cache = new AnswerCache()
    cache.put(Q, answer({}, 60), 5_000)
    expect(cache.get(Q, 4_999)).toBeUndefined()
  })
})

describe('health', () => {
  const aside = (...chances: number[]): Health => chances.reduce((health, chance) => failed(health, 0, chance), HEALTHY)
  it('asks by preference while all is well', () => {
    expect(orderOf([HEALTHY, HEALTHY, HEALTHY], 0)).toEqual([0, 1, 2])
  })
  it('asks last who failed, soonest to return first, and nobody never', () => {
    const once = aside(1)
    const twice = aside(1, 1)
    expect(orderOf([twice, once, HEALTHY], 1)).toEqual([2, 1, 0])
    expect(orderOf([twice, once, HEALTHY], once.asideUntilMs)).toEqual([1, 2, 0])
    expect(orderOf([twice, once], 1_000_000)).toEqual([0, 1])
  })
  it('sets aside for a time that doubles up to a limit, spread by half', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 20].map((n) => aside(...new Array<number>(n).fill(1)).asideUntilMs)).toEqual([
      ...[500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000],
    ])
    expect(aside(0).asideUntilMs).toBe(250)
  })
  it('lets one question find out whether it is back', () => {
    const back = aside(1)
    const asked = tried(back, 600, 800)
    expect(orderOf([back, HEALTHY], 600)).toEqual([0, 1])
    expect(orderOf([asked, HEALTHY], 600)).toEqual([1, 0])
    expect(tried(HEALTHY, 600, 800)).toBe(HEALTHY)
  })
})
