// Reads the OpenShell corpus: rows of expectations.tsv, the text of each file with its wrap applied, and what a check of it
// should find. Takes the folder that $SLUICE_POLICIES names; nothing of the corpus is in this repository. Plain JavaScript,
// because both `make corpus` and the tests use it; types are in corpus-rows.d.mts.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const list = (cell) => (cell === '-' || cell === '' ? [] : cell.split(',').sort())

export function corpusRows(folder) {
  const text = readFileSync(join(folder, 'openshell/expectations.tsv'), 'utf8')
  const [header = '', ...lines] = text.trimEnd().split('\n')
  const names = header.split('\t')
  return lines.map((line) => {
    const cells = line.split('\t')
    const cell = (name) => cells[names.indexOf(name)] ?? ''
    const codes = list(cell('codes'))
    return {
      file: cell('file'),
      wrap: cell('wrap'),
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

export const corpusBytes = (folder, row) => readFileSync(join(folder, 'openshell', row.file))

/** The document that a row judges (README of the corpus, column `wrap`). */
export function wrapped(bytes, wrap) {
  const text = bytes.toString('utf8')
  const indent = (spaces) => text.replace(/^(?=.)/gm, ' '.repeat(spaces))
  if (wrap === 'version' || wrap === 'preset') return Buffer.from(`version: 1\n${text}`)
  if (wrap === 'rules-map') return Buffer.from(`version: 1\nnetwork_policies:\n${indent(2)}`)
  if (wrap === 'endpoints')
    return Buffer.from(
      `version: 1\nnetwork_policies:\n  corpus:\n${indent(4)}\n    binaries: [{ path: /usr/bin/curl }]\n`,
    )
  return bytes
}

/** Whether a row is also a reject test as it stands. */
export const refusedUnwrapped = (row) => !['none', 'profile', 'template'].includes(row.wrap)

/** Distinct codes of one severity, sorted. */
export const codesOf = (notes, severity) =>
  [...new Set(notes.filter((note) => note.severity === severity).map((note) => note.code))].sort()

/** What a row expects of one profile, in the form that `found` gives. */
export const expected = (row, profile) => ({
  verdict: row[profile],
  errors: [...row.refused, ...(profile === 'strict' ? row.legacy : [])].sort(),
  warnings: [...row.warnings, ...(profile === 'strict' ? [] : row.legacy)].sort(),
})

export const found = (accepted, notes) => ({
  verdict: accepted ? 'accept' : 'reject',
  errors: codesOf(notes, 'error'),
  warnings: codesOf(notes, 'warning'),
})
