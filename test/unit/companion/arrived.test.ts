// What holds arrivals against a journal has to see what is wrong with them.

import { expect, it } from 'vitest'
import { hold } from '../../support/companion/arrived.js'

const CHAIN = '11111111-1111-4111-8111-111111111111'
const OTHER = '22222222-2222-4222-8222-222222222222'
const event = (sequence: number, chain = CHAIN, say = 'x'): string => {
  const uid = `00000000-0000-4000-8000-${String(sequence).padStart(12, '0')}`
  return `{"say":"${say}","metadata":{"sequence":${sequence},"uid":"${uid}","chain_uid":"${chain}"}}`
}
const JOURNAL = [1, 2, 3, 4].map((sequence) => event(sequence))
const of = (...sequences: readonly number[]) => sequences.map((sequence) => event(sequence))

it.each([
  ['everything, once', of(1, 2, 3, 4), 4, 0, []],
  ['what came again', of(1, 2, 1, 2, 3, 4, 4), 4, 3, []],
  ['what has not come yet', of(1, 2), 2, 0, []],
  ['another trail beside it', [event(7, OTHER), ...of(1)], 1, 0, []],
  ['a gap', of(1, 2, 4), 3, 0, ['event 4 came after event 2']],
  ['a beginning that is missing', of(2), 1, 0, ['event 2 came after event 0']],
  ['another order', of(1, 3, 2), 3, 0, ['event 3 came after event 1', 'event 2 came after event 3']],
  ['another text', [event(1, CHAIN, 'y')], 1, 0, ['event 1 arrived and is not so in the journal']],
  ['an event of nobody', [...of(1, 2, 3, 4), event(5)], 5, 0, ['event 5 arrived and is not so in the journal']],
  ['no event', ['{}'], 0, 0, ['what arrived is no event: {}']],
])('%s', (_, arrived, events, again, wrong) => {
  expect(hold(JOURNAL, arrived)).toMatchObject({ events, again, wrong })
})

it('a journal that lacks a number, or has an id twice', () => {
  const { wrong } = hold([...of(1, 3), event(3)], [])
  expect(wrong).toEqual([
    'in the journal event 3 follows event 1',
    'in the journal event 3 follows event 3',
    'in the journal event 3 has the id of another',
  ])
})
