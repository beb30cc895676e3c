// In a network namespace of its own: says, as one line of JSON, what a flag has done before this process's event loop turned once, what its
// line answers after a refusal, and what has its turn while grants are learnt. Arguments: a directory for the state; a slice as JSON whose first workspace has a name.

import { execFileSync, spawn } from 'node:child_process'
import { setImmediate as othersTurn } from 'node:timers/promises'
import { Aside } from '../../../src/backends/nftables/aside.js'
import { nftablesBackend } from '../../../src/backends/nftables/index.js'
import { nameKey } from '../../../src/backends/nftables/kernel-set.js'
import { SHORT } from '../../../src/backends/nftables/learn.js'
import { NftContext } from '../../../src/backends/nftables/libnftables.js'
import { Line } from '../../../src/backends/nftables/line.js'
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

/** Learns for so many addresses: what it answered, and how many are in the kernel then. */
async function learning(count: number): Promise<{ live: boolean; there: number }> {
  return { live: await learn(0, count), there: await inKernel() }
}

/**
 * Learns again and again while somebody else's transaction of many elements holds the kernel's lock: whether a timer ever had its turn while a
 * grant was not answered yet, which it cannot have where the thread of the process waits for the lock.
 */
async function besideLoad(): Promise<{ loaded: boolean; turned: boolean; live: boolean }> {
  const addresses = Array.from({ length: 100_000 }, (_, i) => `46.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  const other = spawn('nft', ['-f', '-'], { stdio: ['pipe', 'ignore', 'inherit'] })
  other.stdin.end(
    `add table ip other\nadd set ip other s { type ipv4_addr; flags interval; }\nadd element ip other s { ${addresses.join(',')} }\n`,
  )
  let turned = false
  let live = true
  while (other.exitCode === null && other.signalCode === null) {
    let hasFired = false
    const timer = setTimeout(() => {
      hasFired = true
    }, 10)
    const isLearned = await learn(0, 1)
    turned ||= hasFired
    live &&= isLearned
    clearTimeout(timer)
    await othersTurn()
  }
  return { loaded: other.exitCode === 0, turned, live }
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
  count: number,
  command: string,
): Promise<{ live: boolean; known: boolean | undefined; there: number }> {
  const { change } = Aside.prototype
  const before = await inKernel()
  Aside.prototype.change = async function (elements) {
    await change.call(this, elements)
    Aside.prototype.change = change
    execFileSync('nft', [command])
  }
  const live = await learn(first, count)
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
const learned = { first: await learning(2), again: await learning(2), short: await learning(SHORT) }
const long = { ...(await learning(SHORT + 1)), overFirst: await overFirst() }
const beside = await besideLoad()
const [{ comment: digest = '' } = {}] = elementsOf(await context.list('list set inet sluice gen'))
const elementAt = (first: number): string => `"${attached.slot.interface}" . 45.78.${first}.0 . tcp . 443`
const SWITCH = 'flush set inet sluice gen'
const meddled: Record<string, object> = {
  taken: await meddledWith(1, 1, `delete element inet sluice learned4 { ${elementAt(1)} }`),
  replaced: await meddledWith(2, 3, SWITCH),
}
await context.run(`add element inet sluice gen { 1 comment "${digest}" }\n`)
// The other process learnt one of them for a clause of its own.
const other = `add element inet sluice learned4 { ${elementAt(3)} timeout 600s : 0x77 }`
meddled.shared = await meddledWith(3, 3, `${SWITCH}; delete element inet sluice learned4 { ${elementAt(3)} }; ${other}`)
await driver.uninstall()
await driver.close()
await context.close()
console.log(JSON.stringify({ answeredAtOnce, cutAtOnce, flows, refusal, learned, long, beside, meddled }))
