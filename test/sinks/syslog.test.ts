// The sink `syslog` against a TLS receiver that counts octets (RFC 5425): what arrives, and when it counts as delivered.

import type { AddressInfo, Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { syslogMessage } from '../../src/audit/sinks/syslog-frame.js'
import { openSyslogSink, type SyslogSinkTerms } from '../../src/audit/sinks/syslog-sink.js'
import { makeTls, type Tls } from '../support/tls.js'
import { linesIn } from '../unit/audit/rig.js'
import { Spooled, until } from '../unit/audit/sink-rig.js'

let tls: Tls
let spooled: Spooled
let port: number
/** Messages as they were framed, of connections that came to their end, and of those that did not. */
let taken: string[]
let connections: number
/** What becomes of a connection once its first octets came. */
let behave: (socket: TLSSocket, number: number) => 'read' | 'broken'
/** The TCP connections below. */
let raw: Socket[]
let close: () => Promise<void>

beforeAll(() => {
  tls = makeTls()
})
afterAll(() => tls.remove())
beforeEach(async () => {
  spooled = new Spooled()
  taken = []
  connections = 0
  behave = () => 'read'
  raw = []
  const server = createServer({ cert: tls.cert, key: tls.key }, (socket) => {
    const number = ++connections
    const chunks: Buffer[] = []
    let broken = false
    socket.on('error', () => undefined) // what a test breaks
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      if (chunks.length === 1) broken = behave(socket, number) === 'broken'
    })
    socket.on('end', () => {
      if (!broken) taken.push(...unframed(Buffer.concat(chunks)))
    })
  })
  server.on('connection', (socket: Socket) => raw.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
  close = () =>
    new Promise((resolve) => {
      for (const socket of raw) socket.destroy()
      server.close(() => resolve())
    })
})
afterEach(async () => {
  await spooled.close()
  await close()
})

/** RFC 5425 section 4.3: TCP-DATA = *SYSLOG-FRAME. */
function unframed(octets: Buffer): string[] {
  const out: string[] = []
  for (let at = 0; at < octets.length; ) {
    const space = octets.indexOf(0x20, at)
    const length = Number(octets.toString('latin1', at, space))
    out.push(octets.toString('utf8', space + 1, space + 1 + length))
    at = space + 1 + length
  }
  return out
}
const terms = (more: Partial<SyslogSinkTerms> = {}): SyslogSinkTerms => ({
  ...{ name: 'siem', host: 'localhost', port, caFile: tls.caFile, facility: 13, hostname: 'node-1.example' },
  ...more,
})
const deliver = (more: Partial<SyslogSinkTerms> = {}, timeoutMs = 10_000) =>
  spooled.deliver(() => openSyslogSink(terms(more)), { terms: { maxEvents: 20, timeoutMs } })
const events = (): string[] => taken.map((message) => message.slice(message.indexOf('] ') + 2))

describe('what arrives', () => {
  it('is every event, framed by its octets, with a header by RFC 5424', async () => {
    await spooled.write(50)
    const { status } = deliver()
    await until('all', () => status().lag === 0)
    expect(events()).toEqual(linesIn(spooled.path))
    const [line = ''] = linesIn(spooled.path)
    const { time } = JSON.parse(line) as { time: number }
    const head = `<108>1 ${new Date(time).toISOString()} node-1.example sluice - 4001 [meta sequenceId="1"]`
    expect(taken[0]).toBe(`${head} ${line}`)
  })

  it('counts octets, not characters', async () => {
    const text = '{"class_uid":4001,"message":"\u00fc\u2028\u{1f510}","severity_id":6,"time":0}'
    const line = { chain: 'c', sequence: 2_147_483_648, uid: 'u', text }
    const sink = await openSyslogSink(terms({ hostname: 'h\u00fcgel', facility: 0 }))
    await sink.deliver([line, line], new AbortController().signal)
    await until('both', () => taken.length === 2)
    const head = '<1>1 1970-01-01T00:00:00.000Z - sluice - 4001 [meta sequenceId="1"]'
    expect(taken).toEqual([`${head} ${text}`, `${head} ${text}`])
    expect(syslogMessage(line, terms({ facility: 23 })).slice(0, 6)).toBe('<185>1')
  })
})

describe('a batch counts as delivered', () => {
  it('not when the connection is reset after it was sent: it comes again', async () => {
    behave = (_socket, number) => {
      if (number > 2) return 'read'
      raw.at(-1)?.resetAndDestroy()
      return 'broken'
    }
    await spooled.write(10)
    const { status } = deliver()
    await until('all', () => status().lag === 0)
    expect(events()).toEqual(linesIn(spooled.path))
    expect(status().failures).toBe(2)
  })

  it('not when the receiver says nothing until the deadline', async () => {
    behave = (socket, number) => {
      if (number > 1) return 'read'
      socket.pause()
      socket.allowHalfOpen = true
      return 'broken'
    }
    await spooled.write(10)
    const { status } = deliver({}, 300)
    await until('all', () => status().lag === 0)
    expect(events()).toEqual(linesIn(spooled.path))
    expect(status().failures).toBeGreaterThan(0)
  })
})

it('a receiver that the authorities do not know gets nothing', async () => {
  await spooled.write(1)
  const { caFile: _, ...unknown } = terms()
  const { status } = spooled.deliver(() => openSyslogSink(unknown))
  await until('a failure', () => status().state === 'failing')
  expect(status().error).toMatch(
    /^the sink "siem" takes no events now: localhost:\d+ did not take a batch: .*certificate/,
  )
  expect(taken).toEqual([])
})
