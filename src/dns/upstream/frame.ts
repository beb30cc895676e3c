// Messages on a stream: two octets of length, then the message (RFC 1035 section 4.2.2, RFC 7766 section 8). Chunks come as the
// network cut them; what is held of an unfinished message is at most one message. Used by both ends: the server's and ours.

const PREFIX = 2

/** The message with its length before it, in one piece, so that it leaves in one segment. */
export function framed(message: Uint8Array): Uint8Array<ArrayBuffer> {
  if (message.length > 0xffff) throw new TypeError('framed: a message has at most 65,535 octets')
  const out = new Uint8Array(PREFIX + message.length)
  out[0] = message.length >> 8
  out[1] = message.length & 255
  out.set(message, PREFIX)
  return out
}

/** One direction of one connection. */
export class Deframer {
  private held = new Uint8Array(0)
  private size = 0

  /** `maxBytes`: a longer message makes the stream unusable (`push` gives undefined): the other end does not keep to it. */
  constructor(private readonly maxBytes: number = 0xffff) {}

  /** Octets of a message that has begun and not ended. */
  get pending(): number {
    return this.size
  }

  /** The messages that are whole now, in order; undefined: an empty or too long one, and the connection is to be closed. */
  push(chunk: Uint8Array): readonly Uint8Array[] | undefined {
    const messages: Uint8Array[] = []
    let rest = chunk
    while (rest.length > 0) {
      if (this.size === 0 && rest.length >= PREFIX) {
        // The usual case: a chunk begins with a message and holds all of it. Nothing is copied.
        const length = lengthOf(rest)
        if (!this.accepts(length)) return undefined
        if (rest.length >= PREFIX + length) {
          messages.push(rest.subarray(PREFIX, PREFIX + length))
          rest = rest.subarray(PREFIX + length)
          continue
        }
      }
      rest = rest.subarray(this.hold(rest))
      if (this.size < PREFIX) continue
      const length = lengthOf(this.held)
      if (!this.accepts(length)) return undefined
      if (this.size === PREFIX + length) {
        messages.push(this.held.subarray(PREFIX, PREFIX + length))
        this.held = new Uint8Array(0)
        this.size = 0
      }
    }
    return messages
  }

  private accepts(length: number): boolean {
    return length > 0 && length <= this.maxBytes
  }

  /** Takes as many octets as are missing: first of the length, then of the message. Gives how many. */
  private hold(chunk: Uint8Array): number {
    const wanted = this.size < PREFIX ? PREFIX : PREFIX + lengthOf(this.held)
    if (this.held.length < wanted) {
      const larger = new Uint8Array(wanted)
      larger.set(this.held.subarray(0, this.size))
      this.held = larger
    }
    const taken = Math.min(wanted - this.size, chunk.length)
    this.held.set(chunk.subarray(0, taken), this.size)
    this.size += taken
    return taken
  }
}

const lengthOf = (octets: Uint8Array): number => ((octets[0] ?? 0) << 8) | (octets[1] ?? 0)
