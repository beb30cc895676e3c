// What the wire and the kernel say about one TCP connection: the segments towards the workspace as they passed its interface,
// and how many its sender had to send again. A socket that recovers would hide what a change of policy did to it.

import type { Lab } from '../../test/support/lab/lab.js'
import type { SeenFrame } from '../../test/support/lab/wire.js'

export interface Segment {
  readonly atMs: number
  readonly source: string
  readonly sourcePort: number
  readonly destinationPort: number
  readonly reset: boolean
  readonly sequence: number
  /** Octets of payload. */
  readonly payload: number
}

/** Reads an IPv4 TCP frame; undefined for anything else. */
export function segmentOf(frame: SeenFrame): Segment | undefined {
  const bytes = Buffer.from(frame.bytes)
  if (bytes.length < 54 || bytes.readUInt16BE(12) !== 0x0800 || bytes[23] !== 6) return undefined
  const header = 14 + ((bytes[14] ?? 0) & 15) * 4
  if (bytes.length < header + 20) return undefined
  const total = bytes.readUInt16BE(16)
  return {
    atMs: frame.atMs,
    source: [...bytes.subarray(26, 30)].join('.'),
    sourcePort: bytes.readUInt16BE(header),
    destinationPort: bytes.readUInt16BE(header + 2),
    sequence: bytes.readUInt32BE(header + 4),
    reset: ((bytes[header + 13] ?? 0) & 0x04) !== 0,
    payload: total - (header - 14) - ((bytes[header + 12] ?? 0) >> 4) * 4,
  }
}

const segments = (frames: readonly SeenFrame[], way: SeenFrame['way']): Segment[] =>
  frames
    .filter((frame) => frame.way === way)
    .map(segmentOf)
    .filter((segment) => segment !== undefined)

/** Segments that the workspace's interface received of one connection, by the workspace's port. */
export const towards = (frames: readonly SeenFrame[], port: number): Segment[] =>
  segments(frames, 'in').filter((segment) => segment.destinationPort === port)

/**
 * How many segments of one connection went in at one end and did not come out at the other, in both directions, until
 * `untilMs`. A busy machine makes a sender repeat itself; only a segment that vanished is the fence's doing.
 */
export function swallowed(
  workspaceEnd: readonly SeenFrame[],
  outsideEnd: readonly SeenFrame[],
  port: number,
  untilMs: number,
): number {
  const lost = (sent: readonly Segment[], received: readonly Segment[]): number => {
    const key = (segment: Segment): string => `${segment.sequence} ${segment.payload}`
    const arrived = new Map<string, number>()
    for (const segment of received) arrived.set(key(segment), (arrived.get(key(segment)) ?? 0) + 1)
    let missing = 0
    for (const segment of sent) {
      const left = arrived.get(key(segment)) ?? 0
      if (segment.atMs < untilMs && left === 0) missing++
      arrived.set(key(segment), Math.max(0, left - 1))
    }
    return missing
  }
  const to = (one: Segment): boolean => one.destinationPort === port
  const from = (one: Segment): boolean => one.sourcePort === port
  return (
    lost(segments(outsideEnd, 'out').filter(to), segments(workspaceEnd, 'in').filter(to)) +
    lost(segments(workspaceEnd, 'out').filter(from), segments(outsideEnd, 'in').filter(from))
  )
}

/** How often the server sent a segment of this connection again. */
export async function retransmissions(lab: Lab, port: number): Promise<number> {
  const { stdout } = await lab.exec('out', ['ss', '-tinH', `dport = ${port}`])
  return Number(/retrans:\d+\/(\d+)/.exec(stdout)?.[1] ?? 0)
}

/** The longest silence between two segments with payload, in milliseconds. */
export function longestGap(segments: readonly Segment[]): number {
  const times = segments.filter((segment) => segment.payload > 0).map((segment) => segment.atMs)
  return times.slice(1).reduce((longest, at, i) => Math.max(longest, at - (times[i] ?? at)), 0)
}
