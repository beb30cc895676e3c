// Refused packets for the trail. Pipes send what no grant allows to a software queue; here each becomes a denial, as far as the bucket
// of its workspace has tokens, and everything else is counted as lost: what the card counted and nobody saw, and what the bucket
// kept back. Only packets whose source was found sound come this way, so the workspace that they name is the one that sent them.

import { formatIp, type Ip } from '../../base/ip.js'
import { addressClass, CONTROL_PLANE_PORTS, DNS_PORTS } from '../../base/reserved.js'
import type { WorkspaceId } from '../../plan/model.js'
import type { DropReason } from '../../plan/state.js'
import type { Denial, DenialBatch } from '../backend.js'
import { QUEUES } from './chains.js'
import type { Handle, Native } from './native.js'
import type { DocaProgram, DocaWorkspace } from './program.js'

const BATCH = 256
/** Headers and no more. */
const KEPT = 120
/** Of each workspace. */
const PER_SECOND = 50
const BURST = 100

interface Bucket {
  readonly tokens: number
  readonly atMs: number
}

export class Samples {
  private readonly buckets = new Map<WorkspaceId, Bucket>()
  /** Frames that came, and losses that were told, since the device was opened. */
  private seen = 0
  private told = 0

  constructor(private readonly native: Native) {}

  /** What waits now. `sampled` is the entry that all refused packets pass. Throws DOCA_DEVICE. */
  take(program: DocaProgram, sampled: Handle, nowMs: number): DenialBatch {
    const frames = this.native.taken(QUEUES.refused, BATCH, KEPT)
    this.seen += frames.length
    const denials: Denial[] = []
    let kept = 0
    for (const frame of frames) {
      const denial = denialOf(frame, program, nowMs)
      if (denial && this.spend(denial.workspace, nowMs)) denials.push(denial)
      else kept++
    }
    // While frames wait, what the card counted is not lost. Its counters lag, so a loss is told late and never too much.
    const [counted] = frames.length < BATCH ? this.native.counts([sampled]) : []
    const unseen = Math.max(0, Number(counted?.packets ?? 0n) - this.seen - this.told)
    this.told += unseen
    return { denials, lost: kept + unseen }
  }

  /** The device begins anew, and so do its counters. */
  forget(): void {
    this.seen = this.told = 0
  }

  private spend(workspace: WorkspaceId, nowMs: number): boolean {
    const { tokens, atMs } = this.buckets.get(workspace) ?? { tokens: BURST, atMs: nowMs }
    const filled = Math.min(BURST, tokens + (Math.max(0, nowMs - atMs) * PER_SECOND) / 1000)
    this.buckets.set(workspace, { tokens: filled >= 1 ? filled - 1 : filled, atMs: nowMs })
    return filled >= 1
  }
}

const ETHERNET = 14
const TCP = 6
const UDP = 17
const ECHO_REPLIES: Readonly<Record<number, number>> = { 1: 0, 58: 129 }

/** // untrusted: every octet is the workspace's or a stranger's. undefined: no packet of a workspace that is live. */
function denialOf(frame: Uint8Array, program: DocaProgram, atMs: number): Denial | undefined {
  const packet = frame.subarray(ETHERNET)
  const version = (packet[0] ?? 0) >> 4
  if (version !== 4 && version !== 6) return undefined
  const head = version === 4 ? 20 : 40
  if (packet.length < head) return undefined
  const octets = version === 4 ? 4 : 16
  const [source, destination] = [head - 2 * octets, head - octets].map((at) => packet.subarray(at, at + octets)) as [
    Uint8Array,
    Uint8Array,
  ]
  const protocol = packet[version === 4 ? 9 : 6] ?? 0
  const port = (at: number): number => ((packet[head + at] ?? 0) << 8) | (packet[head + at + 1] ?? 0)
  const ported = (protocol === TCP || protocol === UDP) && packet.length >= head + 4
  const from = program.workspaces.find((at) => same(at.mac, frame.subarray(6, 12)) && owns(at, source))
  const at = from ?? program.workspaces.find((one) => owns(one, destination))
  if (!at) return undefined
  const to = ipOf(destination)
  const echoReply = ECHO_REPLIES[protocol] === packet[head]
  return {
    atMs,
    workspace: at.workspace,
    direction: from ? 'from' : 'to',
    reason: from && !echoReply ? reasonOf(to, ported ? port(2) : undefined) : 'no-flow',
    protocol,
    source: formatIp(ipOf(source)),
    destination: formatIp(to),
    ...(ported ? { sourcePort: port(0), destinationPort: port(2) } : {}),
    generation: program.generation,
  }
}

/** As `evaluate` names what no grant allows, in its order. */
function reasonOf(to: Ip, port: number | undefined): DropReason {
  const where = addressClass(to)
  if (where !== 'public') return where
  if (port !== undefined && DNS_PORTS.includes(port)) return 'dns'
  return port !== undefined && CONTROL_PLANE_PORTS.includes(port) ? 'control-port' : 'no-grant'
}

const ipOf = (octets: Uint8Array): Ip => ({
  family: octets.length === 4 ? 4 : 6,
  value: octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n),
})

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i])

const owns = (at: DocaWorkspace, address: Uint8Array): boolean =>
  (address.length === 4 ? at.addresses4 : at.addresses6).some((own) => same(own, address))
