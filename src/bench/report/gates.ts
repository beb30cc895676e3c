// What is said of the gates of RFC 9411: those that failed by name and value, whether or not the rate beside them is too noisy, and
// those of which too few were tried. One that passed is not spoken of.

import type { Gate } from '../results.js'
import { percent, whole } from './number.js'

const NAMES = {
  'failed-transactions': 'failed transactions',
  'unexpected-resets': 'unexpected resets',
  'lost-packets': 'lost packets',
  'sustain-deviation': 'largest deviation of a tenth in the worst repetition',
} as const satisfies Record<Gate['name'], string>

export const failedGates = (gates: readonly Gate[]): readonly string[] =>
  gates
    .filter(({ state }) => state === 'failed')
    .map(({ name, value, limit }) => `${NAMES[name]} ${percent(value)}, limit ${percent(limit)}`)

/** Undefined where enough were tried; all gates of a cell are of the same ones. */
export function untoldGates(gates: readonly Gate[]): string | undefined {
  const few = gates.filter(({ state }) => state === 'too-few')
  const most = Math.max(...few.map(({ of }) => of ?? 0))
  const names = [...new Set(few.map(({ name }) => NAMES[name]))]
  return few.length === 0 ? undefined : `${names.join(', ')}: too few to tell (${whole(most)})`
}
