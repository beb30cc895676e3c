// Questions whose time was used up elsewhere, at an upstream that is asked over a stream: they end within it, and cost nobody else
// the connection, neither the one that is there nor the one that is being made.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import type { Fault } from '../../src/base/fault.js'
import { openUpstreams } from '../../src/dns/upstream/client.js'
import { newCounters } from '../../src/dns/upstream/counters.js'
import { type StreamReply, StreamUpstream } from '../../src/dns/upstream/stream.js'
import { type Asked, address, type Hostile, replyTo, type Say, startHostile } from '../support/dns/hostile.js'
import { UPSTREAM_LIMITS } from '../support/dns/patience.js'
import { makeTls } from '../support/tls.js'

const WHOLE_MS = 30_000
const NO_TIME_MS = 0.5
/** Enough to be sent, and less than a silence. */
const SHORT_MS = 200

const good: Say = (asked) => replyTo(asked, [address(asked)])
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const serve = async (say: Say): Promise<Hostile> => {
  const server = await startHostile(say)
  closing.push(() => server.close())
  return server
}

const counting = (port: number, transport: 'tcp' | 'dot' = 'tcp', more: object = {}) => {
  const counters = newCounters()
  let id = 0
  const to = { transport, address: '127.0.0.1', port, pins: [], ...more }
  const upstream = new StreamUpstream(to, counters, WHOLE_MS, () => id++)
  closing.push(() => upstream.close())
  const ask = (name: string, timeoutMs = WHOLE_MS): Promise<StreamReply> =>
    upstream.ask(name, 'A', { timeoutMs, signal: new AbortController().signal })
  return { ask, counters, upstream }
}
const codeOf = async (asking: Promise<StreamReply>): Promise<string> => {
  try {
    await asking
    return 'answered'
  } catch (error) {
    return (error as Fault).code
  }
}

/** A door before `port`: who comes waits there until `open`. */
const gate = async (port: number) => {
  const held: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    held.push(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    for (const socket of held) socket.destroy()
    server.close()
  })
  const open = (): void => {
    for (const socket of held) {
      const inner = connect(port, '127.0.0.1')
      inner.on('error', () => socket.destroy())
      socket.pipe(inner).pipe(socket)
    }
  }
  return { port: (server.address() as AddressInfo).port, held, open }
}

it('a question with little time left does not end the connection of the others', async () => {
  const held: Asked[] = []
  const server = await serve((asked) => void held.push(asked))
  const { ask, counters } = counting(server.port)
  const patient = codeOf(ask('patient.example'))
  while (held.length < 1) await new Promise((resolve) => setImmediate(resolve))
  expect(await codeOf(ask('hurried.example', SHORT_MS))).toBe('DNS_UPSTREAM_SILENT')
  expect(counters.sentTcp).toBe(2)
  for (const one of held) if (one.name === 'patient.example') one.send(replyTo(one, [address(one)]))
  expect(await patient).toBe('answered')
  expect(counters.connections).toBe(1)
})

it('with no time left nothing is sent', async () => {
  const server = await serve(good)
  const { ask, counters } = counting(server.port)
  await ask('first.example')
  expect(await codeOf(ask('late.example', NO_TIME_MS))).toBe('DNS_UPSTREAM_SILENT')
  expect(counters.sentTcp).toBe(1)
})

it('whoever waits for a connection that somebody else makes leaves when its own time is over', async () => {
  const { port } = await gate(0)
  const { ask, upstream } = counting(port, 'dot', { name: 'dns.example' })
  const ended: string[] = []
  const asking = (name: string, timeoutMs: number): Promise<unknown> =>
    codeOf(ask(name, timeoutMs)).then((code) => ended.push(`${name} ${code}`))
  const first = asking('patient', WHOLE_MS)
  await asking('hurried', SHORT_MS)
  expect(ended).toEqual(['hurried DNS_UPSTREAM_SILENT'])
  // What is still being made ends with the upstream.
  upstream.close()
  await first
  expect(ended).toEqual(['hurried DNS_UPSTREAM_SILENT', 'patient DNS_UPSTREAM_LINK'])
})

it('a connection that somebody with little time began to make is made for the others', async () => {
  const tls = makeTls(['DNS:dns.example'])
  closing.push(() => tls.remove())
  const server = await startHostile(good, tls)
  closing.push(() => server.close())
  const door = await gate(server.tlsPort)
  const { ask, counters } = counting(door.port, 'dot', { name: 'dns.example', ca: tls.ca })
  const hurried = codeOf(ask('hurried.example', SHORT_MS))
  const patient = codeOf(ask('patient.example'))
  expect(await hurried).toBe('DNS_UPSTREAM_SILENT')
  while (door.held.length < 1) await new Promise((resolve) => setImmediate(resolve))
  door.open()
  expect(await patient).toBe('answered')
  expect(counters).toMatchObject({ connections: 1, sentDot: 1 })
})

it('an answer cut short over UDP goes on over TCP with what is left, not with more', async () => {
  const server = await serve((asked) =>
    asked.way === 'udp' ? replyTo(asked, [address(asked)], { flags: 1 << 9 }) : undefined,
  )
  const totalMs = 1_500
  const limits = { ...UPSTREAM_LIMITS, totalMs, rounds: 1 }
  const client = openUpstreams([{ transport: 'udp', address: '127.0.0.1', port: server.port, pins: [] }], limits)
  closing.push(() => client.close())
  const asking = client.ask({ name: 'git.lab.example', type: 'A' }, new AbortController().signal)
  const { cause } = (await asking.catch((error: unknown) => error)) as Error
  expect(server.asked.map(({ way }) => way)).toEqual(['udp', 'tcp'])
  // The limit that it was given, as its own fault says.
  const given = Number(/within (\d+) ms$/.exec((cause as Error).message)?.[1])
  expect(given).toBeLessThanOrEqual(totalMs)
})
