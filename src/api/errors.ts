// Fault codes of the agent's own interfaces: the socket and gRPC. What a command is refused for keeps its own code and
// crosses an interface unchanged; these are only what an interface itself refuses.

import { type FaultTable, faultsOf } from '../base/fault.js'

export const API_FAULTS = {
  API_PEER: {
    reaction: 'retry',
    say: (d: { why: string }) => `the kernel does not say who is at the other end of the socket: ${d.why}`,
    remedy: 'Run the command again.',
  },
  API_SOCKET: {
    reaction: 'retry',
    say: (d: { path: string; why: string }) => `the socket ${d.path} cannot be used: ${d.why}`,
    remedy: 'Check its folder and the rights on it; another agent may hold it.',
  },
  API_WIRE: {
    reaction: 'reject',
    say: (d: { why: string }) => `this is not a message of the socket: ${d.why}`,
    remedy: 'Use the command line of the same release as the agent.',
  },
  API_LOST: {
    reaction: 'retry',
    say: (d: { path: string }) => `the agent at ${d.path} went away before it answered`,
    remedy: 'Run `sluice status`: what it was doing either happened or did not.',
  },
  API_DENIED: {
    reaction: 'reject',
    say: (d: { who: string; what: string }) => `${d.who} may not ${d.what}`,
    remedy: 'Use an identity with a role that may, or ask somebody who has one.',
  },
} as const satisfies FaultTable

export const apiFault = faultsOf(API_FAULTS)
