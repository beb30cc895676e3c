// The sink `nats` against a real nats-server: order, nothing lost and nothing twice while the server is killed, and refusals.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { events } from '../../src/audit/query.js'
import { type NatsSinkTerms, openNatsSink } from '../../src/audit/sinks/nats-sink.js'
import { arrivalsOf } from '../../src/audit/sinks/received.js'
import { type Journalled, reconcile } from '../../src/audit/sinks/reconcile.js'
import { deadFile } from '../../src/audit/sinks/terms.js'
import { makeTls, type Tls } from '../support/tls.js'
import { linesIn } from '../unit/audit/rig.js'
import { Spooled, until } from '../unit/audit/sink-rig.js'
import { hasNats, NatsServer } from './nats-server.js'

const STREAM = 'SLUICE'
const SUBJECT = 'sluice.events.n1'
const TOKEN = 'only-for-this-test'

/** What a cluster that is forming, or has lost a member, refuses at first. */
async function patiently<T>(what: string, act: () => Promise<T> | undefined): Promise<T | undefined> {
  for (let tries = 0; ; tries++)
    try {
      return await act()
    } catch (error) {
      if (tries === 100) throw new Error(`waited in vain for ${what}`, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
}

async function* listed<T>(all: readonly T[]): AsyncGenerator<T> {
  for (const one of all) yield await Promise.resolve(one)
}

describe('a real nats-server', () => {
  if (!hasNats()) {
    it('needs nats-server', (context) => context.skip('nats-server is not installed'))
    return
  }
  let tls: Tls
  let server: NatsServer
  let spooled: Spooled
  beforeAll(() => {
    tls = makeTls()
  })
  afterAll(() => tls.remove())
  beforeEach(async () => {
    spooled = new Spooled()
    server = await NatsServer.open(tls, TOKEN)
    writeFileSync(join(spooled.folder, 'token'), `${TOKEN}\n`)
  })
  afterEach(async () => {
    await spooled.close()
    await server.close()
  })

  const terms = (more: Partial<NatsSinkTerms> = {}): NatsSinkTerms => ({
    ...{ name: 'siem', servers: [`tls://localhost:${server.port}`], stream: STREAM, subject: SUBJECT },
    ...{ tokenFile: join(spooled.folder, 'token'), caFile: tls.caFile },
    ...more,
  })
  const deliver = (more: Partial<NatsSinkTerms> = {}) =>
    spooled.deliver(() => openNatsSink(terms(more)), { terms: { maxEvents: 50, timeoutMs: 20_000 } })

  it('gets every event in order, under its id', async () => {
    await server.makeStream(STREAM, SUBJECT)
    await spooled.write(300)
    const { status } = deliver()
    await until('all', () => status().lag === 0)
    expect(await server.read(STREAM)).toEqual(linesIn(spooled.path))
  })

  it('killed and started again and again: everything is there, once, in order', async () => {
    await server.makeStream(STREAM, SUBJECT)
    await spooled.write(100)
    const { status } = deliver()
    for (let round = 1; round <= 4; round++) {
      await until('a beginning', () => status().sequence > (round - 1) * 100 && status().lag > 0)
      await server.kill()
      await until('a failure', () => status().state === 'failing')
      await spooled.write(100)
      await server.start()
    }
    await until('all', () => status().lag === 0)
    expect(status()).toMatchObject({ delivered: 500, dead: 0, discarded: 0 })
    expect(await server.read(STREAM)).toEqual(linesIn(spooled.path))
  }, 120_000)

  it('a cluster of three whose servers are killed one after the other: everything is there, once, in order', async () => {
    const servers = await NatsServer.cluster(3, tls, TOKEN)
    const [first] = servers
    try {
      // The servers have to find each other and a leader first.
      await patiently('the stream', () => first?.makeStream(STREAM, SUBJECT, { num_replicas: 3 }))
      const addresses = servers.map(({ port }) => `tls://localhost:${port}`)
      const { status } = deliver({ servers: addresses })
      for (const [i, server] of servers.entries()) {
        await spooled.write(150)
        await until('a beginning', () => status().sequence > i * 150)
        await server.kill()
        await until('the others to take it', () => status().sequence > i * 150 + 100)
        await server.start()
      }
      await until('all', () => status().lag === 0)
      expect(status()).toMatchObject({ delivered: 450, dead: 0, discarded: 0 })
      const found = await patiently('the stream to be read', () => first?.read(STREAM))
      expect(found).toEqual(linesIn(spooled.path))
    } finally {
      for (const server of servers) await server.close()
    }
  }, 180_000)

  it('what the stream has can be held against the journal: an event that somebody took out of it is named', async () => {
    await server.makeStream(STREAM, SUBJECT)
    await spooled.write(30)
    const { status } = deliver()
    await until('all', () => status().lag === 0)
    const arrivals = arrivalsOf({ ...terms(), kind: 'nats' }, [])
    const held = async () => {
      const found: Journalled[] = []
      for await (const { event, sequence } of events(spooled.path))
        found.push({ sequence, uid: String(event.metadata.uid), wanted: true })
      return reconcile(() => listed(found), arrivals?.events(() => undefined) ?? listed([]), { through: 30 })
    }
    expect(arrivals?.place).toBe('stream SLUICE')
    expect(await held()).toMatchObject({ matched: 30, missing: 0, foreign: 0, outOfOrder: 0 })
    await server.within(async (connection) => (await jetstreamManager(connection)).streams.deleteMessage(STREAM, 12))
    expect(await held()).toMatchObject({ matched: 29, missing: 1, missingRanges: [[12, 12]] })
    await server.kill()
    await expect(held()).rejects.toMatchObject({ code: 'AUDIT_SINK_UNAVAILABLE' })
  })

  it('a cursor that is lost: the stream says how far it is, and nothing comes again', async () => {
    await server.makeStream(STREAM, SUBJECT)
    await spooled.write(20)
    const first = deliver()
    await until('twenty', () => first.status().sequence === 20)
    await first.end()
    await spooled.write(5)
    const second = spooled.deliver(() => openNatsSink(terms()), { name: 'again' })
    await until('all', () => second.status().lag === 0)
    expect(await server.read(STREAM)).toEqual(linesIn(spooled.path))
  })

  it('a stream that is not there yet is waited for', async () => {
    await spooled.write(3)
    const { status } = deliver()
    // The first attempt may come before the server listens.
    const said = /^the sink "siem" takes no events now: the stream SLUICE did not take an event: /
    await until('a refusal of the stream', () => said.test(status().error ?? ''))
    expect(status().state).toBe('failing')
    await server.makeStream(STREAM, SUBJECT)
    await until('all', () => status().lag === 0)
    expect(status()).toMatchObject({ delivered: 3, dead: 0 })
  })

  it('an event that is too large for the stream is set aside', async () => {
    await spooled.write(3)
    const largest = Math.max(...linesIn(spooled.path).map((line) => line.length))
    await server.makeStream(STREAM, SUBJECT, { max_msg_size: largest - 100 })
    const { status } = deliver()
    await until('all', () => status().lag === 0)
    expect(status().dead).toBe(3)
    expect(linesIn(deadFile(spooled.directory, 'siem'))[0]).toContain('the message is too large for the stream')
  })

  it.each([
    ['a wrong token', (folder: string) => ({ tokenFile: join(folder, 'wrong') })],
    ['an authority that does not know it', () => ({ caFile: '/etc/ssl/certs/ca-certificates.crt' })],
  ])('%s: nothing is delivered, nothing is set aside', async (_, more) => {
    await server.makeStream(STREAM, SUBJECT)
    writeFileSync(join(spooled.folder, 'wrong'), 'not-this')
    await spooled.write(3)
    const { status } = deliver(more(spooled.folder))
    await until('a failure', () => status().state === 'failing')
    expect(status()).toMatchObject({ sequence: 0, dead: 0 })
    expect(status().error).toMatch(/^the sink "siem" takes no events now: no server of it can be reached: /)
    expect(await server.read(STREAM)).toEqual([])
  })
})
