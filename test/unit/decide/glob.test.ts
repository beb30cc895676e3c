// The glob dialects of the sheet (section 6), a row a pattern: what it matches and what it does not.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Glob, opaGlob, routeGlob } from '../../../src/decide/glob.js'

type Row = readonly [pattern: string, yes: readonly string[], no: readonly string[]]

const PATHS: readonly Row[] = [
  ['/repos/**', ['/repos/', '/repos/a', '/repos/a/b'], ['/repos', '/repo/a', '/reposx']],
  ['/repos/*', ['/repos/a', '/repos/'], ['/repos/a/b', '/repos']],
  ['/repos/*/pulls', ['/repos/a/pulls'], ['/repos/a/b/pulls', '/repos/pulls']],
  ['/**/info/refs*', ['/a/info/refs', '/a/b/info/refs.git'], ['/info/ref', '/a/info/refs/x']],
  ['/a/**/z', ['/a/b/z', '/a/b/c/z', '/a//z'], ['/a/z', '/a/b/z/y']],
  ['/v?/x', ['/v1/x'], ['/v/x', '/v12/x', '/v//x']],
  ['/v[0-9]/x', ['/v1/x'], ['/va/x', '/v12/x']],
  ['/v[!0-9]/x', ['/va/x'], ['/v1/x']],
  ['/{a,b/*}/z', ['/a/z', '/b/c/z'], ['/c/z', '/b/z', '/b/c/d/z']],
  ['/{a,{b,c}}', ['/a', '/b', '/c'], ['/d', '/{a']],
  ['/a\\*', ['/a*'], ['/ab', '/a\\*']],
  ['/plain', ['/plain'], ['/plain/', '/Plain', '']],
  ['*a*b', ['ab', 'xaxb', 'aab', 'abb'], ['ba', 'a/b', 'abc']],
  ['**a*b', ['/x/aab', 'ab', '/a/b/acb'], ['/a/b', 'abc']],
]

const NAMES: readonly Row[] = [
  ['v1.*', ['v1.2', 'v1.'], ['v1.2.3', 'v1']],
  ['v1.**', ['v1.2', 'v1.2.3'], ['v1', 'v2.1']],
  ['search_*', ['search_web', 'search_'], ['search.web', 'search_a.b', 'xsearch_web']],
  ['admin-*', ['admin-a', 'admin-a/b'], ['admin', 'Admin-a']],
  ['*', ['', 'anything', 'a/b'], ['a.b']],
]

const ROUTES: readonly Row[] = [
  ['/v1/**', ['/v1', '/v1/', '/v1/a', '/v1/a/b'], ['/v2', '/v1a']],
  ['/v1/*', ['/v1/a', '/v1/a/b'], ['/v1', '/v2/a']],
  ['/a/**/z', ['/a/z', '/a/b/z', '/a/b/c/z'], ['/a/b', '/b/z']],
  ['**', ['/', '/a/b', ''], []],
  ['', ['/', '/a'], []],
  ['/x{a,b}', ['/x{a,b}'], ['/xa']],
  ['/a**', ['/a**'], ['/ab', '/a']],
  ['/a[', ['/a['], ['/ab']],
  ['/[ab]', ['/a', '/b'], ['/c', '/[ab]']],
]

const MALFORMED = ['/a[', '/a{b', '/a}b', '/a]', '/[!]', '/[]', '/a\\', '/[z-a]', '/{a,b[}']

function holds(compile: (pattern: string) => Glob, rows: readonly Row[]): void {
  for (const [pattern, yes, no] of rows) {
    const glob = compile(pattern)
    expect(glob.malformed, pattern).toBe(false)
    for (const text of yes) expect(glob.matches(text), `${pattern} should match "${text}"`).toBe(true)
    for (const text of no) expect(glob.matches(text), `${pattern} should not match "${text}"`).toBe(false)
  }
}

describe('globs', () => {
  it('of paths and programs stop at a slash', () => {
    holds((pattern) => opaGlob(pattern, '/'), PATHS)
  })

  it('of queries, tools and GraphQL names stop at a dot', () => {
    holds((pattern) => opaGlob(pattern, '.'), NAMES)
  })

  it('of routes cross slashes and also match the directory itself', () => {
    holds(routeGlob, ROUTES)
  })

  it('that are malformed match nothing and say so', () => {
    for (const pattern of MALFORMED) {
      const glob = opaGlob(pattern, '/')
      expect([pattern, glob.malformed, glob.matches(pattern)]).toEqual([pattern, true, false])
    }
    expect(opaGlob(`/${'{a,b}'.repeat(9)}`, '/').malformed).toBe(true)
  })

  it('agree with the regular expression that says the same', () => {
    const piece = fc.constantFrom('*', '**', 'a', 'b', '/', '?')
    const text = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 12 }).map((parts) => parts.join(''))
    const pattern = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(pattern, text, (glob, said) => {
        const expression = glob.replace(
          /\*\*|\*|\?/g,
          (star) => ({ '**': '.*', '*': '[^/]*', '?': '[^/]' })[star] ?? '',
        )
        expect(opaGlob(glob, '/').matches(said)).toBe(new RegExp(`^${expression}$`).test(said))
      }),
      { numRuns: 5_000 },
    )
  })
})
