// One frame at a time through a fence in the kernel: sent at one end of the laboratory, watched for at the other, and looked up
// in the fence's own counters. Each judged frame must show exactly one of the two, so that nothing is concluded from silence;
// a frame that shows neither was not taken by the kernel at all, and that is said.
//
// The stacks at both ends know nothing of raw frames and are kept from answering them.

import { type Ip, inPrefix, type Prefix, parsePrefix } from '../../src/base/ip.js'
import type { Packet } from '../../src/plan/packet.js'
import type { Verdict } from '../../src/plan/state.js'
import { checksum } from '../support/frames.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { must } from '../support/lab/command.js'
import type { Lab } from '../support/lab/lab.js'
import type { SeenFrame, Sender, Sniffer } from '../support/lab/wire.js'

export type Fate =
  | { readonly kind: 'passed' }
  | { readonly kind: 'dropped'; readonly reason: string; readonly answer: Answer }
  /** Neither seen nor counted. */
  | { readonly kind: 'vanished' }

/** What came back to the workspace about a refused frame. */
export type Answer = 'silent' | 'tcp-reset' | 'icmp-prohibited'

export type Drops = Readonly<Record<string, bigint>>

/** On a busy machine everything is late; only what is not expected to come is waited for in vain. */
const SURE_MS = 2_000
const IN_VAIN_MS = 60
const ANSWER_IN_VAIN_MS = 15
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

export class Wire {
  private counted: Drops = {}

  private constructor(
    private readonly fromWorkspace: Sender,
    private readonly fromOutside: Sender,
    private readonly atWorkspace: Sniffer,
    private readonly atOutside: Sniffer,
    private readonly drops: () => Promise<Drops>,
  ) {}

  /** `drops` reads the fence's counters by reason. */
  static async open(lab: Lab, drops: () => Promise<Drops>): Promise<Wire> {
    await silenceStacks(lab)
    await fixNeighbours(lab)
    return new Wire(
      await lab.sender('ws', WS.inside),
      await lab.sender('out', UPLINK.out.interface),
      await lab.sniff('ws', WS.inside),
      await lab.sniff('out', UPLINK.out.interface),
      drops,
    )
  }

  /** Before the first frame of a scenario, and after anything else that may have moved the counters. */
  async settle(): Promise<void> {
    this.counted = await this.drops()
  }

  /** Sends a frame and sees what becomes of it. What is expected decides only how long is waited for it. */
  async send(frame: Uint8Array, packet: Packet, expected: Verdict): Promise<Fate> {
    const outward = packet.direction === 'from'
    const [sender, far] = outward ? [this.fromWorkspace, this.atOutside] : [this.fromOutside, this.atWorkspace]
    this.atWorkspace.frames.length = 0
    this.atOutside.frames.length = 0
    const sent = withSequence(outward ? frame : readdressed(frame), packet)
    await sender.send([sent])
    const deadline = performance.now() + (mayVanish(packet, expected) ? IN_VAIN_MS : SURE_MS)
    const resets = expected.kind === 'drop' && expected.refusal === 'tcp-reset' && !mayVanish(packet, expected)
    for (let waitMs = 1; ; waitMs = Math.min(20, waitMs * 2)) {
      await pause(waitMs)
      if (far.frames.some((seen) => seen.way === 'in' && sameBody(seen, sent))) return { kind: 'passed' }
      const now = await this.drops()
      const reason = moved(this.counted, now)
      this.counted = now
      if (reason !== undefined)
        return { kind: 'dropped', reason, answer: outward ? await this.answered(resets, sent) : 'silent' }
      if (performance.now() > deadline) return { kind: 'vanished' }
    }
  }

  /** What came back. A refusal leaves before its counter can be read, but has a way to go on a busy machine. */
  private async answered(expected: boolean, sent: Uint8Array): Promise<Answer> {
    const deadline = performance.now() + (expected ? SURE_MS : ANSWER_IN_VAIN_MS)
    for (;;) {
      const answer = this.atWorkspace.frames.filter(({ way }) => way === 'in').map((seen) => answerOf(seen, sent))
      const found = answer.find((one) => one !== 'silent')
      if (found !== undefined) return found
      if (performance.now() > deadline) return 'silent'
      await pause(1)
    }
  }
}

/** Neighbour discovery ends at the node, and what the kernel cannot read or route never reaches a counter. */
export function mayVanish({ body }: Packet, expected: Verdict): boolean {
  if (expected.kind === 'allow') return expected.reason === 'neighbour'
  if (body.kind === 'unreadable') return body.why === 'truncated' || body.why === 'bad-length'
  return body.kind === 'ip' && isUnrouted(body.destination)
}

/** The answer that a frame is to what was sent. On a busy machine the answer to another frame may come as late as now. */
function answerOf({ bytes }: SeenFrame, sent: Uint8Array): Answer {
  const v6 = bytes[12] === 0x86
  const protocol = bytes[v6 ? 20 : 23]
  const at = v6 ? 54 : 34
  if (protocol === 6 && ((bytes[at + 13] ?? 0) & 0x04) !== 0)
    return sameEnds(bytes, 14, sent, true) ? 'tcp-reset' : 'silent'
  const prohibits = v6
    ? protocol === 58 && bytes[at] === 1 && bytes[at + 1] === 1
    : protocol === 1 && bytes[at] === 3 && bytes[at + 1] === 13
  return prohibits && sameEnds(bytes, at + 8, sent, false) ? 'icmp-prohibited' : 'silent'
}

/** Whether the packet at an offset has the protocol, addresses and ports of the frame that was sent, or those turned round. */
function sameEnds(bytes: Uint8Array, at: number, sent: Uint8Array, turned: boolean): boolean {
  const v6 = (bytes[at] ?? 0) >> 4 === 6
  const [protocol, from, length] = v6 ? [6, 8, 16] : [9, 12, 4]
  const part = (frame: Uint8Array, start: number, size: number): string =>
    Buffer.from(frame.subarray(start, start + size)).toString('hex')
  const ends = (frame: Uint8Array, ip: number): readonly string[] => {
    const ports = ip + (v6 ? 40 : 20)
    const address = ip + from
    return [address, address + length].map(
      (start, i) => `${part(frame, start, length)} ${part(frame, ports + 2 * i, 2)}`,
    )
  }
  const [one, two] = ends(bytes, at)
  const wanted = ends(sent, 14)
  const tcp = sent[14 + protocol] === 6
  const same = turned ? wanted[0] === two && wanted[1] === one : wanted[0] === one && wanted[1] === two
  return same && (turned ? tcp : bytes[at + protocol] === sent[14 + protocol])
}

/** What hosts and the node say at times of their own is counted too, under reasons that a frame of an attached slot rarely has. */
function moved(before: Drops, after: Drops): string | undefined {
  const changed = Object.keys(after).filter((reason) => after[reason] !== before[reason] && reason !== 'not-attached')
  return changed.find((reason) => reason !== 'noise') ?? changed[0]
}

/** The transport and what follows it; the headers before it change on the way. */
function sameBody(seen: SeenFrame, sent: Uint8Array): boolean {
  const body = (frame: Uint8Array): Buffer => Buffer.from(frame.subarray(frame[12] === 0x86 ? 54 : 34))
  const [one, two] = [body(seen.bytes), body(sent)]
  return seen.bytes[12] === sent[12] && one.length >= two.length && one.subarray(0, two.length).equals(two)
}

/** Generated frames towards the workspace carry the last hop's addresses; in the laboratory they start one hop earlier. */
function readdressed(frame: Uint8Array): Uint8Array {
  const out = Uint8Array.from(frame)
  const mac = (text: string): number[] => text.split(':').map((octet) => Number.parseInt(octet, 16))
  out.set(mac(UPLINK.node.mac), 0)
  out.set(mac(UPLINK.out.mac), 6)
  return out
}

const INITIAL = { from: 1000, to: 5000 } as const

/**
 * Gives a TCP segment numbers that belong to its connection, since connection tracking reads them and `evaluate` does not: each
 * end has one initial number and sends no data, so the numbers follow from direction and flags.
 */
function withSequence(frame: Uint8Array, packet: Packet): Uint8Array {
  if (packet.body.kind !== 'ip' || packet.body.transport.kind !== 'tcp') return frame
  const { flags } = packet.body.transport
  const v6 = packet.body.source.family === 6
  const out = Uint8Array.from(frame)
  const view = new DataView(out.buffer)
  const at = v6 ? 54 : 34
  const opens = (flags & 0x02) !== 0
  const other = packet.direction === 'from' ? 'to' : 'from'
  view.setUint32(at + 4, INITIAL[packet.direction] + (opens ? 0 : 1))
  view.setUint32(at + 8, opens && (flags & 0x10) === 0 ? 0 : INITIAL[other] + 1)
  view.setUint16(at + 16, 0)
  const segment = out.subarray(at)
  const head = new Uint8Array(v6 ? 40 : 12)
  head.set(out.subarray(v6 ? 22 : 26, v6 ? 54 : 34))
  const headView = new DataView(head.buffer)
  if (v6) {
    headView.setUint32(32, segment.length)
    head[39] = 6
  } else {
    head[9] = 6
    headView.setUint16(10, segment.length)
  }
  const summed = new Uint8Array(head.length + segment.length)
  summed.set(head)
  summed.set(segment, head.length)
  view.setUint16(at + 16, checksum(summed))
  return out
}

async function silenceStacks(lab: Lab): Promise<void> {
  const rules = [
    'add table inet quiet',
    'add chain inet quiet output { type filter hook output priority 0; policy accept; }',
    'add rule inet quiet output meta l4proto { tcp, udp, icmp } drop',
    'add rule inet quiet output icmpv6 type { destination-unreachable, parameter-problem, echo-reply } drop',
  ]
  for (const role of ['ws', 'out'] as const)
    await must(['ip', 'netns', 'exec', lab.namespace(role), 'nft', rules.join('; ')])
}

/** Static neighbours, so that a quarantine in between, which stops ARP as well, leaves nothing unresolved behind. */
async function fixNeighbours(lab: Lab): Promise<void> {
  const fixed = [
    [WS.slot, WS.mac, [WS.v4, WS.v6]],
    [UPLINK.node.interface, UPLINK.out.mac, [UPLINK.out.v4, UPLINK.out.v6]],
  ] as const
  for (const [device, mac, addresses] of fixed)
    for (const address of addresses)
      await must([
        'ip',
        '-n',
        lab.namespace('node'),
        'neigh',
        'replace',
        address,
        'lladdr',
        mac,
        'dev',
        device,
        'nud',
        'permanent',
      ])
}

/** Sources that no router forwards: this network, loopback, multicast, broadcast, v4-mapped, link-local. */
const UNROUTED: readonly Prefix[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '::/127',
  '::ffff:0:0/96',
  'fe80::/10',
  'ff00::/8',
].flatMap((text) => parsePrefix(text)?.prefix ?? [])

/**
 * False for frames that the laboratory cannot put to the fence: too short for the kernel to send, sent by the fence itself, or
 * towards the workspace from a source that the kernel throws away before any fence sees it.
 */
export function askable(frame: Uint8Array, packet: Packet): boolean {
  if (frame.length < 15 || packet.origin === 'fence') return false
  const { body } = packet
  if (packet.direction === 'from' || body.kind === 'arp' || body.source === undefined) return true
  const { source } = body
  return !isUnrouted(source)
}

/** An address that the kernel neither takes packets from nor sends them as: a refusal in its name cannot be sent. */
export const isUnrouted = (address: Ip): boolean => UNROUTED.some((prefix) => inPrefix(address, prefix))

/** Echoes once through the open laboratory, so that routes are in place before anything is fenced. */
export async function warm(lab: Lab): Promise<void> {
  for (const address of [OUT.git, OUT.git6])
    if ((await lab.ping('ws', address)).outcome !== 'answered') throw new Error(`${address} does not answer`)
}
