// Fault codes of the mediator and of the way to its upstreams. What an upstream says of a name (no such name, refused, failed) is
// an answer and no fault; these say why there is none. Details carry names off the wire: they are quoted.

import { type FaultTable, faultsOf } from '../base/fault.js'
import { quote } from '../base/quote.js'

export const DNS_FAULTS = {
  DNS_UPSTREAM: {
    reaction: 'retry',
    say: (d: { name: string; type: string; why: string }) =>
      `no upstream answers for ${quote(d.name)} ${d.type}: ${d.why}`,
    remedy: 'Look at the causes: the addresses under `dns.upstreams`, the route to them, and their certificates.',
  },
  DNS_UPSTREAM_SILENT: {
    reaction: 'retry',
    say: (d: { from: string; limitMs: number }) => `${d.from} said nothing usable within ${d.limitMs} ms`,
    remedy: 'Look whether the server runs and whether something between drops its answers.',
  },
  DNS_UPSTREAM_LINK: {
    reaction: 'retry',
    say: (d: { from: string; why: string }) => `${d.from} cannot be used: ${d.why}`,
    remedy: 'Look at the cause: route, port, or a server that closes connections.',
  },
  DNS_UPSTREAM_IDENTITY: {
    reaction: 'reject',
    say: (d: { from: string; why: string }) => `${d.from} is not the resolver that was configured: ${d.why}`,
    remedy:
      'Check the name, the CA file and the pins. If they are right, somebody stands between this node and the resolver.',
  },
  DNS_UPSTREAM_REPLY: {
    reaction: 'retry',
    say: (d: { from: string; why: string }) => `the reply of ${d.from} cannot be used: ${d.why}`,
    remedy: 'Ask the server with `dig` and compare. Nothing of the reply was used.',
  },
} as const satisfies FaultTable

export const dnsFault = faultsOf(DNS_FAULTS)
