// Faults of plan/: why no plan was made, or why one cannot be read. Findings about clauses are notes inside them.

import { type FaultTable, faultsOf } from '../base/fault.js'
import { quote } from '../base/quote.js'

export const PLAN_FAULTS = {
  PLAN_REFUSED: {
    reaction: 'unsupported',
    say: (d: { clauses: number; workspaces: number }) =>
      `the bundle was refused whole: ${d.clauses} finding(s) in ${d.workspaces} workspace(s) that nothing here enforces`,
    remedy:
      'read the notes: each names the clause and the ways out; change the policy, or use a node that can enforce it',
  },
  PLAN_POLICY_INVALID: {
    reaction: 'reject',
    say: (d: { errors: number }) => `the policy documents of the bundle hold ${d.errors} error(s)`,
    remedy: 'run `sluice policy check` on each file and correct what the notes name',
  },
  PLAN_INVENTORY_INVALID: {
    reaction: 'reject',
    say: (d: { errors: number }) => `the inventory holds ${d.errors} error(s)`,
    remedy: 'correct what the notes name and sign the inventory again',
  },
  PLAN_DIGEST_MISMATCH: {
    reaction: 'bug',
    say: (d: { expected: string; found: string }) =>
      `the stored plan has digest ${d.found}, but ${d.expected} was recorded for it`,
    remedy: 'the state directory was changed by something else; apply the bundle again to rebuild it',
  },
  PLAN_FORMAT_UNKNOWN: {
    reaction: 'reject',
    say: (d: { found: string }) => `not a plan of this version: format ${quote(d.found)}`,
    remedy: 'make the plan again with `sluice plan`',
  },
  PLAN_QUESTION_INVALID: {
    reaction: 'reject',
    say: (d: { text: string; why: string }) => `cannot read the packet ${quote(d.text)}: ${d.why}`,
    remedy:
      "write it as 'tcp 10.9.0.2:40000 > 93.184.216.34:443', 'udp [2001:4860::2]:4000 > [2001:4860::1]:53' or 'icmp-echo 10.9.0.2 > 1.1.1.1'",
  },
} as const satisfies FaultTable

export const planFault = faultsOf(PLAN_FAULTS)
