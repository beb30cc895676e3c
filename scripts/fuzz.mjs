// `node scripts/fuzz.mjs TARGET [--runs N] [--seed S] [--keep]`: fuzzes one target of test/fuzz/targets.ts, or `all` in turn, with
// branch coverage, in one process. Prints executions, branches and findings; writes each finding to
// test/fuzz/regressions/TARGET/, from where the suite replays it; with --keep writes what reached new branches to test/fuzz/corpus/.
// Exit 1 when there was a finding.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { instrument } from './fuzz/instrument.mjs'

const root = new URL('..', import.meta.url).pathname.replace(/\/$/, '')
const options = { runs: { type: 'string' }, seed: { type: 'string' }, keep: { type: 'boolean' } }
const { values, positionals } = parseArgs({ options, allowPositionals: true })
const runs = Number(values.runs ?? 100_000)
const seed = Number(values.seed ?? 1)

// Inside node_modules, so that the copies find the packages; nothing there is under version control.
const folder = join(root, 'node_modules', '.cache', `fuzz-${process.pid}`)
const counted = /^src\/(base|bundle|dns|agent\/transports)\//
try {
  globalThis.sluiceEdges = new Uint8Array(0)
  const engine = instrument(join(root, 'test/fuzz/engine.ts'), root, folder, /^$/)
  const { fuzz } = await import(engine.path)
  const built = instrument(join(root, 'test/fuzz/targets.ts'), root, folder, counted)
  globalThis.sluiceEdges = new Uint8Array(built.edges)
  const { adoptSha256 } = await import(join(folder, 'src/base/digest.js'))
  adoptSha256((bytes) => createHash('sha256').update(bytes).digest())
  const { TARGETS } = await import(built.path)
  const named = TARGETS.filter(({ name }) => positionals.includes('all') || positionals.includes(name))
  if (named.length === 0) throw new Error(`targets: ${TARGETS.map(({ name }) => name).join(', ')}, or all`)
  for (const target of named) await run(target, fuzz)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function run(target, fuzz) {
  const { name } = target
  const file = join(root, 'test/fuzz/corpus', `${name}.txt`)
  const corpus = existsSync(file) ? lines(file) : []
  const began = performance.now()
  let told = began
  const progress = (done, kept) => {
    if (performance.now() - told < 30_000) return
    told = performance.now()
    console.error(`${name}: ${done} of ${runs}, ${kept} kept, ${Math.round(done / ((told - began) / 1000))}/s`)
  }
  const result = await fuzz(target, { runs, seed, counters: globalThis.sluiceEdges, corpus, progress })
  const seconds = (performance.now() - began) / 1000
  const { branches, findings } = result
  const rate = Math.round(result.runs / seconds)
  console.log(`${name}: ${result.runs} executions, ${branches} branches, ${findings.length} findings, ${rate}/s`)
  for (const { input, error } of findings) keepFinding(name, input, error)
  if (values.keep) keepCorpus(file, result.corpus)
}

function lines(file) {
  const text = readFileSync(file, 'utf8').split('\n')
  return text.filter(Boolean).map((line) => Buffer.from(line, 'base64url'))
}

function keepFinding(name, input, error) {
  const directory = join(root, 'test/fuzz/regressions', name)
  mkdirSync(directory, { recursive: true })
  const path = join(directory, createHash('sha256').update(input).digest('hex').slice(0, 12))
  writeFileSync(path, input)
  console.log(`  ${path}: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

/** The short ones, up to 64 KiB a target: enough for the next run to begin where this one ended. */
function keepCorpus(file, corpus) {
  const kept = [...new Set(corpus.map((entry) => Buffer.from(entry).toString('base64url')))]
  kept.sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
  let size = 0
  const fit = []
  for (const line of kept.filter((text) => text !== '')) {
    size += line.length + 1
    if (size > 65_536) break
    fit.push(line)
  }
  mkdirSync(join(root, 'test/fuzz/corpus'), { recursive: true })
  writeFileSync(file, `${fit.join('\n')}\n`)
}
