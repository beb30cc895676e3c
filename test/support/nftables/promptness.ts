// In a network namespace of its own: says, as one line of JSON, what a flag has done before this process's event loop turned
// once, and what its line answers after a refusal. Arguments: a directory for the state.

import { nftablesBackend } from '../../../src/backends/nftables/index.js'
import { nameKey } from '../../../src/backends/nftables/kernel-set.js'
import { NftContext } from '../../../src/backends/nftables/libnftables.js'
import { Line } from '../../../src/backends/nftables/line.js'

const WORKSPACE = 'spiffe://example.org/workspace/prompt'
const [stateDirectory = ''] = process.argv.slice(2)
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

// The first one makes the tables.
await driver.flag(WORKSPACE, 'suspended', true)
const flagging = driver.flag(WORKSPACE, 'quarantined', true)
const answeredAtOnce = await settlesAtOnce(flagging)
await flagging
const cutAtOnce = await settlesAtOnce(driver.cut(WORKSPACE))
const { flows } = await driver.cut(WORKSPACE)
const refusal = await afterRefusal()
await driver.uninstall()
await driver.close()
await context.close()
console.log(JSON.stringify({ answeredAtOnce, cutAtOnce, flows, refusal }))
