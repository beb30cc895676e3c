// inspectBundle shows what a bundle says, and never that it is true.

import { describe, expect, it } from 'vitest'
import { hex, utf8 } from '../../../src/base/bytes.js'
import { sha256 } from '../../../src/base/digest.js'
import { LIMITS } from '../../../src/base/limits.js'
import { inspectBundle } from '../../../src/bundle/inspect.js'
import { keyOf, MEMBERS, makeBundle } from './fixture.js'

describe('inspectBundle', () => {
  it('shows a bundle that a stranger signed, as unverified', async () => {
    const bytes = await makeBundle({ author: keyOf('author', 'stranger') })
    const seen = inspectBundle({ ...bytes, members: new Map([...MEMBERS, ['extra', utf8('x')]]) })
    expect(seen.unverified).toBe(true)
    expect(seen.manifest?.id).toBe('coding-agent')
    expect(seen.author).toEqual({ alg: 'Ed25519', keyid: 'stranger' })
    expect(seen.release).toMatchObject({ channel: 'stable', audience: ['fleet-a', 'fleet-b'], policyRevision: 7n })
    expect(seen.release?.bundleDigest).toBe(seen.digest)
    expect(seen.releasers).toEqual(['release-1', 'release-2'])
    expect(seen.members.map(({ path, listed }) => [path, listed])).toEqual([
      ['fence.yaml', true],
      ['policies/sandbox.yaml', true],
      ['extra', false],
    ])
    expect(seen.members[2]).toMatchObject({ size: 1, sha256: hex(sha256(utf8('x'))) })
  })
  it('shows a bundle of 1,024 members, and no manifest beyond what a stranger may make it parse', async () => {
    const members = new Map(
      Array.from({ length: LIMITS.members }, (_, i) => [`policies/team/workspace-${i}.yaml`, utf8('')]),
    )
    expect(inspectBundle(await makeBundle({ members })).manifest?.members).toHaveLength(1024)
    const manifest = (lines: number) => utf8(`${'#234567\n'.repeat(lines)}---\na: 1\n`)
    expect(inspectBundle({ manifest: manifest(32_768), members: new Map() }).notes.map(({ code }) => code)).toEqual([
      'empty-document',
    ])
    expect(inspectBundle({ manifest: manifest(32_769), members: new Map() }).notes.map(({ code }) => code)).toEqual([
      'too-large',
    ])
  })
  it('says what is wrong, and throws for nothing but size', async () => {
    const unsigned = inspectBundle({ manifest: utf8('a: 1\n'), release: utf8('{'), members: new Map() })
    expect(unsigned.author).toEqual({ problem: 'Unsigned: there is no "---" line' })
    expect(unsigned.digest).toBeUndefined()
    expect(unsigned.releaseProblem?.code).toBe('BUNDLE_STATEMENT')
    const nonsense = inspectBundle({ manifest: utf8('a: 1\n---\nb: 2\n'), members: new Map() })
    expect(nonsense.author).toEqual({ problem: 'MetadataParseFailure: unknown key "b"' })
    expect(nonsense.notes.map((note) => note.code)).toContain('unknown-key')
    expect(() => inspectBundle({ manifest: new Uint8Array(LIMITS.manifestBytes + 1), members: new Map() })).toThrow(
      'the limit is',
    )
  })
})
