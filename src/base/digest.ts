// SHA-256, and the one way digests are written: `sha256:` and 64 lower-case hex digits.
// The hash itself comes from @noble/hashes: it is pure JavaScript, so that pure code stays free of Node.

import { sha256 as hash } from '@noble/hashes/sha2.js'
import { hex, utf8 } from './bytes.js'

export type Digest = `sha256:${string}`

export type Sha256 = (bytes: Uint8Array) => Uint8Array

let implementation: Sha256 = hash

/**
 * Lets the composition root put the platform's SHA-256 in the place of the portable one, which is a hundred times slower.
 * It must give the same digests: a candidate that fails FIPS 180-4's examples is refused with TypeError.
 */
export function adoptSha256(candidate: Sha256): void {
  for (const text of ['', 'abc', 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'])
    if (hex(candidate(utf8(text))) !== hex(hash(utf8(text)))) throw new TypeError('adoptSha256: not SHA-256')
  implementation = candidate
}

export const sha256 = (bytes: Uint8Array): Uint8Array => implementation(bytes)

export const digestOf = (bytes: Uint8Array): Digest => `sha256:${hex(sha256(bytes))}`

export const digestOfText = (text: string): Digest => digestOf(utf8(text))

export const isDigest = (text: string): text is Digest => /^sha256:[0-9a-f]{64}$/.test(text)
