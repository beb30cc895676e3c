// Text for people: aligned tables, findings with the line they speak of, and errors with their chain of causes. Colour only
// where the output is a terminal and NO_COLOR is not set; the words carry the meaning without it.

import { causeChain, Fault } from '../base/fault.js'
import { compareNotes, type Note } from '../base/note.js'
import { quote } from '../base/quote.js'

export type Ink = 'red' | 'green' | 'yellow' | 'dim' | 'bold'
const CODES = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const satisfies Record<Ink, number>

export type Paint = (ink: Ink, text: string) => string
export const painter =
  (colour: boolean): Paint =>
  (ink, text) =>
    colour ? `\u001b[${CODES[ink]}m${text}\u001b[0m` : text

/** Untrusted text on one line of a terminal: as it is when it is plain, quoted and escaped when it is not. */
export const shown = (text: string): string => (/\p{C}|\p{Zl}|\p{Zp}/u.test(text) ? quote(text, 2_000) : text)

/** Columns separated by two spaces; the last one is not padded. Rows may be shorter than the head. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map(shown))
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** `name  value` lines, aligned. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${shown(value)}\n`).join('')
}

/** `file:line:column`, as far as it is known. */
const place = (note: Note): string =>
  [note.file, note.line > 0 ? String(note.line) : '', note.line > 0 && note.column > 0 ? String(note.column) : '']
    .filter((part) => part !== '')
    .join(':')

const INKS = { error: 'red', warning: 'yellow', info: 'dim' } as const satisfies Record<Note['severity'], Ink>

/**
 * Findings in document order. `source` gives the text of a file by its name, for the line and the caret below it; a file
 * that it does not know is printed without.
 */
export function notes(list: readonly Note[], paint: Paint, source: (file: string) => string | undefined): string {
  return [...list]
    .sort(compareNotes)
    .map((note) => {
      const at = place(note)
      const where = note.path === '' ? '' : ` ${paint('dim', `(${shown(note.path)})`)}`
      const label = paint(INKS[note.severity], note.severity)
      const head = `${at === '' ? '' : `${shown(at)}: `}${label} ${note.code}: ${shown(note.say)}${where}\n`
      return head + snippet(note, source(note.file))
    })
    .join('')
}

function snippet(note: Note, text: string | undefined): string {
  const line = note.line > 0 ? text?.split(/\r?\n/)[note.line - 1] : undefined
  // A line that would not print as it stands would put the caret in the wrong place.
  if (line === undefined || line.length > 160 || /[^\x20-\x7e]/.test(line)) return ''
  const gutter = String(note.line).padStart(5)
  const caret = note.column > 0 && note.column <= line.length + 1 ? `      | ${' '.repeat(note.column - 1)}^\n` : ''
  return `${gutter} | ${line}\n${caret}`
}

export interface ErrorShape {
  readonly code: string
  readonly say: string
  readonly remedy: string
  readonly causes: readonly string[]
  readonly notes: readonly Note[]
}

/** One shape for every error, for people and for machines. What is not a Fault is a bug of ours. */
export function errorShape(error: unknown): ErrorShape {
  const [say = '', ...causes] = causeChain(error)
  if (error instanceof Fault) {
    const { code, remedy } = error
    return { code, say, remedy, causes, notes: error.notes }
  }
  return {
    code: 'INTERNAL',
    say: say === '' ? 'an unexpected error' : say,
    remedy: 'This is a defect of sluice: report it with the command and, with SLUICE_TRACE=1, the stack.',
    causes,
    notes: [],
  }
}

export function printError(shape: ErrorShape, paint: Paint, source: (file: string) => string | undefined): string {
  const causes = shape.causes.map((cause) => `  because: ${shown(cause)}\n`).join('')
  const findings = shape.notes.length === 0 ? '' : notes(shape.notes, paint, source)
  return `${paint('red', shape.code)}: ${shown(shape.say)}\n${causes}${findings}${paint('dim', 'what to do:')} ${shape.remedy}\n`
}
