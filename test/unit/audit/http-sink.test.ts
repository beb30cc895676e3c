// The sink `http` against a real TLS server: what is sent, what each answer means, and whom it talks to.

import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type HttpSinkTerms, openHttpSink } from '../../../src/audit/sinks/http-sink.js'
import { deadFile } from '../../../src/audit/sinks/terms.js'
import { makeTls, type Tls } from '../../support/tls.js'
import { type Answer, serve, type Web } from '../../support/web.js'
import { linesIn } from './rig.js'
import { Spooled, until } from './sink-rig.js'

let tls: Tls
let web: Web
let spooled: Spooled
/** Bodies as they were before compression. */
let bodies: string[]
let status: (batch: number) => number | { readonly status: number; readonly headers: Record<string, string> }
beforeAll(() => {
  tls = makeTls()
})
afterAll(() => tls.remove())
beforeEach(async () => {
  spooled = new Spooled()
  bodies = []
  status = () => 200
  web = await serve(tls, receive)
})
afterEach(async () => {
  await spooled.close()
  await web.close()
})

const receive: Answer = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks)
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
    const answer = status(bodies.push(plain.toString('utf8')))
    const { status: code, headers = {} } = typeof answer === 'number' ? { status: answer } : answer
    response.writeHead(code, headers).end(code === 200 ? 'ok' : 'said the\nreceiver')
  })
}
const terms = (more: Partial<HttpSinkTerms> = {}): HttpSinkTerms => ({
  ...{ name: 'siem', url: web.url.href, format: 'ndjson', gzip: true, caFile: tls.caFile, node: 'spiffe://a/n' },
  ...more,
})
const deliver = (more: Partial<HttpSinkTerms> = {}, batch = 500) =>
  spooled.deliver(() => openHttpSink(terms(more)), { terms: { maxEvents: batch } })

describe('what is sent', () => {
  it('ndjson: the lines of the journal, compressed, with the token of the file', async () => {
    const tokenFile = join(spooled.folder, 'token')
    writeFileSync(tokenFile, 'first\n')
    await spooled.write(20)
    const at = deliver({ tokenFile })
    await until('all', () => at.status().lag === 0)
    expect(bodies.join('').trimEnd().split('\n')).toEqual(linesIn(spooled.path))
    const headers = { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' }
    expect(web.headers[0]).toMatchObject({ ...headers, authorization: 'Bearer first' })
    writeFileSync(tokenFile, 'second\n')
    await spooled.write(1)
    await until('one more', () => at.status().lag === 0)
    expect(web.headers.at(-1)?.authorization).toBe('Bearer second')
    expect(web.asked.every((asked) => asked === 'POST /')).toBe(true)
  })

  it('splunk-hec: an object for each event, with its own time and the event as it is', async () => {
    const tokenFile = join(spooled.folder, 'token')
    writeFileSync(tokenFile, '00000000-0000-4000-8000-000000000000')
    await spooled.write(3)
    const at = deliver({ format: 'splunk-hec', gzip: false, tokenFile })
    await until('all', () => at.status().lag === 0)
    expect(web.headers[0]).toMatchObject({ authorization: 'Splunk 00000000-0000-4000-8000-000000000000' })
    expect(web.headers[0]?.['content-encoding']).toBeUndefined()
    const [line = ''] = linesIn(spooled.path)
    const { time } = JSON.parse(line) as { time: number }
    const frame = `{"time":${(time / 1_000).toFixed(3)},"host":"spiffe://a/n","source":"sluice","sourcetype":"ocsf"`
    expect(bodies[0]?.split('\n')[0]).toBe(`${frame},"event":${line}}`)
  })
})

describe('otlp', () => {
  interface Record {
    readonly timeUnixNano: string
    readonly severityNumber: number
    readonly severityText: string
    readonly body: { readonly stringValue: string }
    readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[]
  }
  interface Logs {
    readonly resourceLogs: readonly {
      readonly resource: { readonly attributes: Record['attributes'] }
      readonly scopeLogs: readonly { readonly logRecords: readonly Record[] }[]
    }[]
  }
  it('sends log records with the event as the body and its id for deduplication', async () => {
    await spooled.write(3)
    const at = deliver({ format: 'otlp' })
    await until('all', () => at.status().lag === 0)
    expect(web.headers[0]?.['content-type']).toBe('application/json')
    const [logs] = (JSON.parse(bodies[0] ?? '') as Logs).resourceLogs
    expect(logs?.resource.attributes).toEqual([
      { key: 'service.name', value: { stringValue: 'sluice' } },
      { key: 'service.instance.id', value: { stringValue: 'spiffe://a/n' } },
    ])
    const records = logs?.scopeLogs[0]?.logRecords ?? []
    const [line = ''] = linesIn(spooled.path)
    const { time, metadata } = JSON.parse(line) as { time: number; metadata: { uid: string } }
    expect(records).toHaveLength(3)
    expect(records[0]).toEqual({
      timeUnixNano: `${time}000000`,
      severityNumber: 13,
      severityText: 'WARN',
      body: { stringValue: line },
      attributes: [
        { key: 'log.record.uid', value: { stringValue: metadata.uid } },
        { key: 'event.name', value: { stringValue: 'ocsf' } },
      ],
    })
  })

  it('believes an answer that says some were refused, and finds which', async () => {
    await spooled.write(9)
    web.answer = (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const bad = gunzipSync(Buffer.concat(chunks)).toString('utf8').includes('\\"sequence\\":4,')
        const partialSuccess = bad ? { rejectedLogRecords: '1', errorMessage: 'too long' } : {}
        response.writeHead(200).end(JSON.stringify({ partialSuccess }))
      })
    }
    const at = deliver({ format: 'otlp' })
    await until('all', () => at.status().lag === 0)
    expect(at.status()).toMatchObject({ delivered: 8, dead: 1 })
    const [letter = ''] = linesIn(deadFile(spooled.directory, 'siem'))
    expect(JSON.parse(letter)).toMatchObject({
      why: 'the sink "siem" refuses these events: 1 events rejected: too long',
      event: { metadata: { sequence: 4 } },
    })
  })
})

describe('what an answer means', () => {
  it.each([500, 503, 429, 401, 403, 404, 301])('%i: later again, the same events', async (code) => {
    status = (batch) => (batch === 1 ? code : 200)
    await spooled.write(5)
    const at = deliver()
    await until('all', () => at.status().lag === 0)
    expect(at.status()).toMatchObject({ delivered: 5, dead: 0, failures: 1 })
    expect(bodies[1]).toBe(bodies[0])
  })

  it.each([400, 413, 415, 422])('%i: an event that is refused is set aside', async (code) => {
    status = (batch) => (bodies[batch - 1]?.includes('"sequence":3,') ? code : 200)
    await spooled.write(5)
    const at = deliver()
    await until('all', () => at.status().lag === 0)
    expect(at.status()).toMatchObject({ delivered: 4, dead: 1 })
  })

  it('says what the receiver said, in one line', async () => {
    status = () => 503
    await spooled.write(1)
    const at = deliver()
    await until('a failure', () => at.status().state === 'failing')
    expect(at.status().error).toBe('the sink "siem" takes no events now: HTTP 503: said the receiver')
  })
})

describe('whom it talks to', () => {
  it('not to a server that its authorities do not know', async () => {
    await spooled.write(1)
    const { caFile: _, ...unknown } = terms()
    const at = spooled.deliver(() => openHttpSink(unknown))
    await until('a failure', () => at.status().state === 'failing')
    expect(at.status().error).toMatch(/certificate/)
    expect(bodies).toEqual([])
  })

  it('not to a server with another name', async () => {
    await spooled.write(1)
    const at = deliver({ url: `https://127.0.0.2:${web.port}/` })
    await until('a failure', () => at.status().state === 'failing')
    expect(bodies).toEqual([])
  })

  it('not where a redirect points', async () => {
    let arrived = 0
    const elsewhere: Server = createServer((_, response) => {
      arrived++
      response.end()
    })
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
    const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`
    status = (batch) => (batch < 3 ? { status: 307, headers: { location } } : 200)
    await spooled.write(1)
    const at = deliver()
    await until('all', () => at.status().lag === 0)
    expect([arrived, bodies.length]).toEqual([0, 3])
    await new Promise((resolve) => elsewhere.close(resolve))
  })

  it('a receiver that hangs is left after the deadline', async () => {
    web.answer = () => undefined
    await spooled.write(1)
    const at = spooled.deliver(() => openHttpSink(terms()), { terms: { timeoutMs: 20 } })
    await until('a failure', () => at.status().failures > 0)
    expect(at.status().error).toMatch(/aborted/)
    web.answer = receive
    await until('all', () => at.status().lag === 0)
  })
})
