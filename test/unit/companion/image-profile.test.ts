// What an image was built for, at the store of a host: a list of one name in two profiles, and who may get which.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { signerOf } from '../../../src/bundle/key-file.js'
import type { KeyRole } from '../../../src/bundle/model.js'
import { ImageStore } from '../../../src/companion/image-store.js'
import { shelfKey } from '../../../src/companion/lifecycle/renewal.js'
import { listOf, published, publishList } from '../../support/companion/images.js'
import { entry, keyOf, NOW, ROOT, trustWith } from '../bundle/fixture.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-profiles-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

it('gives out the newest of a profile, and boots none of another', async () => {
  const builder = keyOf('image', 'image-1')
  const trust = trustWith({
    keys: new Map([...ROOT.keys, entry(builder)]),
    thresholds: new Map<KeyRole, number>([...ROOT.thresholds, ['image', 1]]),
  })
  writeFileSync(join(folder, 'kernel'), 'kernel')
  const from = join(folder, 'published')
  const kernel = { file: published(from, join(folder, 'kernel')), commandLine: 'quiet' }
  const image = (version: number, profile: string) => ({
    ...{ name: 'base', version, profile, builtAtMs: NOW - 1_000, expiresAtMs: NOW + 86_400_000 },
    kernel,
  })
  await publishList(from, listOf(NOW, [image(1, 'gpu'), image(2, 'desktop')]), signerOf(builder))
  const store = new ImageStore({
    ...{ directory: join(folder, 'images'), channel: 'stable' },
    trust: () => trust,
    nowMs: () => NOW,
  })
  await store.fetch(from)
  expect(await store.newest('base')).toBe('base@2')
  expect(await store.newest('base', 'gpu')).toBe('base@1')
  await expect(store.newest('base', 'server')).rejects.toMatchObject({
    code: 'MACHINE_IMAGE',
    message: expect.stringContaining('has no version of it for the profile server that may boot') as string,
  })
  expect((await store.boot('base@1', 'layer', 'gpu')).image).toBe('base@1')
  expect((await store.boot('base@2', 'layer')).image).toBe('base@2')
  await expect(store.boot('base@2', 'layer', 'gpu')).rejects.toMatchObject({
    code: 'MACHINE_IMAGE',
    message: expect.stringContaining('it was built for the profile desktop, and its network takes gpu') as string,
  })
  expect(Object.fromEntries(await store.profiles())).toEqual({ 'base@1': 'gpu', 'base@2': 'desktop' })
  expect((await store.shelf()).newest.get(shelfKey('base', 'gpu'))).toBe('base@1')
})
