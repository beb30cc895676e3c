// rtnetlink as octets: messages with nested attributes written, and read back. The numbers are those of linux/rtnetlink.h and
// linux/netlink.h; host order is little-endian on every machine that this runs on. Nothing here opens anything.

/** Writes messages one after another into one buffer, which grows. */
export class Writer {
  private octets = new Uint8Array(4096)
  private view = new DataView(this.octets.buffer)
  private at = 0
  private readonly open: number[] = []
  count = 0

  /** Begins a message with its family header in `header`; `end` closes it. */
  message(type: number, flags: number, header: Uint8Array): void {
    this.room(16 + header.length)
    this.open.push(this.at)
    this.view.setUint32(this.at, 0, true)
    this.view.setUint16(this.at + 4, type, true)
    this.view.setUint16(this.at + 6, flags, true)
    this.view.setUint32(this.at + 8, ++this.count, true)
    this.view.setUint32(this.at + 12, 0, true)
    this.octets.set(header, this.at + 16)
    this.at += 16 + header.length
  }

  end(): void {
    const from = this.open.pop()
    if (from === undefined || this.open.length > 0) throw new TypeError('netlink: a message ends where none is open')
    this.view.setUint32(from, this.at - from, true)
  }

  attribute(type: number, value: Uint8Array): void {
    const length = 4 + value.length
    this.room(align(length))
    this.view.setUint16(this.at, length, true)
    this.view.setUint16(this.at + 2, type, true)
    this.octets.fill(0, this.at + length, this.at + align(length))
    this.octets.set(value, this.at + 4)
    this.at += align(length)
  }

  nest(type: number, inside: () => void): void {
    this.room(4)
    const from = this.at
    this.view.setUint16(from + 2, NESTED | type, true)
    this.at += 4
    inside()
    this.view.setUint16(from, this.at - from, true)
  }

  /** Everything written so far; the writer is not used after that. */
  bytes(): Uint8Array {
    return this.octets.subarray(0, this.at)
  }

  private room(more: number): void {
    if (this.at + more <= this.octets.length) return
    const grown = new Uint8Array(Math.max(this.octets.length * 2, this.at + more))
    grown.set(this.octets)
    this.octets = grown
    this.view = new DataView(grown.buffer)
  }
}

const NESTED = 0x8000
const TYPE = 0x3fff
const align = (length: number): number => (length + 3) & ~3

export interface Message {
  readonly type: number
  readonly payload: Uint8Array
}

/** The messages of an answer; what is cut short ends it. */
export function messagesIn(bytes: Uint8Array): Message[] {
  const view = viewOf(bytes)
  const found: Message[] = []
  for (let at = 0; at + 16 <= bytes.length; ) {
    const length = view.getUint32(at, true)
    if (length < 16 || at + length > bytes.length) break
    found.push({ type: view.getUint16(at + 4, true), payload: bytes.subarray(at + 16, at + length) })
    at += align(length)
  }
  return found
}

/** Attributes by type; of two of one type the last stands. */
export function attributesIn(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const view = viewOf(bytes)
  const found = new Map<number, Uint8Array>()
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view.getUint16(at, true)
    if (length < 4 || at + length > bytes.length) break
    found.set(view.getUint16(at + 2, true) & TYPE, bytes.subarray(at + 4, at + length))
    at += align(length)
  }
  return found
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/** Host order. */
export function u32(...values: readonly number[]): Uint8Array {
  const out = new Uint8Array(values.length * 4)
  const view = viewOf(out)
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value >>> 0, true)
  return out
}
/** Network order. */
export const be16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255)
export const be32 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
/** With the zero octet at its end. */
export const text = (value: string): Uint8Array => Uint8Array.from([...value].map((one) => one.charCodeAt(0)).concat(0))
