// Runs files of bench/, each one promise about cost, and prints what was measured beside what is promised, with the machine named:
// `node scripts/bench.mjs NAME...`, or all of them; a name that is none is wrong usage (64), and nothing is run. A figure that misses its target is printed as such and fails nothing: machines
// differ, and tests time nothing. A file exports `promise`, `target` (text) and `measure()`, which gives `{ figure, rows, met }`: what the
// target is about in one short line, and all that was found as lines of one meaning each; and `series` where it has single measurements. Each runs in a process of its own, and as root in a network namespace of its own,
// threads of the pool included. A file that leaves something on the machine until it is over is given `atEnd` to say how it is taken away:
// when it is told to end all of that is done, within 20 seconds (BENCH_CLEAR_MS names others). `--tell FILE` runs one where it is and
// tells its outcome as a line of JSON, for `sluice bench`.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { fileURLToPath } from 'node:url'

const folder = new URL('../bench/', import.meta.url)
const ONE = '--one'
const TELL = '--tell'

const clears = []
/** How a file says what it made outside itself, so that nothing of it stays when it is stopped; the last is taken away first. */
const atEnd = (clear) => clears.unshift(clear)
/** For all of them together; whoever told this process to end waits a little longer (src/bench/outside.ts). */
const CLEAR_MS = Number(process.env.BENCH_CLEAR_MS ?? 20_000)
let ending = false
/** `finally` is not reached where the process is ended, and ends too late where it is awaited. */
async function end() {
  if (ending) return
  ending = true
  setTimeout(() => process.exit(143), CLEAR_MS)
  for (const clear of clears) {
    try {
      await clear()
    } catch (error) {
      // The others have something to take away as well.
      console.error(error)
    }
  }
  process.exit(143)
}

async function one(file) {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, end)
  const { promise, target, measure } = await import(new URL(file, folder).href)
  const { figure, rows, met } = await measure({ atEnd })
  const beneath = [`target ${target}`, `measured ${figure}`, ...rows.map((row) => `  ${row}`)]
  console.log(`${met ? 'met     ' : 'NOT MET '} ${promise}\n${beneath.map((line) => `         ${line}\n`).join('')}`)
}

async function tell(file) {
  process.on('SIGTERM', end)
  // From a terminal the interrupt comes to everybody; who started this one says when to stop.
  process.on('SIGINT', () => undefined)
  // Tables for people are no part of what is told.
  console.log = console.error
  const { promise, target, measure } = await import(new URL(file, folder).href)
  const { figure, rows, met, series = [] } = await measure({ atEnd })
  process.stdout.write(`${JSON.stringify({ promise, target, figure, rows, met, series })}\n`)
}

/** The nearest right word for a name that no file has. */
async function meant(name, known) {
  // Without a build no file runs either, and the list is there all the same.
  const { nearest } = await import('../dist/base/suggest.js').catch(() => ({ nearest: () => undefined }))
  const word = nearest(name, known)
  return word === undefined ? '' : `; did you mean "${word}"?`
}

async function all(only) {
  const known = readdirSync(folder)
    .filter((file) => file.endsWith('.mjs'))
    .map((file) => file.replace('.mjs', ''))
    .sort()
  const unknown = only.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    console.error(`bench: there is no ${JSON.stringify(unknown)}${await meant(unknown, known)}`)
    console.error(`usage: node scripts/bench.mjs [NAME...], of ${known.join(', ')}`)
    process.exitCode = 64
    return
  }
  const [cpu] = cpus()
  console.log(`${cpus().length} x ${cpu?.model ?? 'unknown processor'}, Linux ${release()}, Node ${process.version}\n`)
  const apart = process.getuid?.() === 0 ? ['unshare', '-n'] : []
  for (const name of only.length > 0 ? known.filter((each) => only.includes(each)) : known) {
    const [program, ...argv] = [...apart, process.execPath, fileURLToPath(import.meta.url), ONE, `${name}.mjs`]
    const { status } = spawnSync(program, argv, { stdio: 'inherit' })
    if (status !== 0) process.exitCode = 1
  }
}

const [first, file] = process.argv.slice(2)
if (first === ONE) await one(file)
else if (first === TELL) await tell(file)
else await all(process.argv.slice(2))
