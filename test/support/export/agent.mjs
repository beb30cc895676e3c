// The trail of an agent and its API, without a fence: `node agent.mjs FOLDER NODE PORT` serves the journal in FOLDER over mutual TLS
// with the files there. Lines on standard input say how many events to write; each is answered with the last number on the disk.

import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleepFor, setImmediate as turn } from 'node:timers/promises'
import { markAt } from '../../../dist/agent/trail.js'
import { serveApi } from '../../../dist/api/server.js'
import { openJournal } from '../../../dist/audit/journal.js'
import { trailPorts } from '../../../dist/bin/trail-ports.js'

const [folder, node, port, tls] = process.argv.slice(2)
mkdirSync(folder, { recursive: true })
const mark = markAt(join(folder, 'journal.json'))
const eventsFile = join(folder, 'events.ndjson')
const journal = await openJournal(eventsFile, {
  product: { name: 'Sluice', vendor: 'Sluice', version: '0' },
  reporter: { uid: node, hostname: 'node' },
  nowMs: Date.now,
  random: (length) => randomBytes(length),
  mark,
  maxQueueBytes: 1 << 30,
})
const sleep = (ms, signal) => sleepFor(ms, undefined, { signal }).catch(() => undefined) // woken
const ports = trailPorts({ eventsFile, mark, status: () => journal.status(), sleep })
const at = (name) => join(tls, name)
const nobody = { operator: [], runtime: [], auditor: [], broker: [] }
await serveApi(
  { node, ...ports },
  {
    listen: `127.0.0.1:${port}`,
    files: { certificate: at('server.pem'), key: at('server.key'), clientCa: at('ca.pem') },
    callers: { ...nobody, companion: ['spiffe://fleet.example/companion/*'] },
  },
  { nowMs: Date.now, monotonicMs: () => performance.now(), failed: (error) => console.error(error) },
)
console.log('serving')

/** Events between two turns of this process. */
const AT_ONCE = 250
const POLICY = { bundleId: 'b', bundleDigest: `sha256:${'0'.repeat(64)}`, policyRevision: '1', generation: 1 }
for await (const line of createInterface({ input: process.stdin })) {
  for (let left = Number(line); left > 0; ) {
    const some = Math.min(left, 10_000)
    for (let n = 0; n < some; n++) {
      // Whoever asks this process for its trail meanwhile is answered, as an agent does.
      if (n % AT_ONCE === 0) await turn()
      journal.emit({
        ...{ kind: 'flow-denied', atMs: Date.now(), policy: POLICY, reason: 'no-grant', backend: 'memory' },
        workspace: { workspace: 'spiffe://fleet.example/ws/a', attachmentId: 'a', interface: 'ws0' },
        flow: {
          direction: 'egress',
          protocol: 6,
          source: '10.9.0.2',
          destination: '93.184.216.34',
          destinationPort: n % 60_000,
        },
        ...{ refusal: 'reset', count: 1, firstAtMs: Date.now() },
      })
    }
    await journal.flush()
    left -= some
  }
  console.log(`last ${journal.status().sequence} lost ${journal.status().lost}`)
}
