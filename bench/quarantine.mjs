// From the command to the last byte: a workspace with 1,000 live flows, all of them talking, is quarantined again and again. What
// is timed is the command in this process until the flag is read back and the last packet has left the node, whichever is later.
// Needs root and a build.

import { readFileSync } from 'node:fs'
import { median, openBench } from './dataplane/fence.mjs'
import { openLink } from './dataplane/link.mjs'

export const promise = 'quarantine: command accepted to last byte, 1,000 live flows, eBPF in process'
export const target = 'p99 <= 5 ms'

const FLOWS = 1000
const ROUNDS = 200
/** How long after the command a packet is looked for. */
const WATCH_MS = 10

const wait = (ms) => new Promise((done) => setTimeout(done, ms))
/** Packets that have left by out0: the tenth number of its line. */
const sent = () =>
  Number(/out0:\s*(?:\d+\s+){9}(\d+)/.exec(readFileSync('/proc/thread-self/net/dev', 'utf8'))?.[1] ?? Number.NaN)

export async function measure() {
  const bench = await openBench()
  const link = await openLink()
  const { driver, workspace } = bench
  const took = []
  let late = 0
  try {
    await driver.commit(await driver.stage(bench.lower(1, FLOWS, 'exact', [], 'udp')))
    await link.run('flows', FLOWS)
    for (let round = 0; round < ROUNDS; round++) {
      // Every flow has spoken again since the last quarantine was lifted.
      for (const from = sent(); sent() < from + FLOWS; ) await wait(5)
      const began = performance.now()
      await driver.flag(workspace, 'quarantined', true)
      let end = performance.now()
      const until = end + WATCH_MS
      for (let last = sent(); performance.now() < until; ) {
        const now = sent()
        if (now === last) continue
        last = now
        end = performance.now()
        late++
      }
      took.push(end - began)
      await driver.flag(workspace, 'quarantined', false)
    }
  } finally {
    link.close()
    await bench.close()
  }
  const p99 = [...took].sort((a, b) => a - b)[Math.floor(took.length * 0.99)]
  const figure = `p50 ${(median(took) * 1000).toFixed(0)} us, p99 ${(p99 * 1000).toFixed(0)} us; ${late} times a packet left after the flag was read back, in ${ROUNDS} rounds`
  const series = [{ name: `eBPF, ${FLOWS} live flows`, unit: 'ms', better: 'lower', samples: took }]
  return { figure, met: p99 <= 5, series }
}
