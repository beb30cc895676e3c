// Tracked connections. First packets that the pipes found granted come here: each is judged once more by `evaluate` with the plan
// that is live, its connection is put into the device, and then it goes on by the Arm's own netdevices. What is held follows
// plan/flow.ts: a change of plan takes away what lost its grant, a flag everything of its workspace, idleness the rest.
//
// A packet whose connection could not be added goes nowhere. A connection that cannot be removed is tried again until it is.

import { formatIp, parseIp } from '../../base/ip.js'
import { evaluate } from '../../plan/evaluate.js'
import { carryOver, flowKey } from '../../plan/flow.js'
import type { GrantId, LearnedGrant, Plan, WorkspaceId, WorkspacePlan } from '../../plan/model.js'
import { type IpPacket, type Packet, readFrame } from '../../plan/packet.js'
import { EMPTY_STATE, type Env, type Flow, type State } from '../../plan/state.js'
import { QUEUES } from './chains.js'
import { type Connection, type Count, type Handle, IN_FORCE, type Native } from './native.js'
import { addressOctets } from './octets.js'

/** Frames of one queue that are judged at a time. */
const BATCH = 64
const LONGEST = 9216
const AGED = 1024
const GONE = 0
const UNDER_WAY = 1
const FAILED = 3

/** What the pipes in front do not judge. */
const ENV: Env = { linkLayer: true, replies: 'stateful', icmpErrors: 'dropped', flowState: 'ports' }

/** Puts a packet out: at the representor with this VUID, or on the wire (null). False: nobody took it. */
export type Send = (vuid: string | null, frame: Buffer) => boolean

/** What is live, as first packets are judged by it. */
export interface Live {
  readonly plan: Plan
  readonly learned: readonly LearnedGrant[]
  readonly flags: Pick<State, 'quarantined' | 'suspended'>
  readonly portOf: (workspace: WorkspaceId) => number | undefined
}

interface Held {
  readonly flow: Flow
  readonly handle: Handle
}
interface Arrived {
  readonly frame: Buffer
  readonly packet: Packet & { readonly body: IpPacket }
  readonly at: WorkspacePlan
}

export class Connections {
  /** By the flow's key. */
  private readonly held = new Map<string, Held>()
  private readonly keys = new Map<Handle, string>()
  /** Out of the plan, and perhaps not yet out of the device. */
  private doomed: Handle[] = []
  /** Packets of connections that went, by workspace and grant. */
  private readonly past = new Map<WorkspaceId, Map<GrantId, Count>>()
  private places: { readonly plan: Plan; readonly byAddress: ReadonlyMap<string, WorkspacePlan> } | undefined
  /** First packets that were granted and went nowhere: no room, or nobody took them. */
  lost = 0n

  constructor(
    private readonly native: Native,
    private readonly waitMs: number,
    private readonly send: Send = (vuid, frame) => native.send(vuid, frame),
  ) {}

  /** Judges what waits. Throws DOCA_DEVICE, DOCA_NOT_COMPLETED. */
  take(tracker: Handle, say: () => Live, nowMs: number): void {
    const frames = (['from', 'to'] as const).map((way) => this.native.taken(QUEUES[`begins-${way}`], BATCH, LONGEST))
    if (frames.every((some) => some.length === 0)) return
    const live = say()
    const [out = [], into = []] = (['from', 'to'] as const).map((way, i) =>
      this.readable(live.plan, way, frames[i] ?? []),
    )
    const passing: Arrived[] = []
    const fresh = new Map<string, Flow>()
    for (const one of [...out, ...into]) {
      const known = this.around(one, fresh)
      const state: State = { ...EMPTY_STATE, learned: live.learned, ...live.flags, flows: known }
      const { verdict, state: after } = evaluate(live.plan, state, one.at.workspace, one.packet, nowMs, ENV)
      if (verdict.kind !== 'allow') continue
      passing.push(one)
      for (const [key, flow] of after.flows) if (!known.has(key)) fresh.set(key, flow)
    }
    const failed = this.add(tracker, fresh, live)
    for (const one of passing) {
      const ways = [...this.around(one, new Map()).keys()]
      const { packet, frame, at } = one
      const gone = ways.length === 0 || ways.some((key) => failed.has(key))
      if (gone || !this.send(packet.direction === 'from' ? null : vuidOf(at), frame)) this.lost++
    }
  }

  /** Keeps what the new plan grants. What goes is out of the device when this returns. */
  judge(plan: Plan, generation: number): void {
    const flows = new Map([...this.held].map(([key, { flow }]) => [key, flow]))
    const kept = carryOver({ ...EMPTY_STATE, flows }, plan, generation).flows
    this.remove([...flows.keys()].filter((key) => !kept.has(key)))
  }

  /** Everything of a workspace, for good. Gives how many there were. */
  cut(workspace: WorkspaceId): number {
    const keys = [...this.held].filter(([, { flow }]) => flow.workspace === workspace).map(([key]) => key)
    this.remove(keys)
    return keys.length
  }

  /** Takes away what has been idle for too long. */
  age(): void {
    const keys = this.native.aged(AGED).flatMap((handle) => this.keys.get(handle) ?? [])
    if (keys.length > 0 || this.doomed.length > 0) this.remove(keys)
  }

  get size(): number {
    return this.held.size
  }

  /** Adds what connections carried, by workspace and grant. */
  count(grants: Map<WorkspaceId, Map<GrantId, Count>>): void {
    for (const [workspace, counts] of this.past)
      for (const [grant, count] of counts) put(grants, workspace, grant, count)
    this.read([...this.held.values()], grants)
  }

  /** The device was closed, and everything with it. */
  forget(): void {
    this.held.clear()
    this.keys.clear()
    this.doomed = []
  }

  private read(list: readonly Held[], into: Map<WorkspaceId, Map<GrantId, Count>>): void {
    const states = this.native.states(list.map(({ handle }) => handle))
    const granted = list.filter(({ flow }, i) => flow.grant !== undefined && states[i] === IN_FORCE)
    const counts = this.native.traffic(granted.map(({ handle }) => handle))
    for (const [i, { flow }] of granted.entries())
      if (flow.grant !== undefined && counts[i]) put(into, flow.workspace, flow.grant, counts[i])
  }

  /** Frames whose workspace is live, with their packets read. // untrusted: the frames */
  private readable(plan: Plan, direction: 'from' | 'to', frames: readonly Buffer[]): Arrived[] {
    const byAddress = this.placesOf(plan)
    return frames.flatMap((frame): Arrived[] => {
      const packet = readFrame(new Uint8Array(frame), direction)
      if (packet.body.kind !== 'ip') return []
      const at = byAddress.get(formatIp(direction === 'from' ? packet.body.source : packet.body.destination))
      return at ? [{ frame, packet: { ...packet, body: packet.body }, at }] : []
    })
  }

  private placesOf(plan: Plan): ReadonlyMap<string, WorkspacePlan> {
    if (this.places?.plan !== plan) {
      const pairs = plan.workspaces.flatMap((at) => at.slot.addresses.map((address) => [address, at] as const))
      this.places = { plan, byAddress: new Map(pairs) }
    }
    return this.places.byAddress
  }

  /** The flows that the packet may be of: one begun here, or one begun there. */
  private around({ packet, at }: Arrived, fresh: ReadonlyMap<string, Flow>): Map<string, Flow> {
    const { body, direction } = packet
    const { transport } = body
    if (transport.kind !== 'tcp' && transport.kind !== 'udp') return new Map()
    const [local, peer] = direction === 'from' ? [body.source, body.destination] : [body.destination, body.source]
    const [localPort, peerPort] =
      direction === 'from'
        ? [transport.sourcePort, transport.destinationPort]
        : [transport.destinationPort, transport.sourcePort]
    const ends = { local: formatIp(local), localPort, peer: formatIp(peer), peerPort, protocol: transport.kind }
    const found = new Map<string, Flow>()
    for (const way of ['egress', 'ingress'] as const) {
      const key = flowKey({ ...ends, workspace: at.workspace, direction: way })
      const flow = this.held.get(key)?.flow ?? fresh.get(key)
      // The device knows when it was seen last, and says when that is too long ago.
      if (flow) found.set(key, { ...flow, lastSeenMs: Number.MAX_SAFE_INTEGER })
    }
    return found
  }

  /** Gives the keys that are not in force. */
  private add(tracker: Handle, fresh: ReadonlyMap<string, Flow>, { plan, portOf }: Live): Set<string> {
    const failed = new Set<string>()
    const wanted: { readonly key: string; readonly flow: Flow; readonly connection: Connection }[] = []
    for (const [key, flow] of fresh) {
      const at = plan.workspaces.find(({ workspace }) => workspace === flow.workspace)
      const zone = portOf(flow.workspace)
      const connection = at && zone !== undefined ? connectionOf(flow, at, zone) : undefined
      if (connection) wanted.push({ key, flow, connection })
      else failed.add(key)
    }
    for (let next = 0; next < wanted.length; ) {
      const rest = wanted.slice(next)
      const { handles } = this.native.connect(
        tracker,
        rest.map(({ connection }) => connection),
      )
      for (const [i, handle] of handles.entries()) {
        const { key, flow } = rest[i] as (typeof rest)[number]
        this.held.set(key, { flow, handle })
        this.keys.set(handle, key)
      }
      // One that is refused (no room, or there already) costs its own packet and no other.
      const refused = rest[handles.length]
      if (refused) failed.add(refused.key)
      next += handles.length + 1
    }
    try {
      this.native.settle('adding connections', this.waitMs)
    } finally {
      for (const { key } of wanted) {
        const handle = this.held.get(key)?.handle
        const [state] = handle === undefined ? [] : this.native.states([handle])
        if (state === IN_FORCE) continue
        failed.add(key)
        // What is still under way may yet come into force, so it stays on the list.
        if (handle === undefined || state === UNDER_WAY) continue
        this.drop(key, handle)
        if (state === FAILED) this.doomed.push(handle)
      }
      this.purge()
    }
    return failed
  }

  private remove(keys: readonly string[]): void {
    const going = keys.flatMap((key) => this.held.get(key) ?? [])
    this.doomed.push(...going.map(({ handle }) => handle))
    try {
      this.read(going, this.past)
    } finally {
      for (const key of keys) this.drop(key, this.held.get(key)?.handle)
      this.purge()
    }
  }

  private purge(): void {
    if (this.doomed.length === 0) return
    const states = this.native.states(this.doomed)
    // One under way is asked again.
    this.native.disconnect(this.doomed.filter((_, i) => states[i] === IN_FORCE || states[i] === FAILED))
    this.native.settle('removing connections', this.waitMs)
    const after = this.native.states(this.doomed)
    this.doomed = this.doomed.filter((_, i) => after[i] !== GONE)
  }

  private drop(key: string, handle: Handle | undefined): void {
    this.held.delete(key)
    if (handle !== undefined) this.keys.delete(handle)
  }
}

const vuidOf = ({ slot }: WorkspacePlan): string => slot.vuid ?? slot.interface

function connectionOf(flow: Flow, { network }: WorkspacePlan, zone: number): Connection | undefined {
  const local = parseIp(flow.local)
  const peer = parseIp(flow.peer)
  if (!local || !peer || flow.protocol === 'icmp-echo') return undefined
  const [source, destination] = flow.direction === 'egress' ? [local, peer] : [peer, local]
  const [sourcePort, destinationPort] =
    flow.direction === 'egress' ? [flow.localPort, flow.peerPort] : [flow.peerPort, flow.localPort]
  const idleMs = flow.protocol === 'tcp' ? network.idle.tcpMs : network.idle.udpMs
  return {
    source: addressOctets(source),
    destination: addressOctets(destination),
    sourcePort,
    destinationPort,
    protocol: flow.protocol === 'tcp' ? 6 : 17,
    zone,
    idleSeconds: Math.ceil(idleMs / 1000),
  }
}

function put(into: Map<WorkspaceId, Map<GrantId, Count>>, workspace: WorkspaceId, grant: GrantId, count: Count): void {
  const grants = into.get(workspace) ?? new Map<GrantId, Count>()
  into.set(workspace, grants)
  const held = grants.get(grant)
  grants.set(grant, held ? { packets: held.packets + count.packets, octets: held.octets + count.octets } : count)
}
