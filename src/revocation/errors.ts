// Fault codes of the revocation receiver: what keeps it from hearing or from believing. What is wrong with a single SET is no fault but
// an error code for its transmitter (model.ts).

import { type FaultTable, faultsOf } from '../base/fault.js'

export const REVOCATION_FAULTS = {
  REVOCATION_KEYS: {
    reaction: 'reject',
    say: (d: { file: string; why: string }) => `the transmitter's keys ${d.file} cannot be used: ${d.why}`,
    remedy:
      'Put the JWK set of the issuer there: public keys, each with alg and kid. It is read again whenever it changes.',
  },
  REVOCATION_LISTEN: {
    reaction: 'reject',
    say: (d: { listen: string; why: string }) => `security events cannot be received on ${d.listen}: ${d.why}`,
    remedy: 'Check the address, that nothing else listens there, and the certificate with its key.',
  },
  REVOCATION_POLL: {
    reaction: 'retry',
    say: (d: { stream: string; why: string }) => `the stream ${d.stream} cannot be asked: ${d.why}`,
    remedy: 'Look at the transmitter. It is asked again by itself; until it answers its stream counts as silent.',
  },
  REVOCATION_UNMAPPED: {
    reaction: 'retry',
    say: () => 'an event is kept and not done: this node holds no inventory that says whose its workspaces are',
    remedy:
      'Apply a bundle with its inventory. What is kept is done then by itself; until then it is not acknowledged.',
  },
  REVOCATION_RECORDS: {
    reaction: 'retry',
    say: (d: { files: string }) =>
      `an event is kept, and done only for whom is known: nobody can say whose workspaces are in the damaged records ${d.files}`,
    remedy:
      'Kill what may be meant (`sluice workspace kill`). Put the records back or move them away, and start the companion again: what is kept is done then by itself.',
  },
} as const satisfies FaultTable

export const revocationFault = faultsOf(REVOCATION_FAULTS)
