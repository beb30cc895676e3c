// ed25519-speccheck: twelve signatures on which implementations differ ("Taming the Many EdDSAs", ePrint 2020/1244).

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeHex } from '../../src/base/bytes.js'
import { Fault } from '../../src/base/fault.js'
import { checkSignature, enrollKey } from '../../src/bundle/keys.js'
import { sharedFolder } from '../support/shared-data.js'

interface Vector {
  readonly message: string
  readonly pub_key: string
  readonly signature: string
}
const CASES: readonly (readonly [string, string])[] = [
  ['small A and R', 'BUNDLE_KEY'],
  ['small A', 'BUNDLE_KEY'],
  ['small R', 'good'],
  ['mixed A and R', 'good'],
  ['mixed, cofactored only', 'good'],
  ['cofactored only, pre-reduced scalar', 'good'],
  ['S not below L', 'malformed'],
  ['S far above L', 'malformed'],
  ['non-canonical R, accepted by reduction', 'malformed'],
  ['non-canonical R', 'malformed'],
  ['non-canonical A, accepted by reduction', 'BUNDLE_KEY'],
  ['non-canonical A', 'BUNDLE_KEY'],
]

describe('ed25519-speccheck', () => {
  const folder = sharedFolder('SLUICE_VECTORS')
  if (folder === undefined) return
  const vectors = JSON.parse(readFileSync(join(folder, 'ed25519-speccheck/cases.json'), 'utf8')) as readonly Vector[]
  it('has the 12 cases that this suite knows', () => expect(vectors).toHaveLength(CASES.length))
  for (const [i, [name, expected]] of CASES.entries())
    it(`${i} ${name}`, () => {
      const octets = (key: keyof Vector) => decodeHex(vectors[i]?.[key] ?? '') ?? new Uint8Array(0)
      let answer: string
      try {
        answer = checkSignature(enrollKey('Ed25519', octets('pub_key')), octets('message'), octets('signature'))
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        answer = error.code
      }
      expect(answer).toBe(expected)
    })
})
