// The promise: the audit trail takes at least 20,000 events a second on one core, synced to disk, with none lost or unaccounted.
// Facts go through the same door as in the agent: mapped to OCSF, numbered, queued, appended in batches and synced. Two rates are told:
// by the processor time that it took, which leaves out what waits for the disk, and by the clock. The smaller is judged.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openJournal } from '../dist/audit/journal.js'
import { median } from '../dist/bench/statistics.js'
import { scratchFolder } from './scratch/folder.mjs'
import { denied } from './sinks/fact.mjs'

export const promise = 'audit events journalled per core and second, by processor time and by the clock, none lost'
export const target = '>= 20,000'

const EVENTS = 20_000
const ROUNDS = 5
/** As many as one batch of denials brings. */
const BURST = 500

export async function measure() {
  const folder = scratchFolder()
  const path = join(folder.path, 'events.ndjson')
  try {
    const journal = await openJournal(path, {
      product: { name: 'Sluice', version: 'bench' },
      reporter: { uid: 'spiffe://acme.example/node/7', hostname: 'node-7' },
      nowMs: Date.now,
      random: (length) => randomBytes(length),
    })
    const [ofCore, ofClock] = [[], []]
    for (let round = 0; round < ROUNDS; round++) {
      const before = process.cpuUsage()
      const began = performance.now()
      for (let i = 1; i <= EVENTS; i++) {
        journal.emit(denied)
        if (i % BURST === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await journal.flush()
      const { user, system } = process.cpuUsage(before)
      ofClock.push(EVENTS / ((performance.now() - began) / 1e3))
      ofCore.push(EVENTS / ((user + system) / 1e6))
    }
    const { written, lost } = await journal.close()
    const lines = readFileSync(path, 'utf8').split('\n').length - 1
    const whole = lost === 0 && written === EVENTS * ROUNDS && lines === written
    const [core, clock] = [ofCore, ofClock].map((rates) => Math.round(median(rates)).toLocaleString('en'))
    const figure = `${core} by processor time, ${clock} by the clock, ${lost} lost`
    const rows = [`on disk: ${lines.toLocaleString('en')} of ${(EVENTS * ROUNDS).toLocaleString('en')}`]
    const series = [
      { name: 'events a second of one core', unit: 'events/s', better: 'higher', samples: ofCore },
      { name: 'events a second by the clock', unit: 'events/s', better: 'higher', samples: ofClock },
    ]
    return { figure, rows, met: whole && Math.min(median(ofCore), median(ofClock)) >= 20_000, series }
  } finally {
    folder.remove()
  }
}
