// What the name mediator adds to a question: the same names are asked of a real resolver directly and through the mediator, one after
// the other over equal links, in three ways: a name that nobody has asked (upstream, and a grant written and read back), a name
// of zero seconds (upstream, the grant is there), and a name that both know. Then a connection at once to what each of many names that
// nobody asked for resolves to: a SYN that had to be sent again came before its grant. Then as many questions as it takes, with dnsperf.
// Needs root, a build, unbound; and dnsperf for the last figure.

import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { named } from './said/short.mjs'
import { scratchFolder } from './scratch/folder.mjs'

export const promise = 'latency that the DNS mediator adds; SYNs sent again by who connects when the answer comes'
export const target = 'p50 <= 0.5 ms, 0'

const NAMES = 1_000
const REPEATED = 4_000
const BACKENDS = ['ebpf', 'nftables']

const here = new URL('./dns/', import.meta.url).pathname

function start(file, ...args) {
  const child = spawn('unshare', ['-n', process.execPath, join(here, file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NAMES: String(NAMES) },
  })
  const waiting = []
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line))
  const next = () =>
    new Promise((resolve, reject) => {
      waiting.push(resolve)
      child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)))
    })
  return {
    pid: child.pid,
    next,
    ask(line) {
      child.stdin.write(`${line}\n`)
      return next()
    },
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.stdin.end()
      await gone
    },
  }
}

const at = (values, share) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]
/** Microseconds at p50 and p99, directly and through it, and what it added to each name, milliseconds. */
const added = ({ direct, mediated }) => ({
  row: Object.fromEntries([0.5, 0.99].map((share) => [`p${share * 100}`, [at(direct, share), at(mediated, share)]])),
  samples: mediated.map((took, i) => (took - direct[i]) / 1_000),
})
const print = (row) =>
  Object.entries(row).map(
    ([name, [direct, mediated]]) =>
      `${name}: +${((mediated - direct) / 1000).toFixed(3)} ms (${(direct / 1000).toFixed(3)} -> ${(mediated / 1000).toFixed(3)})`,
  )

async function measureWith(backend, atEnd) {
  const client = start('client.mjs')
  atEnd(client.end)
  await client.next()
  const node = start('node.mjs', backend, String(client.pid))
  // It has a folder, a resolver and a fence, and takes them away when its input ends: nothing that was started outlives this process.
  atEnd(node.end)
  try {
    const [, direct, mediated] = (await node.next()).split(' ')
    const pairs = async (names) => {
      const answer = JSON.parse(await client.ask(JSON.stringify({ kind: 'pairs', direct, mediated, names })))
      if (answer.failed) throw new Error(answer.failed)
      return answer
    }
    const label = (word, i, of) => `${word}${(i % of) + 1}.bench.example`
    const numbers = (count) => Array.from({ length: count }, (_, i) => i)
    // Code is compiled and caches are filled by other names than those that are measured.
    await pairs(numbers(1_000).map((i) => label('hot', i, 20)))
    await pairs(numbers(300).map((i) => label('zero', i, 20)))
    const cached = added(await pairs(numbers(REPEATED).map((i) => label('hot', i, 20))))
    const asked = added(await pairs(numbers(REPEATED).map((i) => label('zero', i, 20))))
    const fresh = added(await pairs(numbers(NAMES).map((i) => label('new', i, NAMES))))
    const began = JSON.parse(
      await client.ask(
        JSON.stringify({
          kind: 'connections',
          server: mediated,
          names: numbers(NAMES).map((i) => label('syn', i, NAMES)),
        }),
      ),
    )
    if (began.failed) throw new Error(began.failed)
    const { holds } = JSON.parse(await node.ask('counters'))
    const rates = existsSync('/usr/bin/dnsperf') ? await load(client.pid, direct, mediated) : undefined
    return { cached, asked, fresh, began, holdMs: holds.sumMs / holds.count, rates }
  } finally {
    await node.end()
    await client.end()
  }
}

/** Questions a second for names that are cached, 100 on their way at a time. */
async function load(pid, ...servers) {
  const folder = scratchFolder()
  const file = join(folder.path, 'names')
  writeFileSync(file, Array.from({ length: 20 }, (_, i) => `hot${i + 1}.bench.example A\n`).join(''))
  try {
    const rates = []
    for (const server of servers) {
      const args = ['-t', String(pid), '-n', 'dnsperf', '-s', server, '-d', file, '-l', '5', '-c', '10', '-q', '100']
      const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      child.stdout.on('data', (data) => {
        said += data
      })
      await new Promise((resolve) => child.once('close', resolve))
      const lost = Number(/Queries lost:\s+(\d+)/.exec(said)?.[1])
      rates.push({ rate: Math.round(Number(/Queries per second:\s+([\d.]+)/.exec(said)?.[1])), lost })
    }
    return rates
  } finally {
    folder.remove()
  }
}

export async function measure({ atEnd = () => undefined } = {}) {
  const said = []
  const again = []
  const rows = []
  const series = []
  let met = true
  for (const backend of BACKENDS) {
    const { cached, asked, fresh, began, holdMs, rates } = await measureWith(backend, atEnd)
    const medians = []
    for (const [name, { row, samples }] of [
      ['cached', cached],
      ['not cached', asked],
      ['first time, with its grant', fresh],
    ]) {
      rows.push(...print(row).map((text) => `${named(backend)}, ${name}, ${text}`))
      series.push({ name: `${backend}, added to a question, ${name}`, unit: 'ms', better: 'lower', samples })
      medians.push(row.p50[1] - row.p50[0])
    }
    const most = Math.max(...medians)
    met &&= most <= 500 && began.again === 0
    said.push(`${named(backend)} +${(most / 1000).toFixed(3)} ms`)
    again.push(began.again)
    rows.push(`${named(backend)}, answer held for its grant: mean ${holdMs.toFixed(3)} ms`)
    rows.push(`${named(backend)}, SYNs sent again in ${began.connections} first connections by name: ${began.again}`)
    for (const [i, { rate, lost }] of (rates ?? []).entries())
      rows.push(
        `${named(backend)}, cached questions a second ${i === 0 ? 'directly' : 'through it'}: ${rate}, ${lost} lost`,
      )
  }
  return { figure: `at most ${said.join(', ')} (p50); SYNs sent again: ${again.join(', ')}`, rows, met, series }
}
