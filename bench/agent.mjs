// From a signed release published to the fence read back: a real agent follows a folder, and each release changes one of its
// grants. What is timed begins when the archive is about to be put in place and ends when the agent says that the revision is
// active, which it says of what was read back: hearing of it, reading, verifying, compiling, staging, switching, recording.
// Each release finds the agent at rest: what it does after one (a look at all that stands) is not what the next one costs.
// Grants are addresses of one clause, and ten thousand are measured as clauses of their own as well, the worst form that they can have.
// BENCH_BACKEND names one backend, BENCH_ROUNDS a number of rounds for every size. Needs root and a build.

import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../dist/bench/statistics.js'
import { addresses, Node } from './agent/node.mjs'
import { digits, named, slowName } from './said/short.mjs'
import { tail } from './said/tail.mjs'

export const promise =
  'signed release published to fence read back, by grants: addresses of one clause, and 10,000 as a clause each too'
export const target = '1,000: p99 <= 250 ms; 10,000: <= 1 s in either form'

const BACKENDS = (process.env.BENCH_BACKEND ?? 'ebpf,nftables').split(',')
const SIZES = [
  { grants: 10, rounds: 10 },
  { grants: 1_000, rounds: 60, limitMs: 250 },
  { grants: 10_000, rounds: 15, limitMs: 1_000 },
  { grants: 10_000, each: true, rounds: 5, limitMs: 1_000 },
]
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? Number.POSITIVE_INFINITY)
const WARM = 3
const REST_MS = 400

export async function measure() {
  const seen = []
  for (const backend of BACKENDS) seen.push(await measureWith(backend))
  return {
    figure: slowest(seen),
    rows: seen.flatMap(({ rows }) => rows),
    met: seen.every(({ met }) => met),
    series: seen.flatMap(({ series }) => series),
  }
}

/** The slow end of every size that has a limit: `eBPF 179, nftables 236 ms with 1,000`. */
function slowest(seen) {
  const limited = SIZES.flatMap(({ limitMs, grants, each }, i) => (limitMs === undefined ? [] : [{ i, grants, each }]))
  const parts = limited.map(({ i, grants, each = false }, n) => {
    const values = seen.map(({ backend, took }) => {
      const value = digits(tail(took[i]).value)
      return n === 0 ? `${named(backend)} ${value}` : value
    })
    return `${each ? 'a clause each' : grants.toLocaleString('en')}: ${values.join(', ')}`
  })
  const lists = seen.flatMap(({ took }) => limited.map(({ i }) => took[i]))
  return `${parts.join('; ')} ms (${slowName(...lists)})`
}

async function measureWith(backend) {
  const node = await Node.open(backend)
  const rows = []
  const all = []
  const series = []
  let met = true
  try {
    for (const { grants, each = false, rounds: most, limitMs } of SIZES) {
      const rounds = Math.min(most, ROUNDS)
      const took = []
      let before = 0
      for (let round = 0; round < rounds + WARM; round++) {
        if (round === WARM) before = node.cpuMs()
        const bundle = await node.sign(addresses(grants, round), each)
        const { revision } = node
        await sleep(REST_MS)
        const from = performance.now()
        await node.publish(bundle)
        const tookMs = (await node.active(revision)) - from
        if (round >= WARM) took.push(tookMs)
      }
      const cpuMs = (node.cpuMs() - before) / rounds
      series.push({
        name: `${backend}, ${grants.toLocaleString('en')} grants${each ? ', a clause each' : ''}`,
        unit: 'ms',
        better: 'lower',
        ...(limitMs === undefined ? {} : { limit: limitMs }),
        samples: took,
      })
      all.push(took)
      const slow = tail(took)
      const name = `${named(backend)}, ${grants.toLocaleString('en')} grants${each ? ', a clause each' : ''}`
      rows.push(`${name}: p50 ${median(took).toFixed(0)} ms, ${slow.name} ${slow.value.toFixed(0)} ms`)
      rows.push(`${name}, CPU of a release: ${cpuMs.toFixed(0)} ms`)
      if (limitMs !== undefined && slow.value > limitMs) met = false
    }
  } finally {
    await node.close()
  }
  return { backend, took: all, rows, met, series }
}
