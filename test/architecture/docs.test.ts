// Documents that repeat what is data must repeat it exactly: the page of codes, the import table, the promises.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { EXIT_CODE, type FaultTable } from '../../src/base/fault.js'
import { printTable } from './import-table.js'
import { FILES, ROOT, readText } from './repository.js'

const tables = new Map<string, FaultTable>()
for (const file of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('errors.ts')) continue
  const module = (await import(pathToFileURL(join(ROOT, 'src', file)).href)) as Record<string, unknown>
  for (const [name, value] of Object.entries(module))
    if (name.endsWith('_FAULTS')) tables.set(`${file}: ${name}`, value as FaultTable)
}

/** The codes of a page of errors that the tables do not have, and the rows of the tables that the page does not have. */
function differences(page: string): { readonly stale: string[]; readonly missing: string[] } {
  const rows = [...tables.values()].flatMap((table) => Object.entries(table))
  const codes = new Set(rows.map(([code]) => code))
  const listed = [...page.matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map((match) => match[1] ?? '')
  const printed = rows.map(
    ([code, { reaction, remedy }]) =>
      `| \`${code}\` | ${reaction} | ${EXIT_CODE[reaction]} | ${remedy.replaceAll('|', '\\|')} |`,
  )
  return {
    stale: listed.filter((code) => !codes.has(code)),
    missing: printed.filter((row) => !page.split('\n').includes(row)),
  }
}

describe('codes', () => {
  test('src/ERRORS.md lists exactly the rows of the tables (make errors writes it)', () => {
    expect(tables.size).toBeGreaterThan(3)
    expect(differences(readText('src/ERRORS.md'))).toEqual({ stale: [], missing: [] })
  })

  test('a page with a code too many, or with another remedy, is found', () => {
    const page = readText('src/ERRORS.md')
    expect(differences(`${page}| \`NO_SUCH_CODE\` | reject | 2 | Nothing. |\n`).stale).toEqual(['NO_SUCH_CODE'])
    const changed = page.replace(/^(\| `AUDIT_JOURNAL_FOREIGN` .*)\|$/m, '$1 Or not. |')
    expect(differences(changed).missing).toHaveLength(differences(page).missing.length + 1)
  })

  test('a code stands in one table only, is upper case, and tells the next step', () => {
    const codes = [...tables.values()].flatMap((table) => Object.keys(table))
    expect(codes.filter((code, i) => codes.indexOf(code) !== i)).toEqual([])
    expect(codes.filter((code) => !/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/.test(code))).toEqual([])
    for (const table of tables.values())
      for (const [code, row] of Object.entries(table))
        expect([code, row.remedy]).toEqual([code, expect.stringMatching(/^\S.{8,}\S$/)])
  })
})

test('src/README.md has the import table that the rules hold', () => {
  const match = /<!-- import-table:begin -->\n([\s\S]*?)\n<!-- import-table:end -->/.exec(readText('src/README.md'))
  expect(match?.[1]).toBe(printTable())
})

describe('promises', () => {
  /** Paths of tests and benches that a document names, and that are not there. */
  const broken = (text: string): string[] =>
    [...text.matchAll(/`((?:test|bench|scripts|policies|src|deploy|doca-shims)\/[\w./*-]+)`/g)]
      .map((match) => (match[1] ?? '').replace(/\/?\*.*$/, ''))
      .filter((path) => !existsSync(join(ROOT, path)))

  test('README.md names tests, scripts and folders that exist', () => {
    const readme = readText('README.md')
    expect(readme).toMatch(/`test\/[\w./-]+`/)
    expect(broken(readme)).toEqual([])
  })

  test('a name of a test that is not there is found', () => {
    expect(broken('held by `test/unit/nothing.test.ts`')).toEqual(['test/unit/nothing.test.ts'])
  })

  test('every make target that a document names exists', () => {
    const targets = new Set([...readText('Makefile').matchAll(/^([a-z]+):/gm)].map((match) => match[1]))
    const documents = FILES.filter(({ path }) => path.endsWith('.md'))
    const named = documents.flatMap(({ text }) => [...text.matchAll(/`make ([a-z]+)`/g)].map((match) => match[1]))
    expect(named.filter((target) => !targets.has(target))).toEqual([])
    expect(targets.has('test')).toBe(true)
  })
})
