// Runs the public test vectors under $SLUICE_VECTORS and prints, for each set, how many cases passed, failed and were
// skipped, with the reasons of the skips. Exit 1 when anything failed, 0 when the variable is unset, which it says.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'

const FILES = ['yaml-sigil', 'wycheproof', 'cctv', 'speccheck', 'jcs'].map((name) => `test/vectors/${name}.test.ts`)
const REPORT = 'build/vectors.json'

if (!process.env.SLUICE_VECTORS) {
  console.log('vectors: SLUICE_VECTORS is not set, so there is nothing to run')
  process.exit(0)
}
mkdirSync('build', { recursive: true })
const run = spawnSync('node_modules/.bin/vitest', ['run', '--reporter=json', `--outputFile=${REPORT}`, ...FILES], {
  stdio: ['ignore', 'ignore', 'inherit'],
})
if (run.error) throw run.error

/** The set of a case: the suite, and within Wycheproof the file that the title begins with. */
const setOf = ({ ancestorTitles: [suite], title }) => {
  const file = /^(\S+)_test\.json/.exec(title)?.[1]
  return file === undefined ? suite : `${suite} ${file}`
}
const sets = new Map()
const reasons = new Map()
for (const { assertionResults } of JSON.parse(readFileSync(REPORT, 'utf8')).testResults)
  for (const result of assertionResults) {
    // The tests that count the cases of a file are not cases.
    if (/^(has|lists) |is complete$/.test(result.title) && result.status === 'passed') continue
    const set = sets.get(setOf(result)) ?? { passed: 0, failed: 0, skipped: 0 }
    sets.set(setOf(result), set)
    set[result.status === 'passed' || result.status === 'failed' ? result.status : 'skipped']++
    if (result.status === 'failed') console.log(`failed: ${result.fullName}`)
    if (result.status !== 'passed' && result.status !== 'failed') {
      const reason = result.title.split(': ').slice(1).join(': ')
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    }
  }
console.log(`${'set'.padEnd(48)}${['passed', 'failed', 'skipped'].map((word) => word.padStart(9)).join('')}`)
for (const [name, counts] of sets)
  console.log(
    `${name.padEnd(48)}${Object.values(counts)
      .map((count) => String(count).padStart(9))
      .join('')}`,
  )
for (const [reason, count] of reasons) console.log(`skipped ${count}: ${reason}`)
const total = (word) => [...sets.values()].reduce((sum, counts) => sum + counts[word], 0)
console.log(`vectors: ${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`)
process.exitCode = run.status === 0 && total('failed') === 0 ? 0 : 1
