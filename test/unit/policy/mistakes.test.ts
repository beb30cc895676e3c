// Typical mistakes of authors and the exact words that they get. A case is a file of mistakes/ (text, since formatters
// refuse some of them): a document, and at its end the expected notes as comments,
// `#= severity line:column path [code] sentence`. `# profile: compat` in the first line chooses the profile. Adding a case
// is adding a file.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { checkDocument } from '../../../src/policy/check.js'

const folder = new URL('./mistakes/', import.meta.url)
const files = readdirSync(folder)

describe('mistakes', () => {
  it('has at least 25 cases', () => {
    expect(files.length).toBeGreaterThanOrEqual(25)
  })

  for (const file of files)
    it(file, () => {
      const bytes = readFileSync(new URL(file, folder))
      const lines = bytes.toString('utf8').trimEnd().split('\n')
      const profile = lines[0] === '# profile: compat' ? 'compat' : 'strict'
      const { accepted, notes } = checkDocument(bytes, file, { profile, role: 'authored' })
      expect(
        notes.map(
          (note) => `#= ${note.severity} ${note.line}:${note.column} ${note.path || '-'} [${note.code}] ${note.say}`,
        ),
      ).toEqual(lines.filter((line) => line.startsWith('#= ')))
      expect(notes.length).toBeGreaterThan(0)
      expect(accepted).toBe(!notes.some((note) => note.severity === 'error'))
      // A suggestion is always in the sentence too, so that both channels say the same.
      for (const note of notes) if (note.suggestion !== undefined) expect(note.say).toContain(note.suggestion)
    })
})
