// Types of corpus-rows.mjs.

import type { Note } from '../src/base/note.js'
import type { Profile, Role } from '../src/policy/model.js'

export type Wrap = 'none' | 'version' | 'rules-map' | 'endpoints' | 'preset' | 'profile' | 'template'

export interface CorpusRow {
  readonly file: string
  readonly wrap: Wrap
  readonly role: Role
  readonly parse: string
  readonly strict: string
  readonly compat: string
  /** Codes that both profiles refuse. */
  readonly refused: readonly string[]
  /** Codes that strict refuses and compat warns of. */
  readonly legacy: readonly string[]
  readonly warnings: readonly string[]
  readonly confidence: string
}
export interface Outcome {
  readonly verdict: string
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
}

export function corpusRows(folder: string): CorpusRow[]
export function corpusBytes(folder: string, row: CorpusRow): Buffer
export function wrapped(bytes: Buffer, wrap: Wrap): Buffer
export function refusedUnwrapped(row: CorpusRow): boolean
export function codesOf(notes: readonly Note[], severity: Note['severity']): string[]
export function expected(row: CorpusRow, profile: Profile): Outcome
export function found(accepted: boolean, notes: readonly Note[]): Outcome
