// `sluice receipt verify` of a kill: by its exit code alone a program knows whether every fence was shown, and whether all was done.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Host } from '../../../src/cli/host.js'
import type { KillView } from '../../../src/cli/witness-host.js'
import { Operator, type Said } from '../../support/operator.js'

const WS = 'spiffe://fleet.example/ws/one'
const KILLED: KillView['workspaces'][number] = {
  ...{ workspace: WS, user: 'jane', state: 'killed', fencedAtMs: 6, owed: [], steps: [] },
}
const SESSIONS = { step: 'sessions', atMs: 6, elapsedMs: 0, outcome: 'done' }
const SHOWN: KillView = {
  ...{ companion: 'spiffe://fleet.example/companion/h1', requestId: 'r-1', by: 'user:ops', reason: 'incident' },
  ...{ target: { kind: 'everything' }, askedAtMs: 5, elapsedMs: 7, partial: false, workspaces: [KILLED] },
  fences: [{ workspace: WS, proved: true }],
}
const UNSHOWN: KillView = { ...SHOWN, fences: [{ workspace: WS, proved: false, why: 'the agent gave no receipt' }] }
const WHY = `not shown: the fence of ${WS}: the agent gave no receipt\n`

let operator: Operator
beforeEach(() => {
  operator = new Operator()
  for (const name of ['kill.jws', 'companion.json', 'agents.json']) writeFileSync(join(operator.directory, name), '{}')
})
afterEach(() => {
  operator.close()
})

const verify = (view: KillView, words: string): Promise<Said> =>
  operator.sluice(
    `receipt verify kill.jws --trust companion.json ${words}`,
    (host): Host => ({ ...host, witness: { ...host.witness, verifyReceipt: () => Promise.resolve(view) } }),
  )

it.each<[string, KillView, string, number, string]>([
  ['every fence is shown', SHOWN, '--agents agents.json', 0, ''],
  ['a fence is not shown', UNSHOWN, '--agents agents.json', 2, WHY],
  ['nobody asked whether fences are shown', UNSHOWN, '', 0, ''],
  ['it was done in part', { ...SHOWN, partial: true }, '--agents agents.json', 75, ''],
  ['it was done in part, and nobody asked', { ...UNSHOWN, partial: true }, '', 75, ''],
  ['a fence is not shown, in part', { ...UNSHOWN, partial: true }, '--agents agents.json', 2, WHY],
  [
    'the disk of the companion did not take it',
    { ...SHOWN, workspaces: [{ ...KILLED, unrecorded: 'ENOSPC' }] },
    '',
    0,
    `warning: done, and not on record: ${WS}: ENOSPC\n`,
  ],
  [
    'nobody was told of the end of sessions',
    {
      ...SHOWN,
      workspaces: [KILLED, KILLED].map((one) => ({ ...one, steps: [{ ...SESSIONS, what: 'no broker \u001b[2J' }] })),
    },
    '',
    0,
    'note: sessions: "no broker \\u{1b}[2J"\n',
  ],
])('of a kill where %s', async (_what, view, words, exit, error) => {
  expect(await verify(view, words)).toMatchObject({ exit, error })
})
