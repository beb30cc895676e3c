// What the agent holds of a large plan: resident memory after a release with 100,000 grants became active, once the engine
// has collected what it made on the way, and at the highest on the way there. BENCH_BACKEND names one backend. Needs
// root and a build.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { addresses, Node } from './agent/node.mjs'
import { named } from './said/short.mjs'

export const promise = 'agent memory, 100,000 grants as addresses of one clause'
export const target = '<= 200 MB resident'

const BACKENDS = (process.env.BENCH_BACKEND ?? 'ebpf,nftables').split(',')
const GRANTS = 100_000
/** Long enough for sweeps to have come by and for memory to be given back. */
const REST_MS = 60_000
/** Of the resident memory, in the last seconds of it. */
const LOOKS = 10

const memory = (pid, name) =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

export async function measure() {
  const seen = []
  for (const backend of BACKENDS) seen.push(await measureWith(backend))
  return {
    figure: seen.map(({ figure }) => figure).join(', '),
    rows: seen.flatMap(({ rows }) => rows),
    met: seen.every(({ met }) => met),
    series: seen.map(({ series }) => series),
  }
}

async function measureWith(backend) {
  const node = await Node.open(backend)
  try {
    const before = memory(node.pid, 'VmRSS')
    const bundle = await node.sign(addresses(GRANTS))
    const from = performance.now()
    await node.publish(bundle)
    const tookMs = (await node.active(node.revision)) - from
    await sleep(REST_MS - LOOKS * 1_000)
    const samples = []
    for (let i = 0; i < LOOKS; i++) {
      await sleep(1_000)
      samples.push(memory(node.pid, 'VmRSS'))
    }
    const [now, peak] = [memory(node.pid, 'VmRSS'), memory(node.pid, 'VmHWM')]
    const mb = (value) => `${value.toFixed(0)} MB`
    const rows = [
      `a minute later: ${mb(now)}`,
      `peak: ${mb(peak)}`,
      `without grants: ${mb(before)}`,
      `release active after: ${(tookMs / 1000).toFixed(1)} s`,
    ].map((row) => `${named(backend)}, ${row}`)
    const series = {
      name: `${backend}, resident with ${GRANTS.toLocaleString('en')} grants`,
      unit: 'MB',
      better: 'lower',
    }
    return { figure: `${named(backend)} ${mb(now)}`, rows, met: now <= 200, series: { ...series, samples } }
  } finally {
    await node.close()
  }
}
