// The attack matrix: one row for each attack that a publisher's network, registry or machine can be used for. Each attack
// begins from a node on which revision 7 is live, owns the server (and sometimes a key), and goes through `bundle pull` and
// `apply`. It must be refused with its own code, leave revision 7 live, and stand in the trail.

import { afterEach, describe, expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.js'
import { Fleet, WORKSPACE } from '../support/fleet.js'
import { files } from '../support/web.js'
import { change, jwsOf, restate, served, statementOf } from './forge.js'
import { archive, manifestEntry, member, next } from './row.js'
import { DELIVERY_ROWS } from './rows-delivery.js'
import { PARSING_ROWS } from './rows-parsing.js'
import { TRUST_ROWS } from './rows-trust.js'

const MATRIX = { ...TRUST_ROWS, ...DELIVERY_ROWS, ...PARSING_ROWS }

let fleet: Fleet
afterEach(() => fleet.close())

/** A node on which revision 7 is live. */
async function started(freshness = false): Promise<Fleet> {
  fleet = await Fleet.make({ freshness })
  await fleet.sign('bundle', 7)
  await fleet.publish('bundle')
  if (freshness) await fleet.publishFreshness('bundle')
  expect(await fleet.take()).toEqual({ exit: 0, code: 'active', say: '' })
  return fleet
}

for (const [attack, { freshness, variants }] of Object.entries(MATRIX))
  describe(attack, () => {
    test.each(variants)('%s: %s', async (_name, code, strike) => {
      const node = await started(freshness)
      await strike(node)
      expect(await node.take()).toMatchObject({ exit: code === 'TRANSPORT_TOO_SLOW' ? 75 : 2, code })
      expect(await stillLive(node)).toBe('7')
      // A server that is merely slow is asked again; everything else is a refusal, wherever it was met.
      if (code !== 'TRANSPORT_TOO_SLOW') expect(node.refusals().at(-1)).toBe(code)
    })
  })

/** From the store itself: a broken trust root keeps the command line from answering. */
async function stillLive(node: Fleet): Promise<string | undefined> {
  const state = node.json('state/state.json') as { body: { live: { source: { policyRevision: string } } | null } }
  return state.body.live?.source.policyRevision
}

describe('TOCTOU on files', () => {
  test('what was verified is what is applied, whatever happens to the file in between', async () => {
    const node = await started()
    await next(node)
    await node.pull()
    expect((await node.ask('bundle verify got.tgz --trust root.json --audience fleet.example/dev')).json.verdict).toBe(
      'accepted',
    )
    await change(node, ({ members }) => ({ members: new Map([...members].map(([path]) => [path, utf8('changed')])) }))
    node.write('got.tgz', node.published.get('channels/stable/bundle.tgz') ?? '')
    const applied = await node.ask('apply got.tgz --inventory inventory.yaml')
    expect([applied.exit, applied.json.error.code]).toEqual([2, 'BUNDLE_MEMBER_SIZE'])
    expect(await stillLive(node)).toBe('7')
  })

  test('a link in the place of a member is not followed', async () => {
    const node = await started()
    await node.sign('bundle', 8)
    node.operator.shell('mv bundle/fence.yaml elsewhere.yaml && ln -s ../elsewhere.yaml bundle/fence.yaml')
    const applied = await node.ask('apply bundle --inventory inventory.yaml')
    expect(applied.json.error.code).toBe('TRANSPORT_ENTRY')
    expect(node.refusals().at(-1)).toBe('TRANSPORT_ENTRY')
  })
})

describe('replay of an old valid release after a state wipe', () => {
  test('the whole state', async () => {
    const node = await started()
    node.operator.shell('rm -r state')
    expect(await node.take()).toMatchObject({ exit: 2, code: 'AGENT_STORE_MISSING' })
  })
  test.each(['state.json', 'trust.json', 'quarantines.json'])('%s alone', async (name) => {
    const node = await started()
    node.operator.shell(`rm state/${name}`)
    expect(await node.take()).toMatchObject({ exit: 70, code: 'AGENT_STORE_DAMAGED' })
  })
  test('an older copy of the mark', async () => {
    const node = await started()
    node.operator.shell(`sed -i 's/"revision":"7"/"revision":"1"/' state/state.json`)
    expect(await node.take()).toMatchObject({ exit: 70, code: 'AGENT_STORE_DAMAGED' })
  })
})

describe('the way back, on an operator’s word', () => {
  const bytesOf = (node: Fleet) => node.events().filter((event) => event.status_code === 'recovered')
  test('after a lost state: asked for, told as Critical, quarantines kept', async () => {
    const node = await started()
    await node.ok(`quarantine set ${WORKSPACE} --reason leak`)
    node.operator.shell('rm state/state.json')
    expect((await node.ask("recover state --reason 'disk replaced'")).json.error.code).toBe('CLI_NOT_CONFIRMED')
    expect(await node.take()).toMatchObject({ code: 'AGENT_STORE_DAMAGED' })
    node.operator.answer = true
    const recovered = await node.ask("recover state --reason 'disk replaced'")
    expect(recovered.json).toMatchObject({ what: 'state', quarantines: 1 })
    expect(bytesOf(node)).toMatchObject([{ class_uid: 2004, severity_id: 5 }])
    expect((await node.take()).code).toBe('active')
    expect((await node.ask('status')).json.quarantines).toMatchObject([{ workspace: WORKSPACE, reason: 'leak' }])
  })
  test('after a clock that ran ahead: without a word nothing is accepted, with one it goes on', async () => {
    const node = await started()
    node.operator.nowMs += 3_600_000
    await node.take()
    node.operator.nowMs -= 3_600_000
    await next(node)
    expect((await node.take()).code).toBe('AGENT_CLOCK_BACK')
    await node.ok("recover clock --yes --reason 'time server was wrong'")
    expect(bytesOf(node)).toMatchObject([{ class_uid: 2004, severity_id: 5 }])
    expect((await node.take()).code).toBe('active')
  })
})

describe('partial write, crash between mark and activation', () => {
  test('a half written file beside the state is not the state', async () => {
    const node = await started()
    node.operator.shell('head -c 100 state/state.json > state/state.json.new')
    await next(node)
    expect((await node.take()).code).toBe('active')
    expect(await stillLive(node)).toBe('8')
  })
  test('a state that is cut off is damage, and nothing changes', async () => {
    const node = await started()
    node.operator.shell('head -c 100 state/state.json > cut && cp cut state/state.json')
    await next(node)
    expect(await node.take()).toMatchObject({ exit: 70, code: 'AGENT_STORE_DAMAGED' })
  })
})

describe('hostile names in logs', () => {
  const EVIL = '\u001b]0;owned\u0007\u202e\u2028x'
  test.each([
    ['a bundle id', (node: Fleet) => restate(node, { statement: { bundle_id: EVIL } })],
    ['a channel', (node: Fleet) => restate(node, { statement: { channel: EVIL } })],
    ['a type', (node: Fleet) => restate(node, { header: { typ: EVIL } })],
    ['a member', async (node: Fleet) => archive([manifestEntry, { ...member, name: EVIL }])(node)],
  ])('%s', async (_what, strike) => {
    const node = await started()
    await strike(node)
    const pulled = await node.sluice(`bundle pull ${node.source} --out got.tgz`)
    const applied = await node.sluice('apply got.tgz --inventory inventory.yaml')
    const said = pulled.out + pulled.error + applied.out + applied.error + node.read('events.ndjson').toString('utf8')
    for (const hidden of ['\u001b', '\u0007', '\u202e', '\u2028', '\\u001b', '\\u0007', '\\u202e'])
      expect(said).not.toContain(hidden)
    expect(pulled.exit + applied.exit).toBeGreaterThan(0)
    expect(await stillLive(node)).toBe('7')
  })
})

test('the server that was used for all this is an honest one by itself', async () => {
  const node = await started()
  node.web.answer = files(node.published)
  await next(node)
  expect((await node.take()).code).toBe('active')
  expect(statementOf(jwsOf(await served(node))).policy_revision).toBe('8')
})
