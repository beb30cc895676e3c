// YamlSigil v1alpha1, the signer's side: payload and signature become one artifact that a strict verifier takes apart
// into the same two parts. Refuses a payload that could not be read back, and a signature document with a marker in it.

import { base64url, concat, decodeUtf8, equalBytes, utf8 } from '../../base/bytes.js'
import { bundleFault } from '../errors.js'
import type { KeyAlg } from '../keys.js'
import { decomposeYaml } from './decompose.js'
import { readCarrier, refuseKeyId, SIGIL_ALGORITHMS, SIGIL_SCHEMA } from './metadata.js'

const MARKER = utf8('---\n')

/** Joins payload and signature document. Throws BUNDLE_SIGIL_CARRIER unless taking it apart gives exactly these two. */
export function composeYaml(payload: Uint8Array, carrier: Uint8Array): Uint8Array {
  if (decodeUtf8(payload) === undefined) throw bundleFault('BUNDLE_SIGIL_CARRIER', { why: 'the payload is not UTF-8' })
  if (payload.length > 0 && payload.at(-1) !== 0x0a)
    throw bundleFault('BUNDLE_SIGIL_CARRIER', { why: 'the payload does not end with a line feed' })
  const read = readCarrier(carrier)
  if (!read.ok) throw bundleFault('BUNDLE_SIGIL_CARRIER', { why: read.why })
  const artifact = concat([payload, MARKER, carrier])
  const parts = decomposeYaml(artifact)
  if (parts.outcome !== 'Ok' || parts.carrier.length !== carrier.length)
    throw bundleFault('BUNDLE_SIGIL_CARRIER', { why: 'it holds a marker line' })
  return artifact
}

/** The signature document, with its keys in the order that APF writes them. */
export function writeCarrier(alg: KeyAlg, keyid: string, signature: Uint8Array): Uint8Array {
  const bad = refuseKeyId(keyid)
  if (bad !== undefined) throw bundleFault('BUNDLE_SIGIL_CARRIER', { why: bad })
  // A plain scalar unless YAML 1.2 would read it as something else than this string.
  const plain = /^[a-z][a-z0-9._-]*$/.test(keyid) && !['true', 'false', 'null'].includes(keyid)
  return rendered(alg, plain ? keyid : JSON.stringify(keyid), signature)
}

function rendered(alg: KeyAlg, keyid: string | undefined, signature: Uint8Array): Uint8Array {
  const lines = [
    `schema: ${SIGIL_SCHEMA}`,
    `alg: ${SIGIL_ALGORITHMS[alg].name}`,
    ...(keyid === undefined ? [] : [`keyid: ${keyid}`]),
    `signature: ${base64url(signature)}`,
  ]
  return utf8(`${lines.join('\n')}\n`)
}

/**
 * Whether a signature document is the plain rendering of what it says: its fields in APF's order, a line each, and nothing
 * else. Emitters differ only in how they quote the key id, so all three ways are plain.
 */
export function isPlainCarrier(carrier: Uint8Array): boolean {
  const read = readCarrier(carrier)
  if (!read.ok) return false
  const { alg, keyid, signature } = read.metadata
  const spelt = keyid === undefined ? [undefined] : [keyid, JSON.stringify(keyid), `'${keyid.replaceAll("'", "''")}'`]
  return spelt.some((text) => equalBytes(rendered(alg, text, signature), carrier))
}
