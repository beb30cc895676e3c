// Runs every file of bench/, each one promise about cost, and prints what was measured beside what is promised, with the
// machine named. A figure that misses its target is printed as such and fails nothing: machines differ, and tests time nothing.
// A file exports `promise`, `target` (text) and `measure()`, which gives `{ figure, met }`. Each runs in a process of its own, and as
// root in a network namespace of its own, threads of the pool included.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { fileURLToPath } from 'node:url'

const folder = new URL('../bench/', import.meta.url)
const ONE = '--one'

async function one(file) {
  const { promise, target, measure } = await import(new URL(file, folder).href)
  const { figure, met } = await measure()
  console.log(`${met ? 'met     ' : 'NOT MET '} ${promise}: ${figure} (target ${target})`)
}

function all(only) {
  const [cpu] = cpus()
  console.log(`${cpus().length} x ${cpu?.model ?? 'unknown processor'}, Linux ${release()}, Node ${process.version}\n`)
  const apart = process.getuid?.() === 0 ? ['unshare', '-n'] : []
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.mjs') || (only.length > 0 && !only.includes(file.replace('.mjs', '')))) continue
    const [program, ...argv] = [...apart, process.execPath, fileURLToPath(import.meta.url), ONE, file]
    const { status } = spawnSync(program, argv, { stdio: 'inherit' })
    if (status !== 0) process.exitCode = 1
  }
}

const [first, file] = process.argv.slice(2)
if (first === ONE) await one(file)
else all(process.argv.slice(2))
