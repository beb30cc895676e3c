// Observe mode as chains of one workspace (plan/observe.ts): what the sets granted nothing of, and what is refused for no other
// reason, passes while the interface is in `observing`, whose elements time out by themselves, with or without an agent. The
// flow is marked by the clause, so that one that began under an end that is over is not one of the next.

import type { Observation } from '../../plan/model.js'
import { nftablesFault } from './errors.js'
import { markOf } from './mark.js'
import type { ClauseMark, NftChain, ObserveMarks } from './program.js'
import { OBSERVED_COUNTER, observedSample } from './scaffold.js'

/** Throws NFT_MARK_COLLISION where a clause of a name has one of the two marks. */
export function observeMarks(workspace: string, observe: Observation, clauses: readonly ClauseMark[]): ObserveMarks {
  const begun = markOf(observe.clause)
  // Another than `begun` whatever that is, and never 0.
  const answered = begun === 0x8000_0000 ? 0x8000_0001 : (begun ^ 0x8000_0000) >>> 0
  const other = clauses.find(({ mark }) => mark === begun || mark === answered)
  if (other) throw nftablesFault('NFT_MARK_COLLISION', { workspace, clauses: [other.clause, observe.clause] })
  return { untilMs: observe.untilMs, begun, answered }
}

/** Marks in decimal and hexadecimal are the same to the kernel; this is how programs print them. */
const hex = (mark: number): string => `0x${mark.toString(16)}`

export function observeChains({ begun, answered }: ObserveMarks): NftChain[] {
  return [
    {
      name: 'from_x',
      rules: [
        'iifname != @observing goto refuse_from',
        'jump refuse_named',
        `ct mark { ${hex(begun)}, ${hex(answered)} } goto ok_from`,
        'ct state new meta l4proto != tcp goto %from_y',
        'ct state new tcp flags & (fin | syn | rst | ack) == syn goto %from_y',
        'goto f_no_grant',
      ],
    },
    {
      name: 'from_y',
      rules: [`ct mark set ${hex(begun)}`, `counter name ${OBSERVED_COUNTER}`, observedSample('o'), 'return'],
    },
    {
      name: 'to_x',
      rules: [`ct mark ${hex(answered)} return`, `ct mark ${hex(begun)} goto %to_y`, 'goto t_no_flow'],
    },
    { name: 'to_y', rules: [`ct mark set ${hex(answered)}`, observedSample('a'), 'return'] },
  ]
}
