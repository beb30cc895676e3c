// What `sluice audit reconcile --companion` prints of agents whose trails agree and of one that does not, and how it exits.

import { expect, it } from 'vitest'
import type { Context } from '../../../src/cli/frame.js'
import type { TrailReconciled } from '../../../src/cli/host-companion.js'
import { trailsOutcome } from '../../../src/cli/trails.js'

const CHAIN = '01900000-0000-7000-8000-000000000001'
const GOOD: TrailReconciled = {
  ...{ name: 'n1', node: 'spiffe://fleet.example/node/n1', agrees: true, broken: false, findings: [], wrong: [] },
  epochs: [
    {
      ...{ chain: CHAIN, from: 0, journalled: 9, through: 9, pulled: 9, wrong: [] },
      sinks: [
        {
          ...{ name: 'siem', delivered: 7, dead: 1, leftOut: 1, discarded: 0, pending: 0 },
          held: { place: 'stream SLUICE', matched: 7, repeated: 0, unlooked: 0 },
        },
      ],
    },
  ],
}
const BAD: TrailReconciled = {
  ...{ ...GOOD, name: 'n2', agrees: false, broken: true, firstMissing: [CHAIN, 4, 5], unasked: 'connection refused' },
  findings: [{ found: 'events-missing', fromSequence: 4, toSequence: 5 }],
  epochs: GOOD.epochs.map((epoch) => ({
    ...epoch,
    journalled: null,
    wrong: ['siem does not have 1 events, the first of them 7'],
  })),
}

const OWN: TrailReconciled = { ...GOOD, name: 'companion', node: 'spiffe://fleet.example/companion/c1' }

const asked = (agents: readonly TrailReconciled[], own?: TrailReconciled) => {
  const host = {
    readFile: () => new Uint8Array(0),
    companion: { reconcile: () => Promise.resolve({ agents, ...(own ? { own } : {}) }) },
  }
  const context = { host, paint: (_colour: string, text: string) => text } as unknown as Context
  return trailsOutcome(context, 'companion.yaml', { received: [] })
}

it('says what became of each epoch, and exits 0 when everything agrees', async () => {
  const { text, exit, json } = await asked([GOOD])
  expect(exit).toBeUndefined()
  expect(json).toEqual({ agents: [GOOD] })
  expect(text.split('\n').map((line) => line.trim().replace(/ {2,}/g, '  '))).toEqual([
    'agrees: n1',
    'node  spiffe://fleet.example/node/n1',
    `epoch  ${CHAIN}`,
    'journalled  1 to 9',
    'pulled  9, up to 9',
    'siem  7 delivered, 1 refused, 1 left out, 0 gone, 0 waiting; 7 in stream SLUICE',
    '',
  ])
})

it('names the first range that is missing, and exits 2', async () => {
  const { text, exit } = await asked([GOOD, BAD])
  expect(exit).toBe(2)
  expect(text).toMatch(/does not agree: n2\n/)
  expect(text).toMatch(/first missing +4 to 5\n/)
  expect(text).toMatch(/found as it was pulled +events-missing 4 to 5\n/)
  expect(text).toMatch(/not asked +connection refused\n/)
  expect(text).toMatch(/journalled +not known\n/)
  expect(text).toMatch(/wrong +siem does not have 1 events, the first of them 7\n/)
})

it('says so when the companion takes no trail out', async () => {
  expect(await asked([])).toMatchObject({
    text: 'the companion takes no trail out of the machine\n',
    json: { agents: [] },
  })
})

it('says that an agent could not be asked, and exits 75 where nothing is known to be lost', async () => {
  const unasked = { ...GOOD, name: 'n3', agrees: false, unasked: 'connection refused' }
  const { text, exit } = await asked([GOOD, unasked], OWN)
  expect(exit).toBe(75)
  expect(text).toMatch(/^not known: n3\n/m)
  expect(text).toMatch(/^not asked +connection refused\n/m)
  expect(text).toMatch(/^what to do +ask again when the agent answers/m)
  expect((await asked([BAD, unasked])).exit).toBe(2)
})

it('says where nobody looked at what the receiver has', async () => {
  const epochs = GOOD.epochs.map((epoch) => ({
    ...epoch,
    sinks: epoch.sinks.map(({ held: _, ...sink }) => sink),
  }))
  const { text, exit } = await asked([{ ...GOOD, epochs }])
  expect(exit).toBeUndefined()
  expect(text).toMatch(/^siem .* 0 waiting; not looked at: --sink and --received name files of it$/m)
})

it('says what does not hold of no epoch', async () => {
  const wrong = ['the agent has journalled 1000000 events, and none of them was ever pulled']
  const { text, exit } = await asked([{ ...GOOD, agrees: false, broken: true, epochs: [], wrong }])
  expect(exit).toBe(2)
  expect(text).toMatch(/^does not agree: n1\n/)
  expect(text).toMatch(/^wrong +the agent has journalled 1000000 events, and none of them was ever pulled$/m)
})

it('has the trail of the companion itself, which nobody pulls', async () => {
  const { text, exit, json } = await asked([GOOD], OWN)
  expect([exit, json]).toEqual([undefined, { agents: [GOOD], own: OWN }])
  const [, companion = ''] = text.split('agrees: companion\n')
  expect(companion).toMatch(/^siem +7 delivered/m)
  expect(companion).not.toMatch(/^pulled/m)
  expect((await asked([GOOD], { ...OWN, agrees: false, broken: true })).exit).toBe(2)
})

it('says what could not be looked at in what was brought', async () => {
  const [epoch] = GOOD.epochs
  const [sink] = epoch?.sinks ?? []
  if (!epoch || !sink) throw new TypeError('there is one')
  const held = { place: '1 file', matched: 4, repeated: 0, unlooked: 3 }
  const short = { ...GOOD, epochs: [{ ...epoch, sinks: [{ ...sink, held }] }] }
  const { text, exit } = await asked([short])
  expect(exit).toBeUndefined()
  expect(text).toMatch(/^agrees: n1\n/)
  expect(text).toMatch(/not looked at: 3 events after what was brought\n/)
})
