// YamlSigil v1alpha1, protobuf form: `SignedYamlArtifact { 1: payload bytes; 2: signature { 1: alg varint, 2: keyid,
// 3: signature bytes } }`, decoded from the wire without a protobuf library, because a library forgives.
//
// Profile Strict: besides malformed wire (field 0 or above 2^29-1, wire types 6 and 7, truncated or overflowing varints,
// a length beyond the input), every unknown or repeated field is refused (bundle-trust sheet section 2).

import { LIMITS } from '../../base/limits.js'
import type { Decomposed } from './decompose.js'
import { type MetadataResult, malformed, metadataOf } from './metadata.js'

interface Field {
  readonly number: bigint
  readonly wire: number
  /** The varint of wire type 0. */
  readonly integer: bigint
  /** The content of wire type 2. */
  readonly bytes: Uint8Array
}
type Fields =
  | { readonly ok: true; readonly fields: ReadonlyMap<bigint, Field> }
  | { readonly ok: false; readonly why: string }

const MAX_FIELD = 2n ** 29n - 1n
const NOTHING = new Uint8Array(0)
const no = (why: string): { readonly ok: false; readonly why: string } => ({ ok: false, why })

/** A base-128 varint of at most 64 bits: its value and where it ends; a text says what is wrong. */
function varint(bytes: Uint8Array, at: number): { value: bigint; next: number } | string {
  let value = 0n
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) return 'a varint is cut off'
    value |= BigInt(byte & 127) << BigInt(7 * i)
    if (byte < 128) return value < 2n ** 64n ? { value, next: at + i + 1 } : 'a varint does not fit 64 bits'
  }
  return 'a varint does not fit 64 bits'
}

/** Walks one message to its end. `expected` maps field number to wire type; anything else, or a repetition, is refused. */
function walk(message: Uint8Array, expected: ReadonlyMap<bigint, number>): Fields {
  const fields = new Map<bigint, Field>()
  let at = 0
  while (at < message.length) {
    const tag = varint(message, at)
    if (typeof tag === 'string') return no(tag)
    const number = tag.value >> 3n
    const wire = Number(tag.value & 7n)
    if (number < 1n || number > MAX_FIELD) return no(`field number ${number}`)
    if (expected.get(number) !== wire) return no(`field ${number} with wire type ${wire} is not part of the message`)
    if (fields.has(number)) return no(`field ${number} stands twice`)
    const head = varint(message, tag.next)
    if (typeof head === 'string') return no(head)
    if (wire === 0) {
      fields.set(number, { number, wire, integer: head.value, bytes: NOTHING })
      at = head.next
    } else {
      if (head.value > BigInt(message.length - head.next)) return no(`field ${number} is longer than the input`)
      const end = head.next + Number(head.value)
      fields.set(number, { number, wire, integer: 0n, bytes: message.subarray(head.next, end) })
      at = end
    }
  }
  return { ok: true, fields }
}

const OUTER = new Map([
  [1n, 2],
  [2n, 2],
])
const INNER = new Map([
  [1n, 0],
  [2n, 2],
  [3n, 2],
])

/** Splits the protobuf form. The payload is any octets: the rules for YAML payloads do not apply. */
export function decomposeProtobuf(artifact: Uint8Array): Decomposed {
  const walked = walk(artifact, OUTER)
  if (!walked.ok) return { outcome: 'MalformedAttemptedSigned', why: walked.why }
  const carrier = walked.fields.get(2n)
  if (carrier === undefined) return { outcome: 'Unsigned', why: 'there is no signature message' }
  return { outcome: 'Ok', payload: walked.fields.get(1n)?.bytes ?? NOTHING, carrier: carrier.bytes }
}

/** Reads the inner signature message. Absent fields have their proto3 defaults: alg 0 and an empty signature. */
export function readSubmessage(message: Uint8Array): MetadataResult {
  if (message.length > LIMITS.carrierBytes) return malformed(`it has ${message.length} octets`)
  const walked = walk(message, INNER)
  if (!walked.ok) return malformed(walked.why)
  const { fields } = walked
  return metadataOf(fields.get(1n)?.integer ?? 0n, fields.get(2n)?.bytes, fields.get(3n)?.bytes ?? NOTHING)
}
