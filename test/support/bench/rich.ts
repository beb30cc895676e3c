// Results for tests of what is shown: every question, six sizes, both families, a distribution for each change, a promise with
// each verdict, and texts that would like to be more than texts. The numbers are made up, and say so.

import { readFileSync } from 'node:fs'
import type {
  BenchSeen,
  Cell,
  Figure,
  Latency,
  Measurement,
  PromiseJudged,
  Results,
  Role,
} from '../../../src/bench/results.js'

export const sampleResults = (): Results =>
  JSON.parse(readFileSync(new URL('sample.json', import.meta.url), 'utf8')) as Results

/** What an attacker who may name a machine or a series would try. */
export const HOSTILE = [
  '</script><script>window.hacked=1</script>',
  '<img src=x onerror="window.hacked=1">',
  '"><svg onload=window.hacked=1>',
  "' autofocus onfocus='window.hacked=1",
  '<!-- ]]> {{window.hacked=1}} <style>*{display:none}</style>',
  '\u202egnp.\u0000\u001b[31mred\ud800',
] as const

const figure = (middle: number, width = 0.012): Figure => ({
  kind: 'value',
  middle,
  low: middle * (1 - width),
  high: middle * (1 + width * 0.8),
  spread: width / 2,
  of: 5,
})
const noisy = (middle: number): Figure => ({
  kind: 'noisy',
  why: 'the interval is 31 % of the median wide on one side; 10 % is the limit',
  middle,
  low: middle * 0.69,
  high: middle * 1.18,
})

/** How much of the path a variant leaves, and how much less for each decade of grants. */
const LEFT = {
  none: [1, 0],
  empty: [0.995, 0],
  'empty-chains': [0.985, 0],
  hand: [0.975, 0.022],
  ipset: [0.93, 0.016],
  nftables: [0.955, 0.007],
  ebpf: [0.99, 0.001],
  'doca-flow': [0.06, 0.001],
} as const
type Name = keyof typeof LEFT
const NAMES = Object.keys(LEFT) as Name[]

const SIZES = [0, 10, 1_000, 10_000, 100_000, 1_000_000]
const decades = (grants: number) => (grants === 0 ? 0 : Math.log10(grants))

const latency = (p50: number): Latency => ({
  corrected: true,
  count: 412_345,
  percentiles: [
    [90, 1.4],
    [99.9, 9.5],
    [99.99, 31],
    [100, 120],
  ].map(([percent = 0, times = 1]) => ({ percent, microseconds: p50 * times })),
  p50: figure(p50),
  p99: figure(p50 * 3.1),
})

interface Shape {
  readonly question: Measurement['question']
  readonly say: string
  readonly unit: string
  readonly better: Measurement['better']
  readonly value: number
  readonly waits?: number
  readonly cost?: 'cpuSecondsPerGbit' | 'cpuSecondsPerMillionPackets' | 'cpuSecondsPerThousandTransactions'
}

const SHAPES: readonly Shape[] = [
  {
    question: 'tcp-stream',
    say: 'TCP stream',
    unit: 'Gbit/s',
    better: 'higher',
    value: 14.4,
    cost: 'cpuSecondsPerGbit',
  },
  {
    question: 'udp-stream',
    say: 'UDP stream',
    unit: 'Gbit/s',
    better: 'higher',
    value: 3.1,
    cost: 'cpuSecondsPerGbit',
  },
  {
    question: 'packets',
    say: 'Small packets',
    unit: 'packets/s',
    better: 'higher',
    value: 412_000,
    cost: 'cpuSecondsPerMillionPackets',
  },
  {
    question: 'tcp-crr',
    say: 'TCP connect, request, close',
    unit: 'connections/s',
    better: 'higher',
    value: 6_700,
    waits: 145,
    cost: 'cpuSecondsPerThousandTransactions',
  },
  {
    question: 'tcp-rr',
    say: 'TCP request and response',
    unit: 'transactions/s',
    better: 'higher',
    value: 31_000,
    waits: 31,
  },
  { question: 'http', say: 'HTTP requests', unit: 'requests/s', better: 'higher', value: 9_300, waits: 105 },
  { question: 'flows', say: 'Flows at once', unit: 'flows', better: 'higher', value: 65_000 },
  { question: 'stage', say: 'Load a plan', unit: 'ms', better: 'lower', value: 2 },
  { question: 'kernel-memory', say: 'Kernel memory of maps and sets', unit: 'MiB', better: 'lower', value: 0.8 },
]

function cell(shape: Shape, name: Name, grants: number, index: number): Cell {
  const [left, less] = LEFT[name]
  const factor = shape.better === 'higher' ? left - less * decades(grants) : (1 + grants / 9_000) / left
  const value = shape.value * factor * (1 + 0.004 * Math.sin(index * 7 + name.length))
  const loud = shape.question === 'tcp-crr' && name === 'ipset' && grants === 10_000
  const to = (other: Name) => ({
    to: other,
    figure: figure(factor / (LEFT[other][0] - LEFT[other][1] * decades(grants)), 0.009),
  })
  return {
    variant: name,
    repetitions: [0, 1, 2, 3, 4].map((round) => ({
      round,
      position: (round + index) % 8,
      value: value * (1 + 0.003 * round),
    })),
    figure: loud ? noisy(value) : figure(value),
    ratios: (['none', 'empty', 'empty-chains', 'hand'] as const).filter((other) => other !== name).map(to),
    gates: [
      {
        name: 'sustain-deviation',
        limit: 0.05,
        value: name === 'ipset' && grants === 100_000 ? 0.081 : 0.012,
        state: name === 'ipset' && grants === 100_000 ? 'failed' : 'passed',
      },
    ],
    ...(shape.cost === undefined
      ? {}
      : {
          cost: {
            [shape.cost]: figure(0.14 / left, 0.02),
            ...(name === 'none' ? {} : { ofBaseline: figure(1 / left, 0.02) }),
          },
        }),
    ...(shape.waits === undefined ? {} : { latency: latency(shape.waits * (1 + 0.13 * index)) }),
  }
}

function measurement(shape: Shape, flows: number, family: 'ipv4' | 'ipv6', grants: number): Measurement {
  return {
    id: `${shape.question} flows=${flows} family=${family} grants=${grants} workspaces=1`,
    question: shape.question,
    say: `${shape.say}, ${flows} flow${flows === 1 ? '' : 's'}, ${family === 'ipv4' ? 'IPv4' : 'IPv6'}`,
    flows,
    family,
    grants,
    workspaces: 1,
    unit: shape.unit,
    better: shape.better,
    commands: [`iperf3 --client 198.18.0.2 --parallel ${flows} --time 2`, 'iperf3 --server --one-off'],
    cells: NAMES.map((name, i) => cell(shape, name, grants, i)),
  }
}

const bench = (
  name: string,
  promise: string,
  target: string,
  rows: readonly (readonly [string, number, number, number, number?])[],
): BenchSeen => ({
  name,
  promise,
  target,
  state: 'done',
  figure: `p99 ${rows.map(([, , p99]) => p99).join(', ')} ms`,
  rows: rows.map(([series, p50, p99]) => `${series}: p50 ${p50} ms, p99 ${p99} ms`),
  met: !target.includes('250'),
  emulated: false,
  command: `node scripts/bench.mjs ${name}`,
  tookSeconds: 9,
  series: rows.map(([series, p50, p99, max, limit]) => ({
    name: series,
    unit: 'ms',
    better: 'lower',
    count: 200,
    ...(limit === undefined ? {} : { limit }),
    quantiles: [
      { percent: 50, value: p50 },
      { percent: 90, value: (p50 + p99) / 2 },
      { percent: 99, value: p99 },
      { percent: 100, value: max },
    ],
    samples: [p50, p50, p99],
  })),
})

const judged = (
  id: string,
  say: string,
  target: string,
  verdict: PromiseJudged['verdict'],
  said: string,
  against?: PromiseJudged['against'],
): PromiseJudged => ({
  id,
  say,
  target,
  verdict,
  figure: said,
  from: 'bench x',
  emulated: false,
  ...(against ? { against } : {}),
})

/** Everything at once. `texts` stand where a machine or a bench says something of itself. */
export function richResults(texts: readonly string[] = []): Results {
  const base = sampleResults()
  const role = (name: Name): Role =>
    name === 'none'
      ? 'baseline'
      : name.startsWith('empty')
        ? 'reference'
        : name === 'hand' || name === 'ipset'
          ? 'peer'
          : 'fence'
  return {
    ...base,
    run: { ...base.run, kind: 'full', command: 'sluice bench --seed 1', tookSeconds: 3_412, budgetSeconds: 3_600 },
    machine: { ...base.machine, name: texts[0] ?? 'bench.example', cpu: texts[1] ?? 'AMD EPYC' },
    variants: [
      ...NAMES.map((name) => ({
        name,
        say: texts[2] ?? `made up for a test: ${name}`,
        role: role(name),
        emulated: name === 'doca-flow',
        state: 'measured' as const,
      })),
      {
        name: 'xdp',
        say: 'made up',
        role: 'fence',
        emulated: false,
        state: 'refused',
        why: texts[3] ?? 'it let 198.18.0.9:25 through',
      },
      { name: 'doca-card', say: 'a card', role: 'fence', emulated: false, state: 'absent', why: 'there is none here' },
    ],
    measurements: [
      ...SHAPES.flatMap((shape) => SIZES.map((grants) => measurement(shape, 1, 'ipv4', grants))),
      ...[8, 32].flatMap((flows) =>
        SIZES.slice(0, 3).map((grants) => measurement(SHAPES[0] as Shape, flows, 'ipv4', grants)),
      ),
      ...[0, 1_000].map((grants) => measurement(SHAPES[0] as Shape, 1, 'ipv6', grants)),
    ],
    benches: [
      bench('agent', 'signed release published to fence read back, 1,000 grants', 'p99 <= 250 ms', [
        ['ebpf, 10 grants', 113, 217, 260],
        ['ebpf, 1,000 grants', 148, 270, 301, 250],
        ['nftables, 1,000 grants', 210, 404, 513, 250],
      ]),
      bench('quarantine', 'quarantine: command accepted to last byte', 'p99 <= 5 ms', [
        ['ebpf, 1,000 flows', 0.101, 0.227, 0.4, 5],
        [texts[4] ?? 'nftables, 1,000 flows', 1.1, 9.2, 24, 5],
      ]),
      { ...bench('journal', 'events journalled per core', '>= 20,000/s', []), figure: texts[5] ?? '48,000/s, 0 lost' },
    ],
    promises: [
      judged(
        'a',
        'large packets, 100,000 grants, eBPF of an empty program',
        '>= 0.97',
        'met',
        '1.006 (0.996 to 1.015)',
        {
          value: figure(1.006, 0.01),
          target: 0.97,
          better: 'higher',
        },
      ),
      judged(
        'b',
        'large packets, 100,000 grants, nftables of empty chains',
        '>= 0.95',
        'within-noise',
        '0.943 (0.933 to 0.954)',
        {
          value: figure(0.943, 0.011),
          target: 0.95,
          better: 'higher',
        },
      ),
      judged(
        'c',
        'release published to fence read back, 1,000 grants',
        'p99 <= 250 ms',
        'not-met',
        'p99 404 ms (371 to 450)',
        {
          value: figure(404, 0.1),
          target: 250,
          better: 'lower',
        },
      ),
      {
        ...judged('quarantine', 'quarantine: command accepted to last byte', 'p99 <= 5 ms', 'met', 'p99 0.227 ms', {
          value: figure(0.227, 0.05),
          target: 5,
          better: 'lower',
        }),
        rows: ['eBPF, to the last byte: p50 0.101 ms, p99 0.227 ms', texts[4] ?? 'eBPF, answered: p50 28 ms'],
      },
      judged(
        'e',
        'connections a second, 100,000 grants',
        '>= 0.90',
        'too-noisy',
        'the interval is 31 % of the median wide',
      ),
      judged('f', 'DNS mediator added latency', 'p50 <= 0.5 ms', 'not-measured', 'no time was left'),
    ],
  }
}
