// One process of bench/learn.mjs, in a network namespace of its own: a fence with a thousand grants. Prints `ready`, then answers each line
// of its input by the microseconds, as JSON, of learned grants added one after the other, and of a quarantine set and lifted. Takes its
// fence away when its input ends.

import { createInterface } from 'node:readline'
import { openBench } from '../dataplane/fence.mjs'

const GRANTS = 5_000
const FLAGS = 2_000
const CLAUSE = `sha256:${'ab'.repeat(32)}`

// From a terminal the interrupt comes to everybody; who started this one ends its input when it is to stop.
process.on('SIGINT', () => undefined)

async function measured({ driver, workspace }) {
  const expiresAtMs = Date.now() + 600_000
  const added = []
  for (let i = 0; i < GRANTS; i++) {
    const address = `93.184.${i >> 8}.${i & 255}`
    const grant = {
      workspace,
      clause: CLAUSE,
      name: 'api.example',
      protocol: 'tcp',
      address,
      port: 443,
      generation: 1,
      expiresAtMs,
    }
    const began = performance.now()
    if (!(await driver.learn(1, [grant]))) throw new Error('stale')
    added.push((performance.now() - began) * 1000)
  }
  const flagged = []
  for (let i = 0; i < FLAGS; i++) {
    const began = performance.now()
    await driver.flag(workspace, 'quarantined', i % 2 === 0)
    flagged.push((performance.now() - began) * 1000)
  }
  return { added, flagged }
}

const bench = await openBench()
try {
  await bench.driver.commit(await bench.driver.stage(bench.lower(1, 1000, 'exact', [CLAUSE])))
  await bench.driver.observe()
  const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  console.log('ready')
  while (!(await input.next()).done) console.log(JSON.stringify(await measured(bench)))
} finally {
  await bench.close()
}
