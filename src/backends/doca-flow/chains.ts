// A workspace's chains on the device: loaded beside what is live, in pieces, and unreachable until their parents are pointed at
// them. Counters of a chain that goes are kept in the totals.

import type { GrantId } from '../../plan/model.js'
import type { Count, Handle, Native, Target } from './native.js'
import { type DocaWorkspace, ends, type Forward, type Pipe } from './program.js'

/** About ten milliseconds of work; between two pieces other things have their turn. */
const PIECE = 1024

export interface LoadedPipe {
  readonly pipe: Pipe
  readonly handle: Handle
  readonly entries: readonly Handle[]
}

/** Where chains end that do not end by themselves. */
export interface Ends {
  readonly refused: Target
  /** The pipe of tracked connections; drops where there is none. */
  readonly track: Target
}

/** Queues of the Arm: refused packets, first packets of workspaces, first packets to them. */
export const QUEUES = { refused: 0, 'begins-from': 1, 'begins-to': 2 } as const
export const beginningOf = (kind: 'begins-from' | 'begins-to'): Target => ({ kind: 'queue', port: QUEUES[kind] })

export interface Chains {
  readonly at: DocaWorkspace
  /** Deepest first, as in the program. */
  readonly pipes: readonly LoadedPipe[]
  readonly port: number
}

/** Loads everything of a workspace, or nothing: what had been made is taken away again before the fault goes on. */
export async function load(
  native: Native,
  at: DocaWorkspace,
  port: number,
  generation: number,
  waitMs: number,
  ends: Ends,
): Promise<Chains> {
  const made: { pipe: Pipe; handle: Handle; entries: Handle[] }[] = []
  const target = (forward: Forward): Target => {
    switch (forward.kind) {
      case 'pipe': {
        const deeper = made[forward.pipe]
        if (!deeper) throw new TypeError('a pipe forwards to one that comes after it')
        return { kind: 'pipe', pipe: deeper.handle }
      }
      case 'wire':
        return { kind: 'port', port: 0 }
      case 'slot':
        return { kind: 'port', port }
      case 'refuse':
        return ends.refused
      case 'track':
        return ends.track
      case 'begins-from':
      case 'begins-to':
        return beginningOf(forward.kind)
      default:
        return { kind: forward.kind }
    }
  }
  try {
    for (const pipe of at.pipes) {
      const handle = native.pipe({
        name: `g${generation} p${port} ${pipe.name}`,
        kind: pipe.kind,
        root: false,
        room: pipe.learns?.room ?? pipe.entries.length,
        transport: pipe.transport,
        counted: pipe.counted && !pipe.learns,
        missCounted: pipe.counted,
        setsMeta: pipe.setsMeta,
        fields: pipe.fields,
        miss: target(pipe.miss),
      })
      const one = { pipe, handle, entries: [] as Handle[] }
      made.push(one)
      for (let from = 0; from < pipe.entries.length; from += PIECE) {
        if (from > 0) await new Promise((done) => setImmediate(done))
        const piece = pipe.entries.slice(from, from + PIECE)
        one.entries.push(
          ...native.add(
            `adding to ${pipe.name}`,
            handle,
            piece.map(({ key, mask, forward, priority, meta }) => ({
              key,
              target: target(forward),
              ...(mask ? { mask } : {}),
              ...(priority === undefined ? {} : { priority }),
              ...(pipe.zoned ? { meta: port } : meta === undefined ? {} : { meta }),
              ...(pipe.kind === 'acl' ? { transport: pipe.transport } : {}),
            })),
          ),
        )
        native.settle(`adding to ${pipe.name}`, waitMs)
      }
    }
  } catch (error) {
    destroy(native, made)
    throw error
  }
  return { at, pipes: made, port }
}

/** Parents first: nothing is forwarded to a pipe that is gone. A pipe that the device will not let go of is unreachable, and goes
 * when the device is opened anew. */
export function destroy(native: Native, pipes: readonly LoadedPipe[]): void {
  for (const { handle } of [...pipes].reverse()) native.destroyPipe(handle)
}

const NOTHING: Count = { packets: 0n, octets: 0n }
const plus = (a: Count, b: Count): Count => ({ packets: a.packets + b.packets, octets: a.octets + b.octets })

/** Adds what the chains' counters show now. Grants by id; drops by the pipe that missed. */
export function addCounts(
  native: Native,
  chains: Chains,
  grants: Map<GrantId, Count>,
  drops: Map<string, bigint>,
): void {
  for (const { pipe, handle, entries } of chains.pipes) {
    if (!pipe.counted) continue
    let fell = ends(pipe.miss) ? native.missed(handle).packets : 0n
    for (const [i, count] of native.counts(entries).entries()) {
      const entry = pipe.entries[i]
      if (entry?.grant !== undefined) grants.set(entry.grant, plus(grants.get(entry.grant) ?? NOTHING, count))
      else if (entry && ends(entry.forward)) fell += count.packets
    }
    if (fell === 0n && !ends(pipe.miss)) continue
    const reason = reasonOf(pipe.name)
    drops.set(reason, (drops.get(reason) ?? 0n) + fell)
  }
}

/** The word of `evaluate` for what a pipe lets fall. */
function reasonOf(name: string): string {
  if (name === 'from link') return 'link-layer'
  if (name.startsWith('from sources')) return 'spoof'
  return name.startsWith('to ') ? 'no-flow' : 'no-grant'
}
