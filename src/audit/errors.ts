// Why the journal could not be opened. Writing never throws: a disk that refuses is counted and told in the trail itself.

import { faultsOf } from '../base/fault.js'
import { quote } from '../base/quote.js'

export const AUDIT_FAULTS = {
  AUDIT_JOURNAL_UNAVAILABLE: {
    reaction: 'retry',
    say: (detail: { path: string }) => `the audit journal ${quote(detail.path, 255)} cannot be opened`,
    remedy: 'Make its folder, or give the user that runs Sluice the right to write there, and try again.',
  },
  AUDIT_JOURNAL_FOREIGN: {
    reaction: 'reject',
    say: (detail: { path: string; why: string }) =>
      `${quote(detail.path, 255)} is not a journal of ours: ${detail.why}`,
    remedy: 'Move the file away, or name another one: a new journal starts where there is none.',
  },
} as const

export const auditFault = faultsOf(AUDIT_FAULTS)
