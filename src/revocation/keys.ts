// The keys of the transmitters, each a JWK set in a file of its own: a trust of their own, which shares nothing with the trust root of
// bundles. A file is read again when it was replaced, so that a rotation needs no restart; one that cannot be read, or holds a
// secret, verifies nothing.

import { readFileSync, statSync } from 'node:fs'
import { decodeUtf8 } from '../base/bytes.js'
import { Fault } from '../base/fault.js'
import { JsonError, parseJson } from '../base/json.js'
import { type JwsKey, readJwks } from '../bundle/jwk.js'
import { revocationFault } from './errors.js'
import { SET_ALGORITHMS } from './model.js'

const MAX_BYTES = 64 << 10

/** The public keys of a JWK set (RFC 7517 section 5). Throws REVOCATION_KEYS. */
export function readKeys(bytes: Uint8Array, file: string): readonly JwsKey[] {
  const no = (why: string, cause?: unknown) => revocationFault('REVOCATION_KEYS', { file, why }, { cause })
  const text = bytes.length > MAX_BYTES ? undefined : decodeUtf8(bytes)
  if (text === undefined) throw no(`it is not UTF-8, or longer than ${MAX_BYTES} octets`)
  try {
    const keys = readJwks(parseJson(text))
    const strange = keys.find(({ alg }) => !(SET_ALGORITHMS as readonly string[]).includes(alg))
    if (strange) throw no(`a key is for ${strange.alg}; ${SET_ALGORITHMS.join(', ')} can be used`)
    return keys
  } catch (error) {
    if (error instanceof JsonError) throw no('it is not strict JSON', error)
    if (error instanceof Fault && error.code === 'BUNDLE_JWK') throw no(error.message, error)
    throw error
  }
}

interface Held {
  readonly stamp: string
  readonly keys: readonly JwsKey[]
}

/** Asks the disk at most every time that it is called, and reads only what changed. */
export class KeyFiles {
  private readonly held = new Map<string, Held>()

  /** The keys in this file now. Throws REVOCATION_KEYS. */
  of(file: string): readonly JwsKey[] {
    let bytes: Uint8Array
    let stamp: string
    try {
      const { ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
      stamp = `${ino} ${size} ${mtimeNs} ${ctimeNs}`
      const before = this.held.get(file)
      if (before?.stamp === stamp) return before.keys
      bytes = readFileSync(file)
    } catch (cause) {
      throw revocationFault('REVOCATION_KEYS', { file, why: 'it cannot be read' }, { cause })
    }
    const keys = readKeys(bytes, file)
    this.held.set(file, { stamp, keys })
    return keys
  }
}
