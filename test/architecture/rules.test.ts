// Each rule over the whole repository, and each over a planted sample that must fail: a rule that finds nothing anywhere
// would hold nothing.

import { describe, expect, test } from 'vitest'
import { IMPORT_TABLE } from './import-table.js'
import { FILES, type File, readText, SOURCES } from './repository.js'
import {
  followsImportTable,
  hasHeader,
  hasNoRegistry,
  isFinished,
  isNamed,
  isPortable,
  isPure,
  isPureInside,
  isShort,
  type Rule,
  TABLES,
} from './rules.js'

const code = FILES.filter(
  ({ path }) => /^(src|test|scripts|bench|doca-shims)\//.test(path) && /\.([cm]?[jt]s|[ch]|sh)$/.test(path),
)
const written = code.filter(({ path }) => !path.includes('/gen/'))
const texts = FILES.filter(({ path }) => path !== 'package-lock.json' && path !== 'LICENSE')

interface Held {
  readonly name: string
  readonly rule: Rule
  readonly over: readonly File[]
  /** Path, text, and exactly what the rule says about it. */
  readonly planted: readonly (readonly [path: string, text: string, says: string])[]
}

const dotted = (...parts: readonly string[]): string => parts.join('')

const HELD: readonly Held[] = [
  {
    name: 'the import table',
    rule: followsImportTable,
    over: SOURCES,
    planted: [
      ['src/base/x.ts', "import '../plan/model.js'", 'src/base/x.ts may not import ../plan/model.js'],
      ['src/base/x.ts', "import { sign } from 'jose'", 'src/base/x.ts may not import jose'],
      ['src/base/x.ts', "import 'yaml-extra'", 'src/base/x.ts may not import yaml-extra'],
      [
        'src/plan/x.ts',
        "export * from '../backends/backend.js'",
        'src/plan/x.ts may not import ../backends/backend.js',
      ],
      ['src/plan/x.ts', "import { readFileSync } from 'node:fs'", 'src/plan/x.ts may not import node:fs'],
      [
        'src/policy/x.ts',
        "import type { P } from '../bundle/model.js'",
        'src/policy/x.ts may not import ../bundle/model.js',
      ],
      ['src/agent/x.ts', "void import('../cli/print.js')", 'src/agent/x.ts may not import ../cli/print.js'],
      ['src/agent/x.ts', "import '../backends/registry.js'", 'src/agent/x.ts may not import ../backends/registry.js'],
      ['src/agent/decide.ts', "import 'node:fs'", 'src/agent/decide.ts may not import node:fs'],
      ['src/cli/x.ts', "import '../agent/store.js'", 'src/cli/x.ts may not import ../agent/store.js'],
      [
        'src/backends/memory/driver.ts',
        "import '../nftables/lower.js'",
        'src/backends/memory/driver.ts may not import ../nftables/lower.js',
      ],
      [
        'src/backends/nftables/lower.ts',
        "import './probe.js'",
        'src/backends/nftables/lower.ts may not import ./probe.js',
      ],
      [
        'src/backends/nftables/lower.ts',
        "import '../memory/program.js'",
        'src/backends/nftables/lower.ts may not import ../memory/program.js',
      ],
      ['src/audit/fold.ts', "import './journal.js'", 'src/audit/fold.ts may not import ./journal.js'],
      ['src/anywhere/x.ts', '', 'src/anywhere/x.ts is in no row of the import table'],
    ],
  },
  {
    name: 'purity',
    rule: isPureInside,
    over: SOURCES,
    planted: [
      ['src/plan/x.ts', 'export const now = (): number => Date.now()', 'src/plan/x.ts:1 uses Date.now'],
      ['src/plan/x.ts', '\nexport const at = new Date()', 'src/plan/x.ts:2 uses new Date()'],
      ['src/policy/x.ts', 'export const r = Math.random()', 'src/policy/x.ts:1 uses Math.random'],
      ['src/base/x.ts', "export const b = Buffer.from('')", 'src/base/x.ts:1 uses Buffer'],
      ['src/bundle/x.ts', 'export const e = process.env', 'src/bundle/x.ts:1 uses process'],
      ['src/plan/x.ts', 'const f = (process: any) => process\nf(process)', 'src/plan/x.ts:2 uses process'],
      ['src/audit/ocsf/x.ts', 'export const k = { process }', 'src/audit/ocsf/x.ts:1 uses process'],
      ['src/backends/ebpf/lower.ts', 'setTimeout(() => undefined, 1)', 'src/backends/ebpf/lower.ts:1 uses setTimeout'],
      ['src/agent/decide.ts', 'console.log(1)', 'src/agent/decide.ts:1 uses console'],
    ],
  },
  {
    name: 'length',
    rule: isShort,
    over: written.filter(({ path }) => !path.startsWith('test/')),
    planted: [['src/plan/x.ts', '\n'.repeat(401), 'src/plan/x.ts has 401 lines; the limit is 400']],
  },
  {
    name: 'names',
    rule: isNamed,
    over: code,
    planted: [
      ['src/plan/utils.ts', '', 'src/plan/utils.ts: the name utils says nothing'],
      ['src/helpers/x.ts', '', 'src/helpers/x.ts: the name helpers says nothing'],
      ['test/unit/types.test.ts', '', 'test/unit/types.test.ts: the name types says nothing'],
    ],
  },
  {
    name: 'headers',
    rule: hasHeader,
    over: written,
    planted: [['src/plan/x.ts', "import './y.js'\n", 'src/plan/x.ts does not begin with a comment']],
  },
  {
    name: 'nothing unfinished',
    rule: isFinished,
    over: code.filter(({ path }) => !path.startsWith('test/architecture/')),
    planted: [
      ['src/a.ts', dotted('// TO', 'DO: later'), dotted('src/a.ts:1 is unfinished, or runs alone: // TO', 'DO: later')],
      [
        'test/a.test.ts',
        dotted('test.', "only('x')"),
        dotted('test/a.test.ts:1 is unfinished, or runs alone: test.', "only('x')"),
      ],
      [
        'test/a.test.ts',
        dotted('it.', "todo('x')"),
        dotted('test/a.test.ts:1 is unfinished, or runs alone: it.', "todo('x')"),
      ],
    ],
  },
  {
    name: 'no path of one machine, no registry',
    rule: isPortable,
    over: texts,
    planted: [
      ['README.md', dotted('see /wo', 'rk/main'), "README.md:1 names a machine's path or a registry's host"],
      ['a.sh', dotted('cd /ro', 'ot/x'), "a.sh:1 names a machine's path or a registry's host"],
      ['.npmrc', dotted('//registry.npm', 'js.org/'), ".npmrc:1 names a machine's path or a registry's host"],
    ],
  },
  {
    name: 'lockfile without hosts',
    rule: hasNoRegistry,
    over: FILES.filter(({ path }) => path === '.npmrc' || path === 'package-lock.json'),
    planted: [
      ['.npmrc', 'registry=somewhere', '.npmrc names a registry'],
      [
        'package-lock.json',
        '{"packages":{"node_modules/a":{"resolved":"https://packages.example/a.tgz"}}}',
        'package-lock.json: node_modules/a says where it was fetched from',
      ],
    ],
  },
]

describe.each(HELD)('$name', ({ rule, over, planted }) => {
  test('holds in the repository', () => {
    expect(over.length).toBeGreaterThan(1)
    expect(over.flatMap(rule)).toEqual([])
  })
  test.each(planted)('finds the sample planted in %s: %j', (path, text, says) => {
    expect(rule({ path, text })).toEqual([says])
  })
})

describe('what a rule must let pass', () => {
  test.each([
    ['src/plan/x.ts', 'export const f = (slice: { process: number }) => slice.process'],
    ['src/plan/x.ts', 'export interface Capabilities { readonly process: boolean }'],
    ['src/plan/x.ts', 'export const c = { process: true }'],
    ['src/plan/x.ts', 'export const f = (process: { a: number }) => process.a'],
    ['src/plan/x.ts', 'export const f = () => process(1)\nfunction process(x: number) {\n  return x\n}'],
    ['src/plan/x.ts', 'export const f = (x: any) => {\n  const { process } = x\n  return process ? process.a : 0\n}'],
    ['src/plan/x.ts', 'export const d = new Date(0)'],
    ['src/plan/x.ts', "// Date.now() is refused here\nexport const s = 'process.env'"],
    ['src/agent/store.ts', 'export const now = Date.now()'],
  ])('%s: %s', (path, text) => {
    expect(isPureInside({ path, text })).toEqual([])
  })
  test.each([
    [
      'src/backends/nftables/probe.ts',
      "import './program.js'\nimport 'koffi'\nimport 'node:fs'\nimport '../backend.js'",
    ],
    ['src/cli/commands/plan.ts', "import '../print.js'\nimport 'commander'\nimport '../../plan/model.js'"],
    ['src/bundle/sigil/verify.ts', "import '../errors.js'\nimport '@noble/curves/ed25519.js'"],
  ])('imports of %s', (path, text) => {
    expect(followsImportTable({ path, text })).toEqual([])
  })
})

test('every pure file is compiled without the types of Node', () => {
  const { include } = JSON.parse(readText('tsconfig.pure.json')) as { include: string[] }
  const covers = include.map(
    (pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}(/.*)?$`),
  )
  const uncovered = SOURCES.filter(isPure).filter(({ path }) => !covers.some((pattern) => pattern.test(path)))
  expect(uncovered.map(({ path }) => path)).toEqual([])
})

test('rows of the import table do not hide one another: each has a sample of its own', () => {
  const samples = ['base/x', 'bundle/x', 'policy/x', 'plan/x', 'decide/x', 'backends/backend', 'backends/registry']
  samples.push(
    'vault/x',
    'backends/tracing/x',
    'backends/memory/driver',
    'dns/x',
    'audit/fact',
    'audit/journal',
    'process/x',
    'findings/x',
    'revocation/x',
    'agent/x',
    'bench/x',
    'companion/x',
    'api/x',
    'cli/x',
    'bin/x',
  )
  const rows = samples.map((sample) => IMPORT_TABLE.findIndex((row) => row.files.test(sample)))
  expect([...rows].sort((a, b) => a - b)).toEqual(IMPORT_TABLE.map((_, i) => i))
})

test('every exception for length exists and is long', () => {
  for (const path of Object.keys(TABLES)) expect(readText(path).split('\n').length).toBeGreaterThan(400)
})
