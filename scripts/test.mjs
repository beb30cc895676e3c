// What `make test` runs after the set-up: build, native parts, types twice, lint, every suite, then a look at what was left
// behind. Its last line is exactly `N passed, N failed, N skipped`; a step that fails, a problem outside a test and a thing
// left behind each count as one failure, and every skip stands above with its reason. Exit 1 on any failure or no test run.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { leftovers } from './leftovers.mjs'
import { SUMMARY } from './reporter.mjs'

const failures = []
const before = new Set(leftovers())

function step(name, command, ...args) {
  const startedAt = performance.now()
  const { status, signal, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const ok = status === 0
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`)
  if (!ok) failures.push(`${name}: ${error?.message ?? signal ?? `exit ${status}`}`)
  return ok
}

step('build', 'make', 'build')
step('native', 'make', 'native')
step('types', 'make', 'check')
step('lint', 'make', 'lint')

rmSync(SUMMARY, { force: true })
// The suites say by themselves what failed; their exit code adds nothing to the summary, unless there is none.
const suites = ['--reporter=default', '--reporter=./scripts/reporter.mjs']
spawnSync('node_modules/.bin/vitest', ['run', ...suites], { stdio: ['ignore', 'inherit', 'inherit'] })
let summary = { passed: 0, failed: [], skipped: [], problems: [] }
if (existsSync(SUMMARY)) summary = JSON.parse(readFileSync(SUMMARY, 'utf8'))
else failures.push('suites: they ended without a summary')
if (summary.passed + summary.failed.length === 0) failures.push('suites: no test was run')
for (const left of leftovers()) if (!before.has(left)) failures.push(`left behind: ${left}`)

const skips = new Map()
for (const { name, reason } of summary.skipped) skips.set(reason, [...(skips.get(reason) ?? []), name])
for (const [reason, names] of skips) {
  console.log(`skipped ${names.length}: ${reason}`)
  for (const name of names) console.log(`  ${name}`)
}
failures.unshift(...summary.failed, ...summary.problems)
for (const failure of failures) console.log(`failed: ${failure}`)
console.log(`${summary.passed} passed, ${failures.length} failed, ${summary.skipped.length} skipped`)
process.exitCode = failures.length > 0 ? 1 : 0
