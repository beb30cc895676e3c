// `denial-burst`: a workspace is refused far more often than it usually is, or at many destinations in a short time: somebody
// tries what is open. Counts refused packets that the workspace itself sent and refused operations on files; what comes from
// outside, noise of the link layer, flows that a change of plan cut, and whatever a quarantined workspace still sends are not its
// doing, or not news.

import type { Fact, Technique } from '../audit/fact.js'
import type { Detector, Sight, Sign } from './sight.js'
import type { FindingTerms } from './terms.js'
import { Kept, MOST_SUBJECTS, Recent, SlidingCount } from './window.js'

const NOT_ITS_DOING: ReadonlySet<string> = new Set(['quarantined', 'suspended', 'not-attached', 'noise', 'no-flow'])
/** Of the usual number, what one window moves. */
const LEARNING = 0.1
/** The usual number never lifts the limit above this many times `packets`: patience must not buy silence. */
const HIGHEST = 10
const SHOWN = 16
/** In place of destinations that nobody tells apart. */
const MORE = 'and more '

const SCANNING: Technique = {
  tactic: { uid: 'TA0007', name: 'Discovery' },
  technique: { uid: 'T1046', name: 'Network Service Discovery' },
}

interface Known {
  recent: SlidingCount
  destinations: Recent
  window: number
  inWindow: number
  usual: number
}

export function denialBurst(terms: FindingTerms['denialBurst']): Detector<'denial-burst'> {
  const { windowMs, packets, destinations, factor } = terms
  const nothing = () => ({
    recent: new SlidingCount(windowMs),
    destinations: new Recent(windowMs, 4 * destinations),
  })
  const workspaces = new Kept<Known>(MOST_SUBJECTS, () => ({
    ...nothing(),
    window: 0,
    inWindow: 0,
    usual: 0,
  }))
  return {
    see: (sight) => {
      const fact = refusal(sight)
      if (!fact) return []
      const { workspace, atMs, count, policy } = fact
      const known = workspaces.get(workspace.workspace)
      learn(known, Math.floor(atMs / windowMs), count)
      known.recent.add(atMs, count)
      for (const word of placesOf(fact, destinations)) known.destinations.add(word, atMs)
      const recent = known.recent.total(atMs)
      const places = known.destinations.size(atMs)
      const limit = Math.max(packets, Math.min(factor * known.usual, HIGHEST * packets))
      const swept = places >= destinations
      const sign: Sign<'denial-burst'> = {
        finding: 'denial-burst',
        cause: workspace.workspace,
        atMs,
        count,
        subject: { workspace, reach: [workspace.workspace], ...(policy ? { policy } : {}) },
      }
      if (recent < limit && !swept) return [sign]
      const seconds = windowMs / 1_000
      const say = swept
        ? `refused at ${places} or more destinations within ${seconds} s`
        : `refused ${recent} times within ${seconds} s, usually ${Math.round(known.usual)}`
      const evidence = {
        reason: swept ? 'destinations' : 'packets',
        refused: recent,
        usual: Math.round(known.usual),
        limit: Math.round(limit),
        destinations: places,
        last_destinations: known.destinations
          .words()
          .filter((word) => !word.startsWith(MORE))
          .slice(-SHOWN),
      }
      const firstAtMs = Math.max(atMs - windowMs, Math.min(fact.firstAtMs, known.destinations.firstAtMs()))
      return [
        { ...sign, beyond: { say, firstAtMs, count: recent, evidence, ...(swept ? { technique: SCANNING } : {}) } },
      ]
    },
    forget: (workspace) => {
      Object.assign(workspaces.get(workspace), nothing())
    },
  }
}

type Refusal = Extract<Fact, { readonly kind: 'flow-denied' | 'file-denied' }> & { readonly firstAtMs: number }

function refusal(sight: Sight): Refusal | undefined {
  if (sight.kind === 'file-denied') return { ...sight, firstAtMs: sight.atMs }
  if (sight.kind !== 'flow-denied' || sight.flow.direction !== 'egress') return undefined
  return NOT_ITS_DOING.has(sight.reason) ? undefined : sight
}

/** A mixed refusal stands for more destinations than the fold keeps apart, so it says so by itself. */
function placesOf(fact: Refusal, destinations: number): readonly string[] {
  if (fact.kind === 'file-denied') return []
  const { destination, destinationPort = 0, protocol } = fact.flow
  const place = `${destination} ${protocol} ${destinationPort}`
  if (fact.mixed !== true) return [place]
  return [...Array.from({ length: Math.min(fact.count, destinations) }, (_, i) => `${MORE}${i}`), place]
}

/** The usual number of a window, by those that are over; empty ones count too. */
function learn(known: Known, window: number, count: number): void {
  if (known.window === 0) known.window = window
  const passed = Math.max(0, window - known.window)
  if (passed > 0) {
    known.usual += LEARNING * (known.inWindow - known.usual)
    known.usual *= (1 - LEARNING) ** Math.min(passed - 1, 1_000)
    known.inWindow = 0
    known.window = window
  }
  known.inWindow += count
}
