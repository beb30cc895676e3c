// A finding about a value: an author's mistake, lint, or drift. Notes are collected, all of a document at once, and
// never thrown. `error` notes make the document unacceptable; `warning` and `info` do not.

export type Severity = 'error' | 'warning' | 'info'

export interface Note {
  /** Stable code, lower-case with dashes: `unknown-key`. */
  readonly code: string
  readonly severity: Severity
  /** Name of the document as the caller gave it; '' when there is none. */
  readonly file: string
  /** 1-based; 0 when the finding has no place in the text. */
  readonly line: number
  readonly column: number
  /** Path within the document, `network_policies.github.endpoints[0].tls`; '' is the document itself. */
  readonly path: string
  /** One sentence: what is wrong and what to do about it. */
  readonly say: string
  /** The nearest right word, when a misspelling is likely. */
  readonly suggestion?: string
}

export const hasErrors = (notes: readonly Note[]): boolean => notes.some((note) => note.severity === 'error')

/** Document order: by file, place, then code, so that the same input always prints the same list. */
export function compareNotes(a: Note, b: Note): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  if (a.line !== b.line) return a.line - b.line
  if (a.column !== b.column) return a.column - b.column
  if (a.code !== b.code) return a.code < b.code ? -1 : 1
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0
}
