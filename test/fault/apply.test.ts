// Apply, store and journal under SIGKILL: a node in a network namespace applies releases and quarantines as fast as it can, and
// is killed at random points of it. After each death what the kernel shows is the old plan or the new, a restart makes record
// and kernel agree on one of the two, what was acknowledged stands, and the chain of events is whole.
//
// SLUICE_KILLS says how often, SLUICE_SEED which points, SLUICE_KILL_BACKEND under which backend.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ID, ID2, SLOTS } from '../agent-process/nodes.js'
import { RunningAgent } from '../support/agent/running.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'

const KILLS = Number(process.env.SLUICE_KILLS ?? 12)
const BACKEND = process.env.SLUICE_KILL_BACKEND ?? 'nftables'
/** Longer than the first round of apply, quarantine and receipt takes in a new process. */
const SPAN_MS = 1_000
const WORKSPACE = ID2

interface Found {
  readonly shown: number | null
  readonly recorded: readonly [number | null, number | null]
  readonly stood: string
  readonly repaired: string
  readonly state: string
  readonly revision: number
  readonly fenced: boolean
  readonly events: number
  readonly findings: readonly string[]
  readonly untold: readonly string[]
}

/** What may be there after a death, by what was said before it. */
interface Known {
  applied: number
  applying: number
  fenced: boolean | 'either'
}

labSuite('SIGKILL at any point of apply, store and journal', () => {
  let lab: Lab
  let operator: RunningAgent
  let seed = Number(process.env.SLUICE_SEED ?? 20_261_121)
  let child: ChildProcess | undefined
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  beforeAll(async () => {
    lab = await openLab()
    // Small segments, so that closing and sealing are hit as well.
    const small = 'retention: {segment_bytes: 65536}\n'
    operator = await RunningAgent.prepare(lab.namespace('node'), SLOTS, small)
  })
  afterAll(async () => {
    child?.kill('SIGKILL')
    await operator?.close()
    await lab?.close()
  })

  /** Starts the node and gives what it found; `hear` has every word that follows, also those that came with it. */
  async function start(): Promise<{
    readonly found: Found
    readonly hear: (listener: (line: string) => void) => void
    readonly dead: Promise<string>
  }> {
    const program = repositoryPath('test/fault/apply-killed.mjs')
    const words = [process.execPath, program, operator.operator.directory, BACKEND, String(seed), WORKSPACE]
    const started = spawn('ip', ['netns', 'exec', operator.namespace, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
    child = started
    let said = ''
    started.stderr.on('data', (text: Buffer) => {
      said = `${said}${text.toString()}`.slice(-4_000)
    })
    const dead = new Promise<string>((resolve) => started.once('close', () => resolve(said)))
    const early: string[] = []
    let listener = (line: string): void => {
      early.push(line)
    }
    const first = new Promise<string>((resolve) => {
      let isFirst = true
      createInterface({ input: started.stdout }).on('line', (line) => {
        if (!isFirst) return listener(line)
        isFirst = false
        resolve(line)
      })
    })
    const found = await Promise.race([first, dead.then((why) => Promise.reject(new Error(`the node ended: ${why}`)))])
    const hear = (next: (line: string) => void): void => {
      listener = next
      for (const line of early.splice(0)) next(line)
    }
    return { found: JSON.parse(found) as Found, hear, dead }
  }

  it(`${KILLS} times`, { timeout: 120_000 + KILLS * 10_000 }, async (context) => {
    if (!existsSync(repositoryPath('dist/bin/node.js'))) context.skip('make build has not been run')
    const known: Known = { applied: 0, applying: 0, fenced: false }
    const tally = { old: 0, new: 0, cut: 0, restored: 0, repaired: 0, untold: 0 }
    let events = 0
    for (let kill = 0; kill <= KILLS; kill++) {
      const at = `kill ${kill}, seed ${seed}`
      const { found, hear, dead } = await start()
      if (kill > 0) {
        // The kernel has the old plan or the new one, whichever the record speaks of; a first one may not be there yet.
        expect([...found.recorded, known.applied === 0 ? null : undefined], at).toContain(found.shown)
        expect([known.applied, known.applying], at).toContain(found.revision)
        if (known.fenced !== 'either') expect(found.fenced, at).toBe(known.fenced)
        expect(found.untold, at).toEqual([])
        if (found.recorded[1] !== null) tally.cut++
        if (found.repaired !== 'nothing') tally.repaired++
        if (found.stood === 'restored') tally.restored++
        if (known.applied !== known.applying) tally[found.revision === known.applied ? 'old' : 'new']++
      }
      expect(['active', 'closed'], at).toContain(found.state)
      expect(
        found.findings.filter((finding) => !finding.startsWith('torn ')),
        at,
      ).toEqual([])
      expect(found.events, at).toBeGreaterThanOrEqual(events)
      events = found.events
      Object.assign(known, { applied: found.revision, applying: found.revision, fenced: found.fenced })
      const words: Readonly<Record<string, (rest: string) => void>> = {
        applying: (revision) => {
          known.applying = Number(revision)
        },
        applied: (revision) => {
          known.applied = Number(revision)
        },
        fencing: () => {
          known.fenced = 'either'
        },
        lifting: () => {
          known.fenced = 'either'
        },
        fenced: () => {
          known.fenced = true
        },
        lifted: () => {
          known.fenced = false
        },
      }
      // From the first step on, at a point that chance chose, or where it fenced or let out and has not told.
      let byItself = false
      await new Promise<void>((resolve) => {
        let armed = false
        hear((line) => {
          const [word = '', rest = ''] = line.split(' ')
          words[word]?.(rest)
          byItself ||= word === 'dying'
          if (armed) return
          armed = true
          setTimeout(resolve, random() * SPAN_MS)
        })
        void dead.then(() => resolve())
      })
      const killed = child?.kill('SIGKILL')
      const why = await dead
      // It may have died by itself just before, and its last words are here by now.
      if (byItself) tally.untold++
      else expect(killed, `${at}: ${why}`).toBe(true)
    }
    console.log(`${KILLS} kills under ${BACKEND}: ${JSON.stringify({ ...tally, events })}`)
    if (KILLS >= 100) {
      // Chance has met both sides of the switch, or the points were not spread over it.
      expect(Math.min(tally.old, tally.new)).toBeGreaterThan(0)
      expect(tally.cut).toBeGreaterThan(0)
    }
    expect(ID).not.toBe(WORKSPACE)
  })
})
