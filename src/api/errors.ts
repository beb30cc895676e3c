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
  API_IDENTITY: {
    reaction: 'reject',
    say: (d: { why: string }) => `the caller cannot be named: ${d.why}`,
    remedy: 'Use a certificate with exactly one SPIFFE URI as its subject alternative name.',
  },
  API_FIELD: {
    reaction: 'reject',
    say: (d: { field: string; expected: string }) => `${d.field} must be ${d.expected}`,
    remedy: 'Correct the request.',
  },
  API_TOO_OFTEN: {
    reaction: 'retry',
    say: (d: { who: string }) => `${d.who} asks too often`,
    remedy: 'Ask again later, and less often.',
  },
  API_DEADLINE: {
    reaction: 'retry',
    say: (d: { method: string; ms: number }) => `${d.method} took longer than ${d.ms} ms`,
    remedy: 'Ask for the status: what was asked for either happened, or will when its turn comes.',
  },
  API_UNIMPLEMENTED: {
    reaction: 'unsupported',
    say: (d: { method: string }) => `this agent does not answer ${d.method}`,
    remedy: 'Ask an agent of a release or a configuration that does.',
  },
  API_CERTIFICATE: {
    reaction: 'reject',
    say: (d: { file: string; why: string }) => `${d.file} cannot be used: ${d.why}`,
    remedy: 'Put a certificate, its key and the authority of the callers there, in PEM.',
  },
} as const satisfies FaultTable

export const apiFault = faultsOf(API_FAULTS)
