// The companion's link to its agent, whose authority is replaced on both sides while it runs, and which is away for a while.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { agentClient } from '../../src/bin/agent-client.js'
import { until } from '../support/agent/running.js'
import { Mtls } from '../support/mtls.js'
import { IDS, Scene } from './scene.js'

const PATIENCE_MS = 120_000
/** An address of this file alone, where no other test takes the port that an agent comes back at. */
const HOST = '127.0.83.1'

it('is made anew when certificate, key and authority are, and not of a half of them', {
  timeout: PATIENCE_MS,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-rotation-'))
  const [certificate, key, ca] = [join(folder, 'tls.pem'), join(folder, 'tls.key'), join(folder, 'ca.pem')]
  const first = await Scene.open({}, `${HOST}:0`)
  const address = `${HOST}:${first.server.port}`
  const write = ({ mtls }: Pick<Scene, 'mtls'>): void => {
    const pair = mtls.client([`URI:${IDS.companion}`])
    writeFileSync(certificate, pair.certificate)
    writeFileSync(key, pair.key)
    writeFileSync(ca, mtls.ca)
  }
  write(first)
  const link = agentClient({ address, serverName: 'localhost', certificate, key, ca, keys: '' })
  const generation = async (): Promise<number> =>
    Number((await link.call('Enforcement/GetStatus', {})).live?.generation)
  let second: Scene | undefined
  const stranger = new Mtls()
  try {
    expect(await generation()).toBe(7)
    writeFileSync(certificate, first.mtls.client([`URI:${IDS.companion}`]).certificate)
    expect(await generation()).toBe(7)
    rmSync(ca)
    expect(await generation()).toBe(7)
    // Of an authority that the agent has not heard of yet: what works goes on working.
    writeFileSync(ca, stranger.ca)
    const early = stranger.client([`URI:${IDS.companion}`])
    writeFileSync(certificate, early.certificate)
    writeFileSync(key, early.key)
    for (let i = 0; i < 3; i++) expect(await generation()).toBe(7)
    await first.server.close()
    await expect(generation()).rejects.toThrow('UNAVAILABLE')
    second = await Scene.open({}, address)
    write(second)
    await until('the agent to answer', () => generation().catch(() => undefined))
  } finally {
    link.close()
    stranger.remove()
    await first.close()
    await second?.close()
    rmSync(folder, { recursive: true, force: true })
  }
})
