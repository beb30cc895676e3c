// Reads the OpenShell corpus: rows of expectations.tsv, the text of each file with its wrap applied, and what a check of it
// should find. Takes the folder that $SLUICE_POLICIES names; nothing of the corpus is in this repository.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Note } from '../../src/base/note.js'
import type { Role } from '../../src/policy/model.js'

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

const list = (cell: string): string[] => (cell === '-' || cell === '' ? [] : cell.split(',').sort())

export function corpusRows(folder: string): CorpusRow[] {
  const [header = '', ...lines] = readFileSync(join(folder, 'openshell/expectations.tsv'), 'utf8').trimEnd().split('\n')
  const names = header.split('\t')
  return lines.map((line) => {
    const cells = line.split('\t')
    const cell = (name: string): string => cells[names.indexOf(name)] ?? ''
    const codes = list(cell('codes'))
    return {
      file: cell('file'),
      wrap: cell('wrap') as Wrap,
      role: cell('role') === 'effective' ? 'effective' : 'authored',
      parse: cell('parse'),
      strict: cell('strict'),
      compat: cell('compat'),
      refused: codes.filter((code) => !code.startsWith('strict:')),
      legacy: codes.filter((code) => code.startsWith('strict:')).map((code) => code.slice('strict:'.length)),
      warnings: list(cell('warnings')),
      confidence: cell('confidence'),
    }
  })
}

export const corpusBytes = (folder: string, row: CorpusRow): Buffer => readFileSync(join(folder, 'openshell', row.file))

/** The document that the row judges (README of the corpus, column `wrap`). */
export function wrapped(bytes: Buffer, wrap: Wrap): Buffer {
  const text = bytes.toString('utf8')
  const indent = (spaces: number): string => text.replace(/^(?=.)/gm, ' '.repeat(spaces))
  if (wrap === 'version' || wrap === 'preset') return Buffer.from(`version: 1\n${text}`)
  if (wrap === 'rules-map') return Buffer.from(`version: 1\nnetwork_policies:\n${indent(2)}`)
  if (wrap === 'endpoints')
    return Buffer.from(
      `version: 1\nnetwork_policies:\n  corpus:\n${indent(4)}\n    binaries: [{ path: /usr/bin/curl }]\n`,
    )
  return bytes
}

/** Distinct codes of one severity, sorted. */
export const codesOf = (notes: readonly Note[], severity: Note['severity']): string[] =>
  [...new Set(notes.filter((note) => note.severity === severity).map((note) => note.code))].sort()
