// The sinks of a running agent: one delivery for each, side by side, off the path of enforcement. They read the journal from
// the disk like anybody else, so a sink that is down costs its own cursor and nothing more. Also how far they are, for a node
// on which no agent runs, and the heartbeat that says it in the trail.

import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Fact, FactOf } from '../audit/fact.js'
import type { Mark } from '../audit/head.js'
import type { JournalStatus } from '../audit/journal.js'
import { type Cursor, FIRST_CURSOR, readCursor } from '../audit/sinks/cursor.js'
import { type Deliveries, runDeliveries } from '../audit/sinks/deliveries.js'
import { Delivery } from '../audit/sinks/delivery.js'
import { openSink, type SinkConfig, selectionOf } from '../audit/sinks/open.js'
import { cursorFile, type DeliveryEffects, type DeliveryTerms, type SinkStatus } from '../audit/sinks/terms.js'
import { causeChain } from '../base/fault.js'
import { policyContext } from './context.js'
import type { Activation } from './record.js'

/** In the state directory: cursors and dead letters. */
export const SINKS_DIRECTORY = 'sinks'

export interface SinksPlace {
  readonly node: string
  readonly eventsFile: string
  readonly stateDirectory: string
  readonly sinks: readonly SinkConfig[]
}

export interface SinksHost extends Pick<DeliveryEffects, 'nowMs' | 'chance' | 'sleep'> {
  readonly mark: Pick<Mark, 'read'>
  readonly journal: () => JournalStatus | undefined
  readonly emit: (facts: readonly Fact[]) => Promise<void>
  readonly terms?: Partial<DeliveryTerms>
}

export type Sinks = Pick<Deliveries, 'status' | 'stop'>

/** Begins to deliver. Never throws: what cannot be opened is tried again, and shows in the status. */
export function startSinks(place: SinksPlace, host: SinksHost): Sinks {
  const { nowMs, chance, sleep, terms = {} } = host
  const durable = durableOf(host)
  const directory = join(place.stateDirectory, SINKS_DIRECTORY)
  return runDeliveries((ending) => {
    const tell = (fact: Fact): void => {
      // The trail counts what it cannot write; when the agent stops it is closed already.
      if (!ending.aborted) void host.emit([fact])
    }
    return place.sinks.map(
      (sink) =>
        new Delivery(
          {
            name: sink.name,
            kind: sink.kind,
            eventsFile: place.eventsFile,
            directory,
            open: () => openSink(sink, { node: place.node, hostname: hostname(), nowMs }),
            ...selectOf(sink),
            terms,
          },
          { nowMs, chance, sleep, durable, tell },
        ),
    )
  })
}

/** What the mark names was synced, by whichever process; the writer of this one knows its own without the disk. */
const durableOf =
  ({ mark, journal }: Pick<SinksHost, 'mark' | 'journal'>) =>
  (): number =>
    Math.max(mark.read()?.sequence ?? 0, journal()?.sequence ?? 0)

function selectOf(sink: SinkConfig) {
  const select = selectionOf(sink)
  return select ? { select } : {}
}

/** As the cursors on the disk say it; one that cannot be read is an error of its sink. */
export function restingSinks(place: SinksPlace, mark: Pick<Mark, 'read'>): readonly SinkStatus[] {
  const last = mark.read()?.sequence ?? 0
  return place.sinks.map(({ name, kind }) => {
    const { cursor, ...wrong } = cursorOf(join(place.stateDirectory, SINKS_DIRECTORY), name)
    const { sequence, delivered, dead, leftOut, discarded } = cursor
    const lag = Math.max(0, last - sequence)
    return { name, kind, state: 'stopped', sequence, lag, delivered, dead, leftOut, discarded, failures: 0, ...wrong }
  })
}

function cursorOf(directory: string, name: string): { readonly cursor: Cursor; readonly error?: string } {
  try {
    return { cursor: readCursor(cursorFile(directory, name)) ?? FIRST_CURSOR }
  } catch (error) {
    return { cursor: FIRST_CURSOR, error: causeChain(error).join(': ') }
  }
}

/** The fact that says that the agent is there, and how far everything is. */
export function heartbeat(
  atMs: number,
  live: Activation | null,
  journal: JournalStatus | undefined,
  sinks: readonly SinkStatus[],
): FactOf<'heartbeat'> {
  return {
    kind: 'heartbeat',
    atMs,
    lastSequence: journal?.sequence ?? 0,
    lost: journal?.lost ?? 0,
    ...(live ? { policy: policyContext(live) } : {}),
    ...(sinks.length > 0
      ? {
          sinks: sinks.map(({ name: sink, sequence, lag, discarded, dead }) => ({
            ...{ sink, sequence, lag, discarded, dead },
          })),
        }
      : {}),
  }
}
