// The OCI transport against Debian's docker-registry: what is pushed comes back, and what its store hides or changes is
// refused.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { folderBlobs } from '../../src/agent/transports/blobs.js'
import { ociTransport } from '../../src/agent/transports/oci.js'
import { fallbackTag, type RegistryTerms } from '../../src/agent/transports/registry.js'
import type { ProgressReport } from '../../src/agent/transports/transport.js'
import { utf8 } from '../../src/base/bytes.js'
import { digestOf } from '../../src/base/digest.js'
import { verifyBundle } from '../../src/bundle/verify.js'
import { hasRegistry, type RegistryProcess, startRegistry } from '../support/registry.js'
import { makeTls, type Tls } from '../support/tls.js'
import { CONTEXT, makeBundle, TRUST } from '../unit/bundle/fixture.js'
import { noise } from '../unit/bundle/tarball.js'

const SINCE = { rootVersion: 1 }
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail('it was accepted'),
    (error: { code: string; message: string; detail: unknown }) => error,
  )

let tls: Tls
beforeAll(() => {
  tls = makeTls()
})
afterAll(() => tls.remove())

if (!hasRegistry()) test('needs docker-registry', (context) => context.skip('docker-registry is not installed'))

describe.runIf(hasRegistry())('docker-registry', () => {
  let registry: RegistryProcess
  let count = 0
  let name = ''
  beforeAll(async () => {
    registry = await startRegistry(tls)
  })
  afterAll(() => registry.stop())
  beforeEach(() => {
    name = `fleet/policies-${++count}`
  })
  const open = (change: Partial<RegistryTerms> = {}) =>
    ociTransport({ origin: registry.origin, name, ca: tls.ca, ...change })

  test('a pushed bundle comes back, verifies, and is not sent again', async () => {
    const bundle = await makeBundle()
    const roots = [{ version: 2, statement: utf8('two') }]
    const transport = open()
    await transport.push('stable', { bundle, freshness: utf8('fresh'), roots })
    const fetched = await transport.fetch('stable', SINCE)
    if (fetched.kind !== 'delivered') return expect.fail('nothing came')
    expect((await verifyBundle(fetched.bundle, TRUST, CONTEXT)).release.policyRevision).toBe(7n)
    expect(fetched.roots.map((root) => Buffer.from(root).toString())).toEqual(['two'])
    expect(Buffer.from(fetched.freshness ?? []).toString()).toBe('fresh')
    const again = await transport.fetch('stable', { ...SINCE, tag: fetched.tag })
    expect(again.kind).toBe('unchanged')
    expect(Buffer.from(again.freshness ?? []).toString()).toBe('fresh')
    transport.close()
  })

  test('the release hangs on the tag of the fallback, and a newer one of the same content wins', async () => {
    const transport = open()
    const seventh = await makeBundle()
    await transport.push('stable', { bundle: seventh })
    const first = await transport.fetch('stable', SINCE)
    if (first.kind !== 'delivered') return expect.fail('nothing came')
    const ninth = await makeBundle({ release: { policyRevision: 9n } })
    expect(digestOf(ninth.manifest)).toBe(digestOf(seventh.manifest))
    await transport.push('stable', { bundle: ninth })
    const second = await transport.fetch('stable', { ...SINCE, tag: first.tag })
    if (second.kind !== 'delivered') return expect.fail('nothing came')
    expect(Buffer.from(second.bundle.release ?? [])).toEqual(Buffer.from(ninth.release))
    const tags = readdirSync(join(registry.storage, 'docker/registry/v2/repositories', name, '_manifests/tags'))
    expect(tags.sort()).toEqual(['channel.stable', fallbackTag(first.tag.split('+')[0] as `sha256:${string}`)])
    transport.close()
  })

  test('two channels share one artifact, and each has its own release', async () => {
    const transport = open()
    await transport.push('canary', { bundle: await makeBundle({ release: { channel: 'canary' } }) })
    await transport.push('stable', { bundle: await makeBundle() })
    for (const channel of ['canary', 'stable']) {
      const fetched = await transport.fetch(channel, SINCE)
      if (fetched.kind !== 'delivered') return expect.fail('nothing came')
      expect((await verifyBundle(fetched.bundle, TRUST, { ...CONTEXT, channel })).source.channel).toBe(channel)
    }
    transport.close()
  })

  test('blobs that are there do not travel again, and progress says so', async () => {
    const seen: ProgressReport[] = []
    const bundle = await makeBundle({ members: new Map([['big', noise(2_500_000)]]) })
    const transport = open({ onProgress: (report) => seen.push(report) })
    await transport.push('stable', { bundle })
    expect(seen.filter(({ what }) => what === 'big').map(({ done, total }) => [done, total])).toEqual([
      [1 << 20, 2_500_000],
      [2 << 20, 2_500_000],
      [2_500_000, 2_500_000],
    ])
    seen.length = 0
    await transport.push('stable', { bundle })
    expect(seen.every(({ reused }) => reused === true)).toBe(true)
    transport.close()
  })

  test('a pull that was cut short goes on with what it has', async () => {
    const bundle = await makeBundle({ members: new Map([['big', noise(300_000)]]) })
    const push = open()
    await push.push('stable', { bundle })
    push.close()
    const folder = mkdtempSync(join(tmpdir(), 'sluice-blobs-'))
    const digest = digestOf(noise(300_000))
    writeFileSync(join(folder, `${digest.slice(7)}.part`), noise(300_000).subarray(0, 200_000))
    const seen: ProgressReport[] = []
    const pull = open({ blobs: folderBlobs(folder), onProgress: (report) => seen.push(report) })
    const fetched = await pull.fetch('stable', SINCE)
    expect(fetched.kind === 'delivered' && digestOf(fetched.bundle.members.get('big') ?? new Uint8Array(0))).toBe(
      digest,
    )
    expect(seen.find(({ what }) => what === 'big')?.done).toBeGreaterThan(200_000)
    expect(digestOf(readFileSync(join(folder, digest.slice(7))))).toBe(digest)
    // And a damaged file is not believed.
    writeFileSync(join(folder, digest.slice(7)), noise(300_000).reverse())
    expect((await pull.fetch('stable', SINCE)).kind).toBe('delivered')
    expect(digestOf(readFileSync(join(folder, digest.slice(7))))).toBe(digest)
    rmSync(folder, { recursive: true })
    pull.close()
  })

  test('a release for another channel is not pushed', async () => {
    const transport = open()
    expect(await refusal(transport.push('canary', { bundle: await makeBundle() }))).toMatchObject({
      code: 'TRANSPORT_NO_RELEASE',
    })
    transport.close()
  })

  test('a registry whose referrers are gone is refused', async () => {
    const transport = open()
    await transport.push('stable', { bundle: await makeBundle() })
    const tags = join(registry.storage, 'docker/registry/v2/repositories', name, '_manifests/tags')
    for (const tag of readdirSync(tags)) if (tag.startsWith('sha256-')) rmSync(join(tags, tag), { recursive: true })
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_NO_RELEASE',
      message: `"${registry.origin.host}" shows no release for channel "stable" beside the bundle`,
    })
    transport.close()
  })

  test('content that was changed in the store is refused', async () => {
    const transport = open()
    const content = utf8('members: changed-in-the-store\n')
    await transport.push('stable', { bundle: await makeBundle({ members: new Map([['a.yaml', content]]) }) })
    const hex = digestOf(content).slice(7)
    const data = join(registry.storage, `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`)
    writeFileSync(data, Buffer.from(content).reverse())
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_DIGEST',
      detail: { expected: `sha256:${hex}` },
    })
    transport.close()
  })

  test('a channel that is not there', async () => {
    const transport = open()
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_NOT_FOUND' })
    transport.close()
  })
})
