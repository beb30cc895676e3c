// C2SP CCTV, Ed25519 edge cases. The set has no verdicts: ours follows from the YamlSigil profile. A vector is accepted
// exactly when its flags name no small-order or non-canonical key, no non-canonical R, and no re-encoded challenge.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeHex, utf8 } from '../../src/base/bytes.js'
import { Fault } from '../../src/base/fault.js'
import { checkSignature, enrollKey } from '../../src/bundle/keys.js'
import { sharedFolder } from '../support/shared-data.js'

interface Vector {
  readonly number: number
  readonly key: string
  readonly sig: string
  readonly msg: string
  readonly flags: readonly string[] | null
}
const REFUSED = ['low_order_A', 'non_canonical_A', 'non_canonical_R', 'reencoded_k']

describe('cctv', () => {
  const folder = sharedFolder('SLUICE_VECTORS')
  if (folder === undefined) return
  const vectors = JSON.parse(readFileSync(join(folder, 'cctv/ed25519vectors.json'), 'utf8')) as readonly Vector[]
  const accepts = (flags: readonly string[]) => !flags.some((flag) => REFUSED.includes(flag))

  it('has 914 vectors, 212 of them acceptable', () => {
    expect([vectors.length, vectors.filter(({ flags }) => accepts(flags ?? [])).length]).toEqual([914, 212])
  })
  for (const { number, key, sig, msg, flags } of vectors) {
    const named = flags ?? []
    it(`${number} ${named.join(' ')}`, () => {
      const octets = decodeHex(key) ?? new Uint8Array(0)
      const signature = decodeHex(sig) ?? new Uint8Array(0)
      let answer: string
      try {
        answer = checkSignature(enrollKey('Ed25519', octets), utf8(msg), signature)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        answer = error.code
      }
      const badKey = named.includes('low_order_A') || named.includes('non_canonical_A')
      if (accepts(named)) expect(answer).toBe('good')
      else if (badKey) expect(answer).toBe('BUNDLE_KEY')
      else expect(answer).toBe(named.includes('non_canonical_R') ? 'malformed' : 'wrong')
    })
  }
})
