// The export of a companion as a process of its own, to be killed at will: `node exporter.mjs SECTION FOLDER TOLD` with the section
// `export` as JSON. What it tells goes into the file TOLD; each line on standard input is answered with its status.

import { appendFileSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { hostExport } from '../../../dist/bin/export.js'

const [section, directory, told] = process.argv.slice(2)
const running = hostExport(JSON.parse(readFileSync(section, 'utf8')), {
  directory,
  emit: async (facts) => {
    for (const fact of facts) appendFileSync(told, `${JSON.stringify(fact)}\n`)
  },
  nowMs: Date.now,
  // A receiver that fails every other time would otherwise be waited for most of the time.
  terms: { retryMs: 10, longestMs: 200, pollMs: 50 },
  sleep: (ms, signal) => sleepFor(ms, undefined, { signal }).catch(() => undefined), // woken
})
console.log('exporting')
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'stop') break
  console.log(JSON.stringify({ ...running.status(), latency: running.latency.read() }))
}
await running.stop()
process.exit(0)
