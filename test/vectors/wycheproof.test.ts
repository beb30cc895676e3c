// Project Wycheproof: Ed25519, ECDSA P-256, and JSON Web Signatures and Keys. The algorithm always comes from the key.
// Each case has its number and comment in the test's name; where we are stricter than the file, the name says so.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeHex } from '../../src/base/bytes.js'
import type { Json } from '../../src/base/canonical.js'
import { Fault } from '../../src/base/fault.js'
import { verifyCompactJws } from '../../src/bundle/compact-jws.js'
import { JWS_ALGORITHMS, type JwsAlg, readJwks } from '../../src/bundle/jwk.js'
import { checkSignature, enrollKey, type KeyAlg } from '../../src/bundle/keys.js'
import { sharedFolder } from '../support/shared-data.js'

interface Test {
  readonly tcId: number
  readonly comment: string
  readonly result: 'valid' | 'invalid' | 'acceptable'
  readonly msg?: string
  readonly sig?: string
  readonly jws?: Json
  readonly jwe?: Json
}
interface Group {
  readonly comment?: string
  readonly publicKey?: { readonly pk: string }
  readonly publicKeyDer?: string
  readonly public?: Json
  readonly private?: Json
  readonly tests: readonly Test[]
}
interface File {
  readonly numberOfTests: number
  readonly testGroups: readonly Group[]
}

const octets = (text: string | undefined): Uint8Array => {
  const bytes = decodeHex(text ?? '')
  if (bytes === undefined) throw new Error(`not hex: ${text}`)
  return bytes
}
const everyAlgorithm = Object.keys(JWS_ALGORITHMS) as JwsAlg[]

/** Marked valid upstream, refused here, and allowed to be (README of the vectors). */
const STRICTER: Readonly<Record<string, string>> = {
  InvalidCharacterInsertedInHeader: 'a character outside the alphabet',
  InvalidCharacterInsertedInPayload: 'a character outside the alphabet',
  Figure27: 'the JWK says ES521, which is no algorithm',
}

describe('wycheproof', () => {
  const folder = sharedFolder('SLUICE_VECTORS')
  if (folder === undefined) return
  const load = (name: string): File => {
    const file = JSON.parse(readFileSync(join(folder, 'wycheproof', name), 'utf8')) as File
    const count = file.testGroups.reduce((sum, group) => sum + group.tests.length, 0)
    it(`${name} is complete`, () => expect(count).toBe(file.numberOfTests))
    return file
  }

  function signatures(name: string, alg: KeyAlg, keyOf: (group: Group) => Uint8Array): void {
    for (const group of load(name).testGroups)
      for (const test of group.tests)
        it(`${name} ${test.tcId} ${test.comment}`, () => {
          expect(test.result).not.toBe('acceptable')
          const answer = checkSignature(enrollKey(alg, keyOf(group)), octets(test.msg), octets(test.sig))
          expect(answer === 'good').toBe(test.result === 'valid')
        })
  }
  signatures('ed25519_test.json', 'Ed25519', (group) => octets(group.publicKey?.pk))
  // The last 65 octets of the SPKI are the point.
  signatures('ecdsa_secp256r1_sha256_p1363_test.json', 'ES256', (group) => octets(group.publicKeyDer).slice(-65))

  for (const name of ['json_web_signature_test.json', 'json_web_key_test.json', 'json_web_crypto_test.json'])
    for (const group of load(name).testGroups)
      for (const test of group.tests) {
        if (test.jws === undefined) {
          it.skip(`${name} ${test.tcId} ${test.comment}: encryption, and a verifier of bundles decrypts nothing`, () => {})
          continue
        }
        const stricter = STRICTER[test.comment]
        const title = `${name} ${test.tcId} ${group.comment ?? ''} ${test.comment}`
        // Two cases lost the padding that they are named after: their token is that of a valid case of the same group, so
        // nobody can pass both. What they mean is asserted with the padding put back.
        const twin = group.tests.find(({ jws, result }) => jws === test.jws && result === 'valid')
        if (test.result === 'invalid' && twin !== undefined && typeof test.jws === 'string') {
          const token = test.jws.split('.')
          const padded = test.comment.endsWith('InPayload') ? `${token[0]}.${token[1]}==.${token[2]}` : `${test.jws}=`
          it(`${title}: the token is that of ${twin.tcId}, which is valid; with padding put back it is refused`, async () => {
            expect(token).toHaveLength(3)
            const attempt = verifyCompactJws(padded, readJwks(group.private ?? null), everyAlgorithm)
            await expect(attempt).rejects.toMatchObject({ code: 'BUNDLE_JWS' })
          })
          continue
        }
        it(stricter === undefined ? title : `${title}: refused, ${stricter}`, async () => {
          const token = typeof test.jws === 'string' ? test.jws : JSON.stringify(test.jws)
          const attempt = (async () =>
            verifyCompactJws(token, readJwks(group.public ?? group.private ?? null), everyAlgorithm))()
          if (test.result === 'valid' && stricter === undefined) {
            await expect(attempt).resolves.toBeInstanceOf(Uint8Array)
            return
          }
          const error = await attempt.then(
            () => undefined,
            (thrown: unknown) => thrown,
          )
          if (!(error instanceof Fault)) throw new Error(`not refused: ${String(error)}`)
          expect(['BUNDLE_JWS', 'BUNDLE_JWK']).toContain(error.code)
        })
      }

  it.skip('mldsa_65_verify_test.json: ML-DSA is not enabled; no trust root can enrol such a key', () => {})
})
