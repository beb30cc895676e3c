// What it takes to verify a bundle and to compile it, from delivered octets to the encoded plan, for 10, 1,000 and 10,000
// grants: the share of the way from a published release to the fence that is not the kernel's. Sizes take turns in every round,
// so that a busy machine is busy for all; memory is that of a process of its own for each size.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ends } from './said/short.mjs'
import { tail } from './said/tail.mjs'
import { prepare } from './verify/bundle.mjs'

export const promise = 'verify and compile a bundle of 10,000 grants, a clause each'
export const target = 'p99 <= 600 ms, of 1 s from published to the fence'

const SIZES = [10, 1_000, 10_000]
const ROUNDS = 40
const TARGET_MS = 600

const at = (values, share) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]
const both = (values) => {
  const { name, value } = tail(values)
  return `p50 ${at(values, 0.5).toFixed(1)} ms, ${name} ${value.toFixed(1)} ms`
}
const peakMiB = (grants) => {
  const script = fileURLToPath(new URL('./verify/peak.mjs', import.meta.url))
  return Number(execFileSync(process.execPath, [script, String(grants)], { encoding: 'utf8' })) / 1024
}

export async function measure() {
  const sizes = []
  for (const grants of SIZES) sizes.push({ grants, ...(await prepare(grants)), verifies: [], compiles: [], totals: [] })
  for (let round = -3; round < ROUNDS; round++)
    for (const { verify, compile, verifies, compiles, totals } of sizes) {
      const began = performance.now()
      const bundle = await verify()
      const verified = performance.now()
      compile(bundle)
      const done = performance.now()
      // The first rounds are the compiler's.
      if (round < 0) continue
      verifies.push(verified - began)
      compiles.push(done - verified)
      totals.push(done - began)
    }
  const rows = sizes.flatMap(({ grants, verifies, compiles }) =>
    [
      `verified: ${both(verifies)}`,
      `compiled: ${both(compiles)}`,
      `peak of memory: ${peakMiB(grants).toFixed(0)} MiB`,
    ].map((row) => `${grants.toLocaleString('en')} grants, ${row}`),
  )
  const series = sizes.map(({ grants, totals }) => ({
    name: `${grants.toLocaleString('en')} grants, verify and compile`,
    unit: 'ms',
    better: 'lower',
    ...(grants === SIZES.at(-1) ? { limit: TARGET_MS } : {}),
    samples: totals,
  }))
  const { totals } = sizes.at(-1)
  return {
    figure: ends([['', totals]], 'ms'),
    rows,
    met: tail(totals).value <= TARGET_MS,
    series,
  }
}
