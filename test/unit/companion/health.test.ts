// The companion as it is composed, with no machine and an agent that nobody reaches: what `http` serves without an export, and how its
// own ear stands, for whoever scrapes and whoever asks at the socket.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { LifecycleClient } from '../../../src/api/lifecycle-client.js'
import { utf8 } from '../../../src/base/bytes.js'
import { type Parts, runCompanion } from '../../../src/bin/companion.js'
import { parseCompanion } from '../../../src/companion/config.js'
import { Mtls } from '../../support/mtls.js'

const none = () => Promise.resolve([])
const PARTS = {
  driver: { name: 'qemu', ids: none, list: none },
  images: { shelf: () => Promise.resolve({ builtAtMs: new Map(), newest: new Map() }) },
} as unknown as Parts

let mtls: Mtls
let taken: Server
beforeEach(() => {
  mtls = new Mtls()
  mkdirSync(mtls.path('state'), { mode: 0o700 })
  writeFileSync(mtls.path('token'), 't')
  taken = createServer()
})
afterEach(async () => {
  await new Promise((resolve) => taken.close(resolve))
  mtls.remove()
})

/** Runs it until `look` has seen what it waits for. */
async function running(
  http: string,
  look: (lines: readonly Line[]) => Promise<boolean> | boolean,
  more = '',
): Promise<void> {
  const text = `companion: spiffe://fleet.example/companion/h1
state_directory: state
events_file: events.ndjson
socket: companion.sock
http: ${http}
agent: {address: "127.0.0.1:1", server_name: localhost, ca: ca.pem, certificate: server.pem, key: server.key, evidence_keys: k.json}
machines: {directory: machines, first_user: 63000}
images: {directory: images, trust_root: root.json}
networks:
  - {name: ws0, kind: representor, interface: none0, pci: "0000:03:00.2", mac: "02:00:00:00:09:06", addresses: ["10.9.0.6"]}
revocation:
  latency_seconds: 7
  silence: alarm
  streams:
    - {name: idp, kind: poll, issuer: "https://idp.example.com/", audience: [us], keys: jwks.json, url: "https://127.0.0.1:1/poll", token_file: token}
${more}`
  const around = {
    ...{ cwd: mtls.directory, operator: 'user:t', version: '0', environment: () => undefined },
    ...{ nowMs: Date.now, random: (length: number) => new Uint8Array(randomBytes(length)) },
    resolve: (path: string) => path,
  }
  const ending = new AbortController()
  const lines: Line[] = []
  const config = parseCompanion(utf8(text), 'companion.yaml', mtls.directory)
  const run = runCompanion(around, config, { signal: ending.signal, tell: (line) => lines.push(line) }, PARTS)
  let failure: unknown
  run.catch((error: unknown) => {
    failure = error
  })
  try {
    const endMs = Date.now() + 45_000
    while (!(await look(lines))) {
      if (failure instanceof Error) throw failure
      if (Date.now() > endMs) throw new Error(`not seen: ${JSON.stringify(lines)}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  } finally {
    ending.abort()
    await run
  }
}
interface Line {
  readonly event: string
  readonly detail: Readonly<Record<string, unknown>>
}

it('serves health and how its streams stand, where nothing is exported', { timeout: 90_000 }, async () => {
  let metrics = ''
  await running('127.0.0.1:0', async (lines) => {
    const port = lines.find(({ event }) => event === 'http')?.detail.port
    if (typeof port !== 'number') return false
    expect(await (await fetch(`http://127.0.0.1:${port}/livez`)).text()).toBe('ok\n')
    metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const client = new LifecycleClient(mtls.path('companion.sock'))
    try {
      const { workspaces, streams } = await client.overview()
      expect(workspaces).toEqual([])
      expect(streams).toMatchObject([{ name: 'idp', kind: 'poll', taken: 0 }])
    } finally {
      client.close()
    }
    return true
  })
  expect(metrics).toContain('sluice_revocation_declared_seconds 7')
  expect(metrics).toMatch(/^sluice_revocation_stream_heard\{stream="idp"\} [01]$/m)
  expect(metrics).not.toContain('sluice_export_')
})

it('runs where its address is taken, and says so', { timeout: 90_000 }, async () => {
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as AddressInfo
  await running(`127.0.0.1:${port}`, (lines) => {
    const said = lines.find(({ event }) => event === 'http-failed')
    return said !== undefined && lines.some(({ event }) => event === 'ready')
  })
})

it('refuses a sink that several nodes would share before anybody can reach it', { timeout: 90_000 }, async () => {
  const more = `export:
  agents:
    - {name: a, kind: grpc, node: "spiffe://fleet.example/node/h1", address: "127.0.0.1:1", server_name: localhost, ca: ca.pem, certificate: server.pem, key: server.key}
  sinks:
    - {name: archive, kind: file, path: all.ndjson}
`
  await expect(running('127.0.0.1:0', () => false, more)).rejects.toMatchObject({ code: 'EXPORT_SINK_SHARED' })
  expect(existsSync(mtls.path('companion.sock'))).toBe(false)
})
