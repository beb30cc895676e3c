// The journal and SIGKILL: two processes write one journal, close and seal its segments, and are killed at random moments; after
// each death the chain is whole, every event that was acknowledged is there once, and the next writer goes on.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { AGENT_PUBLIC_KEY } from '../../src/agent/key.js'
import { openSigned, readAgentKeys } from '../../src/agent/signed.js'
import { markAt, TRAIL_STATE } from '../../src/agent/trail.js'
import { events } from '../../src/audit/query.js'
import { SEAL_TYPE } from '../../src/audit/seal.js'
import { verifyJournal } from '../../src/audit/verify.js'
import { Fault } from '../../src/base/fault.js'
import { repositoryPath } from '../support/lab/repository.js'

const ROUNDS = Number(process.env.JOURNAL_KILLS ?? 5)
let folder: string
const children: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-kill-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) await ended(child)
  rmSync(folder, { recursive: true })
})

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

/** Runs a writer until it has acknowledged something, and a random while longer. */
async function writeAndDie(name: string): Promise<number> {
  const argv = [repositoryPath('test/fault/journal-writer.mjs'), join(folder, 'events.ndjson'), folder, name]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let acknowledged = 0
  let failure = ''
  child.stderr.on('data', (text: Buffer) => {
    failure += text.toString()
  })
  let batches = 3 + Math.floor(Math.random() * 40)
  let rest = ''
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (text: Buffer) => {
      const lines = (rest + text.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) acknowledged = Number(line)
      batches -= lines.length
      // At once: somewhere in a write, a sync, a rename or a seal.
      if (batches <= 0 && child.kill('SIGKILL')) resolve()
    })
    child.once('exit', resolve)
  })
  await ended(child)
  expect(failure).toBe('')
  return acknowledged
}

it('is whole after every death, with every acknowledged event', async (context) => {
  if (!existsSync(repositoryPath('dist/agent/trail.js'))) context.skip('make build has not been run')
  const path = join(folder, 'events.ndjson')
  const acknowledged = new Map<string, number>()
  for (let round = 0; round < ROUNDS; round++) {
    const names = [`a${round}`, `b${round}`]
    const done = await Promise.all(names.map(writeAndDie))
    for (const [i, name] of names.entries()) acknowledged.set(name, done[i] ?? 0)
    const keys = readAgentKeys(readFileSync(join(folder, AGENT_PUBLIC_KEY)), AGENT_PUBLIC_KEY)
    const openSeal = (token: string) =>
      openSigned(token, SEAL_TYPE, keys).catch((error: unknown) => {
        if (error instanceof Fault) return undefined
        throw error
      })
    const mark = markAt(join(folder, TRAIL_STATE[0])).read()
    const report = await verifyJournal(path, { openSeal, ...(mark ? { mark } : {}) })
    expect([report.findings.filter(({ kind }) => kind !== 'torn'), report.intact]).toEqual([[], true])
  }
  const found = new Map<string, number[]>()
  for await (const { event } of events(path, { classes: [2004] })) {
    const [{ data }] = event.evidences as unknown as [{ data: { by: string; reason: string } }]
    const numbers = found.get(data.by) ?? []
    numbers.push(Number(data.reason))
    found.set(data.by, numbers)
  }
  for (const [name, count] of acknowledged) {
    const numbers = found.get(name) ?? []
    expect(numbers.slice(0, count)).toEqual(Array.from({ length: count }, (_, i) => i + 1))
  }
}, 600_000)
