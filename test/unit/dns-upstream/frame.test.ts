// Messages on a stream, however the network cut them.

import { describe, expect, it } from 'vitest'
import { Deframer, framed } from '../../../src/dns/upstream/frame.js'

const message = (length: number, first = 7): Uint8Array => Uint8Array.from({ length }, (_, i) => (first + i) & 255)
const joined = (...messages: readonly Uint8Array[]): Uint8Array => Buffer.concat(messages.map(framed))

/** Everything in pieces of one size. */
function take(deframer: Deframer, octets: Uint8Array, size: number): number[][] | undefined {
  const out: number[][] = []
  for (let at = 0; at < octets.length; at += size) {
    const messages = deframer.push(octets.subarray(at, at + size))
    if (!messages) return undefined
    out.push(...messages.map((one) => [...one]))
  }
  return out
}

describe('frames', () => {
  it('has the length before the message', () => {
    expect([...framed(message(3))]).toEqual([0, 3, 7, 8, 9])
    expect([...framed(message(300)).subarray(0, 2)]).toEqual([1, 44])
    expect(framed(message(65_535))).toHaveLength(65_537)
    expect(() => framed(message(65_536))).toThrow(TypeError)
  })
  it('gives the same messages for every size of pieces', () => {
    const messages = [message(1), message(300, 1), message(2, 9), message(255, 3)]
    const octets = joined(...messages)
    for (let size = 1; size <= octets.length; size++)
      expect(take(new Deframer(), octets, size), `${size}`).toEqual(messages.map((one) => [...one]))
  })
  it('holds what has begun, and says how much', () => {
    const deframer = new Deframer()
    const octets = joined(message(10))
    expect(deframer.push(octets.subarray(0, 1))).toEqual([])
    expect(deframer.pending).toBe(1)
    expect(deframer.push(octets.subarray(1, 11))).toEqual([])
    expect(deframer.pending).toBe(11)
    expect(deframer.push(octets.subarray(11))).toHaveLength(1)
    expect(deframer.pending).toBe(0)
  })
  it('refuses an empty message and one that is too long, in one piece and in two', () => {
    for (const size of [1, 1_000]) {
      expect(take(new Deframer(), Uint8Array.of(0, 0), size)).toBeUndefined()
      expect(take(new Deframer(100), joined(message(100)), size)).toHaveLength(1)
      expect(take(new Deframer(100), joined(message(101)), size)).toBeUndefined()
    }
  })
  it('does not change a message by later pieces', () => {
    const deframer = new Deframer()
    const octets = Buffer.concat([joined(message(4)), joined(message(4, 50))])
    const [first] = [...(deframer.push(octets.subarray(0, 3)) ?? []), ...(deframer.push(octets.subarray(3, 6)) ?? [])]
    deframer.push(octets.subarray(6))
    expect([...(first ?? [])]).toEqual([...message(4)])
  })
})
