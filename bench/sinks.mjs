// The promise: whatever a sink does, every event is there, once after those that came again are left out, in order. A million
// events (SLUICE_SINK_EVENTS) go from a journal over HTTP, compressed, to a receiver that fails half of the time.

import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { openJournal } from '../dist/audit/journal.js'
import { Delivery } from '../dist/audit/sinks/delivery.js'
import { openHttpSink } from '../dist/audit/sinks/http-sink.js'
import { denied } from './sinks/fact.mjs'

export const promise = 'events through a sink that fails half of the time, there once after deduplication'
export const target = 'all of them, in order'

const EVENTS = Number(process.env.SLUICE_SINK_EVENTS ?? 1_000_000)
/** What a comparison of two runs looks at: so many events of these are a rate of their own. */
const PARTS = 10
/** As many as one batch of denials brings. */
const BURST = 500

async function write(path) {
  let mark
  const journal = await openJournal(path, {
    product: { name: 'Sluice', version: 'bench' },
    reporter: { uid: 'spiffe://acme.example/node/7', hostname: 'node-7' },
    nowMs: Date.now,
    random: (length) => randomBytes(length),
    mark: {
      read: () => mark,
      write: (point) => {
        mark = point
      },
    },
  })
  for (let i = 1; i <= EVENTS; i++) {
    journal.emit(denied)
    if (i % BURST === 0) await journal.flush()
  }
  await journal.close()
  return mark.sequence
}

export async function measure({ atEnd = () => undefined } = {}) {
  // As root it runs in a network namespace of its own, where loopback is down.
  if (process.getuid?.() === 0) execFileSync('ip', ['link', 'set', 'lo', 'up'])
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const receiver = spawn(process.execPath, [new URL('./sinks/receiver.mjs', import.meta.url).pathname], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const takeAway = () => {
    receiver.stdin.end()
    rmSync(folder, { recursive: true, force: true })
  }
  atEnd(takeAway)
  try {
    const port = await new Promise((resolve) => createInterface({ input: receiver.stdout }).once('line', resolve))
    const eventsFile = join(folder, 'events.ndjson')
    const last = await write(eventsFile)
    const url = `http://127.0.0.1:${port}/`
    const open = () => openHttpSink({ name: 'siem', url, format: 'ndjson', gzip: true, node: 'spiffe://a/n' })
    const setting = { name: 'siem', kind: 'http', eventsFile, directory: join(folder, 'sinks'), open }
    const told = []
    const delivery = new Delivery(
      { ...setting, terms: { retryMs: 1, longestMs: 8 } },
      {
        nowMs: Date.now,
        chance: Math.random,
        durable: () => last,
        sleep: (ms, wake) => sleep(ms, undefined, { signal: wake }).catch(() => undefined),
        tell: (fact) => told.push(fact),
      },
    )
    const ending = new AbortController()
    const begun = performance.now()
    const running = delivery.run(ending.signal, new AbortController().signal)
    const samples = []
    let from = { at: begun, delivered: 0 }
    for (;;) {
      const { lag, delivered } = delivery.status()
      const at = performance.now()
      if (delivered - from.delivered >= EVENTS / PARTS) {
        samples.push((delivered - from.delivered) / ((at - from.at) / 1_000))
        from = { at, delivered }
      }
      if (lag <= 0) break
      await sleep(50)
    }
    const seconds = (performance.now() - begun) / 1_000
    ending.abort()
    await running
    const seen = await (await fetch(url)).json()
    const { delivered, failures } = delivery.status()
    const whole = seen.distinct === EVENTS && delivered === EVENTS && seen.differing === 0 && seen.outOfOrder === 0
    const count = (value) => Math.round(value).toLocaleString('en')
    const figure = `${count(seen.distinct)} of ${count(EVENTS)}, ${seen.outOfOrder} out of order`
    const rows = [
      `batches that failed: ${count(failures)} of ${count(seen.requests)}`,
      `events that came again: ${count(seen.repeated)}`,
      `rate of one process with gzip: ${count(EVENTS / seconds)} events/s`,
    ]
    const series = [{ name: 'through a sink that fails half of the time', unit: 'events/s', better: 'higher', samples }]
    return { figure, rows, met: whole && told.length === 0 && failures === seen.failed, series }
  } finally {
    takeAway()
  }
}
