// YamlSigil v1alpha1, the signature document of the YAML form: its four fields, strictly. What comes out has been checked
// for shape only; nothing in it is authenticated, and `keyid` is a lookup hint.
//
// Profile Strict: one mapping, each key at most once, no key besides the four, all four plain string scalars, at most
// 16,384 octets, no anchors, aliases or tags (bundle-trust sheet section 2).

import { decodeBase64url, decodeUtf8, utf8 } from '../../base/bytes.js'
import { LIMITS } from '../../base/limits.js'
import { quote } from '../../base/quote.js'
import { readYaml } from '../../base/yaml.js'
import type { KeyAlg } from '../keys.js'

export const SIGIL_SCHEMA = 'YamlSigilSignature.v1alpha1'

/** Our name of each algorithm to YamlSigil's, and to its number in the protobuf form. */
export const SIGIL_ALGORITHMS = {
  Ed25519: { name: 'ED25519_PUREEDDSA_RAW_RS64_CANONICAL', number: 1n },
  ES256: { name: 'ECDSA_SECP256R1_SHA256_RAW_RS64', number: 2n },
} as const satisfies Record<KeyAlg, { name: string; number: bigint }>

export interface SigilMetadata {
  readonly alg: KeyAlg
  // untrusted: a hint
  readonly keyid?: string
  /** May be empty here; that is malformed one step later. */
  readonly signature: Uint8Array
}
export type MetadataResult =
  | { readonly ok: true; readonly metadata: SigilMetadata }
  | { readonly ok: false; readonly why: string }

export const malformed = (why: string): MetadataResult => ({ ok: false, why })

/** Why a key id is not acceptable: 1 to 1,024 octets of UTF-8 (not characters), no line break. */
export function refuseKeyId(keyid: string): string | undefined {
  const octets = utf8(keyid).length
  if (octets < 1 || octets > LIMITS.keyIdBytes)
    return `keyid has ${octets} octets; 1 to ${LIMITS.keyIdBytes} are allowed`
  return /[\r\n]/.test(keyid) ? 'keyid holds a line break' : undefined
}

export const algorithmNamed = (name: string): KeyAlg | undefined =>
  (Object.keys(SIGIL_ALGORITHMS) as KeyAlg[]).find((alg) => SIGIL_ALGORITHMS[alg].name === name)

const FIELDS = ['schema', 'alg', 'keyid', 'signature'] as const
type Field = (typeof FIELDS)[number]
const isField = (key: string): key is Field => (FIELDS as readonly string[]).includes(key)

/** The `signature` scalar: base64url, no padding, no white space, unused bits zero; otherwise undefined. */
export const decodeSignatureText = (text: string): Uint8Array | undefined => decodeBase64url(text)

/** Reads the signature document that follows the marker. */
export function readCarrier(carrier: Uint8Array): MetadataResult {
  const { root, notes } = readYaml(carrier, 'signature document', { bytes: LIMITS.carrierBytes, nodes: 1_000 })
  if (root === undefined) return malformed(notes[0]?.say ?? 'it cannot be read')
  if (root.kind !== 'map') return malformed('it is not a mapping')
  const fields = new Map<Field, string>()
  for (const { key, value } of root.entries) {
    if (!isField(key)) return malformed(`unknown key ${quote(key)}`)
    if (value.kind !== 'scalar' || value.type !== 'string') return malformed(`${key} is not a string`)
    fields.set(key, value.value as string)
  }
  const [schema, alg, keyid, signature] = FIELDS.map((field) => fields.get(field))
  if (schema !== SIGIL_SCHEMA)
    return malformed(schema === undefined ? 'schema is missing' : `schema is ${quote(schema)}`)
  if (alg === undefined) return malformed('alg is missing')
  const known = algorithmNamed(alg)
  if (known === undefined) return malformed(`alg is ${quote(alg)}`)
  const badKeyId = keyid === undefined ? undefined : refuseKeyId(keyid)
  if (badKeyId !== undefined) return malformed(badKeyId)
  if (signature === undefined) return malformed('signature is missing')
  const octets = decodeSignatureText(signature)
  if (octets === undefined) return malformed('signature is not base64url without padding')
  return { ok: true, metadata: { alg: known, ...(keyid === undefined ? {} : { keyid }), signature: octets } }
}

/** The same fields from the inner protobuf message: alg number, keyid octets, signature octets. */
export function metadataOf(alg: bigint, keyidBytes: Uint8Array | undefined, signature: Uint8Array): MetadataResult {
  const known = (Object.keys(SIGIL_ALGORITHMS) as KeyAlg[]).find((name) => SIGIL_ALGORITHMS[name].number === alg)
  if (known === undefined) return malformed(`alg is ${alg}`)
  if (keyidBytes === undefined) return { ok: true, metadata: { alg: known, signature } }
  if (keyidBytes.length > LIMITS.keyIdBytes) return malformed(`keyid has ${keyidBytes.length} octets`)
  const keyid = decodeUtf8(keyidBytes)
  if (keyid === undefined) return malformed('keyid is not UTF-8')
  const badKeyId = refuseKeyId(keyid)
  return badKeyId === undefined ? { ok: true, metadata: { alg: known, keyid, signature } } : malformed(badKeyId)
}
