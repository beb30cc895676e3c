// The constant part of the ruleset: the order of design section 5 as nft chains, the sets that say who is attached, flagged
// and alive, the reasons with their counters, and the base chains that put it all in the way of packets.
//
// Sets, counters and plain chains are inert: they may be loaded at any time. Base chains are hooks, and appear only in the
// transaction of a commit. Default policy accept: the node keeps its own traffic; whatever concerns an attached interface
// ends in `pass` or in a reason. Four tables, because a set belongs to one: `inet` judges IP; `netdev`, `arp`
// and `bridge` (linklayer.ts) the rest.

import { CONTROL_PLANE_PORTS, DNS_PORTS } from '../../base/reserved.js'
import { DROP_REASONS, type DropReason } from '../../plan/state.js'
import { neverIntervals, reservedIntervals } from './elements.js'
import { nftablesFault } from './errors.js'
import type { NftChain } from './program.js'

export const TABLE = 'sluice'
export const LOG_GROUP = 4201
/** Forwarding marks what it allowed; the deny floor (src/native/bpf/floor.bpf.c) has the same two numbers. */
const MARK_KEEP = '0xff00ffff'
const MARK_ALLOWED = '0x00510000'

/** Reasons that answer the workspace; the others are silent (design section 5, step 8). */
const ANSWERED: ReadonlySet<DropReason> = new Set(['dns', 'control-port', 'reserved', 'never', 'no-flow', 'no-grant'])
/** Seen before routing, where the interface towards the workspace is not known yet. */
const UNROUTED: ReadonlySet<DropReason> = new Set(['fragment', 'malformed'])

const word = (reason: DropReason): string => reason.replaceAll('-', '_')
export const counterName = (reason: DropReason): string => `c_${word(reason)}`

/** Flows that began although nothing grants them (observing.ts). */
export const OBSERVED_COUNTER = 'c_observed'
export const INET_COUNTERS: readonly string[] = [...DROP_REASONS.map(counterName), OBSERVED_COUNTER]

/** A sample of observed flows, with a limit of its own: `o` when one begins, `a` when it is answered for the first time. */
export const observedSample = (side: 'o' | 'a'): string =>
  `update @log_observed { ${side === 'o' ? 'iifname' : 'oifname'} limit rate 100/second burst 200 packets } log prefix "sluice:no-grant:${side}" group ${LOG_GROUP} snaplen 128`

export interface ScaffoldSet {
  readonly kind: 'set' | 'map'
  readonly name: string
  readonly body: string
  readonly elements: readonly string[]
}

const set = (name: string, body: string, elements: readonly string[] = []): ScaffoldSet => ({
  kind: 'set',
  name,
  body,
  elements,
})
const map = (name: string, body: string): ScaffoldSet => ({ kind: 'map', name, body, elements: [] })

/** Held by every table that judges by workspace, so that one transaction of a flag stops all of it. */
export const FLAG_SETS: readonly ScaffoldSet[] = [set('quarantined', 'type ifname;'), set('suspended', 'type ifname;')]

/**
 * Index and name of each attached interface, and the indexes alone: an interface that was renamed, or made again under the same
 * name, is not the one that was attached, and nothing of it passes (places.ts).
 */
export const PLACE_SETS: readonly ScaffoldSet[] = [
  set('pairs', 'type iface_index . ifname;'),
  set('indexed', 'type iface_index;'),
]

export const INET_SETS: readonly ScaffoldSet[] = [
  ...FLAG_SETS,
  // Flags by workspace (flag.ts): 128 bits of a digest, which this type holds and prints.
  set('flagged', 'type ipv6_addr;'),
  set('gen', 'type mark;'),
  ...PLACE_SETS,
  set('attached', 'type ifname;'),
  // Where what nothing grants passes, until the element times out (observing.ts).
  set('observing', 'type ifname; flags timeout;'),
  set('live', 'type ifname; flags timeout;'),
  // The same by own address, for what is judged before routing.
  ...(['quarantined', 'suspended', 'live'] as const).flatMap((name) =>
    ([4, 6] as const).map((family) =>
      set(`${name}${family}`, `type ipv${family}_addr;${name === 'live' ? ' flags timeout;' : ''}`),
    ),
  ),
  set('slot4', 'type ifname . ether_addr . ipv4_addr;'),
  set('slot6', 'type ifname . ether_addr . ipv6_addr;'),
  set('own4', 'type ipv4_addr;'),
  set('own6', 'type ipv6_addr;'),
  set('dst4', 'type ifname . ipv4_addr;'),
  set('dst6', 'type ifname . ipv6_addr;'),
  set('svc4', 'type ifname . ipv4_addr . inet_proto . inet_service;'),
  set('svc6', 'type ifname . ipv6_addr . inet_proto . inet_service;'),
  set('never4', 'type ipv4_addr; flags interval;', neverIntervals(4)),
  set('never6', 'type ipv6_addr; flags interval;', neverIntervals(6)),
  // Judged after `never`, so it may hold addresses of both.
  set('reserved4', 'type ipv4_addr; flags interval;', reservedIntervals(4)),
  set('reserved6', 'type ipv6_addr; flags interval;', reservedIntervals(6)),
  // The default timeout takes the place of a zero, which would make an element permanent.
  map('learned4', 'type ifname . ipv4_addr . inet_proto . inet_service : mark; flags timeout; timeout 30s;'),
  map('learned6', 'type ifname . ipv6_addr . inet_proto . inet_service : mark; flags timeout; timeout 30s;'),
  // Peers with a session open (sessions.ts), until each ends by itself; the default as above.
  set('sessions4', 'type ifname . ipv4_addr; flags timeout; timeout 30s;'),
  set('sessions6', 'type ifname . ipv6_addr; flags timeout; timeout 30s;'),
  map('from_ws', 'type ifname : verdict;'),
  map('to_ws', 'type ifname : verdict;'),
  map('nd_ws', 'type ifname : verdict;'),
  set('log_from', 'type ifname; size 4096; flags dynamic, timeout; timeout 1m;'),
  set('log_observed', 'type ifname; size 4096; flags dynamic, timeout; timeout 1m;'),
  set('log_to', 'type ifname; size 4096; flags dynamic, timeout; timeout 1m;'),
  set('answers', 'type ifname; size 4096; flags dynamic, timeout; timeout 1m;'),
]

const DNS = `{ ${DNS_PORTS.join(', ')} }`
const CONTROL = `{ ${CONTROL_PLANE_PORTS.join(', ')} }`
/** Headers that may stand between IPv6 and its transport (IANA, "IPv6 extension header types"), fragments apart. */
const EXTENSIONS = '{ 0, 43, 50, 51, 60, 135, 139, 140, 253, 254 }'
const V6 = 'meta nfproto ipv6'

/** Count, sample for the audit, then answer or be silent. */
function reasonChains(reason: DropReason): NftChain[] {
  const log = (side: 'f' | 't'): string => `log prefix "sluice:${reason}:${side}" group ${LOG_GROUP} snaplen 128`
  const limit = (side: 'f' | 't'): string =>
    side === 't' && UNROUTED.has(reason)
      ? 'limit rate 50/second burst 100 packets'
      : `update @log_${side === 'f' ? 'from { iifname' : 'to { oifname'} limit rate 50/second burst 100 packets }`
  const sample = (side: 'f' | 't'): string[] => (reason === 'noise' ? [] : [`${limit(side)} ${log(side)}`])
  const count = `counter name ${counterName(reason)}`
  return [
    { name: `f_${word(reason)}`, rules: [count, ...sample('f'), ANSWERED.has(reason) ? 'goto answer' : 'drop'] },
    { name: `t_${word(reason)}`, rules: [count, ...sample('t'), 'drop'] },
  ]
}

/** Headers that say that they are shorter than they can be. */
const SHORT = ['tcp doff < 5 goto f_malformed', 'udp length < 8 goto f_malformed']

/** Step 1 towards the workspace: flags and the deadline. */
const GATE_TO = [
  'oifname @quarantined goto t_quarantined',
  'oifname @suspended goto t_suspended',
  'oifname != @live goto t_suspended',
]

export function inetChains(patterns: readonly string[]): NftChain[] {
  const unattached = (side: 'iifname' | 'oifname', chain: string): string[] =>
    patterns.map((pattern) => `${side} ${patternOf(pattern)} goto ${chain}`)
  const elsewhere = ['oifname @attached goto t_not_attached', ...unattached('oifname', 't_not_attached')]
  // By index first, which is a shorter key than a name: most of what is forwarded goes to or comes from a workspace.
  const onward = ['oif @indexed goto place_ws', ...elsewhere]
  return [
    // A reset is never answered with a reset. The kernel limits ICMP errors of its own accord too (icmp_ratelimit).
    {
      name: 'answer',
      rules: [
        'tcp flags & rst == rst drop',
        'meta l4proto tcp reject with tcp reset',
        'update @answers { iifname limit rate 50/second burst 100 packets } reject with icmpx type admin-prohibited',
        'drop',
      ],
    },
    ...DROP_REASONS.flatMap(reasonChains),
    { name: 'pass', rules: [`meta mark set meta mark & ${MARK_KEEP} | ${MARK_ALLOWED}`, 'accept'] },
    // A packet that a grant covers: of a live flow, or the first of one (for TCP a pure SYN).
    ...(['from', 'to'] as const).map((side) => ({
      name: `ok_${side}`,
      rules: [
        'ct state established return',
        'ct state new meta l4proto != tcp return',
        'ct state new tcp flags & (fin | syn | rst | ack) == syn return',
        `goto ${side === 'from' ? 'f' : 't'}_no_flow`,
      ],
    })),
    // Step 8 with its words: the first that fits, in the order of the text.
    {
      name: 'refuse_named',
      rules: [
        'ip daddr @never4 goto f_never',
        'ip6 daddr @never6 goto f_never',
        'ip daddr @reserved4 goto f_reserved',
        'ip6 daddr @reserved6 goto f_reserved',
        `meta l4proto { tcp, udp } th dport ${DNS} goto f_dns`,
        `meta l4proto { tcp, udp } th dport ${CONTROL} goto f_control_port`,
      ],
    },
    { name: 'refuse_from', rules: ['jump refuse_named', 'goto f_no_grant'] },
    // Errors, redirects and anything else than echo never leave a workspace.
    {
      name: 'from_icmp',
      rules: [
        'icmp type { 3, 4, 5, 11, 12 } goto f_icmp_error',
        'icmp type != { 0, 8 } goto f_no_grant',
        'icmpv6 type { 0-127, 135, 136, 137 } goto f_icmp_error',
        'icmpv6 type != { 128, 129 } goto f_no_grant',
      ],
    },
    { name: 'from_echo', rules: ['icmp type 0 goto f_no_flow', 'icmpv6 type 129 goto f_no_flow'] },
    { name: 'echo_none', rules: ['jump from_echo', 'goto refuse_from'] },
    // Errors about live flows, or path MTU discovery breaks; no redirects. Neighbour discovery is the fence's own.
    {
      name: 'to_icmp',
      rules: [
        'icmp type { 3, 11, 12 } ct state related goto pass',
        'icmp type { 3, 4, 5, 11, 12 } goto t_icmp_error',
        'icmpv6 type { 1, 2, 3, 4 } ct state related goto pass',
        'icmpv6 type { 0-127, 137 } goto t_icmp_error',
        'icmpv6 type { 134, 135, 136 } goto t_link_layer',
      ],
    },
    // An attached interface without an entry is judged by nobody, and so refused.
    { name: 'judge_from', rules: ['iifname vmap @from_ws', 'goto f_no_grant'] },
    { name: 'judge_to', rules: ['oifname vmap @to_ws', 'goto t_no_flow'] },
    {
      name: 'nd',
      rules: [
        'ip6 hoplimit != 255 goto f_link_layer',
        'icmpv6 code != 0 goto f_link_layer',
        'iifname vmap @nd_ws',
        'goto f_link_layer',
      ],
    },
    // Steps 1 to 3, before conntrack puts fragments together (-400). The families part early: most packets are not read twice.
    {
      name: 'raw_from',
      rules: [
        'iifname @quarantined goto f_quarantined',
        'iifname @suspended goto f_suspended',
        'iifname != @live goto f_suspended',
        `${V6} goto raw_from6`,
        'udp dport { 67, 547 } ip frag-off & 0x1fff == 0 goto f_noise',
        'iifname . ether saddr . ip saddr != @slot4 goto f_spoof',
        'ip frag-off & 0x3fff != 0 goto f_fragment',
        'ip hdrlength != 5 goto f_malformed',
        ...SHORT,
        'accept',
      ],
    },
    {
      name: 'raw_from6',
      rules: [
        'ip6 nexthdr udp udp dport { 67, 547 } goto f_noise',
        'ip6 nexthdr icmpv6 icmpv6 type { 130, 131, 132, 133, 143 } goto f_noise',
        'ip6 nexthdr 0 ip6 daddr ff02::16 goto f_noise',
        'ip6 nexthdr icmpv6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } goto nd',
        'iifname . ether saddr . ip6 saddr != @slot6 goto f_spoof',
        'ip6 nexthdr 44 goto f_fragment',
        `ip6 nexthdr ${EXTENSIONS} goto f_malformed`,
        ...SHORT,
        'accept',
      ],
    },
    {
      name: 'raw_to',
      rules: [
        'ip frag-off & 0x3fff != 0 jump gate_raw',
        'ip frag-off & 0x3fff != 0 goto t_fragment',
        'ip hdrlength != 5 jump gate_raw',
        'ip hdrlength != 5 goto t_malformed',
        'ip6 nexthdr 44 jump gate_raw',
        'ip6 nexthdr 44 goto t_fragment',
        `ip6 nexthdr ${EXTENSIONS} jump gate_raw`,
        `ip6 nexthdr ${EXTENSIONS} goto t_malformed`,
      ],
    },
    // Step 1 comes first for these too; which interface they would go to is not known yet, so it goes by address.
    {
      name: 'gate_raw',
      rules: (['quarantined', 'suspended', 'live'] as const).flatMap((name) =>
        ([4, 6] as const).map(
          (family) =>
            `${family === 4 ? 'ip' : 'ip6'} daddr ${name === 'live' ? '!= ' : ''}@${name}${family} goto t_${name === 'live' ? 'suspended' : name}`,
        ),
      ),
    },
    { name: 'gate_to', rules: GATE_TO },
    {
      name: 'forward_to',
      rules: [
        'jump gate_to',
        // Where the node translates, a reply was not known for one before routing (capability `translated`).
        'ip hdrlength != 5 goto t_malformed',
        `ip6 nexthdr ${EXTENSIONS} goto t_malformed`,
        'meta nfproto ipv4 oifname . ip daddr != @dst4 goto t_spoof',
        `${V6} oifname . ip6 daddr != @dst6 goto t_spoof`,
      ],
    },
    // The node's own services: only what the fence answers for this workspace, and replies to what an ingress grant let
    // the node itself ask. A grant of one of the node's addresses does not open the node.
    {
      name: 'in_ws',
      rules: [
        'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept',
        'meta l4proto { icmp, ipv6-icmp } jump from_icmp',
        'iifname . ip daddr . meta l4proto . th dport @svc4 accept',
        'iifname . ip6 daddr . meta l4proto . th dport @svc6 accept',
        'ct state established ct direction reply jump judge_from',
        'ct state established ct direction reply accept',
        'goto refuse_from',
      ],
    },
    // What the fence itself says: neighbour discovery, its refusals, its services; else only what ingress grants.
    {
      name: 'out_ws',
      rules: [
        'jump gate_to',
        'icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 goto pass',
        // What a node says to every link, of itself or for its services: nothing that the workspace is owed.
        'ip6 daddr ff00::/8 goto t_noise',
        'ip daddr 224.0.0.0/4 goto t_noise',
        'tcp flags & rst == rst goto pass',
        'icmp type { 3, 11, 12 } goto pass',
        'icmpv6 type { 1, 2, 3, 4 } goto pass',
        'oifname . ip saddr . meta l4proto . th sport @svc4 goto pass',
        'oifname . ip6 saddr . meta l4proto . th sport @svc6 goto pass',
        'ct direction original jump judge_to',
        'ct direction original goto pass',
        'goto t_no_flow',
      ],
    },
    {
      name: 'raw_rules',
      rules: [
        `meta mark & 0x00ff0000 == ${MARK_ALLOWED} meta mark set meta mark & ${MARK_KEEP}`,
        'iif . iifname @pairs goto raw_from',
        'iifname @attached goto f_not_attached',
        'iif @indexed goto f_not_attached',
        ...unattached('iifname', 'f_not_attached'),
        'ip saddr @own4 goto f_spoof',
        'ip6 saddr @own6 goto f_spoof',
        // Whom it is for matters only where there is something to refuse.
        'ip frag-off & 0x3fff != 0 ip daddr @own4 jump raw_to',
        'ip hdrlength != 5 ip daddr @own4 jump raw_to',
        `ip6 nexthdr 44 ip6 daddr @own6 jump raw_to`,
        `ip6 nexthdr ${EXTENSIONS} ip6 daddr @own6 jump raw_to`,
      ],
    },
    {
      name: 'forward_rules',
      // A name that is attached under another index did not come past `raw_rules`, unless somebody emptied `indexed`.
      rules: ['iif @indexed goto forward_from', 'iifname @attached goto f_not_attached', ...onward],
    },
    { name: 'forward_from', rules: ['jump judge_from', ...onward, 'goto pass'] },
    { name: 'place_ws', rules: ['oif . oifname @pairs goto forward_ws', 'goto t_not_attached'] },
    { name: 'forward_ws', rules: ['jump forward_to', 'jump judge_to', 'goto pass'] },
    { name: 'input_rules', rules: ['iifname @attached goto in_ws'] },
    {
      name: 'output_rules',
      rules: ['oif . oifname @pairs goto out_ws', 'oif @indexed goto t_not_attached', ...elsewhere],
    },
  ]
}

export interface Hook {
  readonly family: 'inet' | 'arp' | 'bridge'
  readonly chain: string
  readonly hook: string
  readonly priority: number
  readonly rules: string
}

/** Base chains: one rule each, so that a repair never has to touch a hook. */
export const HOOKS: readonly Hook[] = [
  { family: 'inet', chain: 'hook_prerouting', hook: 'prerouting', priority: -450, rules: 'jump raw_rules' },
  { family: 'inet', chain: 'hook_forward', hook: 'forward', priority: 0, rules: 'jump forward_rules' },
  { family: 'inet', chain: 'hook_input', hook: 'input', priority: 0, rules: 'jump input_rules' },
  { family: 'inet', chain: 'hook_output', hook: 'output', priority: 0, rules: 'jump output_rules' },
  { family: 'arp', chain: 'hook_arp_input', hook: 'input', priority: 0, rules: 'jump arp_in' },
  { family: 'arp', chain: 'hook_arp_output', hook: 'output', priority: 0, rules: 'jump arp_out' },
  // Before a bridge's own filters look at it.
  { family: 'bridge', chain: 'hook_bridge_prerouting', hook: 'prerouting', priority: -450, rules: 'jump bridge_in' },
  { family: 'bridge', chain: 'hook_bridge_input', hook: 'input', priority: -450, rules: 'jump bridge_in' },
  { family: 'bridge', chain: 'hook_bridge_forward', hook: 'forward', priority: -450, rules: 'jump bridge_out' },
  { family: 'bridge', chain: 'hook_bridge_output', hook: 'output', priority: -450, rules: 'jump bridge_out' },
]

/** A shell pattern as nft has it: a name, or a name and one star at its end. Throws NFT_ATTACH_PATTERN. */
export function patternOf(pattern: string): string {
  if (!/^(?:[A-Za-z0-9_.-]{1,15}|[A-Za-z0-9_.-]{1,14}\*)$/.test(pattern))
    throw nftablesFault('NFT_ATTACH_PATTERN', { pattern })
  return `"${pattern}"`
}

/** Whether an interface's name is one of these patterns. */
export const matchesPattern = (name: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern))
