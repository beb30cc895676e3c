// Why a run of the bench, or a comparison, did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../base/fault.js'
import { quote } from '../base/quote.js'

export const BENCH_FAULTS = {
  BENCH_RESULTS: {
    reaction: 'reject',
    say: (d: { file: string; where: string; why: string }) =>
      `${d.file} holds no results of a bench${d.where === '' ? '' : ` (${quote(d.where)})`}: ${d.why}`,
    remedy: 'Give a results.json that `sluice bench` of this release wrote.',
  },
  BENCH_APART: {
    reaction: 'reject',
    say: (d: { before: string; after: string; why: string }) =>
      `${d.before} and ${d.after} have too little in common to say that nothing got slower: ${d.why}`,
    remedy: 'Measure both with the same release of sluice, the same options (--quick, --only), on the same machine.',
  },
  BENCH_GROUND: {
    reaction: 'unsupported',
    say: (d: { why: string }) => `there is no ground to measure on: ${d.why}`,
    remedy: 'Run it as root, with iproute2 and util-linux installed, after `make build native`.',
  },
  BENCH_NOTHING: {
    reaction: 'reject',
    say: (d: { named: string; known: string }) =>
      `nothing that is called ${quote(d.named)} is measured; there are ${d.known}`,
    remedy: 'Name variants, questions or files of bench/ with --only.',
  },
  BENCH_PEER: {
    reaction: 'retry',
    say: (d: { address: string; port: number }) => `nobody answers the bench at ${d.address} from port ${d.port} on`,
    remedy: 'Run `sluice bench --server ADDRESS --peer THIS-MACHINE` there, and let TCP to four ports pass.',
  },
  BENCH_TIME: {
    reaction: 'retry',
    say: (d: { ms: number; stood: number }) =>
      `${d.ms} ms were over when ${d.stood} connections stood, and there was room for more`,
    remedy: 'Measure on a machine with nothing else to do; one that is too slow has no figure of it.',
  },
} as const satisfies FaultTable

export const benchFault = faultsOf(BENCH_FAULTS)
