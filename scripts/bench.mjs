// Runs every file of bench/, each one promise about cost, and prints what was measured beside what is promised, with the
// machine named. A figure that misses its target is printed as such and fails nothing: machines differ, and tests time nothing.
// A file exports `promise`, `target` (text) and `measure()`, which gives `{ figure, met }`.

import { readdirSync } from 'node:fs'
import { cpus, release } from 'node:os'

const folder = new URL('../bench/', import.meta.url)
const [cpu] = cpus()
console.log(`${cpus().length} x ${cpu?.model ?? 'unknown processor'}, Linux ${release()}, Node ${process.version}\n`)
const only = process.argv.slice(2)
for (const file of readdirSync(folder).sort()) {
  if (!file.endsWith('.mjs') || (only.length > 0 && !only.includes(file.replace('.mjs', '')))) continue
  const { promise, target, measure } = await import(new URL(file, folder).href)
  const { figure, met } = await measure()
  console.log(`${met ? 'met     ' : 'NOT MET '} ${promise}: ${figure} (target ${target})`)
}
