// Trouble with the receiver of security events: the agent starts all the same, the trouble is told once, and the receiver begins as soon
// as it can.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { RevocationConfig } from '../../../src/agent/config-revocation.js'
import type { Loop } from '../../../src/agent/loop.js'
import { revocationMetrics } from '../../../src/agent/metrics-revocation.js'
import type { Spoken } from '../../../src/bin/agent-lines.js'
import type { Surroundings } from '../../../src/bin/node.js'
import { type HostedRevocation, hostRevocation } from '../../../src/bin/revocation.js'
import { Mtls } from '../../support/mtls.js'
import { makeNode, type TestNode } from './fixture.js'

let mtls: Mtls
let node: TestNode
let hosted: HostedRevocation | undefined
const said: string[] = []
beforeEach(() => {
  mtls = new Mtls()
  node = makeNode()
  said.length = 0
})
afterEach(async () => {
  await hosted?.stop()
  mtls.remove()
})

const begin = (port: number): Promise<HostedRevocation> =>
  hostRevocation(
    {
      ...{ listen: `127.0.0.1:${port}`, certificate: mtls.path('server.pem'), key: mtls.path('server.key') },
      ...{ latencyMs: 5_000, silence: 'alarm' },
      streams: [
        {
          ...{
            name: 'idp',
            kind: 'push',
            issuer: 'i',
            audience: ['a'],
            keys: mtls.path('none'),
            algorithms: ['ES256'],
          },
          ...{ events: [], criticalMembers: [], riskLevel: 'high', credentialChange: 'alarm', silenceMs: 60_000 },
        },
      ],
    } satisfies RevocationConfig,
    {
      around: { nowMs: () => node.now, random: (length: number) => new Uint8Array(length) } as unknown as Surroundings,
      ...{ store: node.store, loop: {} as Loop, monotonicMs: () => performance.now() },
      // A second is a few milliseconds here.
      sleep: (ms, wake) => sleepFor(ms / 50, undefined, { signal: wake }).catch(() => undefined),
      emit: () => Promise.resolve(),
      say: (line: Spoken) => {
        said.push(line.event)
      },
      metrics: revocationMetrics(new Registry()),
    },
  )

it('an address that is taken is listened on when it is free', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  hosted = await begin((other.address() as AddressInfo).port)
  await sleepFor(200)
  expect(said).toEqual(['revocation-failed'])
  await new Promise((resolve) => other.close(resolve))
  await expect.poll(() => said).toEqual(['revocation-failed', 'revocation'])
})

it('a record that cannot be read is told, counts as silence, and is read again', async () => {
  const folder = join(node.store.directory, 'revocation')
  mkdirSync(folder)
  writeFileSync(join(folder, 'streams.json'), '{')
  hosted = await begin(0)
  await sleepFor(200)
  expect(said).toEqual(['revocation-failed'])
  expect(hosted.status()).toMatchObject([
    { name: 'idp', standing: 'silent', error: expect.stringContaining('streams') },
  ])
  rmSync(join(folder, 'streams.json'))
  await expect.poll(() => said).toEqual(['revocation-failed', 'revocation'])
  expect(hosted.status()).toMatchObject([{ name: 'idp', standing: 'heard' }])
})
