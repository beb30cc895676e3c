// What a run measures, as a table: settings in order of importance, and in each the probes that a visit to a variant makes. A probe
// is one repetition of one measurement. What is guessed of them all (schedule.ts) and the files of bench/ fit into the budget of a run
// (budget.ts; a test holds it, with a twentieth to spare), and the run stops at its budget in any case (run.ts). Rounds are five, or nine
// and more: intervals of medians of seven would be narrower than they say (normal values, 500 draws: of five, seven, nine they cover the
// truth in 94, 87 and 96 of 100, of any number from ten to 33 in 91 to 96).

import type { Better, Question } from './results.js'
import type { Setting } from './setting.js'
import { MOST_STANDING } from './standing.js'

export interface Probe {
  readonly question: Exclude<Question, 'stage' | 'kernel-memory'>
  readonly family: 'ipv4' | 'ipv6'
  readonly flows: number
  readonly ms: number
  /** Transactions a second on a clock for the latencies, beside the run that counts how many are possible. */
  readonly paced?: number
}

export interface Scene extends Setting {
  readonly probes: readonly Probe[]
  readonly rounds: number
  /** Software in the place of a card is not visited: it would take most of the time and say nothing. */
  readonly real?: true
  /** Names of the variants that it says something of; absent: all. */
  readonly only?: readonly string[]
  /** What a whole run has left at its end is spent on further rounds of it. */
  readonly further?: true
}

const v4 = { family: 'ipv4' } as const
const v6 = { family: 'ipv6' } as const

/** iperf3 counts in whole seconds; shorter streams are sluice-load's. */
export const STREAM_MS = 1_000

/** Packets of known flows, and packets that each begin one; the table of a fence holds 65,536. */
export const KNOWN_FLOWS = 1_000
export const NEW_FLOWS = 20_000
/** From here on a stream is sustained, and its deviation is a gate: of tenths of a repetition, which say more about the scheduler than
 * about a load where they are shorter than a second, and nothing attached fails as often as a fence. */
export const SUSTAINED_MS = 10_000

/** What grants can make slower. */
const SCALE: readonly Probe[] = [
  { question: 'tcp-stream', ...v4, flows: 1, ms: STREAM_MS },
  { question: 'tcp-crr', ...v4, flows: 8, ms: 500 },
  { question: 'packets', ...v4, flows: KNOWN_FLOWS, ms: 300 },
  { question: 'packets', ...v4, flows: NEW_FLOWS, ms: 100 },
  { question: 'tcp-rr', ...v4, flows: 1, ms: 150, paced: 2_000 },
]

/** The same where one workspace of a hundred may hold 8,192 flows: all of these together are fewer, since what is refused beyond is
 * no cost. The stream leaves time for closed ones to be swept. */
const SCALE_OF_MANY: readonly Probe[] = [
  { question: 'packets', ...v4, flows: KNOWN_FLOWS, ms: 300 },
  { question: 'packets', ...v4, flows: 3_000, ms: 100 },
  { question: 'tcp-stream', ...v4, flows: 1, ms: STREAM_MS },
  { question: 'tcp-crr', ...v4, flows: 8, ms: 250 },
]

const BROAD: readonly Probe[] = [
  ...[1, 8, 32].map((flows): Probe => ({ question: 'tcp-stream', ...v4, flows, ms: STREAM_MS })),
  { question: 'tcp-stream', ...v6, flows: 1, ms: STREAM_MS },
  { question: 'udp-stream', ...v4, flows: 1, ms: STREAM_MS },
  { question: 'udp-stream', ...v6, flows: 1, ms: STREAM_MS },
  { question: 'tcp-rr', ...v4, flows: 1, ms: 500, paced: 2_000 },
  { question: 'tcp-rr', ...v4, flows: 32, ms: 500, paced: 5_000 },
  ...[1, 8, 32].map((flows): Probe => ({ question: 'tcp-crr', ...v4, flows, ms: 500 })),
  { question: 'tcp-crr', ...v6, flows: 8, ms: 500 },
  { question: 'http', ...v4, flows: 16, ms: 1_000 },
  { question: 'http', ...v6, flows: 16, ms: 1_000 },
  { question: 'packets', ...v4, flows: KNOWN_FLOWS, ms: 300 },
  { question: 'packets', ...v6, flows: KNOWN_FLOWS, ms: 300 },
  { question: 'packets', ...v4, flows: NEW_FLOWS, ms: 100 },
  { question: 'packets', ...v6, flows: NEW_FLOWS, ms: 100 },
]

export const QUICK: readonly Scene[] = [
  {
    grants: 100_000,
    workspaces: 1,
    rounds: 5,
    probes: [
      { question: 'tcp-stream', ...v4, flows: 1, ms: 600 },
      { question: 'tcp-crr', ...v4, flows: 8, ms: 350 },
      { question: 'packets', ...v4, flows: NEW_FLOWS, ms: 100 },
    ],
  },
  {
    grants: 1_000,
    workspaces: 1,
    rounds: 5,
    probes: [
      { question: 'tcp-rr', ...v4, flows: 1, ms: 250, paced: 2_000 },
      { question: 'tcp-crr', ...v6, flows: 8, ms: 350 },
      { question: 'packets', ...v4, flows: KNOWN_FLOWS, ms: 150 },
    ],
  },
]

/** The empty ones are the same with any number of grants; with none, a thousand, a hundred thousand and a million they are there. */
const BY_GRANTS = ['none', 'hand', 'ipset', 'nftables', 'ebpf', 'tc-flower']

/** The empty ones and ipset have no table of flows but that of `none` or of `hand`. `flows` is the most that is asked for (standing.ts),
 * `ms` an end for what is too slow. */
const STANDING: Scene = {
  grants: 10,
  workspaces: 1,
  rounds: 5,
  probes: [{ question: 'flows', ...v4, flows: MOST_STANDING, ms: 20_000 }],
  real: true,
  only: ['none', 'hand', 'nftables', 'ebpf', 'tc-flower'],
}

const SUSTAINED: Scene = {
  grants: 1_000,
  workspaces: 1,
  rounds: 5,
  probes: [{ question: 'tcp-stream', ...v4, flows: 1, ms: SUSTAINED_MS }],
  real: true,
  only: ['none', 'nftables', 'ebpf'],
}

export const FULL: readonly Scene[] = [
  { grants: 1_000, workspaces: 1, rounds: 5, probes: BROAD },
  // Most promises are of this one: its intervals are of nine, and of more where there is time.
  { grants: 100_000, workspaces: 1, rounds: 9, probes: SCALE, further: true },
  STANDING,
  SUSTAINED,
  { grants: 0, workspaces: 1, rounds: 5, probes: SCALE, real: true },
  { grants: 10, workspaces: 1, rounds: 5, probes: SCALE, real: true, only: BY_GRANTS },
  { grants: 10_000, workspaces: 1, rounds: 5, probes: SCALE, real: true, only: BY_GRANTS },
  { grants: 1_000, workspaces: 10, rounds: 5, probes: SCALE, real: true },
  { grants: 1_000, workspaces: 100, rounds: 5, probes: SCALE_OF_MANY, real: true },
  { grants: 1_000_000, workspaces: 1, rounds: 5, probes: SCALE, real: true },
]

/** Between hosts nothing is put in place: what stands between them is measured as it is. */
export const HOSTS: Scene = {
  grants: 0,
  workspaces: 0,
  rounds: 9,
  probes: [
    ...[1, 8, 32].map((flows): Probe => ({ question: 'tcp-stream', ...v4, flows, ms: 3_000 })),
    { question: 'tcp-rr', ...v4, flows: 1, ms: 2_000, paced: 1_000 },
    { question: 'tcp-rr', ...v4, flows: 32, ms: 2_000, paced: 5_000 },
    { question: 'tcp-crr', ...v4, flows: 8, ms: 2_000 },
    { question: 'udp-stream', ...v4, flows: 1, ms: 2_000 },
    { question: 'packets', ...v4, flows: KNOWN_FLOWS, ms: 2_000 },
  ],
}

export interface Shape {
  readonly unit: string
  readonly better: Better
}
export const SHAPES = {
  'tcp-stream': { unit: 'Gbit/s', better: 'higher' },
  'udp-stream': { unit: 'Gbit/s', better: 'higher' },
  packets: { unit: 'packets/s', better: 'higher' },
  'tcp-rr': { unit: 'transactions/s', better: 'higher' },
  'tcp-crr': { unit: 'connections/s', better: 'higher' },
  http: { unit: 'requests/s', better: 'higher' },
  flows: { unit: 'flows', better: 'higher' },
  stage: { unit: 'ms', better: 'lower' },
  'kernel-memory': { unit: 'MiB', better: 'lower' },
} as const satisfies Record<Question, Shape>

const FAMILY = { ipv4: 'IPv4', ipv6: 'IPv6' } as const
const count = (flows: number): string => `${flows.toLocaleString('en')} ${flows === 1 ? 'flow' : 'flows'}`

/** The title of a measurement; `ms` is how long a repetition lasts. */
export function sayOf(question: Question, flows: number, family: 'ipv4' | 'ipv6', ms = 0): string {
  const on = FAMILY[family]
  const sustained = ms >= SUSTAINED_MS ? ` of ${ms / 1_000} seconds` : ''
  switch (question) {
    case 'tcp-stream':
      return `TCP stream${sustained}, ${count(flows)}, ${on}`
    case 'udp-stream':
      return `UDP stream${sustained}, ${count(flows)}, ${on}`
    case 'tcp-rr':
      return `TCP request and response, ${flows} at a time, ${on}`
    case 'tcp-crr':
      return `TCP connect, request, response, close, ${flows} at a time, ${on}`
    case 'http':
      return `HTTP requests, ${flows} at a time, ${on}`
    case 'packets':
      return flows > KNOWN_FLOWS
        ? `small packets, each the first of ${count(flows)}, ${on}`
        : `small packets of ${count(flows)}, ${on}`
    case 'flows':
      return `connections that stand at the same time, of ${flows.toLocaleString('en')} asked for, ${on}`
    case 'stage':
      return 'time to put the policy in force'
    case 'kernel-memory':
      return 'kernel memory of the policy'
  }
}

/** A scene by name: its setting, and what it asks where it asks one thing, since another has the same setting then. */
export function titleOf({ grants, workspaces, probes }: Scene): string {
  if (workspaces === 0) return 'what stands between the hosts'
  const [one, ...others] = probes
  const asks = one && others.length === 0 ? `: ${sayOf(one.question, one.flows, one.family, one.ms)}` : ''
  return `${grants.toLocaleString('en')} grants${workspaces > 1 ? `, ${workspaces} workspaces` : ''}${asks}`
}
