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

export interface BenchHost {
  /** Measures until it is done, its time is over or the signal is aborted. Throws BENCH_NOTHING, BENCH_GROUND. */
  readonly run: (request: BenchRequest) => Promise<Results>
  /** The report as one HTML file. */
  readonly report: (results: Results) => string
  /** Two runs side by side, the same way. */
  readonly comparison: (before: Results, after: Results, comparison: Comparison) => string
}
