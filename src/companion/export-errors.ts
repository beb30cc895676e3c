// Why the trail of an agent cannot be taken out of the machine now. Findings about a trail are facts (audit/fact-export.ts).

import { type FaultTable, faultsOf } from '../base/fault.js'
import { quote } from '../base/quote.js'

export const EXPORT_FAULTS = {
  EXPORT_SINK_SHARED: {
    reaction: 'reject',
    say: (d: { sink: string; key: string }) =>
      `the sink ${quote(d.sink)} would get the events of several nodes at one place: ${d.key} does not say {agent}`,
    remedy:
      'Write `{agent}` where the name of the agent belongs, such as `archive/{agent}.ndjson` or `sluice.{agent}`.',
  },
  EXPORT_RECORD_DAMAGED: {
    reaction: 'bug',
    say: (d: { file: string }) => `${quote(d.file, 255)} is no record of a pulled trail`,
    remedy:
      'Restore it from a copy, or move it away: the companion makes it again from the copy of the trail and the cursors beside it.',
  },
  EXPORT_WRONG_NODE: {
    reaction: 'reject',
    say: (d: { agent: string; expected: string; found: string }) =>
      `the agent ${quote(d.agent)} writes the trail of ${quote(d.found, 255)}, not of ${quote(d.expected, 255)}`,
    remedy: 'Correct `node` or `address` of the agent in companion.yaml; nothing was pulled.',
  },
  EXPORT_ASIDE_FULL: {
    reaction: 'retry',
    say: (d: { file: string }) => `${quote(d.file, 255)} has no room for more lines that do not belong to the trail`,
    remedy: 'Keep the file for whoever looks into it, and move it away: pulling then goes on.',
  },
} as const satisfies FaultTable

export const exportFault = faultsOf(EXPORT_FAULTS)
