// Every event arrives, whatever dies on the way: a receiver that fails half of the time, and SIGKILL of exporter, receiver, agent and
// nats-server at random moments. What arrived is compared with the journals event by event.
//
// SLUICE_EXPORT_EVENTS sets how many events the first of them sends (10,000),
// SLUICE_EXPORT_KILLS how many processes the second ends (12).

import { createReadStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { placeOf } from '../../src/audit/sinks/spool.js'
import { hasNats, NatsServer } from '../sinks/nats-server.js'
import { ExportScene, nodeOf } from '../support/export/scene.js'
import { makeTls, type Tls } from '../support/tls.js'

const EVENTS = Number(process.env.SLUICE_EXPORT_EVENTS ?? 10_000)
const KILLS = Number(process.env.SLUICE_EXPORT_KILLS ?? 12)
/** A healthy machine needs none of it. */
const PATIENCE_MS = 600_000 + 2 * EVENTS

const TOKEN = 'only-for-this-test'

let scene: ExportScene
afterEach(() => scene?.close())

async function* linesOf(files: readonly string[]): AsyncGenerator<string> {
  for (const input of files) yield* createInterface({ input: createReadStream(input, 'latin1') })
}

/** Until every sink has the last event of every agent. */
async function delivered(last: ReadonlyMap<string, number>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; ; ) {
    const { agents } = await scene.status()
    const all = agents.every(
      ({ name, pulled, sinks }) =>
        pulled === last.get(name) && sinks.every(({ sequence }) => sequence === last.get(name)),
    )
    if (all) return
    if (Date.now() > end) throw new Error(`waited in vain: ${JSON.stringify(agents)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/**
 * Holds what arrived against the journal of one agent: each event once when those that came again are left out, in the order of
 * their first arrival, the same octets. Gives how many came again.
 */
async function compare(agent: string, arrived: AsyncIterable<string>): Promise<number> {
  const journal = linesOf(scene.journal(agent))
  const needle = `"uid":"${nodeOf(agent)}"`
  let [seen, last, again] = [0, 0, 0]
  for await (const line of arrived) {
    if (!line.includes(needle)) continue
    const { sequence = 0 } = placeOf(line) ?? {}
    if (sequence <= last) {
      again++
      continue
    }
    const { value } = await journal.next()
    if (value !== line) throw new Error(`after event ${last} of ${agent} came ${line.slice(0, 400)}`)
    last = sequence
    seen++
  }
  expect((await journal.next()).done).toBe(true)
  expect(seen).toBe(last)
  return again
}

describe('a receiver that fails half of the time', () => {
  it(
    `gets all of ${EVENTS} events, each once after deduplication, in order`,
    async () => {
      scene = await ExportScene.open(['a'], (at) => [at.http('siem')])
      const begunAt = performance.now()
      const last = await scene.write('a', EVENTS)
      expect(last).toBe(EVENTS)
      await delivered(new Map([['a', last]]))
      const took = performance.now() - begunAt
      const [agent] = (await scene.status()).agents
      const [sink] = agent?.sinks ?? []
      expect(sink).toMatchObject({ delivered: EVENTS, dead: 0, discarded: 0, lag: 0 })
      expect(sink?.failures).toBeGreaterThan(EVENTS / 2_000)
      const again = await compare('a', linesOf([scene.received]))
      expect(again).toBeGreaterThan(0)
      const [reconciled] = await scene.reconciled([scene.received])
      expect(reconciled).toMatchObject({ agrees: true, findings: [], wrong: [] })
      expect(reconciled?.epochs).toMatchObject([{ sinks: [{ delivered: EVENTS }] }])
      // The copy keeps what fits: what it has is held against the receiver, and what the receiver has from before is counted.
      const { held } = reconciled?.epochs[0]?.sinks[0] ?? {}
      expect(held).toMatchObject({ last: EVENTS, missing: 0, foreign: 0, outOfOrder: 0, unlooked: 0, newer: 0 })
      if (!held) throw new Error('no receiver was looked at')
      expect(held.matched).toBe(EVENTS - held.first + 1)
      expect(held.matched + held.repeated + held.older).toBe(EVENTS + again)
      console.log(
        `${EVENTS} events in ${(took / 1_000).toFixed(1)} s, ${sink?.failures} failed deliveries, ${again} events that came again`,
      )
    },
    PATIENCE_MS + 60_000,
  )
})

describe('SIGKILL at random moments', () => {
  if (!hasNats()) {
    it('needs nats-server', (context) => context.skip('nats-server is not installed'))
    return
  }
  let tls: Tls
  let nats: NatsServer
  beforeAll(async () => {
    tls = makeTls()
    nats = await NatsServer.open(tls, TOKEN)
    await nats.makeStream('SLUICE', 'sluice.>')
  })
  afterAll(async () => {
    await nats?.close()
    tls.remove()
  })

  it(
    `of exporter, receiver, agent and nats-server, ${KILLS} times: nothing is lost, nothing is out of order`,
    async () => {
      scene = await ExportScene.open(['a', 'b'], (at) => [
        at.http('siem'),
        at.file('archive'),
        {
          ...{ name: 'fleet', kind: 'nats', servers: [`tls://localhost:${nats.port}`] },
          ...{ stream: 'SLUICE', subject: 'sluice.{agent}', caFile: tls.caFile, tokenFile: token(at.folder) },
        },
      ])
      const last = new Map<string, number>()
      let state = 7
      const draw = (below: number): number => {
        state = (state * 48_271) % 2_147_483_647
        return state % below
      }
      const victims = [scene.exporter, scene.receiver, nats, scene.agent('a')]
      for (let n = 0; n < KILLS; n++) {
        const victim = victims[n % victims.length] ?? scene.exporter
        for (const name of ['a', 'b']) last.set(name, await scene.write(name, 50 + draw(200)))
        // At whatever it is just doing.
        await new Promise((resolve) => setTimeout(resolve, draw(120)))
        await victim.kill()
        await victim.start()
      }
      for (const name of ['a', 'b']) last.set(name, await scene.write(name, 10))
      await delivered(last)
      await compare('a', linesOf([scene.received]))
      await compare('b', linesOf([scene.received]))
      for (const name of ['a', 'b']) {
        expect(await compare(name, linesOf([join(scene.folder, 'archive', `${name}.ndjson`)]))).toBe(0)
        const stream = (await nats.read('SLUICE')).map((line) => Buffer.from(line).toString('latin1'))
        expect(await compare(name, listed(stream))).toBe(0)
      }
      const found = await scene.reconciled()
      expect(found).toMatchObject([
        { agrees: true, findings: [] },
        { agrees: true, findings: [] },
      ])
      const held = found.flatMap(({ epochs }) => epochs.flatMap(({ sinks }) => sinks.map((one) => one.held?.matched)))
      expect(held).toEqual([undefined, last.get('a'), last.get('a'), undefined, last.get('b'), last.get('b')])
      expect(scene.toldKinds()).not.toContain('trail-broken')
      expect(scene.toldKinds()).not.toContain('audit-lost')
    },
    PATIENCE_MS + 120_000,
  )
})

function token(folder: string): string {
  const file = join(folder, 'token')
  writeFileSync(file, `${TOKEN}\n`)
  return file
}

async function* listed(all: readonly string[]): AsyncGenerator<string> {
  for (const one of all) yield await Promise.resolve(one)
}
