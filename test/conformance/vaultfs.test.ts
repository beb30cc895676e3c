// vaultfs against evaluateFile: random rules, and random operations through a real mount. What the oracle allows gives what the
// same operation gives in a bare twin of the directory; what it denies fails with its error and changes nothing; a listing shows
// what may be looked up. At the end directory and twin are the same tree. VAULT_SCENES sets how many scenes are played.

import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { evaluateFile, type FileVerdict } from '../../src/plan/evaluate-file.js'
import type { FileOperation } from '../../src/plan/file-operations.js'
import { cannotServe, serve } from '../support/vault/served.js'
import { volume } from '../support/vault/slices.js'

const SCENES = Number(process.env.VAULT_SCENES ?? 12)
const OPERATIONS = 250

const directory = fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 })
const path = fc
  .tuple(directory, fc.constantFrom('a', 'b', 'f', 'g', 'l'))
  .map(([above, name]) => `/${[...above, name].join('/')}`)
const rulePath = fc.oneof({ weight: 6, arbitrary: path }, { weight: 1, arbitrary: fc.constant('/') })
const rule = fc
  .tuple(fc.constantFrom('read-only', 'read-write', 'read-write', 'deny'), rulePath)
  .map((pair) => pair.join(' '))

/** What an operation does, and what the kernel asks for it, in order; `there`: something is at its path. */
interface Verb {
  readonly run: (at: (path: string) => string, path: string, other: string) => unknown
  readonly asks: (path: string, other: string, there: (path: string) => boolean) => readonly [FileOperation, string][]
}
const onOne = (operation: FileOperation, run: Verb['run'], absent?: FileOperation): Verb => ({
  run,
  asks: (one, _, there) => [
    ['lookup', one],
    [there(one) ? operation : (absent ?? operation), one],
  ],
})
const VERBS: Readonly<Record<string, Verb>> = {
  lstat: onOne('getattr', (at, one) => kindOf(at(one))),
  list: onOne('list', (at, one) => readdirSync(at(one)).sort().join()),
  read: onOne('open', (at, one) => readFileSync(at(one), 'utf8')),
  write: onOne('open-write', (at, one) => writeFileSync(at(one), one), 'create'),
  open: onOne('open-write', (at, one) => closeSync(openSync(at(one), 'r+'))),
  truncate: onOne('open-write', (at, one) => truncateSync(at(one), 1)),
  chmod: onOne('setattr', (at, one) => chmodSync(at(one), 0o750)),
  mkdir: onOne('mkdir', (at, one) => mkdirSync(at(one))),
  rmdir: onOne('rmdir', (at, one) => rmdirSync(at(one))),
  unlink: onOne('unlink', (at, one) => unlinkSync(at(one))),
  symlink: onOne('symlink', (at, one) => symlinkSync('/nowhere/at/all', at(one))),
  readlink: onOne('readlink', (at, one) => readlinkSync(at(one))),
  rename: {
    run: (at, one, other) => renameSync(at(one), at(other)),
    asks: (one, other) => [
      ['lookup', one],
      ['lookup', other],
      ['rename-from', one],
      ['rename-to', other],
    ],
  },
  link: {
    run: (at, one, other) => linkSync(at(one), at(other)),
    asks: (one, other) => [
      ['lookup', one],
      ['lookup', other],
      ['link-from', one],
      ['link-to', other],
    ],
  },
}

const kindOf = (at: string): string => {
  const found = lstatSync(at)
  return `${found.isDirectory() ? 'directory' : `${found.size} octets`} ${(found.mode & 0o7777).toString(8)}`
}

function outcome(action: () => unknown): string {
  try {
    return `ok ${String(action() ?? '')}`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

const numberOf = (at: string): number | undefined => lstatSync(at, { throwIfNoEntry: false })?.ino

function tree(root: string, below = '/'): string[] {
  return readdirSync(join(root, below))
    .sort()
    .flatMap((name) => {
      const one = join(below, name)
      const found = lstatSync(join(root, one))
      const more = found.isFile() ? ` ${found.nlink} ${readFileSync(join(root, one), 'utf8')}` : ''
      return [`${one} ${kindOf(join(root, one))}${more}`, ...(found.isDirectory() ? tree(root, one) : [])]
    })
}

const above = (one: string): string[] =>
  one
    .split('/')
    .slice(1, -1)
    .map((_, i, parts) => `/${parts.slice(0, i + 1).join('/')}`)

it.skipIf(cannotServe)(
  `vaultfs decides as evaluateFile: ${SCENES} scenes of ${OPERATIONS} operations`,
  async () => {
    const seen = { allowed: 0, denied: 0 }
    const scene = fc.record({
      rules: fc.uniqueArray(rule, { minLength: 1, maxLength: 7 }),
      made: fc.array(fc.tuple(path, fc.boolean()), { maxLength: 20 }),
      played: fc.array(fc.tuple(fc.constantFrom(...Object.keys(VERBS)), path, path), {
        minLength: OPERATIONS,
        maxLength: OPERATIONS,
      }),
    })
    await fc.assert(
      fc.asyncProperty(scene, async ({ rules, made, played }) => {
        const at = await serve(rules)
        try {
          const twin = join(at.directory, 'twin')
          mkdirSync(twin)
          for (const root of [at.source, twin])
            for (const [one, isFile] of made)
              outcome(() =>
                isFile ? writeFileSync(join(root, one), 'made') : mkdirSync(join(root, one), { recursive: true }),
              )
          const slice = { backend: 'vaultfs' as const, domain: 'host' as const, volumes: [volume(rules)] }
          const judge = (operation: FileOperation, one: string): FileVerdict =>
            evaluateFile(slice, { quarantined: false, suspended: false }, { volume: 'work', operation, path: one })
          const there = (one: string): boolean => outcome(() => lstatSync(join(twin, one))).startsWith('ok')
          for (const [name, one, other] of played) {
            const verb = VERBS[name] as Verb
            const asks = verb.asks(one, other, there)
            const lookups = asks.flatMap(([, asked]) =>
              above(asked).map((up): [FileOperation, string] => ['lookup', up]),
            )
            const denial = [['lookup', '/'] as [FileOperation, string], ...lookups, ...asks]
              .map(([operation, asked]) => judge(operation, asked))
              .find((verdict) => verdict.kind === 'deny')
            const before = [one, other].map((each) => (there(each) ? numberOf(join(twin, each)) : undefined))
            const served = outcome(() => verb.run((at_) => join(at.mount, at_), one, other))
            // To another name of itself the kernel renames nothing, and asks nobody.
            if (name === 'rename' && served.startsWith('ok') && before[0] !== undefined && before[0] === before[1])
              continue
            const what = `${name} ${one} ${other} under ${rules.join(', ')}`
            if (denial?.kind === 'deny') {
              seen.denied++
              // What the kernel finds out by itself, such as that nothing is there, it may say before it asks.
              expect(served.startsWith('ok'), `${what}: ${served}`).toBe(false)
              if (served === 'EACCES' || served === 'EROFS') expect([denial.error, 'EACCES'], what).toContain(served)
              continue
            }
            seen.allowed++
            const bare = outcome(() => verb.run((at_) => join(twin, at_), one, other))
            const visible = (entry: string): boolean => judge('lookup', join(one, entry)).kind === 'allow'
            const expected =
              name === 'list' && bare.startsWith('ok')
                ? `ok ${bare
                    .slice(3)
                    .split(',')
                    .filter((entry) => entry !== '' && visible(entry))
                    .join()}`
                : bare
            expect(served, what).toBe(expected)
          }
          expect(tree(at.source)).toEqual(tree(twin))
        } finally {
          await at.close()
        }
      }),
      { seed: 2_026, numRuns: SCENES, endOnFailure: true },
    )
    // Neither side of the comparison stands empty.
    expect(Math.min(seen.allowed, seen.denied)).toBeGreaterThan((SCENES * OPERATIONS) / 10)
  },
  300_000,
)
