// What a run of the bench found, as it stands in results.json: the machine, the variants, every repetition of every measurement,
// and what may be said of them. Inert data: the table, the report and `bench compare` read it and measure nothing. The JSON
// Schema beside it (schema/results.schema.json) is the authority on the file.
//
// A `Figure` is a number only where the repetitions agree (figure.ts has the rule); otherwise it says why there is none.
// Times end in their unit, rates and sizes name it in `unit`.

export const RESULTS_FORMAT = 'sluice.dev/bench/v1'

/** A middle with its confidence interval, or why nothing is said. */
export type Figure =
  | {
      readonly kind: 'value'
      readonly middle: number
      /** Ends of the confidence interval (`Run.confidence`). */
      readonly low: number
      readonly high: number
      /** Median absolute deviation from the median, as a share of the median. */
      readonly spread: number
      /** How many repetitions it is of. */
      readonly of: number
    }
  | {
      readonly kind: 'noisy'
      readonly why: string
      readonly middle: number
      readonly low: number
      readonly high: number
    }
  | { readonly kind: 'none'; readonly why: string }

export type Better = 'higher' | 'lower'

export interface Results {
  readonly format: typeof RESULTS_FORMAT
  readonly run: Run
  readonly machine: Machine
  /** What every variant was made to mean. */
  readonly policy: {
    /** SHA-256 of the canonical form of the grants, by number of grants. */
    readonly digests: readonly { readonly grants: number; readonly workspaces: number; readonly digest: string }[]
    readonly say: string
    /** The ruleset of `hand` for 10 grants, as nft takes it; absent where it was not measured. */
    readonly hand?: string
  }
  readonly variants: readonly VariantSeen[]
  readonly measurements: readonly Measurement[]
  readonly benches: readonly BenchSeen[]
  readonly promises: readonly PromiseJudged[]
}

export interface Run {
  /** `full`, `quick`, `one` with --only, or `hosts` between real machines. */
  readonly kind: 'full' | 'quick' | 'only' | 'hosts'
  /** The exact command line that makes such a run. */
  readonly command: string
  readonly version: string
  /** null outside a Git checkout. */
  readonly commit: string | null
  /** The tree had changes that are in no commit. */
  readonly dirty: boolean
  /** RFC 3339. */
  readonly startedAt: string
  readonly tookSeconds: number
  readonly budgetSeconds: number
  /** Of the order of variants and of the resampling. */
  readonly seed: number
  /** Of every interval: 0.95. */
  readonly confidence: number
  /** False: it was interrupted or ran out of time, in the matrix or the files of bench/, and `why` says so; what is here was measured
   * all the same. */
  readonly complete: boolean
  readonly why?: string
  /** What did not go as planned: a generator that failed, a tool that is missing. */
  readonly remarks?: readonly string[]
}

export interface Machine {
  /** untrusted: what the machine says of itself. */
  readonly name: string
  readonly cpu: string
  readonly cpus: number
  readonly memoryMiB: number
  readonly kernel: string
  readonly architecture: string
  /** `none` on metal; otherwise what the processor's flags say. */
  readonly virtual: string
  /** Programs and libraries by name: node, nft, iperf3, ipset, and so on. */
  readonly versions: Readonly<Record<string, string>>
  /** Processors at work in the two seconds before it began. */
  readonly loadBefore: number
  /** Load average of the last minute. Far above the number of processors somebody else was at work. */
  readonly loadAfter: number
  /** Share of CPU time that the hypervisor gave to others during the run. */
  readonly stolen: number
}

/** `baseline`: nothing attached. `reference`: an empty program on a fence's own hooks, the physical limit. `peer`: what one would
 * otherwise write by hand. `fence`: ours. */
export type Role = 'baseline' | 'reference' | 'peer' | 'fence'

export interface VariantSeen {
  readonly name: string
  readonly say: string
  readonly role: Role
  /** Software that stands in for a card: its speed says nothing about one. */
  readonly emulated: boolean
  /** `refused`: it let something through that the policy denies, or the reverse; none of its figures is here. */
  readonly state: 'measured' | 'refused' | 'absent'
  readonly why?: string
}

export type Question =
  | 'tcp-stream'
  | 'udp-stream'
  | 'packets'
  | 'tcp-rr'
  | 'tcp-crr'
  | 'http'
  | 'flows'
  | 'stage'
  | 'kernel-memory'

export interface Measurement {
  /** Unique in the file, the same in every run: `tcp-stream flows=8 family=ipv4 grants=1000 workspaces=1 ms=1000 by=iperf3`. */
  readonly id: string
  readonly question: Question
  /** For people: `TCP stream, 8 flows, IPv4`. */
  readonly say: string
  readonly flows: number
  readonly family: 'ipv4' | 'ipv6'
  readonly grants: number
  readonly workspaces: number
  /** `Gbit/s`, `packets/s`, `transactions/s`, `connections/s`, `requests/s`, `flows`, `ms`, `MiB`. */
  readonly unit: string
  readonly better: Better
  /** What ran, the client's side first. */
  readonly commands: readonly string[]
  /** In the order of `variants`. */
  readonly cells: readonly Cell[]
}

/** One variant in one measurement. */
export interface Cell {
  readonly variant: string
  readonly repetitions: readonly Repetition[]
  readonly figure: Figure
  /** Ratios to other variants, of rounds that both were measured in: above 1 is more of the unit, whichever is better. */
  readonly ratios: readonly { readonly to: string; readonly figure: Figure }[]
  readonly cost?: Cost
  readonly latency?: Latency
  readonly gates: readonly Gate[]
}

export interface Repetition {
  readonly round: number
  /** Place of the variant within its round, from 0. */
  readonly position: number
  /** In the measurement's unit. */
  readonly value: number
  /** CPU time of the whole machine meanwhile, and of what was not the bench's doing as far as that is known. */
  readonly cpuSeconds?: number
  /** What it was spent on, in the unit that cost is told in: Gbit, million packets, thousand transactions. */
  readonly work?: number
}

/** CPU time of the whole machine, both ends of the link included. Absent parts do not apply. */
export interface Cost {
  readonly cpuSecondsPerGbit?: Figure
  readonly cpuSecondsPerMillionPackets?: Figure
  readonly cpuSecondsPerThousandTransactions?: Figure
  /** Ratio to nothing attached, of rounds that both were measured in. */
  readonly ofBaseline?: Figure
}

export interface Latency {
  /** True: time is counted from when a request should have left, or the histogram was filled up for the requests that a slow
   * answer kept from being sent. */
  readonly corrected: boolean
  /** What was measured, without what a correction filled in. */
  readonly count: number
  /** Of all repetitions together. */
  readonly percentiles: readonly {
    /** 90, 99.9, 99.99, each where at least twenty were slower, and 100, the slowest. */
    readonly percent: number
    readonly microseconds: number
  }[]
  /** Medians of the repetitions' own percentiles 50 and 99, with their intervals, microseconds. */
  readonly p50: Figure
  readonly p99: Figure
}

/** A condition of RFC 9411 on the figures of this cell; of the deviation only where a tenth of a repetition is a second or more. */
export interface Gate {
  readonly name: 'failed-transactions' | 'unexpected-resets' | 'sustain-deviation' | 'lost-packets'
  /** Shares, not per cent. Of the deviation the value is the largest of a tenth from the mean, in the worst repetition. */
  readonly limit: number
  readonly value: number
  /** How many were tried; absent of the deviation. */
  readonly of?: number
  /** `too-few`: none failed beyond the limit, of so few that none says nothing. */
  readonly state: 'passed' | 'failed' | 'too-few'
}

/** One file of bench/, run from here. */
export interface BenchSeen {
  /** File name without its ending: `node scripts/bench.mjs NAME` runs it alone. */
  readonly name: string
  readonly promise: string
  readonly target: string
  readonly state: 'done' | 'failed' | 'skipped'
  /** Of `failed` and `skipped`. */
  readonly why?: string
  /** In one short line, what the target is about: `eBPF 0.26 / 3.70 ms, nftables 0.64 / 2.10 ms (p50 / p99)`. */
  readonly figure?: string
  /** All that the file found, one meaning a line: `what: value`. Absent in files of earlier builds, whose `figure` has it all. */
  readonly rows?: readonly string[]
  readonly met?: boolean
  readonly emulated: boolean
  readonly command: string
  readonly tookSeconds: number
  readonly series: readonly Series[]
}

/** Repeated measurements of one thing by a file of bench/. */
export interface Series {
  /** `nftables, 1,000 grants`. Unique in its file. */
  readonly name: string
  readonly unit: string
  readonly better: Better
  readonly count: number
  /** Promised of the slow end: of the p99, and of the longest of fewer than a hundred. */
  readonly limit?: number
  /** The 99th (nearest rank) only of a hundred and more: of fewer it would be the slowest under another name. */
  readonly quantiles: readonly { readonly percent: number; readonly value: number }[]
  /** As measured, in order; at most 1,000, evenly thinned. */
  readonly samples: readonly number[]
}

/** A promise of what the fence may cost, and whether this run holds it. */
export interface PromiseJudged {
  readonly id: string
  readonly say: string
  readonly target: string
  /** `within-noise`: the interval has the target inside. `too-noisy`: it has, or reaches so far that nothing is said to be met. */
  readonly verdict: 'met' | 'not-met' | 'within-noise' | 'too-noisy' | 'not-measured'
  /** What was measured, or why nothing was. */
  readonly figure: string
  /** Of `bench NAME`: its rows. */
  readonly rows?: readonly string[]
  /** `measurement ID` or `bench NAME`, where it comes from; `test FILE` for what no run measures. */
  readonly from: string
  /** The number behind `figure`, where it is one number: a report draws it against the target. */
  readonly against?: { readonly value: Figure; readonly target: number; readonly better: Better }
  readonly emulated: boolean
}
