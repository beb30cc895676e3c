// Why an operation of the nftables backend did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../../base/fault.js'
import { quote } from '../../base/quote.js'

export const NFTABLES_FAULTS = {
  NFT_INTERFACE_NAME: {
    reaction: 'reject',
    say: (d: { interface: string }) =>
      `${quote(d.interface)} cannot be an interface of a slot: 1 to 15 letters, digits, dots, dashes and underscores`,
    remedy: 'Correct the slot in the inventory and sign it again.',
  },
  NFT_ATTACH_PATTERN: {
    reaction: 'reject',
    say: (d: { pattern: string }) =>
      `${quote(d.pattern)} is not a pattern that nftables can match: a name, or a name that ends in one star`,
    remedy: 'Correct attach.interfaces in agent.yaml.',
  },
  NFT_MARK_COLLISION: {
    reaction: 'unsupported',
    say: (d: { workspace: string; clauses: readonly string[] }) =>
      `two name clauses of ${quote(d.workspace)} have the same conntrack mark (${d.clauses.join(', ')})`,
    remedy: 'Change one of the clauses in any way that changes its digest, such as the order of its hosts.',
  },
  NFT_UNAVAILABLE: {
    reaction: 'unsupported',
    say: (d: { library: string; why: string }) => `cannot use ${d.library}: ${d.why}`,
    remedy: 'Install libnftables1, libbpf1, libmnl0 and libnetfilter-log1, and run `make native`.',
  },
  NFT_NATIVE_ABI: {
    reaction: 'unsupported',
    say: (d: { found: number; wanted: number }) =>
      `the native library has interface number ${d.found}, and this agent needs ${d.wanted}`,
    remedy: 'Build the native library of this version: make native.',
  },
  NFT_BRIDGED: {
    reaction: 'unsupported',
    say: (d: { interface: string; master: string }) =>
      `${d.interface} is a port of ${d.master}: frames between its ports never reach the inet hooks`,
    remedy: 'Take the interface out of the bridge and route to it.',
  },
  NFT_STAGE: {
    reaction: 'retry',
    say: (d: { generation: number; why: string }) => `generation ${d.generation} could not be staged: ${d.why}`,
    remedy: 'Nothing changed. See the cause; `sluice doctor` says what this machine can do.',
  },
  NFT_STATE: {
    reaction: 'retry',
    say: (d: { file: string; why: string }) => `${d.file} cannot be written: ${d.why}`,
    remedy:
      'Give the state directory space and the right to be written. What is live stays live, and quarantine works.',
  },
  NFT_STALE: {
    reaction: 'stale',
    say: (d: { generation: number; live: number }) =>
      `generation ${d.generation} is older than the live one, ${d.live}`,
    remedy: 'Compile the plan again with the next generation.',
  },
  NFT_NOT_STAGED: {
    reaction: 'stale',
    say: (d: { generation: number }) => `generation ${d.generation} is not staged, or no longer`,
    remedy: 'Stage it again.',
  },
  NFT_COMMIT: {
    reaction: 'retry',
    say: (d: { generation: number; why: string }) =>
      `generation ${d.generation} was not switched to, and what was live stays live: ${d.why}`,
    remedy: 'See the cause. The kernel took none of the transaction.',
  },
  NFT_READ_BACK: {
    reaction: 'retry',
    say: (d: { wanted: string; found: string }) => `read back ${d.found} where ${d.wanted} was written`,
    remedy: 'Another program changes the ruleset; find it with `nft monitor`, then apply again.',
  },
  NFT_CUT: {
    reaction: 'retry',
    say: (d: { why: string }) =>
      `the new rules are live, but flows that lost their grant could not be destroyed: ${d.why}`,
    remedy: 'The rules refuse their packets all the same. Apply again before giving a removed grant back.',
  },
  NFT_FLAG: {
    reaction: 'retry',
    say: (d: { workspace: string; flag: string; on: boolean; why: string }) =>
      `${d.flag} could not be ${d.on ? 'set' : 'lifted'} for ${quote(d.workspace)}: ${d.why}`,
    remedy: 'Try again; if it stays so, stop the workspace.',
  },
  NFT_PLACES: {
    reaction: 'retry',
    say: (d: { errno: number }) => `the attached interfaces could not be written to the kernel (errno ${d.errno})`,
    remedy: 'Try again. What was live stays live; an interface that is not written down is denied.',
  },
  NFT_READ: {
    reaction: 'retry',
    say: (d: { what: string; why: string }) => `cannot read ${d.what} from the kernel: ${d.why}`,
    remedy: 'Try again.',
  },
  NFT_FLOOR: {
    reaction: 'unsupported',
    say: (d: { what: string; errno: number }) => `the deny floor cannot ${d.what} (errno ${d.errno})`,
    remedy: 'It needs CAP_BPF and CAP_NET_ADMIN, and a kernel with CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS.',
  },
  NFT_DENIALS: {
    reaction: 'retry',
    say: (d: { group: number; errno: number }) =>
      `cannot read refused packets from NFLOG group ${d.group} (errno ${d.errno})`,
    remedy: 'End the other reader of the group (errno 16), or give the agent CAP_NET_ADMIN (errno 1).',
  },
} as const satisfies FaultTable

export const nftablesFault = faultsOf(NFTABLES_FAULTS)
