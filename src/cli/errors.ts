// Faults of the command line itself: files it cannot read or will not overwrite, and questions it cannot put. Wrong usage
// is not here: that is commander's, with exit code 64.

import { type FaultTable, faultsOf } from '../base/fault.js'
import { quote } from '../base/quote.js'

export const CLI_FAULTS = {
  CLI_FILE_UNREADABLE: {
    reaction: 'reject',
    say: (d: { what: string; path: string }) => `cannot read the ${d.what} ${d.path}`,
    remedy: 'Check the path, and that this user may read it.',
  },
  CLI_FILE_KIND: {
    reaction: 'reject',
    say: (d: { what: string; path: string }) => `the ${d.what} ${d.path} is not a regular file`,
    remedy: 'Give the path of a file; a pipe or a device is not read.',
  },
  CLI_FILE_TOO_LARGE: {
    reaction: 'reject',
    say: (d: { what: string; path: string; limit: number }) =>
      `the ${d.what} ${d.path} is larger than ${d.limit} octets`,
    remedy: 'Check that it is the right file.',
  },
  CLI_ATTACH_PLACE: {
    reaction: 'reject',
    say: (d: { ways: string }) => `name the slot in exactly one way: ${d.ways}`,
    remedy: 'Use the one that the inventory says; `sluice status` lists the slots of this node.',
  },
  CLI_KILL_TARGET: {
    reaction: 'reject',
    say: () => 'a kill names one thing: a workspace, --user, --image or --everything',
    remedy: '`sluice workspace list` shows the workspaces, users and images of this host.',
  },
  CLI_SESSION_ACTION: {
    reaction: 'reject',
    say: (d: { action: string }) => `${quote(d.action)} is nothing that is done to a session: open, close or list`,
    remedy: '`sluice workspace session --help` shows what each of them takes.',
  },
  CLI_SESSION_WORDS: {
    reaction: 'reject',
    say: (d: { action: string; missing: readonly string[] }) =>
      `\`session ${d.action}\` needs ${d.missing.join(' and ')} as well`,
    remedy: '`sluice workspace session --help` shows what each of open, close and list takes.',
  },
  CLI_FILE_EXISTS: {
    reaction: 'reject',
    say: (d: { path: string }) => `${d.path} exists already; nothing was written over`,
    remedy: 'Choose another directory, or move the file away first.',
  },
  CLI_FILE_UNWRITABLE: {
    reaction: 'retry',
    say: (d: { path: string }) => `cannot write ${d.path}`,
    remedy: 'Check that the directory exists, that this user may write there and that there is space.',
  },
  CLI_DOCUMENT_REFUSED: {
    reaction: 'reject',
    say: (d: { file: string; errors: number }) =>
      `${d.file} is not acceptable: ${d.errors === 1 ? '1 error' : `${d.errors} errors`}`,
    remedy: 'Correct the findings.',
  },
  CLI_NO_SINK: {
    reaction: 'reject',
    say: (d: { named: string; sinks: string }) =>
      d.sinks === ''
        ? 'the configuration names no sinks'
        : d.named === ''
          ? `files of a receiver belong to one sink: ${d.sinks}`
          : `there is no sink ${quote(d.named)}; there are ${d.sinks}`,
    remedy: 'Name one of the sinks of agent.yaml, or of companion.yaml with --companion, with --sink.',
  },
  CLI_NO_RECEIPT: {
    reaction: 'retry',
    say: (d: { workspace: string }) =>
      `the command was carried out on ${d.workspace}, and the node could not make a receipt of it`,
    remedy: 'Look for space in the state directory and at its agent.key, then run the command again.',
  },
  CLI_NOT_CONFIRMED: {
    reaction: 'reject',
    say: (d: { what: string }) => `${d.what}: not confirmed`,
    remedy: 'Answer yes at the prompt, or pass --yes where there is no terminal.',
  },
  CLI_NEEDS_INVENTORY: {
    reaction: 'reject',
    say: (d: { path: string }) => `${d.path} is a bundle, and a plan of it needs an inventory`,
    remedy: 'Add --inventory FILE, or give a plan file that `sluice plan --out` wrote.',
  },
  CLI_VERIFY_TERMS: {
    reaction: 'reject',
    say: (d: { missing: string }) => `verifying needs ${d.missing}`,
    remedy: 'Name the trust root and the audience, or give --config FILE to judge as that node would.',
  },
  CLI_SIGN_TERMS: {
    reaction: 'reject',
    say: (d: { missing: string }) => `signing as the author needs ${d.missing}`,
    remedy: 'Add the missing options, or leave out --author to add release signatures only.',
  },
  CLI_NO_CONFIG: {
    reaction: 'reject',
    say: (d: { tried: string }) => `no configuration found (${d.tried})`,
    remedy: 'Pass --config FILE, or write one with `sluice init DIR`.',
  },
  CLI_NOT_RELEASED: {
    reaction: 'reject',
    say: (d: { path: string }) => `${d.path} has no release statement`,
    remedy: 'Release it first with `sluice publish release`.',
  },
  CLI_NOT_DELIVERED: {
    reaction: 'reject',
    say: (d: { source: string }) => `${d.source} delivered no bundle`,
    remedy: 'Look at the log of the source: it answered as if this node had the bundle already.',
  },
  CLI_PUSH_TERMS: {
    reaction: 'reject',
    say: () => 'there is neither a released bundle nor --channel',
    remedy: 'Name the channel with --channel, or push a bundle that is released.',
  },
  CLI_RECORD: {
    reaction: 'reject',
    say: (d: { path: string; why: string }) => `${d.path} is no record that can be signed: ${d.why}`,
    remedy: 'Write it as strict JSON; `src/decide/README.md` has an example of each record.',
  },
  CLI_LIFT_TERMS: {
    reaction: 'reject',
    say: () => 'a lift names the quarantine that it lifts, and nothing else does',
    remedy: 'Add --quarantine ID to a lift (`sluice status --json` shows it), and leave it out of a quarantine.',
  },
  CLI_DECIDE_QUESTION: {
    reaction: 'reject',
    say: (d: { why: string }) => `there is nothing to decide: ${d.why}`,
    remedy:
      "Name one action, such as 'GET https://api.example.com/v1', or give the question as JSON with --question FILE.",
  },
  CLI_DECIDE_REFUSED: {
    reaction: 'unsupported',
    say: (d: { bundle: string }) => `${d.bundle} would not be activated on this machine, so nothing is decided by it`,
    remedy: 'Look at `sluice plan`: it says which clauses are neither enforced here nor delegated.',
  },
  CLI_NOTHING_OBSERVED: {
    reaction: 'reject',
    say: (d: { workspace: string; file: string }) =>
      `the journal ${d.file} holds nothing that ${quote(d.workspace)} did while it was observed`,
    remedy:
      'Check the id and the times; a workspace is observed while its FencePolicy has `observe`, and what passes comes into the journal of a node that runs `sluice agent` or `sluice watch`.',
  },
  CLI_SUGGESTION: {
    reaction: 'bug',
    say: (d: { errors: number }) => `the suggested policy has ${d.errors} finding(s), and so is not printed`,
    remedy: 'Report it with the notes.',
  },
  CLI_BENCH_PEER: {
    reaction: 'reject',
    say: (d: { address: string }) => `nobody is named whom the bench at ${d.address} may answer`,
    remedy: 'Add --peer ADDRESS, the address from which the other machine measures.',
  },
  CLI_EXPLAIN_QUESTION: {
    reaction: 'reject',
    say: (d: { why: string }) => `there is nothing to explain: ${d.why}`,
    remedy: "Ask for one packet (--packet 'tcp A:PORT > B:PORT') or one name (--name files.example.com:443).",
  },
} as const satisfies FaultTable

export const cliFault = faultsOf(CLI_FAULTS)
