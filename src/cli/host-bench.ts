// The bench as the command line sees it. `src/bin` composes it.

import type { Comparison } from '../bench/compare.js'
import type { Results } from '../bench/results.js'
import type { Progress } from '../bench/terminal.js'

export interface BenchRequest {
  readonly quick: boolean
  /** Names of variants, questions and files of bench/; empty: all. */
  readonly only: readonly string[]
  readonly seed: number
  /** The command line that asks for this. */
  readonly command: string
  readonly signal: AbortSignal
  readonly progress: (progress: Progress) => void
}

/** Another machine, which answers. */
export interface Peer {
  readonly address: string
  /** Of the first of four. */
  readonly port: number
}

/** Another machine, and what stands between. */
export interface Labelled extends Peer {
  /** Name of the one variant. */
  readonly label: string
}

export interface ServeRequest extends Peer {
  /** The one address that is answered. */
  readonly peer: string
  readonly signal: AbortSignal
  readonly ready: () => void
}

export interface BenchHost {
  /** Measures until it is done, its time is over or the signal is aborted. Throws BENCH_NOTHING, BENCH_GROUND. */
  readonly run: (request: BenchRequest) => Promise<Results>
  /** Measures towards another machine, and puts nothing in place. Throws BENCH_PEER, BENCH_GROUND. */
  readonly client: (request: BenchRequest & { readonly client: Labelled }) => Promise<Results>
  /** Answers one other machine until the signal is aborted. Throws BENCH_GROUND. */
  readonly serve: (request: ServeRequest) => Promise<void>
  /** The report as one HTML file. */
  readonly report: (results: Results) => string
  /** Two runs side by side, the same way. */
  readonly comparison: (before: Results, after: Results, comparison: Comparison) => string
}
