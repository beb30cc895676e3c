// Collects the notes of one document: severity from the table of codes, place and path from the caller, all at once. The
// list is bounded, because a hostile document of a few megabytes can hold a million mistakes; what was cut is counted.
// Errors and the rest are bounded apart, so that warnings never crowd out what refuses the document.

import { compareNotes, type Note } from '../base/note.js'
import type { Place } from '../base/yaml.js'
import { type PolicyCode, severityOf } from './codes.js'
import type { ClauseOrigin, Profile } from './model.js'

/** A place in the text together with the path within the document. */
export interface Spot extends Place {
  readonly path: string
}

/** Of errors, and again of warnings and infos. */
export const MAX_FINDINGS = 1_000

export class Findings {
  private readonly errors: Note[] = []
  private readonly others: Note[] = []
  private cut = 0

  constructor(
    readonly file: string,
    readonly profile: Profile,
  ) {}

  /** One finding. `suggestion` is the nearest right word; it is put into the sentence by the caller's choice of `say`. */
  note(code: PolicyCode, spot: Spot, say: string, suggestion?: string): void {
    const { line, column, path } = spot
    this.push({
      code,
      severity: severityOf(code, this.profile),
      file: this.file,
      line,
      column,
      path,
      say,
      ...(suggestion === undefined ? {} : { suggestion }),
    })
  }

  /** Takes over notes that were made elsewhere, by the YAML reader. */
  adopt(notes: readonly Note[]): void {
    for (const note of notes) this.push(note)
  }

  get failed(): boolean {
    return this.errors.length > 0
  }

  /** Document order; a count of what was cut comes first. */
  list(): readonly Note[] {
    const notes = [...this.errors, ...this.others].sort(compareNotes)
    if (this.cut === 0) return notes
    const say = `${this.cut} more findings are not shown; mend these first`
    const severity = this.failed ? 'error' : 'warning'
    return [{ code: 'more-findings', severity, file: this.file, line: 0, column: 0, path: '', say }, ...notes]
  }

  origin(spot: Spot): ClauseOrigin {
    return { file: this.file, path: spot.path, line: spot.line }
  }

  private push(note: Note): void {
    const list = note.severity === 'error' ? this.errors : this.others
    if (list.length < MAX_FINDINGS) list.push(note)
    else this.cut++
  }
}
