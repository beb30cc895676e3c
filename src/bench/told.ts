// What the process that measures (src/bin/bench-worker.ts) is told when it begins, and what it tells line by line: a run that is
// killed has told everything that it had measured until then.

import type { Raw } from './assemble.js'
import type { Scene } from './matrix.js'
import type { Ran } from './run.js'
import type { Progress } from './terminal.js'

export interface WorkerTerms {
  readonly scenes: readonly Scene[]
  readonly seed: number
  readonly budgetMs: number
  /** For what drivers keep; whoever started the process takes it away. */
  readonly stateDirectory: string
  /** Names of variants; absent: all. */
  readonly only?: readonly string[]
  /** Rounds that were made before (run.ts). */
  readonly after?: number
}

export type Heard =
  | { readonly kind: 'raw'; readonly raw: Raw }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'remark'; readonly say: string }
  | { readonly kind: 'refused'; readonly variant: string; readonly why: string }
  | { readonly kind: 'ran'; readonly ran: Ran }
  | { readonly kind: 'failed'; readonly causes: readonly string[] }
