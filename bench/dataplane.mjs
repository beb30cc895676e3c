// What one packet costs in the eBPF fence, for 10 to a million grants: the first packet of a flow and one of a flow that is
// known, under exact grants and under prefixes, beside a program that does nothing on the same hook and one that only looks up
// the address in a map of the kernel as large. Each round asks for other grants than those before, until all have been asked for: of many
// none lies in a cache for having come twice, of few all come again. The sizes at both ends are the promise's; BENCH_BETWEEN names those
// between them (empty: none). Needs root and a build. Machines that do other things meanwhile: the middle of some rounds is taken, and the
// sizes take turns.

import { cost, median, openBench, segment } from './dataplane/fence.mjs'
import { whole } from './said/short.mjs'

export const promise =
  'eBPF cost per packet: 1,000,000 exact grants against 10, and known flows under 10,000 prefixes against 10, keys cycled over all'
export const target = '<= 1.5 x'

const MOST = 1.5
const PACKETS = 20_000
/** At least, in each turn; as many as it takes to ask for every grant in all of them. */
const ROUNDS = 3
const TURNS = 3
/** Far from one key to the next, so that no two neighbours share a cache line; no divisor in common with powers of ten and two, so that
 * no key comes twice before all have come. */
const STRIDE = 618_033_989
const BETWEEN = (process.env.BENCH_BETWEEN ?? '').split(',').filter(Boolean).map(Number)
const sizes = (least, most) => [least, ...BETWEEN.filter((size) => size > least && size < most), most]
const SIZES = { exact: sizes(10, 1_000_000), prefix: sizes(10, 10_000) }

const SYN = 0x02
const ACK = 0x10

const SAY = {
  first: 'first packet',
  known: 'known flow',
  lookup: 'one lookup in a map of the kernel',
  empty: 'empty program',
}

export async function measure() {
  const bench = await openBench()
  const seen = { exact: new Map(), prefix: new Map() }
  const programs = new Map()
  try {
    let generation = 0
    for (let turn = 0; turn < TURNS; turn++)
      for (const kind of ['exact', 'prefix'])
        for (const grants of SIZES[kind]) {
          const name = `${grants} ${kind} grants`
          if (!programs.has(name)) programs.set(name, bench.lower(0, grants, kind))
          const row = await one(bench, { ...programs.get(name), generation: ++generation }, grants, kind, turn)
          seen[kind].set(grants, [...(seen[kind].get(grants) ?? []), row])
        }
  } finally {
    await bench.close()
  }
  return told(seen)
}

const TABLE = ['first', 'known', 'lookup', 'empty', 'stage', 'commit', 'memory']

/** The middle of the turns, by kind and size, and what is judged: the largest size against the smallest. */
function told(seen) {
  const middle = (turns) => Object.fromEntries(TABLE.map((key) => [key, median(turns.map((row) => row[key]))]))
  const [exact, prefix] = ['exact', 'prefix'].map((kind) =>
    [...seen[kind]].map(([grants, turns]) => ({ name: `${whole(grants)} ${kind} grants`, ...middle(turns) })),
  )
  print([...exact, ...prefix])
  const ratio = (rows, what) => rows.at(-1)[what] / rows[0][what]
  const judged = [
    ['first packets', ratio(exact, 'first')],
    ['known flows', ratio(exact, 'known')],
    ['known flows under prefixes', ratio(prefix, 'known')],
  ]
  const each = judged.map(([what, times]) => `${what} ${times.toFixed(2)} x`)
  const above = { first: ' above it', known: ' above it', lookup: ' above it', empty: '' }
  return {
    figure: `${each.join(', ')}; empty program ${whole(exact.at(-1).empty)} ns`,
    rows: [
      `one lookup in a map of the kernel, as large: ${ratio(exact, 'lookup').toFixed(2)} x`,
      `first packets under prefixes: ${ratio(prefix, 'first').toFixed(2)} x`,
      ...[...exact, ...prefix].flatMap((row) =>
        ['empty', 'first', 'known', 'lookup'].map(
          (what) => `${row.name}, ${SAY[what]}: ${whole(row[what])} ns${above[what]}`,
        ),
      ),
    ],
    met: judged.every(([, times]) => times <= MOST),
    series: Object.entries(seen).flatMap(([kind, sizes]) =>
      [...sizes].flatMap(([grants, turns]) =>
        Object.entries(SAY).map(([what, say]) => ({
          name: `${grants} ${kind} grants, ${say}`,
          unit: 'ns',
          better: 'lower',
          samples: turns.flatMap((row) => row.rounds[what]),
        })),
      ),
    ),
  }
}

function print(rows) {
  console.log(
    '  ns per packet, empty program taken off    first    known   lookup    empty    stage ms   commit ms  map MiB',
  )
  const places = { commit: 2, memory: 1 }
  for (const row of rows)
    console.log(
      `  ${row.name.padEnd(40)} ${TABLE.map((key) => row[key].toFixed(places[key] ?? 0).padStart(8)).join(' ')}`,
    )
}

/** A turn of one size: what a packet costs above the empty program, the middle of its rounds. */
async function one(bench, program, grants, kind, turn) {
  const { driver, fence } = bench
  const began = performance.now()
  const staged = await driver.stage(program)
  const ready = performance.now()
  await driver.commit(staged)
  const live = performance.now()
  // What follows a commit is over when it answers.
  await driver.flagged()
  const memory = memoryOf(program)
  await bench.fillTable(grants)
  const from = fence.program('fence_from')
  const first = []
  const known = []
  const empty = []
  const lookup = []
  const rounds = Math.max(ROUNDS, Math.ceil(grants / (PACKETS * TURNS)))
  for (let round = 0; round < rounds; round++) {
    const begin = (turn * rounds + round) * PACKETS
    // Each its own flow.
    const pick = (i) => ((begin + i) * STRIDE) % grants
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
    // Its table has no room for the flows of all rounds.
    await bench.forget()
  }
  return {
    first: median(first),
    known: median(known),
    lookup: median(lookup),
    empty: median(empty),
    rounds: { first, known, lookup, empty },
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
