// What a delivery is told and what it says of itself: bounds and pauses, the sink and where its cursor lies, the effects that
// it needs, and how far it is.

import { join } from 'node:path'
import type { Fact } from '../fact.js'
import type { Settled, Stretch } from './cursor.js'
import type { OutageTerms } from './outage.js'
import type { Sink, SinkLine } from './sink.js'

export interface DeliveryTerms extends OutageTerms {
  readonly maxEvents: number
  readonly maxBytes: number
  /** For one batch. */
  readonly timeoutMs: number
  /** Between two looks for new events. */
  readonly pollMs: number
  readonly deadBytes: number
}
export const DELIVERY: DeliveryTerms = {
  maxEvents: 500,
  maxBytes: 1 << 20,
  timeoutMs: 10_000,
  pollMs: 500,
  retryMs: 500,
  longestMs: 60_000,
  outageMs: 5_000,
  deadBytes: 16 << 20,
}

export interface DeliverySetting {
  readonly name: string
  readonly kind: string
  /** The journal. */
  readonly eventsFile: string
  /** Where cursor and dead letters are. */
  readonly directory: string
  readonly open: () => Promise<Sink>
  /** An event as this sink gets it; undefined: it does not want it. */
  readonly select?: (text: string) => string | undefined
  readonly terms?: Partial<DeliveryTerms>
  /** The file is a copy: every whole line of it may be handed out, since nobody gives its number to another event. */
  readonly everything?: true
  /** Hears of what the cursor moved over. */
  readonly settled?: (lines: readonly SinkLine[]) => void
}

export interface DeliveryEffects {
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** In [0, 1), for pauses. */
  readonly chance: () => number
  /** The last event of the journal that is on stable storage. */
  readonly durable: () => number
  /** Resolves after that long, or at once when woken; never rejects. */
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  /** Into the trail. */
  readonly tell: (fact: Fact) => void
}

export interface SinkStatus extends Settled {
  readonly name: string
  readonly kind: string
  /** `waiting`: everything was delivered. `stopped`: no agent runs. */
  readonly state: 'delivering' | 'waiting' | 'failing' | 'stopped'
  /** The last event that is settled, and how many of the journal are not. */
  readonly sequence: number
  readonly lag: number
  /** In which the sequence number counts; '' before the first event. */
  readonly chain?: string
  /** What became of the chains before it. */
  readonly earlier?: readonly Stretch[]
  /** When the oldest event that is on its way was made; milliseconds since 1970. */
  readonly waitingSinceMs?: number
  /** Deliveries that failed, since the agent started. */
  readonly failures: number
  /** What it failed with last, until it works again. */
  readonly error?: string
}

export const cursorFile = (directory: string, name: string): string => join(directory, `${name}.cursor.json`)
export const deadFile = (directory: string, name: string): string => join(directory, `${name}.dead.ndjson`)
