// In a network namespace of its own: says, as one line of JSON, what a flag and learned grants have done before this process's event
// loop turned once, and what its line answers after a refusal. Arguments: a directory for the state; a slice as JSON whose first workspace has a name.

import { execFileSync } from 'node:child_process'
import { nftablesBackend } from '../../../src/backends/nftables/index.js'
import { nameKey } from '../../../src/backends/nftables/kernel-set.js'
import { NftContext } from '../../../src/backends/nftables/libnftables.js'
import { Line, SHORT } from '../../../src/backends/nftables/line.js'
import { elementsOf } from '../../../src/backends/nftables/readback.js'
import type { PlanSlice } from '../../../src/plan/model.js'

const WORKSPACE = 'spiffe://example.org/workspace/prompt'
const [stateDirectory = '', text = ''] = process.argv.slice(2)
const slice = JSON.parse(text) as PlanSlice
const [attached] = slice.workspaces
const [named] = attached?.network.names ?? []
if (!attached || !named) throw new Error('the slice has no name')
const driver = await nftablesBackend.open({ attachInterfaces: [], stateDirectory })
const context = new NftContext()

/** Whether it settles by what is waiting in this turn alone. */
async function settlesAtOnce(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  void promise.then(() => {
    settled = true
  })
  for (let i = 0; i < 200; i++) await Promise.resolve()
  return settled
}

/** Three messages of one transaction that are refused, each with an answer of its own, and the next question. */
async function afterRefusal(): Promise<{ refused: boolean; there: boolean; absent: boolean }> {
  await context.run('add element inet sluice quarantined { "there" }\n')
  const line = new Line()
  const missing = ['one', 'two', 'three'].map((name) => ({
    family: 'inet' as const,
    set: 'missing',
    key: nameKey(name),
  }))
  let refused = false
  try {
    line.apply(missing)
  } catch {
    refused = true
  }
  const seen = {
    refused,
    there: line.has('quarantined', nameKey('there')),
    absent: line.has('quarantined', nameKey('two')),
  }
  line.close()
  return seen
}

const learn = (first: number, count: number): Promise<boolean> =>
  driver.learn(
    1,
    Array.from({ length: count }, (_, i) => ({
      ...{ workspace: attached.workspace, clause: named.clause, name: named.pattern, protocol: 'tcp' as const },
      ...{ address: `45.78.${first}.${i}`, port: 443, generation: 1, expiresAtMs: Date.now() + 600_000 },
    })),
  )
const inKernel = async (): Promise<number> => elementsOf(await context.list('list map inet sluice learned4')).length

/** Learns for so many addresses: whether that was over at once, what it answered, and how many are in the kernel then. */
async function learning(count: number): Promise<{ atOnce: boolean; live: boolean; there: number }> {
  const learned = learn(0, count)
  const atOnce = await settlesAtOnce(learned)
  return { atOnce, live: await learned, there: await inKernel() }
}

/** A flag that is ordered after many grants began to be learnt: what is over first. */
async function overFirst(): Promise<string> {
  const learned = learn(0, 3 * SHORT).then(() => 'learned')
  const flagged = driver.flag(WORKSPACE, 'quarantined', true).then(() => 'flagged')
  const first = await Promise.race([learned, flagged])
  await learned
  return first
}

/** Learns what somebody else meddles with before it is read back: what it answered, and whether the driver and the kernel have it. */
async function meddledWith(
  first: number,
  ...command: string[]
): Promise<{ live: boolean; known: boolean | undefined; there: number }> {
  const { apply } = Line.prototype
  const before = await inKernel()
  Line.prototype.apply = function (elements) {
    apply.call(this, elements)
    Line.prototype.apply = apply
    execFileSync('nft', command)
  }
  const live = await learn(first, 1)
  const known = (await driver.observe()).live?.learned.some(({ address }) => address === `45.78.${first}.0`)
  return { live, known, there: (await inKernel()) - before }
}

// The first one makes the tables.
await driver.flag(WORKSPACE, 'suspended', true)
const flagging = driver.flag(WORKSPACE, 'quarantined', true)
const answeredAtOnce = await settlesAtOnce(flagging)
await flagging
const cutAtOnce = await settlesAtOnce(driver.cut(WORKSPACE))
const { flows } = await driver.cut(WORKSPACE)
const refusal = await afterRefusal()
await driver.commit(await driver.stage(nftablesBackend.lower(slice)))
// What the commit left to do is done, and the kernel has been asked how it renews.
await learning(1)
await learning(1)
const learned = { first: await learning(2), again: await learning(2), short: await learning(SHORT) }
const long = { ...(await learning(SHORT + 1)), overFirst: await overFirst() }
const element = `{ "${attached.slot.interface}" . 45.78.1.0 . tcp . 443 }`
const meddled = {
  taken: await meddledWith(1, 'delete', 'element', 'inet', 'sluice', 'learned4', element),
  // Last: nothing is live after it.
  replaced: await meddledWith(2, 'flush', 'set', 'inet', 'sluice', 'gen'),
}
await driver.uninstall()
await driver.close()
await context.close()
console.log(JSON.stringify({ answeredAtOnce, cutAtOnce, flows, refusal, learned, long, meddled }))
