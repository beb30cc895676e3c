// The promises of what the fence may cost, as a table, and the verdict of a run about each: from a measurement's ratio where the run
// measures it, otherwise from the file of bench/ that does. A verdict is decided here and nowhere else: a promise is broken where the whole
// interval lies on the wrong side of the target, however wide it is, and held where it lies on the right side and is not too noisy. One
// that the run did not measure stands there all the same, with what measures it.

import type { BenchSeen, Cell, Figure, Gate, Measurement, PromiseJudged, VariantSeen } from './results.js'

interface FromRatio {
  readonly id: string
  readonly short: string
  readonly say: string
  readonly variant: string
  readonly to: string
  readonly question: Measurement['question']
  readonly flows: number
  readonly grants: number
  /** At least. */
  readonly target: number
}

const RATIOS: readonly FromRatio[] = [
  {
    id: 'throughput-ebpf',
    short: 'large packets, eBPF of an empty program',
    say: 'large packets with 100,000 grants, eBPF of an empty program',
    variant: 'ebpf',
    to: 'empty',
    question: 'tcp-stream',
    flows: 1,
    grants: 100_000,
    target: 0.97,
  },
  {
    id: 'throughput-nftables',
    short: 'large packets, nftables of empty chains',
    say: 'large packets with 100,000 grants, nftables of empty chains',
    variant: 'nftables',
    to: 'empty-chains',
    question: 'tcp-stream',
    flows: 1,
    grants: 100_000,
    target: 0.95,
  },
  {
    id: 'connections-ebpf',
    short: 'connections a second, eBPF of an empty program',
    say: 'connections a second with 100,000 grants, eBPF of an empty program',
    variant: 'ebpf',
    to: 'empty',
    question: 'tcp-crr',
    flows: 8,
    grants: 100_000,
    target: 0.9,
  },
]

/** Files of bench/ that hold one promise each, in the order in which a reader looks for them. */
const FILES: readonly { readonly id: string; readonly bench: string; readonly short: string }[] = [
  { id: 'packet-cost', bench: 'dataplane', short: 'eBPF packet, 1,000,000 grants against 10' },
  { id: 'quarantine', bench: 'quarantine', short: 'quarantine to last byte, in process' },
  { id: 'quarantine-grpc', bench: 'quarantine-grpc', short: 'quarantine to last byte, over gRPC' },
  { id: 'revocation', bench: 'revocation', short: 'revocation event to last byte' },
  { id: 'release', bench: 'agent', short: 'release published to fence, by grants' },
  { id: 'attach', bench: 'attach', short: 'attach to plan in force' },
  { id: 'learned-grant-ebpf', bench: 'learn', short: 'one learned grant, eBPF' },
  { id: 'nftables', bench: 'nftables', short: 'learned grant and quarantine, nftables' },
  { id: 'dns', bench: 'dns', short: 'added by the DNS mediator' },
  { id: 'policy-change', bench: 'change', short: 'policy change, a flow that stays' },
  { id: 'decision', bench: 'decide', short: 'decisions against Cedar and casbin' },
  { id: 'audit', bench: 'journal', short: 'events journalled a second of a core' },
  { id: 'audit-flood', bench: 'flood', short: 'refused packets found in the trail' },
  { id: 'audit-verify', bench: 'journal-verify', short: 'journalled events verified a second' },
  { id: 'sinks', bench: 'sinks', short: 'events through a failing sink' },
  { id: 'storage', bench: 'storage', short: 'a volume of the bare directory' },
  { id: 'verify', bench: 'verify', short: 'verify and compile 10,000 grants' },
  { id: 'memory', bench: 'agent-memory', short: 'agent memory, 100,000 grants' },
  { id: 'doca', bench: 'doca', short: 'crossings into DOCA' },
]

/** Promises that a run without their file names all the same. */
const MISSING: Readonly<Record<string, { readonly say: string; readonly target: string }>> = {
  dataplane: {
    say: 'eBPF cost per packet: 1,000,000 exact grants against 10, and known flows under 10,000 prefixes against 10, keys cycled over all',
    target: '<= 1.5 x',
  },
  quarantine: {
    say: 'quarantine: command accepted to last byte, 1,000 live flows, in process',
    target: 'p99 <= 5 ms',
  },
  'quarantine-grpc': {
    say: 'quarantine: command accepted to last byte, 1,000 live flows, over gRPC',
    target: 'p99 <= 10 ms',
  },
  revocation: {
    say: 'revocation event to fence: pushed to fence read back and last byte',
    target: 'p99 <= 100 ms',
  },
  agent: {
    say: 'signed release published to fence read back, by grants: addresses of one clause, and 10,000 as a clause each too',
    target: '1,000: p99 <= 250 ms; 10,000: <= 1 s in either form',
  },
  attach: {
    say: 'attach: asked, until the deny fence is read back and the plan judges the slot',
    target: 'p99 <= 250 ms, as a release of 1,000 grants',
  },
  learn: { say: 'eBPF: add one learned grant, median', target: '<= 20 us' },
  nftables: {
    say: 'nftables: one learned grant, median; quarantine written and read back, 1,000 flows, p99',
    target: '<= 0.3 ms, <= 5 ms',
  },
  dns: {
    say: 'latency that the DNS mediator adds; SYNs sent again by who connects when the answer comes',
    target: 'p50 <= 0.5 ms, 0',
  },
  change: {
    say: 'policy change, a flow that stays granted: resets, and retransmissions above no change',
    target: '0, 0',
  },
  decide: { say: 'decisions in process, against Cedar and casbin', target: '>= 10 x' },
  journal: {
    say: 'audit events journalled per core and second, by processor time and by the clock, none lost',
    target: '>= 20,000',
  },
  'agent-memory': { say: 'agent memory, 100,000 grants as addresses of one clause', target: '<= 200 MB resident' },
}

const SHORT: ReadonlyMap<string, string> = new Map([...RATIOS, ...FILES].map(({ id, short }) => [id, short]))

/** A promise in a few words, where there is no room for all of them; as a file says it where this release does not know it. */
export const shortOf = ({ id, say }: Pick<PromiseJudged, 'id' | 'say'>): string => SHORT.get(id) ?? say

const UNMEASURED = { verdict: 'not-measured', figure: 'this run did not measure it', emulated: false } as const

export function judgePromises(
  measurements: readonly Measurement[],
  benches: readonly BenchSeen[],
  variants: readonly VariantSeen[],
): readonly PromiseJudged[] {
  const ratios = RATIOS.map((promise) => fromRatio(promise, measurements, variants))
  const files = FILES.flatMap(({ id, bench }) => {
    const seen = benches.find(({ name }) => name === bench)
    if (seen) return [fromFile(id, seen)]
    const missing = MISSING[bench]
    return missing ? [{ id, ...missing, ...UNMEASURED, from: `bench ${bench}` }] : []
  })
  return [...ratios, ...files]
}

const LOSSES: ReadonlySet<Gate['name']> = new Set(['failed-transactions', 'unexpected-resets', 'lost-packets'])

function fromRatio(promise: FromRatio, measurements: readonly Measurement[], variants: readonly VariantSeen[]) {
  const { id, say, target, question, flows, grants } = promise
  const measurement = measurements.find(
    (one) =>
      one.question === question &&
      one.flows === flows &&
      one.grants === grants &&
      one.family === 'ipv4' &&
      one.workspaces === 1,
  )
  const common = { id, say, target: `>= ${target}`, emulated: false }
  const from = measurement ? `measurement ${measurement.id}` : `measurement ${question} with ${grants} grants`
  const cell = measurement?.cells.find(({ variant }) => variant === promise.variant)
  if (!cell) {
    const why = variants.find(({ name }) => name === promise.variant)?.why
    return { ...common, from, verdict: 'not-measured' as const, figure: why ?? 'this run did not measure it' }
  }
  const figure = ratioTo(cell, promise.to)
  const { verdict, text } = judged(figure, target)
  // What did not come through costs nothing: no rate is good that loses transactions beyond the gate.
  const failed = cell.gates.filter((gate) => gate.state === 'failed' && LOSSES.has(gate.name))
  if (verdict !== 'not-measured' && failed.length > 0) {
    const lost = failed.map((gate) => `${gate.name} ${(gate.value * 100).toPrecision(2)} %`).join(', ')
    return { ...common, from, verdict: 'not-met' as const, figure: `${text}; ${lost}` }
  }
  return { ...common, from, verdict, figure: text, against: { value: figure, target, better: 'higher' as const } }
}

const ratioTo = (cell: Cell, to: string): Figure =>
  cell.ratios.find((ratio) => ratio.to === to)?.figure ?? { kind: 'none', why: `${to} was not measured` }

/** Of what should be at least the target. */
function judged(figure: Figure, target: number): { verdict: PromiseJudged['verdict']; text: string } {
  if (figure.kind === 'none') return { verdict: 'not-measured', text: figure.why }
  const { middle, low, high } = figure
  const ends = `${low.toFixed(3)} to ${high.toFixed(3)}`
  const text = figure.kind === 'noisy' ? `${ends} seen, ${figure.why}` : `${middle.toFixed(3)} (${ends})`
  if (high < target) return { verdict: 'not-met', text }
  if (figure.kind === 'noisy') return { verdict: 'too-noisy', text }
  return { verdict: low >= target ? 'met' : 'within-noise', text }
}

function fromFile(id: string, seen: BenchSeen): PromiseJudged {
  const { name, promise, target, figure, rows, met, emulated, state, why } = seen
  const common = { id, say: promise === '' ? name : promise, target: target === '' ? 'none' : target, emulated }
  const from = `bench ${name}`
  if (state !== 'done' || figure === undefined || met === undefined)
    return { ...common, from, verdict: 'not-measured', figure: why ?? state }
  const verdict = met ? ('met' as const) : ('not-met' as const)
  return { ...common, from, verdict, figure: figure.trim(), ...(rows === undefined ? {} : { rows }) }
}
