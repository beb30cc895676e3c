// The question as it goes upstream: one name, class IN, recursion desired, AD set (it asks for the answer's AD, RFC 6840 section 5.7),
// EDNS0 with a payload that no path fragments (1232, DNS flag day 2020), no client subnet, no cookie. Nothing in it comes from the
// workspace but the name, which the mediator has allowed and rebuilt in lower case.
//
// Over UDP the letters change case at random (0x20): a forger has to guess them beside the port and the id. Over DoT
// the message is padded to a multiple of 128 octets (RFC 8467 section 4.1), so that its length does not tell the name.

import { AUTHENTIC_DATA, encode, encodingLength, type Packet, RECURSION_DESIRED } from 'dns-packet'
import type { QuestionType } from '../model.js'

export const UDP_PAYLOAD = 1_232
const PADDING_OPTION = 12
const OPTION_HEADER = 4

export interface Query {
  readonly id: number
  /** With the case that is sent. */
  readonly name: string
  readonly type: QuestionType
}

/** RFC 1035 section 2.3.4, and the letters that structure.ts accepts in an answer. */
export const isPlainName = (name: string): boolean =>
  name.length <= 253 && /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/.test(name)

/** `padTo`: the size of the message becomes a multiple of it. */
export function encodeQuery({ id, name, type }: Query, padTo = 0): Uint8Array {
  if (!isPlainName(name)) throw new TypeError(`encodeQuery: ${JSON.stringify(name)} is no host name`)
  const packet = (padding: number | undefined): Packet => ({
    type: 'query',
    id,
    flags: RECURSION_DESIRED | AUTHENTIC_DATA,
    questions: [{ type, name, class: 'IN' }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: UDP_PAYLOAD,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: padding === undefined ? [] : [{ code: PADDING_OPTION, length: padding }],
      },
    ],
  })
  if (padTo === 0) return encode(packet(undefined))
  const bare = encodingLength(packet(undefined)) + OPTION_HEADER
  return encode(packet((padTo - (bare % padTo)) % padTo))
}

/** Each letter in the case that one random bit says; `random` has a bit for every character. */
export function scrambleCase(name: string, random: Uint8Array): string {
  if (random.length * 8 < name.length) throw new TypeError('scrambleCase: too few random bits')
  let out = ''
  for (let i = 0; i < name.length; i++) {
    const letter = name.charAt(i)
    out += (((random[i >> 3] ?? 0) >> (i & 7)) & 1) === 1 ? letter.toUpperCase() : letter.toLowerCase()
  }
  return out
}
