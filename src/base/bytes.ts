// Bytes to text and back, strictly. Platform decoders repair bad input (U+FFFD, ignored characters, lost padding bits);
// here anything that does not round-trip exactly is refused by returning undefined, and the caller says why.

const encoder = new TextEncoder()

export const utf8 = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text)

/** Fatal UTF-8 decoding: undefined for overlong forms, encoded surrogates, truncated sequences, or a BOM at the start. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return text.charCodeAt(0) === 0xfeff ? undefined : text
  } catch {
    // The decoder throws a TypeError without a position; "not UTF-8" is all there is to say.
    return undefined
  }
}

const HEX = '0123456789abcdef'

export function hex(bytes: Uint8Array): string {
  let out = ''
  for (const byte of bytes) out += HEX.charAt(byte >> 4) + HEX.charAt(byte & 15)
  return out
}

/** Either case; undefined for an odd length or any other character. */
export function decodeHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined
  const out = new Uint8Array(text.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return out
}

const STANDARD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const URL_SAFE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

function encodeSextets(bytes: Uint8Array, alphabet: string): string {
  let out = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const left = Math.min(3, bytes.length - i)
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    for (let s = 0; s <= left; s++) out += alphabet.charAt((word >> (18 - 6 * s)) & 63)
  }
  return out
}

function decodeSextets(text: string, alphabet: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 === 1) return undefined
  const out = new Uint8Array(Math.floor((text.length * 3) / 4))
  let word = 0
  let bits = 0
  let at = 0
  for (const character of text) {
    const value = alphabet.indexOf(character)
    if (value < 0) return undefined
    word = ((word << 6) | value) & 0xffffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      out[at++] = (word >> bits) & 255
    }
  }
  // RFC 4648 section 3.5: non-zero trailing bits would give one value two spellings.
  return (word & ((1 << bits) - 1)) === 0 ? out : undefined
}

/** RFC 4648 section 5, without padding. */
export const base64url = (bytes: Uint8Array): string => encodeSextets(bytes, URL_SAFE)

/** No padding, no white space, no other alphabet, trailing bits zero; otherwise undefined. */
export const decodeBase64url = (text: string): Uint8Array<ArrayBuffer> | undefined => decodeSextets(text, URL_SAFE)

/** RFC 4648 section 4, with padding. */
export function base64(bytes: Uint8Array): string {
  const text = encodeSextets(bytes, STANDARD)
  return text + '='.repeat((4 - (text.length % 4)) % 4)
}

/** Padding must be there and exact; otherwise undefined. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0) return undefined
  return decodeSextets(text.replace(/={1,2}$/, ''), STANDARD)
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
