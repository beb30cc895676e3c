// The link layer of the constant part: `netdev` judges frames as they come in from a slot, `arp` what the node itself asks and
// answers, `bridge` refuses everything of an attached interface that somebody made a port of a bridge, because such frames
// never reach the other tables.

import type { DropReason } from '../../plan/state.js'
import type { NftChain } from './program.js'
import { counterName, FLAG_SETS, PLACE_SETS, patternOf, type ScaffoldSet } from './scaffold.js'

const counters = (reasons: readonly DropReason[]): readonly string[] => reasons.map(counterName)
export const NETDEV_COUNTERS = counters(['quarantined', 'suspended', 'link-layer'])
export const BRIDGE_COUNTERS = counters(['link-layer'])

const ATTACHED: ScaffoldSet = { kind: 'set', name: 'attached', body: 'type ifname;', elements: [] }
const ARP_OK = 'type ifname . ether_addr . ether_addr . ipv4_addr . ipv4_addr;'

export const NETDEV_SETS: readonly ScaffoldSet[] = [
  ...FLAG_SETS,
  { kind: 'set', name: 'arp_ok', body: ARP_OK, elements: [] },
]
export const ARP_SETS: readonly ScaffoldSet[] = [...FLAG_SETS, ATTACHED, ...PLACE_SETS]
export const BRIDGE_SETS: readonly ScaffoldSet[] = [ATTACHED, ...PLACE_SETS]

/** The body of every netdev chain; ARP is judged by its sets, IP by the inet table. */
export const NETDEV_CHAINS: readonly NftChain[] = [
  {
    name: 'link',
    rules: [
      // IP is judged by the inet table, where a refusal is sampled for the audit; flags included.
      'ether type ip accept',
      'ether type ip6 accept',
      'iifname @quarantined counter name c_quarantined drop',
      'iifname @suspended counter name c_suspended drop',
      'ether type { 8021q, 8021ad } counter name c_link_layer drop',
      'ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply } iifname . ether saddr . arp saddr ether . arp saddr ip . arp daddr ip @arp_ok accept',
      'counter name c_link_layer drop',
    ],
  },
]

export const arpChains = (patterns: readonly string[]): NftChain[] => [
  {
    name: 'arp_out',
    rules: [
      'oifname @quarantined drop',
      'oifname @suspended drop',
      'oif . oifname @pairs accept',
      'oifname @attached drop',
      'oif @indexed drop',
      ...patterns.map((pattern) => `oifname ${patternOf(pattern)} drop`),
    ],
  },
  {
    name: 'arp_in',
    rules: [
      'iif . iifname @pairs accept',
      'iifname @attached drop',
      'iif @indexed drop',
      ...patterns.map((pattern) => `iifname ${patternOf(pattern)} drop`),
    ],
  },
]

export function bridgeChains(patterns: readonly string[]): NftChain[] {
  const refused = (side: 'i' | 'o'): string[] =>
    [
      `${side}ifname @attached`,
      `${side}if @indexed`,
      ...patterns.map((pattern) => `${side}ifname ${patternOf(pattern)}`),
    ].map((what) => `${what} counter name c_link_layer drop`)
  return [
    { name: 'bridge_in', rules: refused('i') },
    { name: 'bridge_out', rules: refused('o') },
  ]
}
