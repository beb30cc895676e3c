// Text for people: columns line up, the caret stands under the mistake, untrusted text cannot draw on the terminal.

import { describe, expect, it } from 'vitest'
import { Fault } from '../../../src/base/fault.js'
import type { Note } from '../../../src/base/note.js'
import { errorShape, notes, painter, printError, table } from '../../../src/cli/print.js'

const plain = painter(false)
const note = (change: Partial<Note> = {}): Note => ({
  code: 'unknown-key',
  severity: 'error',
  file: 'fence.yaml',
  line: 2,
  column: 3,
  path: 'a.b',
  say: 'unknown key "b"',
  ...change,
})
const source = (file: string) => (file === 'fence.yaml' ? 'a:\n  b: 1\n  é: 2\n' : undefined)

describe('tables', () => {
  it('align and end no line with spaces', () => {
    expect(
      table(
        ['a', 'long'],
        [
          ['wide cell', ''],
          ['x', 'y'],
        ],
      ),
    ).toBe('a          long\nwide cell\nx          y\n')
  })
  it('escape what would move the cursor', () => {
    expect(table(['a'], [['\u001b[2Jgone\nnext']])).toBe('a\n"\\u{1b}[2Jgone\\u{a}next"\n')
  })
})

describe('findings', () => {
  it('show the line and a caret below the column', () => {
    expect(notes([note()], plain, source)).toBe(
      'fence.yaml:2:3: error unknown-key: unknown key "b" (a.b)\n    2 |   b: 1\n      |   ^\n',
    )
  })
  it('stand in document order, whatever order they were found in', () => {
    const text = notes([note({ line: 9, code: 'later' }), note({ code: 'first' })], plain, () => undefined)
    expect(text.indexOf('first')).toBeLessThan(text.indexOf('later'))
  })
  it('leave the line out where a caret could not be placed', () => {
    expect(notes([note({ line: 3 })], plain, source)).toBe('fence.yaml:3:3: error unknown-key: unknown key "b" (a.b)\n')
  })
  it('need neither file nor place', () => {
    expect(notes([note({ file: '', line: 0, column: 0, path: '' })], plain, source)).toBe(
      'error unknown-key: unknown key "b"\n',
    )
  })
  it('are coloured only when asked', () => {
    expect(notes([note()], painter(true), source)).toContain('\u001b[31merror\u001b[0m')
    expect(notes([note()], plain, source)).not.toContain('\u001b')
  })
})

describe('errors', () => {
  const row = { reaction: 'reject' as const, say: () => 'the outer thing failed', remedy: 'Mend it.' }
  it('print code, sentence, each cause once, findings and remedy', () => {
    const cause = new Error('the disk is full', { cause: new Error('ENOSPC') })
    const fault = new Fault('X_FAILED', row, {}, { cause, notes: [note()] })
    expect(printError(errorShape(fault), plain, () => undefined)).toBe(
      [
        'X_FAILED: the outer thing failed',
        '  because: the disk is full',
        '  because: ENOSPC',
        'fence.yaml:2:3: error unknown-key: unknown key "b" (a.b)',
        'what to do: Mend it.',
        '',
      ].join('\n'),
    )
  })
  it('that are no Fault are defects of ours', () => {
    expect(errorShape(new RangeError('boom'))).toMatchObject({ code: 'INTERNAL', say: 'boom', notes: [] })
    expect(errorShape(undefined)).toMatchObject({ code: 'INTERNAL', say: 'an unexpected error' })
  })
})
