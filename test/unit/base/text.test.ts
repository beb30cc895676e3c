// Bytes, JSON, canonical form, YAML and quoting: strict where the platform repairs.

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  base64,
  base64url,
  concat,
  decodeBase64,
  decodeBase64url,
  decodeHex,
  decodeUtf8,
  equalBytes,
  hex,
  utf8,
} from '../../../src/base/bytes.js'
import { canonicalize, type Json } from '../../../src/base/canonical.js'
import { adoptSha256, digestOfText, isDigest } from '../../../src/base/digest.js'
import { JsonError, parseJson } from '../../../src/base/json.js'
import { quote } from '../../../src/base/quote.js'
import { nearest } from '../../../src/base/suggest.js'
import { readYaml } from '../../../src/base/yaml.js'

describe('bytes', () => {
  it('round-trip in every alphabet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(decodeBase64url(base64url(bytes))).toEqual(bytes)
        expect(decodeBase64(base64(bytes))).toEqual(bytes)
        expect(decodeHex(hex(bytes))).toEqual(bytes)
        expect(base64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
      }),
    )
  })

  it.each<[string, Uint8Array | undefined, string]>([
    ['AB', undefined, 'trailing bits set'],
    ['AA==', undefined, 'padding'],
    ['A', undefined, 'one sextet'],
    ['AA A', undefined, 'white space'],
    ['AA+A', undefined, 'the other alphabet'],
    ['', new Uint8Array(0), 'nothing'],
    ['AA', new Uint8Array(1), 'one octet'],
  ])('base64url %j: %s %s', (text, expected) => {
    expect(decodeBase64url(text)).toEqual(expected)
  })

  it('standard base64 needs its padding', () => {
    expect(decodeBase64('AA')).toBeUndefined()
    expect(decodeBase64('AA==')).toEqual(new Uint8Array(1))
    expect(decodeBase64('AB==')).toBeUndefined()
  })

  it.each([
    ['overlong', [0xc0, 0x80]],
    ['surrogate', [0xed, 0xa0, 0x80]],
    ['truncated', [0xe2, 0x82]],
    ['BOM', [0xef, 0xbb, 0xbf, 0x61]],
  ])('%s is not UTF-8 here', (_name, bytes) => {
    expect(decodeUtf8(Uint8Array.from(bytes))).toBeUndefined()
  })

  it('concatenates and compares', () => {
    expect(concat([utf8('a'), utf8('bc')])).toEqual(utf8('abc'))
    expect(equalBytes(utf8('ab'), utf8('ab'))).toBe(true)
    expect(equalBytes(utf8('ab'), utf8('ac'))).toBe(false)
    expect(equalBytes(utf8('ab'), utf8('abc'))).toBe(false)
  })
})

describe('JSON', () => {
  it.each([
    ['{"a":1,"a":2}', 1, 8, 'a', 'duplicate key'],
    ['{"a":{"b":1,"b":2}}', 1, 13, 'a.b', 'duplicate key'],
    ['{"a":1} x', 1, 9, '', 'trailing characters after the value'],
    [
      '{"a":9007199254740993}',
      1,
      6,
      'a',
      'number cannot be held exactly (integers go to 2^53-1; write larger ones as strings)',
    ],
    ['[1e400]', 1, 2, '[0]', 'number cannot be held exactly (integers go to 2^53-1; write larger ones as strings)'],
    ['[-0]', 1, 2, '[0]', 'number cannot be held exactly (integers go to 2^53-1; write larger ones as strings)'],
    ['["\\ud800"]', 1, 2, '[0]', 'string holds a lone surrogate'],
    ['[01]', 1, 3, '', 'expected "," or "]"'],
    ['\n["a\tb"]', 2, 2, '[0]', 'string is not closed, or holds a control character or a bad escape'],
    ['{a:1}', 1, 2, '', 'expected a member name in double quotes'],
    ['[1,]', 1, 4, '[1]', 'not a JSON value'],
    ['', 1, 1, '', 'the text ends too early'],
  ])('refuses %j', (text, line, column, path, reason) => {
    try {
      parseJson(text)
    } catch (error) {
      expect(error).toBeInstanceOf(JsonError)
      expect(error).toMatchObject({ line, column, path, reason })
      return
    }
    throw new Error('it was accepted')
  })

  it('nests to the limit and not past it', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
    expect(() => parseJson(nested(33))).not.toThrow()
    expect(() => parseJson(nested(34))).toThrow('nested deeper than 32')
  })

  it('keeps hostile keys as keys', () => {
    const value = parseJson('{"__proto__":{"x":1},"constructor":2}') as Record<string, Json>
    expect(Object.getPrototypeOf(value)).toBeNull()
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor'])
  })

  it('agrees with the platform on what both accept, and canonical form is stable', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value)
        if (/-0[^.]|e[+-]?\d/i.test(text) || /"[^"]*\p{Surrogate}/u.test(text)) return
        let parsed: Json
        try {
          parsed = parseJson(text)
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError)
          return
        }
        expect(JSON.parse(canonicalize(parsed))).toEqual(JSON.parse(text))
        expect(canonicalize(parseJson(canonicalize(parsed)))).toBe(canonicalize(parsed))
      }),
    )
  })
})

describe('canonical form', () => {
  it('sorts by UTF-16 units, prints numbers as ECMAScript, leaves out undefined', () => {
    expect(canonicalize({ b: 1, a: [1e21, 0.1, -0], '\u20ac': 'x', '\ud83d\ude00': undefined })).toBe(
      '{"a":[1e+21,0.1,0],"b":1,"\u20ac":"x"}',
    )
  })
  it('refuses what JSON cannot say', () => {
    expect(() => canonicalize(Number.NaN)).toThrow('not finite')
    expect(() => canonicalize('\ud800')).toThrow('lone surrogate')
    expect(() => canonicalize(1n as unknown as Json)).toThrow('bigint is not JSON')
  })
  it('digests are sha256: and 64 digits', () => {
    expect(digestOfText('')).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(isDigest(digestOfText('x'))).toBe(true)
    expect(isDigest('sha256:ABC')).toBe(false)
  })
})

describe('YAML', () => {
  const codes = (text: string, limits = { bytes: 100_000, nodes: 10_000 }): string[] =>
    readYaml(utf8(text), 'f', limits).notes.map((note) => `${note.line}:${note.column} ${note.code}`)

  it.each([
    ['a: 1\n', []],
    ['---\na: 1\n', []],
    ['', ['1:1 empty-document']],
    ['a: 1\na: 2\n', ['2:1 duplicate-key']],
    ['a: &x 1\nb: *x\n', ['1:7 yaml-anchor', '2:4 yaml-alias']],
    ['a: !!str 1\n', ['1:4 yaml-tag']],
    ['a: !x 1\n', ['1:4 yaml-tag']],
    ['<<: { a: 1 }\n', ['1:1 yaml-merge']],
    ['1: a\n', ['1:1 bad-key']],
    ['? [a]\n: b\n', ['1:3 bad-key']],
    ['%YAML 1.1\n---\na: 1\n', ['1:1 yaml-directive']],
    ['a: 1\n---\nb: 2\n', ['2:1 several-documents']],
    ['a: [1\n', ['2:1 yaml-syntax']],
    ['a: .inf\n', ['1:4 bad-scalar']],
    ['a: "\u0000"\n', ['0:0 not-utf8']],
  ])('%j', (text, expected) => {
    expect(codes(text)).toEqual(expected)
  })

  it('keeps what YAML 1.1 would turn into something else', () => {
    const { root } = readYaml(utf8('a: on\nb: 0443\nc: 12:30\nd: 18446744073709551615\ne: 2026-01-01\nf:\n'), 'f', {
      bytes: 1000,
      nodes: 100,
    })
    expect(
      root?.kind === 'map' &&
        root.entries.map((entry) => entry.value.kind === 'scalar' && [entry.value.type, entry.value.value]),
    ).toEqual([
      ['string', 'on'],
      ['int', 443n],
      ['string', '12:30'],
      ['int', 18446744073709551615n],
      ['string', '2026-01-01'],
      ['null', null],
    ])
  })

  it('limits are checked at the limit and one past', () => {
    const text = 'a: 1\n'
    expect(codes(text, { bytes: 5, nodes: 10 })).toEqual([])
    expect(codes(text, { bytes: 4, nodes: 10 })).toEqual(['0:0 too-large'])
    expect(codes(`[${'1,'.repeat(50)}1]`, { bytes: 1000, nodes: 52 })).toEqual([])
    expect(codes(`[${'1,'.repeat(51)}1]`, { bytes: 1000, nodes: 52 })).toEqual(['0:0 too-many-nodes'])
    expect(codes(`a: ${'x'.repeat(65_536)}\n`)).toEqual([])
    expect(codes(`a: ${'x'.repeat(65_537)}\n`)).toEqual(['0:0 scalar-too-long'])
    const nested = (depth: number): string => Array.from({ length: depth }, (_, i) => `${' '.repeat(i)}a:`).join('\n')
    expect(codes(nested(32))).toEqual([])
    expect(codes(nested(34))[0]).toMatch(/too-deep$/)
    expect(codes(`${'['.repeat(32)}${']'.repeat(32)}`)).toEqual([])
    expect(codes(`${'['.repeat(33)}${']'.repeat(33)}`)[0]).toMatch(/too-deep$/)
  })

  it('never throws, whatever comes', () => {
    const scrap = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .array(
          fc.constantFrom(
            'a',
            ':',
            ' ',
            '\n',
            '- ',
            '[',
            ']',
            '{',
            '}',
            '&',
            '*',
            '!',
            '|',
            '>',
            '"',
            "'",
            '#',
            '?',
            ',',
            '%',
            '---',
            '\t',
          ),
          { maxLength: 60 },
        )
        .map((parts) => utf8(parts.join(''))),
    )
    fc.assert(
      fc.property(scrap, (bytes) => {
        const { root, notes } = readYaml(bytes, 'f', { bytes: 1000, nodes: 100 })
        expect(root === undefined).toBe(notes.some((note) => note.severity === 'error'))
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('words for people', () => {
  it.each([
    ['enforcment', 'enforcement'],
    ['hsot', 'host'],
    ['allowed-ips', 'allowed_ips'],
    ['Host', 'host'],
    ['zebra', undefined],
    ['x', undefined],
  ])('nearest to %s is %s', (word, expected) => {
    expect(nearest(word, ['host', 'enforcement', 'allowed_ips'])).toBe(expected)
  })
  it('quotes, bounds and defuses', () => {
    expect(quote('a"b\\c')).toBe('"a\\"b\\\\c"')
    expect(quote('\u001b[31mred\u202e')).toBe('"\\u{1b}[31mred\\u{202e}"')
    expect(quote('x'.repeat(100), 10)).toBe('"xxxxxxxxxx" (100 characters)')
  })
})

describe('SHA-256', () => {
  it('takes the platform implementation, and nothing that is not SHA-256', () => {
    expect(() => adoptSha256((bytes) => createHash('sha512').update(bytes).digest().subarray(0, 32))).toThrow(
      'not SHA-256',
    )
    adoptSha256((bytes) => createHash('sha256').update(bytes).digest())
    expect(digestOfText('abc')).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })
})
