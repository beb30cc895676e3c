// `sluice doctor` about a BlueField: one line where there is none, everything that was found where there is one. The looking itself
// is tested with the backend (test/unit/doca/card.test.ts).

import { afterEach, beforeEach, expect, it } from 'vitest'
import type { CardFound, Host } from '../../../src/cli/host.js'
import { Operator } from '../../support/operator.js'

let operator: Operator
beforeEach(() => {
  operator = new Operator()
})
afterEach(() => {
  operator.close()
})

const finding =
  (card: CardFound) =>
  (host: Host): Host => ({ ...host, survey: () => Promise.resolve([]), lookForCard: () => card })

it('says in one line that there is none', async () => {
  const why = 'no BlueField: no PCI device 15b3:a2d2, a2d6 or a2dc'
  const card: CardFound = { found: false, trustDomain: 'host', probes: [{ feature: 'card', answer: 'no', why }] }
  expect(await operator.sluice('doctor', finding(card))).toMatchObject({ exit: 0, out: `\n${why}\n` })
})

it('says what it found of one, and where a fence on it would stand', async () => {
  const card: CardFound = {
    found: true,
    trustDomain: 'dpu-host-trusted',
    probes: [
      { feature: 'card', answer: 'yes', why: 'BlueField-3 at 0000:03:00.0, seen from its Arm' },
      { feature: 'bridge', answer: 'no', why: 'traffic would pass if the agent died: ovsbr1: priority 0' },
      { feature: 'firmware', answer: 'could-not-tell', why: 'flint gave no version' },
    ],
  }
  const { exit, out } = await operator.sluice('doctor', finding(card))
  expect(exit).toBe(0)
  expect(out.split('\n').map((line) => line.replace(/ {2,}/g, '  '))).toEqual([
    '',
    'BlueField (dpu-host-trusted)',
    '  feature  answer  why',
    '  card  yes  BlueField-3 at 0000:03:00.0, seen from its Arm',
    '  bridge  no  traffic would pass if the agent died: ovsbr1: priority 0',
    '  firmware  could not tell  flint gave no version',
    '',
  ])
  expect(JSON.parse((await operator.sluice('doctor --json', finding(card))).out)).toEqual({ backends: [], card })
})
