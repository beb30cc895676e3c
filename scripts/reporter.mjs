// A reporter for vitest beside its own default one: a summary as JSON in build/test-summary.json for scripts/test.mjs, each failure
// with the first line of its error. A skip without a reason is a failure: skips are suspects.

import { mkdirSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

export const SUMMARY = 'build/test-summary.json'

export default class Summary {
  onTestRunEnd(modules, unhandledErrors) {
    const summary = {
      passed: 0,
      failed: [],
      skipped: [],
      problems: unhandledErrors.map((error) => String(error.message)),
    }
    for (const module of modules) {
      const file = relative('.', module.moduleId)
      for (const error of module.errors()) summary.problems.push(`${file}: ${error.message}`)
      for (const test of module.children.allTests()) this.count(summary, file, test)
    }
    mkdirSync('build', { recursive: true })
    writeFileSync(SUMMARY, JSON.stringify(summary))
  }

  count(summary, file, test) {
    const { state, note } = test.result()
    const reason = note ?? reasonIn(test.fullName)
    if (state === 'passed') summary.passed++
    else if (state === 'skipped' && reason) summary.skipped.push({ name: `${file} > ${test.fullName}`, reason })
    else {
      const why = state === 'failed' ? firstLineOf(test.result().errors) : `${state} without a reason`
      summary.failed.push(`${file} > ${test.fullName}: ${why}`)
    }
  }
}

/** What a look at the end of a log alone must show; vitest's own report above it has the whole. */
const firstLineOf = (errors) =>
  /^.{0,300}/.exec(stripVTControlCharacters(errors?.[0]?.message ?? 'no error was given'))[0]

/** A test that is declared as skipped has its reason in its name: `... (skipped unless X)`, or after the last colon. */
const reasonIn = (name) => /\((skipped [^()]+)\)/.exec(name)?.[1] ?? /^.*: (\S.*)$/.exec(name)?.[1]
