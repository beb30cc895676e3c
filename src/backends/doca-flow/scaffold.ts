// What stands while the device is open, whatever generation is live: a root that tells ports apart, and behind the wire a split
// by family and by the workspaces' addresses. Its entries are the parents of the workspaces' chains, and what has none is
// dropped: an open device without a plan closes everything.

import { each, fixed, NEIGHBOUR_KEYS, neighbourFields } from './chain.js'
import type { Handle, Native, PipeSpec, Target } from './native.js'
import { u8, u16 } from './octets.js'
import type { MatchField } from './program.js'
import { PARENTS } from './room.js'

const WIRE_PORT = 0
const KERNEL: Target = { kind: 'kernel' }
const DROP: Target = { kind: 'drop' }

export interface Scaffold {
  readonly root: Handle
  readonly to4: Handle
  readonly to6: Handle
  /** Where refused packets go. */
  readonly refused: Target
  /** The entry that they pass, with their count; undefined: nobody sees them. */
  readonly sampled?: Handle
  readonly tracked?: Tracking
}

/** What is asked first of everything that has ports, whoever sent it. */
export interface Tracking {
  readonly tracker: Handle
  /** By port, zone: where what belongs to a connection goes. */
  readonly belongs: Handle
  /** By port, zone and family: where the rest is asked whether it may begin one. */
  readonly begins: Handle
}

const parent = (name: string, fields: readonly MatchField[], miss: Target, root = false): PipeSpec => ({
  name,
  kind: 'basic',
  root,
  room: PARENTS,
  transport: 'none',
  counted: true,
  setsMeta: false,
  fields,
  miss,
})

/** `sampling`: the queue of refused packets is open; `tracking`: the device tracks connections, and their queues are open. */
export function buildScaffold(native: Native, waitMs: number, sampling: boolean, tracking: boolean): Scaffold {
  const tracked = tracking ? { tracked: trackingOf(native) } : {}
  const seen = sampling ? sampleOf(native) : { refused: DROP }
  // Neighbours on the wire are answered by the Arm for the workspaces behind it; nothing of theirs reaches a workspace.
  const neighbours = native.pipe({
    ...parent('wire neighbours', [fixed('ip6Next', u8(58)), ...neighbourFields()], DROP),
    transport: 'icmp6',
  })
  native.add(
    'adding neighbours',
    neighbours,
    NEIGHBOUR_KEYS.map((key) => ({ key, target: KERNEL })),
  )
  const to4 = native.pipe(parent('to addresses4', [each('ip4Destination')], DROP))
  const to6 = native.pipe(parent('to addresses6', [each('ip6Destination')], { kind: 'pipe', pipe: neighbours }))
  const wire = native.pipe(parent('wire', [fixed('tags', u8(0)), each('etherType')], DROP))
  native.add('adding the families', wire, [
    { key: u16(0x0800), target: { kind: 'pipe', pipe: to4 } },
    { key: u16(0x86dd), target: { kind: 'pipe', pipe: to6 } },
    { key: u16(0x0806), target: KERNEL },
  ])
  native.settle('preparing the scaffold', waitMs)
  // Last, so that nothing half built sees a packet.
  const root = native.pipe(parent('root', [each('inPort')], DROP, true))
  native.add('adding the wire', root, [{ key: u16(WIRE_PORT), target: { kind: 'pipe', pipe: wire } }])
  native.settle('opening the root', waitMs)
  return { root, to4, to6, ...seen, ...tracked }
}

/** Parents of every workspace again: what is known, and what is not. */
function trackingOf(native: Native): Tracking {
  const zone = [each('inPort'), each('meta')]
  const belongs = native.pipe({ ...parent('belongs', zone, DROP), room: 2 * PARENTS, counted: false })
  const begins = native.pipe({
    ...parent('begins', [...zone, each('etherType')], DROP),
    room: 4 * PARENTS,
    counted: false,
  })
  return { tracker: native.tracker(belongs, begins), belongs, begins }
}

/** A pipe cannot miss into a queue, so it misses into one whose only entry goes there: no packet with a tag comes so far. */
function sampleOf(native: Native): Pick<Scaffold, 'refused' | 'sampled'> {
  const samples = native.pipe({ ...parent('refused', [fixed('tags', u8(0))], DROP), room: 1 })
  const [sampled] = native.add('adding the sample', samples, [
    { key: new Uint8Array(), target: { kind: 'queue', port: 0 } },
  ])
  return { refused: { kind: 'pipe', pipe: samples }, ...(sampled === undefined ? {} : { sampled }) }
}
