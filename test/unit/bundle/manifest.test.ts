// The manifest, its paths and its times: what is read, and every finding with its place.

import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/base/bytes.js'
import { LIMITS } from '../../../src/base/limits.js'
import { formatInstant, parseInstant, parseRevision } from '../../../src/bundle/instant.js'
import { parseManifest, writeManifest } from '../../../src/bundle/manifest.js'
import { PathSet, refuseMemberPath, refusePath } from '../../../src/bundle/path.js'
import { FROM, MANIFEST_TERMS, UNTIL } from './fixture.js'

const DIGEST = 'ab'.repeat(32)
const GOOD = `apiVersion: nvidia.agent-policy-fabric.policy/v1alpha1
kind: PolicyBundle
metadata: {anything: [1, 2]}
id: org/team:agent@1
policy_revision: 18446744073709551615
not_before: 2026-01-01T00:00:00Z
expires_at: "2027-01-01T01:00:00+01:00"
manifest:
  - path: a/b.yaml
    sha256: ${DIGEST.toUpperCase()}
`
const findings = (text: string) =>
  parseManifest(utf8(text)).notes.map(({ code, line, column, path }) => `${code} ${line}:${column} ${path}`)

describe('parseManifest', () => {
  it('reads the published form, numbers and times exactly', () => {
    expect(parseManifest(utf8(GOOD))).toEqual({
      manifest: {
        id: 'org/team:agent@1',
        policyRevision: 18_446_744_073_709_551_615n,
        notBeforeMs: FROM,
        expiresAtMs: UNTIL,
        members: [{ path: 'a/b.yaml', sha256: DIGEST }],
      },
      notes: [],
    })
  })
  it('reads back what it writes, whatever the strings hold', () => {
    for (const description of ['plain', 'a: b # c', '"quoted" \\ \n line', 'null', '\u20ac \u{1f600}']) {
      const manifest = { ...MANIFEST_TERMS, description, members: [{ path: 'x', sha256: DIGEST }] }
      expect(parseManifest(writeManifest(manifest)).manifest).toEqual(manifest)
    }
  })
  it('ignores the one key whose meaning is not published, with a warning', () => {
    const { manifest, notes } = parseManifest(utf8(`${GOOD}runtime_compatibility: {}\n`))
    expect(manifest?.id).toBe('org/team:agent@1')
    expect(notes.map(({ code, severity, line }) => [code, severity, line])).toEqual([['undefined-key', 'warning', 11]])
  })
  const cases: readonly (readonly [string, readonly [string, string], readonly string[]])[] = [
    [
      'a misspelt key',
      ['policy_revision:', 'policy_revison:'],
      ['unknown-key 5:1 policy_revison', 'missing-key 1:1 policy_revision'],
    ],
    ['downgrade of the version', ['v1alpha1', 'v1alpha0'], ['wrong-value 1:13 apiVersion']],
    ['another kind', ['PolicyBundle', 'PolicyRule'], ['wrong-value 2:7 kind']],
    ['an id that begins with a dot', ['org/team', './team'], ['bad-id 4:5 id']],
    ['revision 0', ['18446744073709551615', '0'], ['bad-revision 5:18 policy_revision']],
    ['revision 2^64', ['18446744073709551615', '18446744073709551616'], ['bad-revision 5:18 policy_revision']],
    ['a revision in hexadecimal', ['18446744073709551615', '0x10'], ['bad-revision 5:18 policy_revision']],
    ['a revision as text', ['18446744073709551615', '"7"'], ['bad-revision 5:18 policy_revision']],
    ['a revision with a fraction', ['18446744073709551615', '7.0'], ['bad-revision 5:18 policy_revision']],
    ['a time without an offset', ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00'], ['bad-time 6:13 not_before']],
    ['an empty window', ['2027', '2026'], ['empty-window 7:13 expires_at']],
    ['an absolute path', ['a/b.yaml', '/b.yaml'], ['bad-path 9:11 manifest[0].path']],
    ['a reserved path', ['a/b.yaml', 'Bundle.yaml'], ['bad-path 9:11 manifest[0].path']],
    ['a short digest', [DIGEST.toUpperCase(), 'ab'], ['bad-digest 10:13 manifest[0].sha256']],
    ['a member with a size', ['    sha256', '    size: 1\n    sha256'], ['unknown-key 10:5 manifest[0].size']],
    ['a member that is text', ['  - path: a/b.yaml\n    sha256', '  - a\n#'], ['wrong-type 9:5 manifest[0]']],
    ['metadata that is text', ['{anything: [1, 2]}', 'x'], ['wrong-type 3:11 metadata']],
    ['a duplicate key', ['kind: PolicyBundle', 'kind: PolicyBundle\nkind: PolicyBundle'], ['duplicate-key 3:1 kind']],
    ['an anchor', ['id: org', 'id: &a org'], ['yaml-anchor 4:8 id']],
    ['yes is text, and text is no time', ['2026-01-01T00:00:00Z', 'yes'], ['bad-time 6:13 not_before']],
    ['a list at the top', [GOOD, '- a\n'], ['wrong-type 1:1 ']],
    ['nothing', [GOOD, ''], ['empty-document 1:1 ']],
  ]
  for (const [name, [from, to], expected] of cases)
    it(name, () => {
      const text = GOOD.replace(from, () => to)
      expect(text).not.toBe(GOOD)
      expect(findings(text)).toEqual(expected)
      expect(parseManifest(utf8(text)).manifest).toBeUndefined()
    })
  it('several findings at once', () => {
    const text = GOOD.replace('kind: PolicyBundle', 'kind: Other').replace('org/team', '.').replace('v1alpha1', 'v2')
    expect(findings(text)).toEqual(['wrong-value 1:13 apiVersion', 'wrong-value 2:7 kind', 'bad-id 4:5 id'])
  })
  it('paths that collide', () => {
    const member = (path: string) => `  - path: ${path}\n    sha256: ${DIGEST}\n`
    expect(findings(`${GOOD}${member('A/c')}${member('a/b.yaml')}${member('a/b.yaml/c')}`)).toEqual([
      'bad-path 11:11 manifest[1].path',
      'bad-path 13:11 manifest[2].path',
      'bad-path 15:11 manifest[3].path',
    ])
  })
  it('an id of 512 characters, and one more', () => {
    const withId = (length: number) => GOOD.replace('org/team:agent@1', 'i'.repeat(length))
    expect(findings(withId(LIMITS.bundleIdCharacters))).toEqual([])
    expect(findings(withId(LIMITS.bundleIdCharacters + 1))).toEqual(['bad-id 4:5 id'])
  })
  it('1,024 members, and one more', () => {
    const withMembers = (count: number) =>
      GOOD + Array.from({ length: count - 1 }, (_, i) => `  - {path: m${i}, sha256: ${DIGEST}}\n`).join('')
    expect(parseManifest(utf8(withMembers(LIMITS.members))).manifest?.members).toHaveLength(1024)
    expect(findings(withMembers(LIMITS.members + 1))).toEqual(['too-many-members 9:3 manifest'])
  })
})

describe('paths', () => {
  it('at the limits and one past them', () => {
    expect(refusePath('p'.repeat(LIMITS.pathBytes))).toBeUndefined()
    expect(refusePath('p'.repeat(LIMITS.pathBytes + 1))).toBe('it is longer than 255 octets')
    expect(refusePath(Array(LIMITS.pathSegments).fill('s').join('/'))).toBeUndefined()
    expect(
      refusePath(
        Array(LIMITS.pathSegments + 1)
          .fill('s')
          .join('/'),
      ),
    ).toBe('it has more than 16 segments')
  })
  it('reserved names, in any case', () => {
    for (const name of ['bundle.yaml', 'BUNDLE.YAML', 'release.jws.json'])
      expect(refuseMemberPath(name)).toBe('the name is reserved')
    expect(refuseMemberPath('sub/bundle.yaml')).toBeUndefined()
  })
  it('collisions', () => {
    const set = new PathSet()
    expect(set.add('a/b')).toBeUndefined()
    expect(set.addFolder('a')).toBeUndefined()
    expect(set.add('a')).toBe('a folder has the same path')
    expect(set.add('A/c')).toBe('its folder differs from another one only in case')
    expect(set.add('a/B')).toBe('another file has the same path, or one that differs only in case')
    expect(set.add('a/b/c')).toBe('it lies below a file')
    expect(set.addFolder('a/b')).toBe('a file has the same path')
  })
})

describe('times and revisions', () => {
  const times: readonly (readonly [string, number | undefined])[] = [
    ['1970-01-01T00:00:00Z', 0],
    ['2026-01-01T00:00:00Z', FROM],
    ['2026-01-01T01:30:00.123456789+01:30', FROM + 123],
    ['2025-12-31T23:59:59.999-00:00', FROM - 1],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
    ['2023-02-29T00:00:00Z', undefined],
    ['2026-13-01T00:00:00Z', undefined],
    ['2026-00-01T00:00:00Z', undefined],
    ['2026-01-01T24:00:00Z', undefined],
    ['2026-01-01T00:60:00Z', undefined],
    ['2016-12-31T23:59:60Z', undefined],
    ['2026-01-01T00:00:00+24:00', undefined],
    ['2026-01-01T00:00:00+01:60', undefined],
    ['2026-01-01 00:00:00Z', undefined],
    ['2026-01-01T00:00:00', undefined],
    ['2026-01-01T00:00Z', undefined],
    ['2026-1-1T00:00:00Z', undefined],
    ['2026-01-01T00:00:00.Z', undefined],
    ['12026-01-01T00:00:00Z', undefined],
    [' 2026-01-01T00:00:00Z', undefined],
    ['2026-01-01T00:00:00Z\n', undefined],
  ]
  for (const [text, expected] of times) it(JSON.stringify(text), () => expect(parseInstant(text)).toBe(expected))
  it('writes what it reads', () => {
    for (const text of ['2026-01-01T00:00:00Z', '2026-06-30T12:34:56.789Z'])
      expect(formatInstant(parseInstant(text) ?? 0)).toBe(text)
  })
  it('revisions', () => {
    for (const text of [
      '0',
      '-1',
      '+1',
      '01',
      '1.0',
      '1e3',
      '',
      ' 1',
      '18446744073709551616',
      '99999999999999999999',
      '1\n',
    ])
      expect(parseRevision(text)).toBeUndefined()
    expect(parseRevision('18446744073709551615')).toBe(2n ** 64n - 1n)
  })
})
