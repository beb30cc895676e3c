// Messages from and to values. Requests are read field by field: what is missing, too long or out of range is refused with
// the name of the field (API_FIELD), before anything else looks at it.

import { decodeUtf8 } from '../base/bytes.js'
import { apiFault } from './errors.js'
import { v1 } from './messages.js'
import type { RequestOf, ResponseOf } from './methods.js'
import type { ActionAsked, Flow, ObligationView, SlotKind, StatusView, TenureView } from './ports.js'

const WORKSPACE = /^spiffe:\/\/[a-z0-9._-]+(?:\/[A-Za-z0-9._-]+)+$/
const MAX_ID = 2_048
const MAX_REASON = 1_024
const MAX_PACKET = 256
const MAX_PLACE = 255
const MIN_NONCE = 16
const MAX_NONCE = 64

const wrong = (field: string, expected: string) => apiFault('API_FIELD', { field, expected })

export function readWorkspace(value: string): string {
  if (value.length > MAX_ID || !WORKSPACE.test(value)) throw wrong('workspace', 'a SPIFFE URI of a workspace')
  return value
}

/** Text that a person wrote: some, bounded, on one line. */
export function readReason(value: string): string {
  const text = value.trim()
  if (text === '' || text.length > MAX_REASON || hasControl(text))
    throw wrong('reason', `1 to ${MAX_REASON} characters on one line`)
  return text
}

export function readPacket(value: string): string {
  if (value === '' || value.length > MAX_PACKET || hasControl(value)) throw wrong('packet', 'a packet as text')
  return value
}

const SLOT_KINDS: Readonly<Record<number, SlotKind | undefined>> = {
  [v1.SlotKind.SLOT_KIND_VETH]: 'veth',
  [v1.SlotKind.SLOT_KIND_TAP]: 'tap',
  [v1.SlotKind.SLOT_KIND_REPRESENTOR]: 'representor',
  [v1.SlotKind.SLOT_KIND_BRIDGE_PORT]: 'bridge-port',
  [v1.SlotKind.SLOT_KIND_CGROUP]: 'cgroup',
}

export function readAttach(request: RequestOf<'Workspaces/Attach'>) {
  const kind = SLOT_KINDS[request.kind]
  if (kind === undefined) throw wrong('kind', 'a kind of slot')
  const place = request.interface
  if (place === '' || place.length > MAX_PLACE || hasControl(place)) throw wrong('interface', 'the name of the slot')
  const { netns } = request
  if (netns !== '' && (!netns.startsWith('/') || netns.length > MAX_PLACE || hasControl(netns)))
    throw wrong('netns', 'an absolute path, or empty')
  return {
    workspace: readWorkspace(request.workspace),
    slot: { kind, interface: place },
    leaseGeneration: readLease(request.leaseGeneration),
    ...(netns === '' ? {} : { netns }),
  }
}

/** A number that JavaScript would round is refused, not rounded. */
export function readLease(value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw wrong('lease_generation', 'a number from 1 to 2^53 - 1')
  return value
}

export function readSequence(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw wrong('after_sequence', 'a number from 0 to 2^53 - 1')
  return value
}

export function readChain(value: string): string {
  if (value === '' || /^[0-9a-f-]{36}$/.test(value)) return value
  throw wrong('chain_uid', 'a UUID, or nothing')
}

const PROTOCOLS: Readonly<Record<number, Flow['protocol'] | undefined>> = {
  [v1.Protocol.PROTOCOL_TCP]: 'tcp',
  [v1.Protocol.PROTOCOL_UDP]: 'udp',
  [v1.Protocol.PROTOCOL_ICMP_ECHO]: 'icmp-echo',
}

export function readFlow(request: RequestOf<'Decision/CheckFlow'>): Flow {
  const protocol = PROTOCOLS[request.protocol]
  if (protocol === undefined) throw wrong('protocol', 'a protocol')
  const address = (field: string, value: string, optional: boolean): string => {
    if ((optional && value === '') || /^[0-9a-fA-F.:]{2,45}$/.test(value)) return value
    throw wrong(field, 'an IPv4 or IPv6 address')
  }
  const port = (field: string, value: number, optional: boolean): number => {
    const least = optional || protocol === 'icmp-echo' ? 0 : 1
    if (value < least || value > 65_535) throw wrong(field, 'a port')
    return value
  }
  return {
    protocol,
    source: address('source', request.source, true),
    sourcePort: port('source_port', request.sourcePort, true),
    destination: address('destination', request.destination, false),
    destinationPort: port('destination_port', request.destinationPort, false),
  }
}

const MAX_QUESTION = 32_768

/** The question stays text: what it means is read by whoever answers it. */
export function readQuestion({ question, audience, nonce }: RequestOf<'Decision/CheckAction'>): ActionAsked {
  const text = question.length > MAX_QUESTION ? undefined : decodeUtf8(question)
  if (text === undefined || text === '') throw wrong('question', `1 to ${MAX_QUESTION} octets of JSON`)
  if (audience === '') return { text, audience, nonce: new Uint8Array(0) }
  return { text, audience: readAudience(audience), nonce: readNonce(nonce) }
}

export const obligationMessage = ({ kind, values }: ObligationView) => ({ kind, values: [...values] })

export function readNonce(value: Uint8Array): Uint8Array {
  if (value.length < MIN_NONCE || value.length > MAX_NONCE) throw wrong('nonce', `${MIN_NONCE} to ${MAX_NONCE} octets`)
  return value
}

export function readAudience(value: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,254}$/.test(value)) throw wrong('audience', 'a name')
  return value
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const hasControl = (text: string): boolean => /[\u0000-\u001f\u007f\u2028\u2029]/.test(text)

const STATES = {
  nothing: v1.State.STATE_NOTHING,
  closed: v1.State.STATE_CLOSED,
  active: v1.State.STATE_ACTIVE,
  absent: v1.State.STATE_ABSENT,
  drifted: v1.State.STATE_DRIFTED,
  lost: v1.State.STATE_LOST,
} as const satisfies Record<StatusView['state'], number>

export function statusMessage(node: string, seen: StatusView): ResponseOf<'Enforcement/GetStatus'> {
  const { live } = seen
  return v1.GetStatusResponse.create({
    node,
    state: STATES[seen.state],
    unfinished: seen.unfinished,
    drift: [...seen.drift],
    drops: Object.fromEntries(Object.entries(seen.drops).map(([reason, count]) => [reason, Number(count)])),
    workspaces: seen.workspaces.map(({ flags, policy, ...rest }) => ({
      ...rest,
      policy: policy ?? '',
      quarantined: flags.includes('quarantined'),
      suspended: flags.includes('suspended'),
    })),
    quarantines: seen.quarantines.map(({ workspace, reason, by, atMs }) => ({ workspace, reason, by, atMs })),
    sinks: (seen.sinks ?? []).map(
      ({ name, kind, state, sequence, lag, delivered, dead, discarded, failures, error }) => ({
        ...{ name, kind, state, sequence, lag, delivered, refused: dead, discarded, failures },
        error: error ?? '',
      }),
    ),
    ...(live
      ? {
          live: {
            generation: live.generation,
            planDigest: live.planDigest,
            bundleId: live.source.bundleId,
            bundleDigest: live.source.bundleDigest,
            policyRevision: live.source.policyRevision,
            epoch: live.source.epoch,
            channel: live.source.channel,
            decidedAtMs: live.decidedAtMs,
            expiresAtMs: live.source.expiresAtMs,
          },
        }
      : {}),
  })
}

const KIND_NUMBERS = {
  veth: v1.SlotKind.SLOT_KIND_VETH,
  tap: v1.SlotKind.SLOT_KIND_TAP,
  representor: v1.SlotKind.SLOT_KIND_REPRESENTOR,
  'bridge-port': v1.SlotKind.SLOT_KIND_BRIDGE_PORT,
  cgroup: v1.SlotKind.SLOT_KIND_CGROUP,
} as const satisfies Record<SlotKind, number>

export const tenureMessage = ({
  workspace,
  attachmentId,
  leaseGeneration,
  kind,
  by,
  atMs,
  attached,
  ...at
}: TenureView) => ({
  workspace,
  attachmentId,
  leaseGeneration,
  kind: KIND_NUMBERS[kind],
  interface: at.interface,
  by,
  atMs,
  attached,
})
