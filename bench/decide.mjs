// Decisions a second of one processor in this process, against Cedar (wasm, policies parsed before) and casbin, with the same policies and the same
// questions at 1, 100 and 1,000 policies. The answers are compared one by one before anything is timed. The engines take turns, in
// another order each round, and what is reported are medians over rounds of figures and of ratios within a round.
//
// `node bench/decide.mjs` prints a table, with `--json` a document; `--grpc` measures through the API of three servers as well.

import { setImmediate as rest } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { ENGINES, hostsOf, questionsOf } from './decide/engines.mjs'

export const promise =
  'decisions in process, against Cedar (wasm, preparsed) and casbin: the smallest ratio at 1, 100 and 1,000 policies'
export const target = '>= 10 x'

const COUNTS = [1, 100, 1_000]
const ROUNDS = 9
/** Of one engine in one round. */
const ROUND_MS = 120
const SAMPLES = 2_000
const NAMES = Object.keys(ENGINES)

const sorted = (values) => [...values].sort((a, b) => a - b)
const at = (values, share) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))]
const median = (values) => at(values, 0.5)

/** Throws where two engines disagree. */
function requireEqual(deciders, questions) {
  for (const question of questions) {
    const answers = NAMES.map((name) => deciders[name](question))
    if (new Set(answers).size > 1)
      throw new Error(`they disagree: ${NAMES} say ${answers} to ${JSON.stringify(question)}`)
  }
  const yes = questions.filter((question) => deciders.sluice(question)).length
  if (yes === 0 || yes === questions.length) throw new Error('questions that all have one answer prove nothing')
}

/** Decisions for each second of processor time, helpers of the collector included: other work on the machine takes nothing from it. */
function rate(decider, questions, rounds) {
  const began = process.cpuUsage()
  for (let n = 0; n < rounds; n++) for (const question of questions) decider(question)
  const { user, system } = process.cpuUsage(began)
  return (rounds * questions.length) / ((user + system) / 1e6)
}

/** How often the questions go into ROUND_MS; warms the engine up on the way. */
function calibrate(decider, questions) {
  let rounds = 1
  for (;;) {
    const took = ((rounds * questions.length) / rate(decider, questions, rounds)) * 1_000
    if (took >= ROUND_MS / 2) return Math.max(1, Math.round((rounds * ROUND_MS) / took))
    rounds *= 4
  }
}

function latencies(decider, questions) {
  const took = []
  const until = performance.now() + ROUND_MS
  for (let n = 0; n < SAMPLES && performance.now() < until; n++) {
    const began = process.hrtime.bigint()
    decider(questions[n % questions.length])
    took.push(Number(process.hrtime.bigint() - began) / 1_000)
  }
  return took
}

async function measureOne(count) {
  const hosts = hostsOf(count)
  const questions = questionsOf(hosts)
  const deciders = {}
  for (const name of NAMES) deciders[name] = await ENGINES[name](hosts)
  requireEqual(deciders, questions)
  const rounds = {}
  for (const name of NAMES) {
    // Nothing here waits for anything else, so that a signal is heard of at these points only.
    await rest()
    rounds[name] = calibrate(deciders[name], questions)
  }
  const rates = Object.fromEntries(NAMES.map((name) => [name, []]))
  const took = Object.fromEntries(NAMES.map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round++)
    for (let n = 0; n < NAMES.length; n++) {
      const name = NAMES[(n + round) % NAMES.length]
      await rest()
      rates[name].push(rate(deciders[name], questions, rounds[name]))
      took[name].push(...latencies(deciders[name], questions))
    }
  return NAMES.map((name) => ({
    policies: count,
    engine: name,
    decisionsPerSecond: Math.round(median(rates[name])),
    p50Us: round2(at(took[name], 0.5)),
    p99Us: round2(at(took[name], 0.99)),
    ...(name === 'sluice' ? {} : ratioTo(rates.sluice, rates[name])),
  }))
}

/** With the ratio of each round. */
function ratioTo(ours, theirs) {
  const ratios = theirs.map((other, i) => ours[i] / other)
  return { ratio: round2(median(ratios)), ratios }
}

const round2 = (value) => Math.round(value * 100) / 100

async function measureAll() {
  const rows = []
  for (const count of COUNTS) rows.push(...(await measureOne(count)))
  return rows
}

export async function measure() {
  const rows = await measureAll()
  const ratios = rows.flatMap(({ policies, engine, ratio }) =>
    ratio === undefined ? [] : [{ policies, engine, ratio }],
  )
  const few = ratios.reduce((least, one) => (one.ratio < least.ratio ? one : least))
  const policies = (count) => `${count.toLocaleString('en')} polic${count === 1 ? 'y' : 'ies'}`
  const said = ratios.map(({ policies: count, engine, ratio }) => `${engine}, ${policies(count)}: ${ratio} x`)
  const series = rows.flatMap(({ policies, engine, ratios: samples }) =>
    samples === undefined
      ? []
      : [
          {
            name: `${policies.toLocaleString('en')} policies, faster than ${engine}`,
            unit: 'ratio',
            better: 'higher',
            samples,
          },
        ],
  )
  return {
    figure: `at least ${few.ratio} x (${few.engine}, ${policies(few.policies)})`,
    rows: said,
    met: ratios.every(({ ratio }) => ratio >= 10),
    series,
  }
}

function print(rows, head) {
  console.log(`| ${head.join(' | ')} |\n|${head.map(() => '---').join('|')}|`)
  for (const row of rows) console.log(`| ${row.join(' | ')} |`)
}

async function main(words) {
  // What the agent and its callers have on disk is taken away when this process exits, which a signal alone does not make it do.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(143))
  const inProcess = await measureAll()
  const grpc = words.includes('--grpc') ? await (await import('./decide/grpc.mjs')).measureGrpc() : []
  if (words.includes('--json')) {
    console.log(JSON.stringify({ inProcess, grpc }, null, 2))
    return
  }
  const row = (one) => [one.policies, one.engine, one.decisionsPerSecond, one.p50Us, one.p99Us, one.ratio ?? '']
  print(inProcess.map(row), ['policies', 'engine', 'decisions/s', 'p50 us', 'p99 us', 'ours is faster by'])
  if (grpc.length === 0) return
  console.log('\nover gRPC, mutual TLS')
  print(grpc.map(row), ['policies', 'engine', 'decisions/s', 'p50 us', 'p99 us', 'ours is faster by'])
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(process.argv.slice(2))
