// Lines out of a stream of octets, bounded: a peer that never ends a line cannot fill the memory.

import { decodeUtf8 } from '../base/bytes.js'
import { apiFault } from './errors.js'
import { MAX_LINE_BYTES } from './wire.js'

const LINE_FEED = 0x0a

export class LineReader {
  private parts: Uint8Array[] = []
  private held = 0

  constructor(
    private readonly line: (text: string) => void,
    private readonly maxBytes = MAX_LINE_BYTES,
  ) {}

  /** Throws API_WIRE for a line that is too long or not UTF-8, and what `line` throws. */
  push(chunk: Uint8Array): void {
    let from = 0
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, from)) {
      this.keep(chunk.subarray(from, at))
      from = at + 1
      const text = decodeUtf8(Buffer.concat(this.parts))
      this.parts = []
      this.held = 0
      if (text === undefined) throw apiFault('API_WIRE', { why: 'a line is not UTF-8' })
      this.line(text)
    }
    this.keep(chunk.subarray(from))
  }

  private keep(part: Uint8Array): void {
    if (part.length === 0) return
    this.held += part.length
    if (this.held > this.maxBytes) throw apiFault('API_WIRE', { why: `a line has more than ${this.maxBytes} octets` })
    this.parts.push(part)
  }
}
