// What one packet costs in the eBPF fence, for 10 to a million grants: the first packet of a flow and one of a flow that is
// known, under exact grants and under prefixes, beside a program that does nothing on the same hook and one that only looks up
// the address in a map of the kernel as large. Each round asks for other grants than those before, so that of many none is asked for
// twice and none lies in a cache for that; of few all come again. Needs root and a build. BENCH_GRANTS names other sizes. Machines
// that do other things meanwhile: the middle of some rounds is taken, and the sizes take turns.

import { cost, median, openBench, segment } from './dataplane/fence.mjs'

export const promise = 'eBPF cost per packet: 1,000,000 exact grants against 10, keys cycled'
export const target = '<= 1.5 x'

const PACKETS = 20_000
const ROUNDS = 3
const TURNS = 3
/** Far from one key to the next, so that no two neighbours share a cache line; no divisor in common with powers of ten and two, so that
 * no key comes twice before all have come. */
const STRIDE = 618_033_989
const SIZES = (process.env.BENCH_GRANTS ?? '10,1000,10000,100000,1000000').split(',').map(Number)

const SYN = 0x02
const ACK = 0x10

const SAY = { first: 'first packet', known: 'known flow', lookup: 'one lookup in a map of the kernel' }

export async function measure() {
  const bench = await openBench()
  const seen = new Map()
  try {
    let generation = 0
    for (let turn = 0; turn < TURNS; turn++)
      for (const kind of ['exact', 'prefix'])
        for (const grants of kind === 'exact' ? SIZES : SIZES.filter((size) => size <= 65_536)) {
          const row = await one(bench, ++generation, grants, kind, turn * ROUNDS * PACKETS)
          const name = `${grants} ${kind} grants`
          seen.set(name, [...(seen.get(name) ?? []), row])
        }
  } finally {
    await bench.close()
  }
  const rows = [...seen.values()].map((turns) =>
    Object.fromEntries(
      Object.keys(turns[0]).map((key) => [
        key,
        typeof turns[0][key] === 'number' ? median(turns.map((row) => row[key])) : turns[0][key],
      ]),
    ),
  )
  console.log(
    '  ns per packet, empty program taken off    first    known   lookup    empty    stage ms   commit ms  map MiB',
  )
  for (const row of rows)
    console.log(
      `  ${`${row.grants} ${row.kind} grants`.padEnd(40)} ${['first', 'known', 'lookup', 'empty', 'stage', 'commit', 'memory'].map((name) => row[name].toFixed(name === 'commit' ? 2 : name === 'memory' ? 1 : 0).padStart(8)).join(' ')}`,
    )
  const exact = rows.filter((row) => row.kind === 'exact')
  const ratio = (name) => exact.at(-1)[name] / exact[0][name]
  const figure = `first packets ${ratio('first').toFixed(2)} x, known flows ${ratio('known').toFixed(2)} x`
  const beside = `one lookup in a map of the kernel, as large: ${ratio('lookup').toFixed(2)} x`
  const each = exact.flatMap((row) =>
    Object.entries(SAY).map(
      ([what, say]) => `${row.grants.toLocaleString('en')} grants, ${say}: ${row[what].toFixed(0)} ns`,
    ),
  )
  const series = [...seen].flatMap(([name, turns]) =>
    Object.entries(SAY).map(([what, say]) => ({
      name: `${name}, ${say}`,
      unit: 'ns',
      better: 'lower',
      samples: turns.flatMap((row) => row.rounds[what]),
    })),
  )
  return { figure, rows: [beside, ...each], met: ratio('first') <= 1.5 && ratio('known') <= 1.5, series }
}

async function one(bench, generation, grants, kind, begin) {
  const { driver, fence } = bench
  const program = bench.lower(generation, grants, kind)
  const began = performance.now()
  const staged = await driver.stage(program)
  const ready = performance.now()
  await driver.commit(staged)
  const live = performance.now()
  await driver.observe()
  const memory = memoryOf(program)
  await bench.fillTable(grants)
  const from = fence.program('fence_from')
  const first = []
  const known = []
  const empty = []
  const lookup = []
  for (let round = 0; round < ROUNDS; round++) {
    // Each its own flow.
    const pick = (i) => ((begin + round * PACKETS + i) * STRIDE) % grants
    const at = (i) => (kind === 'exact' ? pick(i) : (pick(i) << 8) | (i & 255))
    const frames = (flags) =>
      Array.from({ length: PACKETS }, (_, i) => segment(at(i), 20_000 + ((i + round) % 40_000), flags))
    const opened = cost(bench, from, frames(SYN))
    const followed = cost(bench, from, frames(ACK))
    if (opened.passed !== PACKETS || followed.passed !== PACKETS)
      throw new Error(`${opened.passed} of ${PACKETS} passed`)
    const nothing = cost(bench, bench.empty, frames(ACK)).mean
    lookup.push(cost(bench, bench.lookup, frames(ACK)).mean - nothing)
    first.push(opened.mean - nothing)
    known.push(followed.mean - nothing)
    empty.push(nothing)
    await driver.flag(bench.workspace, 'suspended', true)
    await driver.flag(bench.workspace, 'suspended', false)
    // Forgets the flows of this round.
    await driver.observe()
  }
  return {
    grants,
    kind,
    first: median(first),
    known: median(known),
    lookup: median(lookup),
    empty: median(empty),
    rounds: { first, known, lookup },
    memory,
    stage: ready - began,
    commit: live - ready,
  }
}

/** MiB of the maps of a generation: what the kernel takes for each entry, without its bookkeeping of pages. */
function memoryOf({ exact, facts, prefixes, ranges, grants }) {
  const octets = exact.count * 64 + facts.count * 96 + prefixes.count * 96 + ranges.count * 8 + grants.count * (16 + 28)
  return octets / 2 ** 20
}
