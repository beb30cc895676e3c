// The promise: a journal of a million events is verified in one pass, line by line, in memory that does not grow with it. The
// journal is real in every line; it is printed straight from the chain's rule, since writing it is another promise.

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { frame, link } from '../dist/audit/chain.js'
import { hashText } from '../dist/audit/file.js'
import { toOcsf } from '../dist/audit/ocsf/map.js'
import { verifyJournal } from '../dist/audit/verify.js'
import { scratchFolder } from './scratch/folder.mjs'

export const promise = 'audit journal of 1,000,000 events verified, events per second'
export const target = '>= 50,000, and less than 64 MiB more memory'

const EVENTS = 1_000_000
/** What is verified several times over, for a comparison of two runs. */
const PART = 100_000
const PARTS = 7
const UID = '0198c5a1-7b00-7000-8000-000000000001'

async function write(path, events) {
  const digest = `sha256:${'0d'.repeat(32)}`
  const denied = {
    kind: 'flow-denied',
    atMs: 1_775_014_138_811,
    firstAtMs: 1_775_014_138_000,
    policy: { bundleId: 'acme-agents', bundleDigest: digest, policyRevision: '7', generation: 31 },
    workspace: { workspace: 'spiffe://acme.example/ws/coding', attachmentId: 'att-3', interface: 'ws0' },
    flow: { direction: 'egress', protocol: 6, source: '10.9.0.2', destination: '93.184.216.34', destinationPort: 22 },
    reason: 'no-grant',
    backend: 'nftables',
    refusal: 'reset',
    count: 12,
  }
  const reporter = { uid: 'spiffe://acme.example/node/7', hostname: 'node-7' }
  const product = { name: 'Sluice', version: 'bench' }
  const framed = frame(toOcsf(denied, { version: '1.8.0', eventUids: [UID, UID], sequence: 1, product, reporter })[0])
  const file = createWriteStream(path)
  let point = { chain: UID, sequence: 0 }
  for (let i = 0; i < events; ) {
    let text = ''
    for (let n = 0; n < 1_000; n++, i++) {
      const linked = link(framed, point, hashText)
      text += `${linked.line}\n`
      point = linked.point
    }
    if (!file.write(text)) await once(file, 'drain')
  }
  file.end()
  await once(file, 'finish')
}

/** With the seconds of processor time that it took. */
async function verified(path) {
  const cpu = process.cpuUsage()
  const { intact, events } = await verifyJournal(path)
  const { user, system } = process.cpuUsage(cpu)
  return { intact, events, seconds: (user + system) / 1e6 }
}

export async function measure() {
  const folder = scratchFolder()
  try {
    const path = join(folder.path, 'events.ndjson')
    await write(path, EVENTS)
    const before = process.memoryUsage().rss
    const { intact, events, seconds } = await verified(path)
    const grown = Math.max(0, process.memoryUsage().rss - before) / 2 ** 20
    const rate = events / seconds
    const figure = `${Math.round(rate).toLocaleString('en')} a second, ${grown.toFixed(0)} MiB more`
    const rows = [
      `verified: ${events.toLocaleString('en')} events, ${intact ? 'intact' : 'not intact'}`,
      `processor time: ${seconds.toFixed(1)} s of one core`,
    ]
    const part = join(folder.path, 'part.ndjson')
    await write(part, PART)
    const samples = []
    for (let i = 0; i < PARTS; i++) {
      const { events, seconds } = await verified(part)
      samples.push(events / seconds)
    }
    const series = [
      { name: `${PART.toLocaleString('en')} events verified`, unit: 'events/s', better: 'higher', samples },
    ]
    return { figure, rows, met: intact && events === EVENTS && rate >= 50_000 && grown < 64, series }
  } finally {
    folder.remove()
  }
}
