// The one error class of the project, and the shape of the tables of codes that each folder keeps.
//
// A fault says why an operation did not happen. Its code is API: stable, documented in src/ERRORS.md, asserted in tests.
// Its reaction says what the agent must do about it, and decides the exit code and the gRPC status (see STYLE, "Errors").
// Findings about a value are not faults: those are notes (note.ts), collected and returned. A fault may carry notes.

import type { Note } from './note.js'

/** What the caller must do: refuse the input, give up on this machine, reload, try again later, or stop. */
export type Reaction = 'reject' | 'unsupported' | 'stale' | 'retry' | 'bug'

/** One row of a folder's table. `say` builds the sentence from the detail; `remedy` is the next step for a person. */
export interface FaultRow {
  readonly reaction: Reaction
  readonly say: (detail: never) => string
  readonly remedy: string
}
export type FaultTable = Readonly<Record<string, FaultRow>>

/** Exit code of the command line for each reaction (sysexits where one exists). */
export const EXIT_CODE = { reject: 2, unsupported: 3, stale: 4, retry: 75, bug: 70 } as const satisfies Record<
  Reaction,
  number
>

export interface FaultContext {
  readonly cause?: unknown
  readonly notes?: readonly Note[]
}

export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: string
  readonly reaction: Reaction
  readonly remedy: string
  /** The values behind the sentence, for machines. */
  readonly detail: unknown
  readonly notes: readonly Note[]

  constructor(code: string, row: FaultRow, detail: unknown, context: FaultContext = {}) {
    super(row.say(detail as never), context.cause === undefined ? undefined : { cause: context.cause })
    this.code = code
    this.reaction = row.reaction
    this.remedy = row.remedy
    this.detail = detail
    this.notes = context.notes ?? []
  }
}

/** Binds a table: `const fault = faultsOf(BUNDLE_FAULTS); throw fault('BUNDLE_ROLLBACK', { ... })`. */
export function faultsOf<const T extends FaultTable>(table: T) {
  return <C extends keyof T & string>(code: C, detail: Parameters<T[C]['say']>[0], context: FaultContext = {}): Fault =>
    new Fault(code, table[code] as FaultRow, detail, context)
}

/** The messages of a chain of causes, outermost first; a message that repeats the one before it is left out. */
export function causeChain(error: unknown): string[] {
  const said: string[] = []
  let at: unknown = error
  for (let depth = 0; depth < 16 && at !== undefined && at !== null; depth++) {
    const text =
      at instanceof Error ? at.message : typeof at === 'string' ? at : 'something that is not an Error was thrown'
    if (said.at(-1) !== text) said.push(text)
    at = at instanceof Error ? at.cause : undefined
  }
  return said
}
