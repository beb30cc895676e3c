// Commands that stop a workspace, timed to the last packet that left the node: 1,000 flows that talk without a pause, each packet of
// theirs stamped by the kernel where it arrives outside, and the moments of the command on the same clock. What anybody else says on
// the link (ARP, IPv6) is not looked at.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { median } from '../../dist/bench/statistics.js'
import { tail } from '../said/tail.mjs'
import { scratchFolder } from '../scratch/folder.mjs'
import { compiled } from './compiled.mjs'

export const FLOWS = 1_000
/** How long after the command a packet is looked for. */
const WATCH_MS = 30
const TALK_MS = 30_000
/** Rounds, however little time there is. */
const LEAST = 25
const OCTETS = 8

const wait = (ms) => new Promise((done) => setTimeout(done, ms))
const now = () => Number(process.hrtime.bigint())

async function start(pid, ...words) {
  const child = spawn('nsenter', ['-t', String(pid), '-n', '--', compiled('lastbyte'), ...words.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  if ((await lines.next()).value !== 'ready') throw new Error(`lastbyte ${words[0]} did not begin`)
  return {
    /** What it says last. */
    async end() {
      const gone = once(child, 'exit')
      child.stdin.end()
      const { value } = await lines.next()
      await gone
      return value
    },
  }
}

/** `talkIn` and `watchIn` are processes whose namespaces have the workspace's side and the outer end of the link, out1. `act` closes
 * and opens, and may say itself when that began and ended. Gives milliseconds of each round: until the command was done or the last
 * packet had left, whichever was later (`took`), and each by itself; fewer rounds where they take too long. */
export async function lastBytes({ talkIn, watchIn, rounds, mostMs, act }) {
  const folder = scratchFolder()
  const file = join(folder.path, 'stamps')
  const sent = () => statSync(file).size / OCTETS
  const orders = []
  try {
    const watcher = await start(watchIn, 'watch', 'out1', '10.9.0.2', file)
    const talker = await start(talkIn, 'talk', '45.0.0.1', FLOWS)
    let dropped
    try {
      const over = now() + mostMs * 1e6
      for (let round = 0; round < rounds && (round < LEAST || now() < over); round++) {
        // Every flow has spoken again since the last command was taken back.
        const from = sent()
        for (const until = now() + TALK_MS * 1e6; sent() < from + FLOWS; await wait(1))
          if (now() > until) throw new Error('the flows do not come through')
        const began = now()
        const said = await act(true)
        const order = { began, ended: now(), ...said }
        await wait(WATCH_MS)
        orders.push({ ...order, until: now() })
        await act(false)
      }
    } finally {
      await talker.end()
      dropped = Number(await watcher.end())
    }
    // A packet that was not stamped could have been the last one.
    if (dropped !== 0) throw new Error(`${dropped} packets were not stamped`)
    return judged(orders, file)
  } finally {
    folder.remove()
  }
}

function judged(orders, file) {
  const octets = readFileSync(file)
  const stamps = new BigInt64Array(octets.buffer, octets.byteOffset, octets.length / OCTETS)
  const seen = { took: [], done: [], last: [] }
  const late = { packets: 0, rounds: 0 }
  let at = 0
  for (const { began, ended, until } of orders) {
    let last = began
    let after = 0
    // The kernel's order is that of their times.
    for (; at < stamps.length && Number(stamps[at]) < until; at++) {
      last = Math.max(last, Number(stamps[at]))
      if (Number(stamps[at]) > ended) after++
    }
    late.packets += after
    if (after > 0) late.rounds++
    seen.done.push((ended - began) / 1e6)
    seen.last.push((last - began) / 1e6)
    seen.took.push((Math.max(ended, last) - began) / 1e6)
  }
  return { ...seen, late }
}

const BATCHES = 5

/** The median and the slow end, with the least and greatest of batches: of one batch it is its largest, or among its largest few. */
export function summary(took) {
  const size = Math.ceil(took.length / BATCHES)
  const tails = Array.from({ length: BATCHES }, (_, n) => took.slice(n * size, (n + 1) * size))
    .filter((batch) => batch.length > 0)
    .map((batch) => tail(batch).value)
  return {
    p50: median(took),
    slow: tail(took),
    least: Math.min(...tails),
    most: Math.max(...tails),
  }
}
