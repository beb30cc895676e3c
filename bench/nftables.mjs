// What one learned grant costs with 100,000 grants of the plan, how long a quarantine takes under 1,000 live flows and while such a plan
// is loaded. Beside it, for people, the fence next to nothing, empty chains on its own hooks, a ruleset written by hand and the eBPF fence,
// for 10 to 100,000 grants: streams, connections a second, the cost of a small packet with keys cycled over every grant, and what the
// grants are in time and memory. That table promises nothing, since what a fence leaves of a rate is measured by the matrix, with
// intervals; a run of it (`--tell`) leaves the table out. Its columns come in an order of chance in every round, so that a busy machine
// is busy for all. Needs root and a build. BENCH_GRANTS names other sizes, the last of them the plan's; BENCH_ROUNDS other rounds, 0 none.

import { execFileSync } from 'node:child_process'
import { chance, shuffled } from '../dist/bench/statistics.js'
import { median, openBench } from './dataplane/fence.mjs'
import { openLink } from './dataplane/link.mjs'
import { blast, ebpfProgram, kernelMegabytes, openNftables, program } from './dataplane/nftables.mjs'
import { digits, slowName } from './said/short.mjs'
import { tail } from './said/tail.mjs'

export const promise = 'nftables: one learned grant, median; quarantine written and read back, 1,000 flows, p99'
export const target = '<= 0.3 ms, <= 5 ms'

const SIZES = (process.env.BENCH_GRANTS ?? '10,1000,10000,100000').split(',').map(Number)
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? (process.argv.includes('--tell') ? 0 : 5))
const MS = 800
const PACKETS = 50_000
const FLOWS = 1000
const COLUMNS = ['none', 'empty', 'hand', 'nftables', 'ebpf']
const CLAUSE = `sha256:${'ab'.repeat(32)}`

export async function measure() {
  const bench = await openBench()
  const link = await openLink()
  const nft = await openNftables()
  let generation = 0
  const commit = async (count, clauses) => {
    const memory = kernelMegabytes()
    const began = performance.now()
    const staged = await nft.driver.stage(program(++generation, count, clauses))
    const loaded = performance.now()
    await nft.driver.commit(staged)
    return { stage: loaded - began, commit: performance.now() - loaded, memory: kernelMegabytes() - memory }
  }
  // Every granted address is beyond the server, which drops what is not its own.
  execFileSync('ip', ['route', 'replace', '45.0.0.0/8', 'via', '45.0.0.1'])
  try {
    await bench.detach()
    const rows = []
    for (const grants of ROUNDS > 0 ? SIZES : [])
      rows.push(await compare(grants, { bench, link, nft, commit, next: () => ++generation }))
    if (rows.length > 0) print(rows)
    const learned = await learning(nft, commit, () => generation)
    const flagged = await quarantines(nft, link, commit, bench.workspace)
    const loading = await whileLoading(nft, bench.workspace, () => ++generation)
    const slow = { flagged: tail(flagged), learned: tail(learned) }
    const plan = SIZES.at(-1).toLocaleString('en')
    const figure = `learned ${median(learned).toFixed(3)} ms (median), quarantine ${digits(slow.flagged.value)} ms (${slowName(flagged)})`
    const said = [
      `one learned grant: p50 ${median(learned).toFixed(3)} ms, ${slow.learned.name} ${slow.learned.value.toFixed(3)} ms`,
      `quarantine: p50 ${median(flagged).toFixed(2)} ms, ${slow.flagged.name} ${slow.flagged.value.toFixed(2)} ms`,
      `quarantine while loading ${plan} grants: p50 ${median(loading).toFixed(2)} ms, longest ${Math.max(...loading).toFixed(2)} ms`,
    ]
    const series = [
      ['nftables, one learned grant', learned, {}],
      ['nftables, quarantine with 1,000 live flows', flagged, { limit: 5 }],
      [`nftables, quarantine while ${plan} grants are loaded`, loading, {}],
    ].map(([name, samples, more]) => ({ name, unit: 'ms', better: 'lower', ...more, samples }))
    return { figure, rows: said, met: slow.flagged.value <= 5 && median(learned) <= 0.3, series }
  } finally {
    link.close()
    await nft.close()
    await bench.close()
  }
}

async function compare(grants, { bench, link, nft, commit, next }) {
  const seen = Object.fromEntries(COLUMNS.map((name) => [name, []]))
  const look = async (name) => {
    await link.run('crr', 100)
    seen[name].push({
      stream: await link.run('stream', MS),
      crr: await link.run('crr', MS),
      packet: blast(link.client, grants, PACKETS),
    })
  }
  // The fence stands once, to be looked at.
  await commit(1)
  const hollow = nft.hollow()
  await nft.driver.uninstall()
  let load
  const steps = [
    () => look('none'),
    async () => {
      const unload = await nft.hand(grants)
      await look('hand')
      await unload()
    },
    async () => {
      load = await commit(grants)
      await look('nftables')
      await nft.driver.uninstall()
    },
    async () => {
      await hollow.load()
      await look('empty')
      await hollow.unload()
    },
    async () => {
      await bench.driver.commit(await bench.driver.stage(ebpfProgram(next(), grants)))
      await bench.driver.observe()
      await look('ebpf')
      await bench.detach()
    },
  ]
  for (let round = 0; round < ROUNDS; round++) for (const step of shuffled(steps, chance(round + 1))) await step()
  const middle = (name, what) => median(seen[name].map((one) => one[what]))
  const columns = COLUMNS.map((name) => [
    name,
    Object.fromEntries(['stream', 'crr', 'packet'].map((what) => [what, middle(name, what)])),
  ])
  return { grants, load, ...Object.fromEntries(columns) }
}

function print(rows) {
  console.log(`  ${'grants'.padStart(8)}  ${COLUMNS.map((name) => name.padStart(32)).join('')}`)
  for (const row of rows) {
    const cell = ({ stream, crr, packet }) =>
      `${stream.toFixed(2)} Gbit/s ${crr.toFixed(0)}/s ${packet.toFixed(0)} ns`.padStart(32)
    console.log(`  ${String(row.grants).padStart(8)}  ${COLUMNS.map((name) => cell(row[name])).join('')}`)
    const { stage, commit, memory } = row.load
    console.log(
      `            nftables: stage ${stage.toFixed(0)} ms, commit ${commit.toFixed(0)} ms, kernel memory ${memory.toFixed(0)} MB more`,
    )
  }
}

/** One at a time, each read back, with 100,000 grants of the plan present. */
async function learning(nft, commit, generationOf) {
  await commit(SIZES.at(-1), [CLAUSE])
  const generation = generationOf()
  const took = []
  for (let i = 0; i < 2000; i++) {
    const grant = {
      workspace: 'spiffe://example.org/workspace/bench/one',
      clause: CLAUSE,
      name: 'api.example',
      protocol: 'tcp',
      address: `93.184.${i >> 8}.${i & 255}`,
      port: 443,
      generation,
      expiresAtMs: Date.now() + 600_000,
    }
    const began = performance.now()
    if (!(await nft.driver.learn(generation, [grant]))) throw new Error('stale')
    took.push(performance.now() - began)
  }
  return took
}

/** From the order to the fence read back, with 1,000 flows alive; they are made anew for each. */
async function quarantines(nft, link, commit, workspace) {
  await commit(SIZES.at(-1))
  const took = []
  for (let i = 0; i < 100; i++) {
    // Some are lost where the machine is busy: until all are there.
    for (let tries = 0; Number(execFileSync('conntrack', ['-C'], { encoding: 'utf8' })) < FLOWS; tries++) {
      if (tries === 100) throw new Error(`never ${FLOWS} flows`)
      // The first addresses are a network, the server and the gateway: not all of them make a flow.
      blast(link.client, FLOWS + 20, FLOWS + 20, false)
    }
    const began = performance.now()
    await nft.driver.flag(workspace, 'quarantined', true)
    took.push(performance.now() - began)
    await nft.driver.flag(workspace, 'quarantined', false)
  }
  return took
}

/** Orders to close, all the while a plan of many grants is being loaded; what it takes to open again is not the promise. */
async function whileLoading(nft, workspace, next) {
  const took = []
  const staging = nft.driver.stage(program(next(), SIZES.at(-1)))
  let loaded = false
  const done = staging.finally(() => {
    loaded = true
  })
  while (!loaded) {
    const began = performance.now()
    await nft.driver.flag(workspace, 'quarantined', true)
    took.push(performance.now() - began)
    await nft.driver.flag(workspace, 'quarantined', false)
  }
  await nft.driver.discard(await done)
  return took
}
