// SHA-256, and the one way digests are written: `sha256:` and 64 lower-case hex digits.
// The hash itself comes from @noble/hashes: it is pure JavaScript, so that pure code stays free of Node.

import { sha256 as hash } from '@noble/hashes/sha2.js'
import { hex, utf8 } from './bytes.js'

export type Digest = `sha256:${string}`

export const sha256 = (bytes: Uint8Array): Uint8Array => hash(bytes)

export const digestOf = (bytes: Uint8Array): Digest => `sha256:${hex(hash(bytes))}`

export const digestOfText = (text: string): Digest => digestOf(utf8(text))

export const isDigest = (text: string): text is Digest => /^sha256:[0-9a-f]{64}$/.test(text)
