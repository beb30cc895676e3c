// The promise: the audit trail takes at least 20,000 events a second on one core, synced to disk, with none lost or unaccounted.
// Facts go through the same door as in the agent: mapped to OCSF, numbered, queued, appended in batches and synced.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openJournal } from '../dist/audit/journal.js'
import { scratchFolder } from './scratch/folder.mjs'
import { denied } from './sinks/fact.mjs'

export const promise = 'audit events journalled per core and second, none lost'
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
    const rates = []
    for (let round = 0; round < ROUNDS; round++) {
      const before = process.cpuUsage()
      for (let i = 1; i <= EVENTS; i++) {
        journal.emit(denied)
        if (i % BURST === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await journal.flush()
      const { user, system } = process.cpuUsage(before)
      rates.push(EVENTS / ((user + system) / 1e6))
    }
    const { written, lost } = await journal.close()
    const lines = readFileSync(path, 'utf8').split('\n').length - 1
    const whole = lost === 0 && written === EVENTS * ROUNDS && lines === written
    const median = rates.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)]
    const figure = `${Math.round(median).toLocaleString('en')}, ${lost} lost`
    const rows = [`on disk: ${lines.toLocaleString('en')} of ${(EVENTS * ROUNDS).toLocaleString('en')}`]
    const series = [{ name: 'events a second of one core', unit: 'events/s', better: 'higher', samples: rates }]
    return { figure, rows, met: whole && median >= 20_000, series }
  } finally {
    folder.remove()
  }
}
