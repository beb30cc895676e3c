// One line of a comparison: as drafted from two runs, and as judged in the light of all lines (judge.ts). Inert data, and the line of what
// the second run does not have.

import type { Draft, Judged, Verdict } from './judge.js'
import type { Better } from './results.js'
import { type Interval, median } from './statistics.js'

export const LEAST_SAMPLES = 5

export interface Compared {
  /** `measurement ID` or `bench NAME`; `variant NAME` of many rates together. */
  readonly from: string
  readonly say: string
  /** Of a measurement; absent for a series of bench/. */
  readonly variant?: string
  readonly what:
    | 'share of nothing attached'
    | 'rates together, share of nothing attached'
    | 'value'
    | 'latency p50'
    | 'latency p99'
    | 'CPU, share of nothing attached'
    | 'CPU'
    | 'median'
    | 'promise'
  readonly before: number
  readonly after: number
  /** After by before, with its 99 % interval; 0 throughout for what is gone. */
  readonly quotient: Interval
  readonly better: Better
  readonly verdict: Verdict
  /** Of what is too noisy to tell: beyond its own 99 %, but not beyond what so many lines do by chance. Decides nothing. */
  readonly suspected?: 'slower' | 'faster'
  /** Only what is ours decides whether something got slower. */
  readonly counts: boolean
  /** Of what the second run does not have, or no longer holds: why. */
  readonly gone?: string
}

/** Of what stands alone: how the machine differed, and the change that matters. Absent between two machines. */
export interface Alone {
  readonly drift: number
  readonly least: number
}

export type Drafted = Omit<Compared, 'quotient' | 'verdict' | 'suspected' | 'gone'> & Draft
/** What needs no other line to be judged. */
export type Settled = Compared & { readonly gone: string }
export type Line = Drafted | Settled

export function compared({
  estimate: _,
  least: __,
  drift: ___,
  like: ____,
  together: _____,
  ...row
}: Drafted & Judged): Compared {
  return row
}

export function goneRow(what: Compared['what'], values: readonly number[], better: Better, gone: string) {
  const quotient = { middle: 0, low: 0, high: 0 }
  return { what, before: median(values), after: 0, quotient, better, verdict: 'slower' as const, gone }
}

export const tooFew = (count: number): string => `${count} in the second run, and ${LEAST_SAMPLES} are needed`
