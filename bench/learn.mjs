// What it takes to add one learned grant to the live eBPF fence, and to set or lift a quarantine: until it is in the kernel and
// read back. Packets see it at once: no generation changes. From one process to the next the median moves by a third, and within one
// hardly at all: several are made ready together and measured one after the other, and what is compared are their medians. Needs root
// and a build.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { median } from './dataplane/fence.mjs'

export const promise = 'eBPF: add one learned grant, median'
export const target = '<= 20 us'

/** The fewest that an interval is made of. */
const PROCESSES = 5
const ONCE = fileURLToPath(new URL('./learn/once.mjs', import.meta.url))

function start() {
  const child = spawn('unshare', ['-n', process.execPath, ONCE], { stdio: ['pipe', 'pipe', 'inherit'] })
  const gone = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async next() {
      const { value, done } = await lines.next()
      if (done) throw new Error('a process that measures has ended')
      return value
    },
    ask() {
      child.stdin.write('measure\n')
      return this.next()
    },
    /** On return its fence is gone as well. */
    async end() {
      child.stdin.end()
      await gone
    },
  }
}

export async function measure({ atEnd = () => undefined } = {}) {
  const processes = Array.from({ length: PROCESSES }, start)
  const end = () => Promise.all(processes.map((one) => one.end()))
  atEnd(end)
  const seen = { added: [], flagged: [] }
  try {
    for (const one of processes) await one.next()
    for (const one of processes)
      for (const [what, took] of Object.entries(JSON.parse(await one.ask()))) seen[what].push(took)
  } finally {
    await end()
  }
  const [added, flagged] = [seen.added, seen.flagged].map((each) => each.map(median))
  return {
    figure: `${median(added).toFixed(1)} us (median)`,
    rows: [`one learned grant: ${said(seen.added)}`, `a quarantine written and read back: ${said(seen.flagged)}`],
    met: median(added) <= 20,
    series: [
      { name: 'eBPF, one learned grant', unit: 'us', better: 'lower', samples: added },
      { name: 'eBPF, a quarantine written and read back', unit: 'us', better: 'lower', samples: flagged },
    ],
  }
}

const p99 = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.99)]

function said(processes) {
  const medians = processes.map(median)
  const [middle, least, most] = [median(medians), Math.min(...medians), Math.max(...medians)].map((us) => us.toFixed(1))
  const slow = p99(processes.flat())
  return `median ${middle} us (${least} to ${most} in ${processes.length} processes), p99 ${slow.toFixed(1)} us`
}
