// What `make test` counts: a planted suite goes through the reporter, and its summary says exactly what happened. A skip
// without a reason is a failure.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from './repository.js'

const PLANTED = `
import { expect, test } from 'vitest'
test('passes', () => expect(1).toBe(1))
test('fails', () => expect(1).toBe(2))
test('skipped with a reason', (context) => context.skip('no such machine'))
test['skip']('skipped without one', () => undefined)
test['skip']('case 7: the curve is not ours', () => undefined)
test['skip']('corpus (skipped unless POLICIES names the folder)', () => undefined)
`

function summaryOf(files: Readonly<Record<string, string>>): unknown {
  mkdirSync(join(ROOT, 'build'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, 'build', 'planted-'))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const reporter = `--reporter=${join(ROOT, 'scripts', 'reporter.mjs')}`
    const vitest = join(ROOT, 'node_modules', '.bin', 'vitest')
    spawnSync(vitest, ['run', '--root', folder, '--config', join(folder, 'none.mjs'), reporter], { cwd: folder })
    return JSON.parse(readFileSync(join(folder, 'build', 'test-summary.json'), 'utf8'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('passes, failures and skips are counted, and a skip without a reason fails', () => {
  expect(summaryOf({ 'none.mjs': 'export default {}', 'a.test.mjs': PLANTED })).toEqual({
    passed: 1,
    failed: [
      'a.test.mjs > fails: expected 1 to be 2 // Object.is equality',
      'a.test.mjs > skipped without one: skipped without a reason',
    ],
    skipped: [
      { name: 'a.test.mjs > skipped with a reason', reason: 'no such machine' },
      { name: 'a.test.mjs > case 7: the curve is not ours', reason: 'the curve is not ours' },
      {
        name: 'a.test.mjs > corpus (skipped unless POLICIES names the folder)',
        reason: 'skipped unless POLICIES names the folder',
      },
    ],
    problems: [],
  })
})

test('a file that cannot be loaded is a problem', () => {
  const summary = summaryOf({ 'none.mjs': 'export default {}', 'a.test.mjs': "import './missing.mjs'" }) as {
    problems: string[]
  }
  expect(summary).toMatchObject({ passed: 0, failed: [], skipped: [] })
  expect(summary.problems).toEqual([expect.stringMatching(/^a\.test\.mjs: .*missing\.mjs/)])
})
