// `new-destination`: a workspace that is observed (the final deny is relaxed for a while, and told) goes somewhere it did not go
// while it was learnt from. The first hours of observing are all news, so nothing is told before `learnMs`; after it, a place
// that nobody saw yet is. A place is a network (a /24 or a /48, because answers of one name move within them), a protocol and a port.

import { formatIp, formatPrefix, parseIp, parsePrefix } from '../base/ip.js'
import type { Detector, Sign } from './sight.js'
import type { FindingTerms } from './terms.js'
import { Kept, MOST_SUBJECTS } from './window.js'

/** Places of one workspace that are known; a workspace with more of them is not one that a policy can be written for. */
const PLACES = 4_096

interface Known {
  readonly places: Set<string>
  sinceMs: number | undefined
}

export function newDestination(terms: FindingTerms['newDestination']): Detector<'new-destination'> {
  const workspaces = new Kept<Known>(MOST_SUBJECTS, () => ({ places: new Set(), sinceMs: undefined }))
  return {
    see: (sight) => {
      if (sight.kind !== 'flow-observed' || sight.flow.direction !== 'egress') return []
      const { workspace, policy, atMs, firstAtMs, count, flow } = sight
      const known = workspaces.get(workspace.workspace)
      known.sinceMs ??= atMs
      const place = placeOf(flow.destination, flow.protocol, flow.destinationPort)
      if (known.places.has(place)) return []
      if (known.places.size < PLACES) known.places.add(place)
      const sign: Sign<'new-destination'> = {
        finding: 'new-destination',
        cause: workspace.workspace,
        atMs,
        count,
        subject: { workspace, reach: [workspace.workspace], ...(policy ? { policy } : {}) },
      }
      if (atMs - known.sinceMs < terms.learnMs) return [sign]
      const evidence = { reason: 'destination', destination: flow.destination, place, known_places: known.places.size }
      const say = `goes to ${place} for the first time since it is observed`
      return [{ ...sign, beyond: { say, firstAtMs, count, evidence } }]
    },
  }
}

/** `45.76.9.0/24 tcp 443`. What is no address stays as it is. */
function placeOf(destination: string, protocol: number, port: number | undefined): string {
  const ip = parseIp(destination)
  const around = ip && parsePrefix(`${formatIp(ip)}/${ip.family === 6 ? 48 : 24}`)
  const network = around ? formatPrefix(around.prefix) : destination
  return `${network} ${PROTOCOLS.get(protocol) ?? `protocol ${protocol}`}${port === undefined ? '' : ` ${port}`}`
}

const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmpv6'],
])
