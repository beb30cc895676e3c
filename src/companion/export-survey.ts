// What a file of a trail holds, chain by chain, and what a receiver has of it: the reading half of a reconciliation, the same for the
// copy of an agent's trail and for the companion's own journal. Reads only.

import { existsSync } from 'node:fs'
import { type ChainPoint, following, readLink } from '../audit/chain.js'
import { hashOctets } from '../audit/file.js'
import { textOf } from '../audit/lines.js'
import { FIRST_CURSOR, NOTHING_SETTLED, readCursor, type Stretch } from '../audit/sinks/cursor.js'
import { type SinkConfig, selectionOf } from '../audit/sinks/open.js'
import { arrivalsOf } from '../audit/sinks/received.js'
import { eventsIn, type Received, type Reconciled, reconcile } from '../audit/sinks/reconcile.js'
import { deadFile } from '../audit/sinks/terms.js'
import { partsOf } from '../audit/walk.js'
import { causeChain, Fault } from '../base/fault.js'
import type { Epoch } from './export-record.js'

/** Events of one chain. */
export interface Surveyed {
  readonly events: number
  /** 0 where there is none. */
  readonly first: number
  readonly last: number
  /** Lines that do not follow each other, as sentences. */
  readonly wrong: readonly string[]
}
export const NOTHING: Surveyed = { events: 0, first: 0, last: 0, wrong: [] }

/** What was held against the file of the trail; absent when there was nothing to look at, or it could not be. */
export interface Looked {
  readonly held?: Reconciled & { readonly place: string; readonly unreadable: number }
  readonly unseen?: string
}

const MOST = 20

/** `file` is how people call it. `known` says which numbers of a chain are known to be wrong, or to end a gap: they are no news. */
export async function survey(
  path: string,
  file: 'copy' | 'journal',
  known: (chain: string) => ReadonlySet<number> = () => new Set(),
): Promise<{ readonly chains: ReadonlyMap<string, Surveyed>; readonly strays: readonly string[] }> {
  const chains = new Map<string, Surveyed & { wrong: string[]; before: ChainPoint; known: ReadonlySet<number> }>()
  let newest = ''
  let strays = 0
  for await (const { batches } of partsOf(path))
    for await (const { lines, torn } of batches)
      for (const line of torn ? [] : lines) {
        const link = readLink(line, hashOctets)
        const held = chains.get(link?.chain ?? newest)
        const { wrong = [], before } = held ?? {}
        const say = (what: string) => wrong.length < MOST && wrong.push(what)
        if (!link) {
          if (held) say(`a line of the ${file} after event ${before?.sequence ?? 0} is no event`)
          else strays++
          continue
        }
        const { chain, sequence } = link
        newest = chain
        const listed = held?.known ?? known(chain)
        if (!link.intact && !listed.has(sequence)) say(`event ${sequence} of the ${file} was changed`)
        if (before && following(before, link) !== 'follows' && !listed.has(sequence - 1))
          say(`event ${sequence} of the ${file} does not follow event ${before.sequence}`)
        const { events = 0, first = sequence } = held ?? {}
        chains.set(chain, { events: events + 1, first, last: sequence, wrong, before: link, known: listed })
      }
  return { chains, strays: strays > 0 ? [`${strays} lines of the ${file} before its first event are no events`] : [] }
}

/** What became of each chain at a sink, as its cursor has it, oldest first. Throws AUDIT_CURSOR_DAMAGED. */
export function stretchesOf(cursor: string): readonly Stretch[] {
  const { earlier = [], failingSinceMs: _, ...now } = readCursor(cursor) ?? FIRST_CURSOR
  return [...earlier, now].filter(({ chain }) => chain !== '')
}

export const stretchOf = (all: readonly Stretch[], { chain, from }: Omit<Epoch, 'through'>): Stretch =>
  all.find((one) => one.chain === chain) ?? { ...NOTHING_SETTLED, chain, from, sequence: from }

export interface Holding {
  /** As it is for the source whose trail this is. */
  readonly sink: SinkConfig
  /** Files that somebody brought from its receiver, oldest first. */
  readonly brought: readonly string[]
  /** Of cursors and dead letters. */
  readonly directory: string
  /** The copy, or the journal. */
  readonly path: string
  readonly chain: string
  /** Up to which event the receiver has what it will get. */
  readonly through: number
  /** It goes on, so that files which somebody brought may end before what was delivered since. */
  readonly goesOn: boolean
}

/** The receiver against the file of the trail, as far as the cursor says that it has it. */
export async function hold({ sink, brought, directory, path, chain, through, goesOn }: Holding): Promise<Looked> {
  const arrivals = arrivalsOf(sink, brought)
  if (!arrivals) return {}
  const dead = new Set<number>()
  const letters = deadFile(directory, sink.name)
  if (existsSync(letters))
    for await (const { sequence } of ofChain(
      chain,
      eventsIn([letters], () => undefined),
    ))
      dead.add(sequence)
  let unreadable = 0
  const count = (): void => {
    unreadable++
  }
  try {
    const received = ofChain(chain, arrivals.events(count))
    const settlement = { through, dead, brought: goesOn && brought.length > 0 }
    const found = await reconcile(() => wantedIn(path, chain, sink), received, settlement)
    return { held: { place: arrivals.place, ...found, unreadable } }
  } catch (error) {
    // A receiver that does not answer says nothing for or against the trail.
    if (!(error instanceof Fault && error.code === 'AUDIT_SINK_UNAVAILABLE')) throw error
    return { unseen: causeChain(error).join(': ') }
  }
}

async function* ofChain(chain: string, all: AsyncIterable<Received>): AsyncGenerator<Received> {
  for await (const one of all) if (one.chain === chain) yield one
}

async function* wantedIn(path: string, chain: string, sink: SinkConfig) {
  const select = selectionOf(sink)
  for await (const { batches } of partsOf(path))
    for await (const { lines, torn } of batches)
      for (const line of torn ? [] : lines) {
        const link = readLink(line, hashOctets)
        if (link?.chain !== chain) continue
        const { sequence, uid } = link
        yield { sequence, uid, wanted: select === undefined || select(textOf(line)) !== undefined }
      }
}
