// Polling, with time and chance given: the waits, the back-off, what ends it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { transportFault } from '../../src/agent/transports/errors.js'
import { folderTransport } from '../../src/agent/transports/folder.js'
import { nextPollMs, type PollEffects, poll } from '../../src/agent/transports/poll.js'
import type { Fetched, Transport } from '../../src/agent/transports/transport.js'

const TERMS = { intervalMs: 1_000, longestMs: 10_000 }

describe('nextPollMs', () => {
  test.each([
    [0, 0, 500],
    [0, 0.999999, 1_000],
    [1, 0.999999, 2_000],
    [3, 0.999999, 8_000],
    [4, 0.999999, 10_000],
    [1_000, 0, 5_000],
  ])('after %d failures with chance %d: %d ms', (failures, random, expected) => {
    expect(nextPollMs(TERMS, failures, random)).toBe(expected)
  })

  test('an interval above the longest wait is kept', () => {
    expect(nextPollMs({ intervalMs: 20_000, longestMs: 10_000 }, 2, 0.999999)).toBe(20_000)
  })
})

function script(answers: readonly (Fetched | Error)[]): {
  transport: Transport
  stop: AbortController
  asked: string[]
} {
  const stop = new AbortController()
  const asked: string[] = []
  let at = 0
  const transport: Transport = {
    name: 'script',
    close: () => undefined,
    push: () => Promise.reject(new Error('not used')),
    fetch: (channel, since) => {
      asked.push(`${channel} ${since.tag ?? '-'}`)
      const answer = answers[at++]
      if (at >= answers.length) stop.abort()
      return answer === undefined || answer instanceof Error
        ? Promise.reject(answer ?? new Error('the script is over'))
        : Promise.resolve(answer)
    },
  }
  return { transport, stop, asked }
}

test('waits longer after each failure, and at once as before when it answers again', async () => {
  const broken = transportFault('TRANSPORT_UNREACHABLE', { host: 'a' })
  const unchanged = { kind: 'unchanged', roots: [] } as const
  const { transport, stop, asked } = script([unchanged, broken, broken, broken, unchanged, unchanged])
  const waits: number[] = []
  const failed: string[] = []
  const effects: PollEffects = { random: () => 0, sleep: async (ms) => void waits.push(ms) }
  const polled = {
    channel: 'stable',
    since: () => ({ rootVersion: 1, tag: `${waits.length}` }),
    deliver: async () => undefined,
    failed: (fault: { code: string }, waitMs: number) => void failed.push(`${fault.code} ${waitMs}`),
  }
  await poll(transport, polled, stop.signal, TERMS, effects)
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 500, 500])
  expect(failed).toEqual(['TRANSPORT_UNREACHABLE 1000', 'TRANSPORT_UNREACHABLE 2000', 'TRANSPORT_UNREACHABLE 4000'])
  expect(asked).toEqual(['stable 0', 'stable 1', 'stable 2', 'stable 3', 'stable 4', 'stable 5'])
})

test('news end the pause, after it has settled; without news the interval does', async () => {
  const { transport, stop, asked } = script(
    Array.from({ length: 5 }, () => ({ kind: 'unchanged', roots: [] }) as const),
  )
  let tell: (() => void) | undefined
  let watched = 0
  const hearing: Transport = {
    ...transport,
    watch: (channel, changed) => {
      expect(channel).toBe('stable')
      watched++
      tell = changed
      return () => {
        watched--
      }
    },
  }
  const slept: string[] = []
  const effects: PollEffects = {
    random: () => 0,
    sleep: async (ms, signal) => {
      // The second pass and the fourth hear of news: in the pause, and before it has begun.
      if (ms === 500 && [2, 4].includes(asked.length)) tell?.()
      slept.push(`${ms}${signal.aborted ? ' woken' : ''}`)
      if (signal.aborted) throw new Error('aborted')
    },
  }
  const polled = {
    channel: 'stable',
    since: () => ({ rootVersion: 1 }),
    deliver: async () => undefined,
    failed: () => expect.fail('nothing failed'),
  }
  await poll(hearing, polled, stop.signal, TERMS, effects)
  expect(slept).toEqual(['500', '500 woken', '20', '500', '500 woken', '20', '500 woken'])
  expect([asked.length, watched]).toEqual([5, 0])
})

test('a source that fails is watched anew when it answers', async () => {
  const broken = transportFault('TRANSPORT_UNREACHABLE', { host: 'a' })
  const unchanged = { kind: 'unchanged', roots: [] } as const
  const { transport, stop } = script([unchanged, broken, unchanged, unchanged])
  const watches: string[] = []
  const hearing: Transport = {
    ...transport,
    watch: () => {
      watches.push('begun')
      return () => {
        watches.push('ended')
      }
    },
  }
  const effects: PollEffects = { random: () => 0, sleep: async () => undefined }
  const polled = {
    channel: 'stable',
    since: () => ({ rootVersion: 1 }),
    deliver: async () => undefined,
    failed: () => undefined,
  }
  await poll(hearing, polled, stop.signal, TERMS, effects)
  expect(watches).toEqual(['begun', 'ended', 'begun', 'ended'])
})

test('a folder tells that something was published there, and cannot be heard before it is there', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-folder-'))
  try {
    const transport = folderTransport(directory)
    const nothing = (): void => undefined
    expect(transport.watch?.('stable', nothing)).toBeUndefined()
    await transport.push('stable', { freshness: new Uint8Array([1]) })
    let heard = 0
    const end = transport.watch?.('stable', () => heard++)
    await transport.push('stable', { freshness: new Uint8Array([2]) })
    await expect.poll(() => heard, { timeout: 20_000 }).toBeGreaterThan(0)
    end?.()
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('what is not a fault is a bug and ends it', async () => {
  const { transport, stop } = script([new TypeError('ours'), { kind: 'unchanged', roots: [] }])
  const effects: PollEffects = { random: () => 0, sleep: async () => undefined }
  const polled = {
    channel: 'stable',
    since: () => ({ rootVersion: 1 }),
    deliver: async () => undefined,
    failed: () => expect.fail('it was taken for a fault'),
  }
  await expect(poll(transport, polled, stop.signal, TERMS, effects)).rejects.toThrow('ours')
})
