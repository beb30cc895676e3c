// The meaning of a plan (design section 5), and the oracle that every backend is judged by.
//
// Takes a plan, what is known (learned grants, flows, flags), one packet, the time and where it is judged; gives a verdict
// and the state after it. Steps stand in the order of the text and are numbered as there. Allow-sets only: no clause has
// a priority, so the order of clauses never matters. Whatever is not allowed by a named reason is refused.

import { formatIp, type Ip } from '../base/ip.js'
import { addressClass, CONTROL_PLANE_PORTS, DNS_PORTS } from '../base/reserved.js'
import type { Protocol } from '../policy/model.js'
import { flowKey, isLive, withFlow, withoutFlow } from './flow.js'
import { judgeLink } from './link.js'
import { grantIndex } from './lookup.js'
import type { Grant, Plan, WorkspaceId, WorkspacePlan } from './model.js'
import { isObserved } from './observe.js'
import { ACK, FIN, type IpPacket, type Packet, RST, SYN } from './packet.js'
import { hasSession } from './sessions.js'
import type { AllowReason, DropReason, Env, Flow, Refusal, State, Verdict } from './state.js'

export interface Outcome {
  readonly verdict: Verdict
  readonly state: State
}

/** One packet of one workspace. `nowMs` is the same clock as the expiry of learned grants. */
export function evaluate(
  plan: Plan,
  state: State,
  workspace: WorkspaceId,
  whole: Packet,
  nowMs: number,
  env: Env,
): Outcome {
  const packet = env.unsound === 'as-read' ? asRead(whole) : whole
  // Step 1, both directions: stronger than everything else, ARP and neighbour discovery included.
  if (state.quarantined.has(workspace)) return { verdict: drop('quarantined'), state }
  if (state.suspended.has(workspace)) return { verdict: drop('suspended'), state }
  const at = plan.workspaces.find((entry) => entry.workspace === workspace)
  if (!at) return { verdict: drop('not-attached'), state }
  // Steps 2 and 3: link layer, sources, and whatever cannot be read in full.
  const link = judgeLink(at.slot, packet, env)
  if (link) return { verdict: link, state }
  if (packet.body.kind !== 'ip') return { verdict: drop('malformed'), state }
  const scene: Scene = { at, state, packet: packet.body, origin: packet.origin, nowMs, env }
  return packet.direction === 'from' ? fromWorkspace(scene) : toWorkspace(scene)
}

/** A packet that is not sound, as it is seen by who cannot tell (capabilities: unsound as-read). */
const asRead = (packet: Packet): Packet =>
  packet.body.kind === 'unreadable' && packet.body.glimpsed ? { ...packet, body: packet.body.glimpsed } : packet

interface Scene {
  readonly at: WorkspacePlan
  readonly state: State
  readonly packet: IpPacket
  readonly origin: Packet['origin']
  readonly nowMs: number
  readonly env: Env
}

/** The tuple of a packet, seen from the workspace. */
interface Tuple {
  readonly protocol: Protocol
  readonly local: Ip
  readonly localPort: number
  readonly peer: Ip
  readonly peerPort: number
}

function fromWorkspace(scene: Scene): Outcome {
  const { state, packet } = scene
  const { transport } = packet
  // Step 8, last sentence of its first paragraph: errors, redirects and neighbour traffic are never forwarded.
  if (transport.kind === 'icmp-error' || transport.kind === 'neighbour') return { verdict: drop('icmp-error'), state }
  const tuple = tupleOf(packet, 'from')
  if (!tuple) return refuse(scene, 'no-grant')
  // Step 4: what the fence itself answers.
  if (isService(scene.at, packet.destination, tuple)) return { verdict: allow('service'), state }
  if (isStateless(scene.env, tuple)) return statelessFrom(scene, tuple)
  // Step 5: replies of flows that an ingress grant allowed.
  const inbound = liveFlow(scene, tuple, 'ingress')
  if (inbound) return judgeFlow(scene, inbound, tuple, 'ingress-reply')
  const echoReply = transport.kind === 'echo' && transport.reply
  if (echoReply) return refuse(scene, 'no-flow')
  // Step 6: reserved destinations open only to grants that lie inside them.
  const where = addressClass(packet.destination)
  if (where === 'never') return refuse(scene, 'never')
  const grant = grantFor(scene, 'egress', tuple)
  if (where === 'reserved' && !grant) return cut(scene, tuple, 'reserved')
  // Step 7: a live flow is judged again by the plan of now; a first packet needs a grant.
  const flow = liveFlow(scene, tuple, 'egress')
  if (flow) return judgeFlow(scene, flow, tuple, 'flow')
  const missing = sensitivePort(tuple) ?? 'no-grant'
  if (!opensFlow(packet)) return refuse(scene, grant ? 'no-flow' : missing)
  if (grant) return open(scene, tuple, 'egress', 'static-grant', grant)
  const learned = learnedFor(scene, tuple)
  if (learned) return open(scene, tuple, 'egress', 'learned-grant', learned)
  // Step 8, and the one thing of it that a policy may relax for a time.
  const observed = missing === 'no-grant' ? observedBy(scene) : undefined
  return observed ? open(scene, tuple, 'egress', 'observed', observed) : refuse(scene, missing)
}

function toWorkspace(scene: Scene): Outcome {
  const { state, packet, at } = scene
  const { transport } = packet
  if (transport.kind === 'icmp-error') return { verdict: judgeError(scene), state }
  // Neighbour discovery and router advertisements are the fence's own or nobody's: both end at the link.
  if (transport.kind === 'neighbour') return { verdict: drop('link-layer'), state }
  const tuple = tupleOf(packet, 'to')
  if (!tuple) return { verdict: drop('no-flow'), state }
  if (scene.origin === 'fence') {
    if (isService(at, packet.source, tuple)) return { verdict: allow('service'), state }
    if (transport.kind === 'tcp' && (transport.flags & RST) !== 0) return { verdict: allow('service'), state }
  }
  if (isStateless(scene.env, tuple)) return statelessTo(scene, tuple)
  const outbound = liveFlow(scene, tuple, 'egress')
  if (outbound) return silent(judgeFlow(scene, outbound, tuple, 'egress-reply'))
  if (scene.env.replies === 'stateless' && !opensFlow(packet) && grantFor(scene, 'egress', tuple))
    return { verdict: allow('egress-reply'), state }
  const inbound = liveFlow(scene, tuple, 'ingress')
  if (inbound) return silent(judgeFlow(scene, inbound, tuple, 'flow'))
  if (transport.kind === 'echo' && transport.reply) return { verdict: drop('no-flow'), state }
  const grant = grantFor(scene, 'ingress', tuple)
  if (!grant || !opensFlow(packet)) return { verdict: drop('no-flow'), state }
  return open(scene, tuple, 'ingress', 'ingress-grant', grant)
}

/** Errors towards the workspace pass when the packet that they quote belongs to a live flow; redirects never do. */
function judgeError(scene: Scene): Verdict {
  const { transport, destination } = scene.packet
  if (transport.kind !== 'icmp-error') return drop('icmp-error')
  const passing = destination.family === 4 ? [3, 11, 12] : [1, 2, 3, 4]
  const quoted = transport.quoted
  if (!passing.includes(transport.type)) return drop('icmp-error')
  // The fence's own refusals are errors too: about a packet that made no flow.
  if (scene.origin === 'fence') return allow('service')
  if (!quoted || scene.env.icmpErrors === 'dropped') return drop('icmp-error')
  const protocol = protocolOf(quoted.protocol, destination.family)
  if (!protocol || formatIp(quoted.source) !== formatIp(destination)) return drop('icmp-error')
  const tuple: Tuple = {
    protocol,
    local: quoted.source,
    localPort: quoted.sourcePort,
    peer: quoted.destination,
    peerPort: quoted.destinationPort,
  }
  for (const direction of ['egress', 'ingress'] as const) {
    const flow = liveFlow(scene, tuple, direction, scene.env.icmpErrors === 'lagging')
    // Named by what allows the flow now: the grant that began it may be gone.
    const basis = flow && (basisOf(scene, flow, tuple) ?? (scene.env.icmpErrors === 'lagging' ? flow : undefined))
    if (basis) return allow('icmp-error', basis.clause, basis.grant)
  }
  return drop('icmp-error')
}

const isStateless = ({ flowState }: Env, { protocol }: Tuple): boolean =>
  flowState === 'none' || (flowState === 'ports' && protocol === 'icmp-echo')

/** May this packet answer one? For TCP anything but a pure SYN; for echo a reply. */
const answers = (packet: IpPacket): boolean =>
  packet.transport.kind === 'udp' || (packet.transport.kind === 'echo' ? packet.transport.reply : !opensFlow(packet))

/** Without flow state a grant is read in both directions: its own, and reversed for what may be an answer. An answer leaves for
 * a reserved address only by a grant that lies inside it, since nobody remembers that it was asked from there. */
function statelessFrom(scene: Scene, tuple: Tuple): Outcome {
  const where = addressClass(tuple.peer)
  const port = tuple.localPort
  const back =
    where !== 'never' && answers(scene.packet)
      ? grantIndex(scene.at).find('ingress', tuple.protocol, tuple.peer, port, where === 'reserved')
      : undefined
  if (back) return { verdict: allow('ingress-reply', back.clauses[0], back.id), state: scene.state }
  if (scene.packet.transport.kind === 'echo' && scene.packet.transport.reply) return refuse(scene, 'no-flow')
  if (where === 'never') return refuse(scene, 'never')
  const grant = grantFor(scene, 'egress', tuple)
  if (grant) return { verdict: allow('static-grant', grant.clauses[0], grant.id), state: scene.state }
  const learned = learnedFor(scene, tuple, goesOn(scene.packet))
  if (learned) return { verdict: allow('learned-grant', learned.clause), state: scene.state }
  return refuse(scene, where === 'reserved' ? 'reserved' : (sensitivePort(tuple) ?? 'no-grant'))
}

/** Part of a connection that began before: without flow state, a learned grant that has run out still carries it. */
const goesOn = (packet: IpPacket): boolean => packet.transport.kind === 'tcp' && !opensFlow(packet)

function statelessTo(scene: Scene, tuple: Tuple): Outcome {
  const { state, packet } = scene
  const back = answers(packet) ? grantFor(scene, 'egress', tuple) : undefined
  if (back) return { verdict: allow('egress-reply', back.clauses[0], back.id), state }
  const learned = answers(packet) ? learnedFor(scene, tuple, goesOn(packet)) : undefined
  if (learned) return { verdict: allow('egress-reply', learned.clause), state }
  const grant =
    packet.transport.kind === 'echo' && packet.transport.reply ? undefined : grantFor(scene, 'ingress', tuple)
  return grant
    ? { verdict: allow('ingress-grant', grant.clauses[0], grant.id), state }
    : { verdict: drop('no-flow'), state }
}

function tupleOf(packet: IpPacket, direction: 'from' | 'to'): Tuple | undefined {
  const { transport } = packet
  const [local, peer] = direction === 'from' ? [packet.source, packet.destination] : [packet.destination, packet.source]
  if (transport.kind === 'echo')
    return { protocol: 'icmp-echo', local, localPort: transport.identifier, peer, peerPort: transport.identifier }
  if (transport.kind !== 'tcp' && transport.kind !== 'udp') return undefined
  const [localPort, peerPort] =
    direction === 'from'
      ? [transport.sourcePort, transport.destinationPort]
      : [transport.destinationPort, transport.sourcePort]
  return { protocol: transport.kind, local, localPort, peer, peerPort }
}

const protocolOf = (number: number, family: 4 | 6): Protocol | undefined =>
  number === 6 ? 'tcp' : number === 17 ? 'udp' : number === (family === 4 ? 1 : 58) ? 'icmp-echo' : undefined

/** May this packet begin a flow? For TCP a pure SYN; for echo a request. */
function opensFlow({ transport }: IpPacket): boolean {
  if (transport.kind === 'tcp') return (transport.flags & (FIN | SYN | RST | ACK)) === SYN
  return transport.kind === 'udp' || (transport.kind === 'echo' && !transport.reply)
}

/** The static grant that allows the tuple now, for a reserved peer only one that opens it; for ingress also one that asks for a
 * session, while the peer has one open. */
function grantFor(scene: Scene, direction: Grant['direction'], tuple: Tuple): Grant | undefined {
  // Ingress is granted by who comes: a source is not a destination, so step 6 has no say there.
  const where = direction === 'egress' ? addressClass(tuple.peer) : 'public'
  if (where === 'never') return undefined
  const port = direction === 'egress' ? tuple.peerPort : tuple.localPort
  const grant = grantIndex(scene.at).find(direction, tuple.protocol, tuple.peer, port, where === 'reserved')
  if (grant || direction === 'egress' || !hasSession(scene.state, scene.at, tuple.peer, scene.nowMs)) return grant
  return grantIndex(scene.at).find('session', tuple.protocol, tuple.peer, port, false)
}

interface Basis {
  readonly clause: string
  readonly grant?: string
}

/** A resolved name never opens a reserved address (step 6). */
function learnedFor(scene: Scene, tuple: Tuple, expired = false): Basis | undefined {
  if (addressClass(tuple.peer) !== 'public') return undefined
  const address = formatIp(tuple.peer)
  return scene.state.learned.find(
    (grant) =>
      grant.workspace === scene.at.workspace &&
      grant.protocol === tuple.protocol &&
      grant.address === address &&
      grant.port === tuple.peerPort &&
      (expired || grant.expiresAtMs > scene.nowMs) &&
      clauseIsLive(scene.at, grant.clause),
  )
}

const clauseIsLive = (at: WorkspacePlan, clause: string): boolean =>
  at.network.names.some((rule) => rule.clause === clause)

/** The clause by which what nothing grants passes now. */
function observedBy({ at, nowMs }: Scene): Basis | undefined {
  const { observe } = at.network
  return observe && isObserved(at.network, nowMs) ? { clause: observe.clause } : undefined
}

/** What keeps a flow alive now: a static grant for its original tuple, or the clause that it was learnt or observed by. */
function basisOf(scene: Scene, flow: Flow, tuple: Tuple): Basis | undefined {
  const grant = grantFor(scene, flow.direction, tuple)
  if (grant) return { clause: grant.clauses[0] ?? '', grant: grant.id }
  if (flow.basis === 'observed') {
    const observed = observedBy(scene)
    return observed?.clause === flow.clause ? observed : undefined
  }
  return flow.basis === 'learned' && clauseIsLive(scene.at, flow.clause) ? { clause: flow.clause } : undefined
}

/** A flow that is observed, or that a session let in, ends with its time, whether or not anybody looks: without a basis it is
 * none. `ended`: also then. */
function liveFlow(scene: Scene, tuple: Tuple, direction: Flow['direction'], ended = false): Flow | undefined {
  const flow = scene.state.flows.get(keyOf(scene, tuple, direction))
  if (!flow || !isLive(flow, scene.at.network.idle, scene.nowMs)) return undefined
  return ended || !endsByItself(scene, flow) || basisOf(scene, flow, tuple) ? flow : undefined
}

const endsByItself = ({ at }: Scene, flow: Flow): boolean =>
  flow.basis === 'observed' || (flow.direction === 'ingress' && at.network.sessions !== undefined)

const keyOf = (scene: Scene, tuple: Tuple, direction: Flow['direction']): string =>
  flowKey({
    ...tuple,
    workspace: scene.at.workspace,
    direction,
    local: formatIp(tuple.local),
    peer: formatIp(tuple.peer),
  })

function judgeFlow(scene: Scene, flow: Flow, tuple: Tuple, reason: AllowReason): Outcome {
  const basis = basisOf(scene, flow, tuple)
  if (!basis) return cut(scene, tuple, 'no-grant')
  return {
    verdict: allow(reason, basis.clause, basis.grant),
    state: withFlow(scene.state, { ...flow, lastSeenMs: scene.nowMs }),
  }
}

function open(
  scene: Scene,
  tuple: Tuple,
  direction: Flow['direction'],
  reason: AllowReason,
  basis: Grant | Basis,
): Outcome {
  const clause = 'clauses' in basis ? (basis.clauses[0] ?? '') : basis.clause
  const grant = 'id' in basis ? basis.id : undefined
  const flow: Flow = {
    workspace: scene.at.workspace,
    direction,
    protocol: tuple.protocol,
    local: formatIp(tuple.local),
    localPort: tuple.localPort,
    peer: formatIp(tuple.peer),
    peerPort: tuple.peerPort,
    basis: reason === 'observed' ? 'observed' : grant === undefined ? 'learned' : 'static',
    clause,
    ...(grant === undefined ? {} : { grant }),
    lastSeenMs: scene.nowMs,
  }
  const verdict = allow(reason, clause, grant)
  const told: Verdict =
    reason === 'observed' && verdict.kind === 'allow' ? { ...verdict, instead: 'no-grant' } : verdict
  return { verdict: told, state: withFlow(scene.state, flow) }
}

/** Refuses, and destroys the flow if there is one: nothing revives it. */
function cut(scene: Scene, tuple: Tuple, reason: DropReason): Outcome {
  const refused = refuse(scene, reason)
  const without = withoutFlow(refused.state, keyOf(scene, tuple, 'egress'))
  return { verdict: refused.verdict, state: withoutFlow(without, keyOf(scene, tuple, 'ingress')) }
}

const isService = (at: WorkspacePlan, address: Ip, tuple: Tuple): boolean =>
  at.network.services.some(
    (service) =>
      service.protocol === tuple.protocol && service.port === tuple.peerPort && service.address === formatIp(address),
  )

function sensitivePort(tuple: Tuple): DropReason | undefined {
  if (tuple.protocol === 'icmp-echo') return undefined
  if (DNS_PORTS.includes(tuple.peerPort)) return 'dns'
  return CONTROL_PLANE_PORTS.includes(tuple.peerPort) ? 'control-port' : undefined
}

/** Step 8: so that clients fail at once. A reset is never answered, and an error never sent about a group address. */
function refuse(scene: Scene, reason: DropReason): Outcome {
  const { transport, destination } = scene.packet
  const group =
    destination.family === 4
      ? destination.value >= 0xe0000000n && (destination.value < 0xf0000000n || destination.value === 0xffffffffn)
      : destination.value >> 120n === 0xffn
  let refusal: Refusal = 'icmp-prohibited'
  if (transport.kind === 'tcp') refusal = (transport.flags & RST) === 0 ? 'tcp-reset' : 'silent'
  if (group) refusal = 'silent'
  return { verdict: { kind: 'drop', reason, refusal }, state: scene.state }
}

/** Towards the workspace a refusal is not answered: the far end is not ours to talk to. */
const silent = (outcome: Outcome): Outcome =>
  outcome.verdict.kind === 'drop'
    ? { ...outcome, verdict: { ...outcome.verdict, reason: 'no-flow', refusal: 'silent' } }
    : outcome

const drop = (reason: DropReason): Verdict => ({ kind: 'drop', reason, refusal: 'silent' })

const allow = (reason: AllowReason, clause?: string, grant?: string): Verdict => ({
  kind: 'allow',
  reason,
  ...(clause === undefined ? {} : { clause }),
  ...(grant === undefined ? {} : { grant }),
})
