// Why a sink did not take events. There are two answers, because they ask for different things: what is unavailable is tried
// again as it is; what is refused would be refused again, so the refused event is looked for and set aside.

import { faultsOf } from '../../base/fault.js'
import { quote } from '../../base/quote.js'

export const SINK_FAULTS = {
  AUDIT_SINK_UNAVAILABLE: {
    reaction: 'retry',
    say: (detail: { sink: string; why: string; afterMs?: number }) =>
      `the sink ${quote(detail.sink)} takes no events now: ${detail.why}`,
    remedy: 'Mend the receiver or its address. Nothing is lost until the journal retires segments (`retention`).',
  },
  AUDIT_SINK_REFUSED: {
    reaction: 'reject',
    say: (detail: { sink: string; why: string }) =>
      `the sink ${quote(detail.sink)} refuses these events: ${detail.why}`,
    remedy: 'Look into the dead letters of the sink in the state directory, and at what the receiver says about them.',
  },
  AUDIT_CURSOR_DAMAGED: {
    reaction: 'bug',
    say: (detail: { file: string }) => `${quote(detail.file, 255)} is no cursor of a sink`,
    remedy: 'Restore it from a copy, or remove it: the sink then gets everything that the journal still has, again.',
  },
} as const

export const sinkFault = faultsOf(SINK_FAULTS)
