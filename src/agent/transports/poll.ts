// Asking a transport again and again: at a steady interval while it answers, with exponential back-off while it does not,
// and never in step with other nodes. Where the transport can hear of news, an interval ends with the first of them. Time and chance come in as values, so that a test runs a day in a millisecond.

import { setTimeout as sleepFor } from 'node:timers/promises'
import { Fault } from '../../base/fault.js'
import type { Fetched, Since, Transport } from './transport.js'

export interface PollTerms {
  readonly intervalMs: number
  /** Longest wait after failures. */
  readonly longestMs: number
}
export const POLL: PollTerms = { intervalMs: 30_000, longestMs: 600_000 }

/**
 * How long to wait after `failures` attempts in a row that failed; `random` is in [0, 1). Answers lie between half and all
 * of the interval, doubled for each failure up to the longest.
 */
export function nextPollMs(terms: PollTerms, failures: number, random: number): number {
  const full = Math.min(terms.intervalMs * 2 ** Math.min(failures, 32), Math.max(terms.longestMs, terms.intervalMs))
  return Math.round(full * (0.5 + random / 2))
}

export interface PollEffects {
  readonly random: () => number
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}
export const NODE_POLL: PollEffects = {
  random: Math.random,
  sleep: async (ms, signal) => {
    await sleepFor(ms, undefined, { signal })
  },
}

export interface Polled {
  readonly channel: string
  readonly since: () => Since
  /** What came; what it throws counts as a failed attempt. */
  readonly deliver: (fetched: Fetched) => Promise<void>
  /** Each failed attempt; the loop goes on. */
  readonly failed: (fault: Fault, waitMs: number) => void
}

/** Polls until the signal is aborted. A Fault is reported and tried again; anything else is a bug of ours and ends it. */
export async function poll(
  transport: Transport,
  polled: Polled,
  signal: AbortSignal,
  terms: PollTerms = POLL,
  effects: PollEffects = NODE_POLL,
): Promise<void> {
  let failures = 0
  let news = new AbortController()
  let unwatch: (() => void) | undefined
  const heard = (): void => {
    news.abort()
  }
  try {
    while (!signal.aborted) {
      let problem: Fault | undefined
      unwatch ??= transport.watch?.(polled.channel, heard)
      try {
        await polled.deliver(await transport.fetch(polled.channel, polled.since()))
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        problem = error
      }
      failures = problem === undefined ? 0 : failures + 1
      const waitMs = nextPollMs(terms, failures, effects.random())
      if (problem !== undefined) {
        polled.failed(problem, waitMs)
        // What is watched may not be there any more.
        unwatch?.()
        unwatch = undefined
      }
      await pause(effects, waitMs, AbortSignal.any([signal, news.signal]))
      if (!news.signal.aborted) continue
      // What is published comes in several files; somebody who keeps writing is looked at fifty times a second at most.
      await pause(effects, SETTLE_MS, signal)
      news = new AbortController()
    }
  } finally {
    unwatch?.()
  }
}

const SETTLE_MS = 20

async function pause(effects: PollEffects, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await effects.sleep(ms, signal)
  } catch (error) {
    // An aborted sleep is how the pause, or the loop, is ended.
    if (!signal.aborted) throw error
  }
}
