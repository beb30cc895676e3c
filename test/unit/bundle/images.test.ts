// The signed list of images: each member that is wrong is refused by name; a list of another channel, an older one, one that expired,
// and one that keys of another role signed count for nothing; the newest version that may still boot is chosen.

import { describe, expect, it } from 'vitest'
import {
  type Image,
  type ImageList,
  imagesStatement,
  newestImage,
  parseImages,
  signImages,
  verifyImages,
} from '../../../src/bundle/images.js'
import { signerOf } from '../../../src/bundle/key-file.js'
import type { KeyRole } from '../../../src/bundle/model.js'
import type { JsonObject } from '../../../src/bundle/statement.js'
import { entry, keyOf, NOW, ROOT, trustWith } from './fixture.js'

const DAY = 86_400_000
const builders = [keyOf('image', 'image-1'), keyOf('image', 'image-2')]
const trust = trustWith({
  keys: new Map([...ROOT.keys, ...builders.map(entry)]),
  thresholds: new Map<KeyRole, number>([...ROOT.thresholds, ['image', 2]]),
})
const file = (seed: string) => ({ digest: `sha256:${seed.repeat(64)}` as const, size: 4096 })
const image = (name: string, version: number, more: Partial<Image> = {}): Image => ({
  ...{ name, version, profile: 'desktop', builtAtMs: NOW - DAY, expiresAtMs: NOW + DAY },
  ...{ disk: { file: file('a'), format: 'raw' }, ...more },
})
const list = (images: readonly Image[], more: Partial<ImageList> = {}): ImageList => ({
  ...{ channel: 'stable', epoch: 1, revision: 3n, issuedAtMs: NOW, expiresAtMs: NOW + DAY, images },
  ...more,
})
const signed = async (value: ImageList, keys = builders) => {
  let bytes: Uint8Array | undefined
  for (const key of keys) bytes = await signImages(value, signerOf(key), bytes)
  return bytes ?? new Uint8Array()
}
const CONTEXT = { nowMs: NOW, channel: 'stable' }

describe('a list of images', () => {
  it('gives what was signed', async () => {
    const images = [
      image('desktop', 1),
      image('tiny', 4, {
        kernel: { file: file('b'), initrd: file('c'), commandLine: 'console=ttyS0 quiet' },
      }),
      image('bare', 1, { kernel: { file: file('b'), commandLine: '' } }),
    ]
    const verified = await verifyImages(await signed(list(images)), trust, CONTEXT)
    expect(verified.list).toEqual(list(images))
    expect(verified.signers).toEqual(['image-1', 'image-2'])
    expect(verified.mark).toMatchObject({ epoch: 1, revision: 3n })
    const again = { ...CONTEXT, held: verified.mark }
    expect((await verifyImages(await signed(list(images)), trust, again)).mark).toEqual(verified.mark)
  })

  const good = imagesStatement(list([image('desktop', 1)]))
  const [first = {}] = good.images as readonly JsonObject[]
  const changed = (change: JsonObject): JsonObject => ({ ...good, images: [{ ...first, ...change }] })
  it.each<[JsonObject, string]>([
    [{ ...good, images: 'all' }, 'images is not a list of at most 1024'],
    [{ ...good, audience: 'fleet' }, 'exactly channel, epoch, expires_at, format, images, issued_at, revision'],
    [{ ...good, images: [first, first] }, 'desktop@1 stands there twice'],
    [{ ...good, expires_at: good.issued_at }, 'expires_at must be later than issued_at'],
    [changed({ name: 'Desktop' }), 'name is "Desktop"'],
    [changed({ name: '../x' }), 'name is "../x"'],
    [changed({ version: 0 }), 'version 0 of an image'],
    [changed({ version: 1.5 }), 'version is not a whole number'],
    [changed({ disk: null }), 'an image has neither a kernel nor a disk'],
    [changed({ disk: { file: { sha256: 'a', size: 1 }, format: 'raw' } }), 'sha256 is "a"'],
    [changed({ disk: { file: { sha256: 'a'.repeat(64), size: 0 }, format: 'raw' } }), 'a file of 0 octets'],
    [changed({ disk: { file: { sha256: 'a'.repeat(64), size: 1 }, format: 'vmdk' } }), 'format is "vmdk"'],
    [
      changed({ disk: { file: { sha256: 'a'.repeat(64), size: 1 }, format: 'raw', backing: 'x' } }),
      'a disk has exactly',
    ],
    [
      changed({ kernel: { file: { sha256: 'a'.repeat(64), size: 1 }, initrd: null, command_line: 'a\nb' } }),
      'command_line is',
    ],
    [changed({ built_at: '2027-01-01T00:00:00Z' }), 'an image expires before it was built'],
  ])('refuses %#', (statement, why) => {
    expect(() => parseImages(statement)).toThrow(why)
  })

  it('counts for nothing from another role, alone, for another channel, or later than it holds', async () => {
    const bytes = await signed(list([image('desktop', 1)]))
    const code = (promise: Promise<unknown>) =>
      promise.then(
        () => 'verified',
        (error: { code: string }) => error.code,
      )
    const verify = (given: Uint8Array, context = CONTEXT) => code(verifyImages(given, trust, context))
    expect(await verify(await signed(list([]), builders.slice(1)))).toBe('BUNDLE_THRESHOLD')
    await expect(signImages(list([]), signerOf(keyOf('release', 'release-1')))).rejects.toMatchObject({
      code: 'BUNDLE_KEY',
    })
    expect(await code(verifyImages(bytes, trustWith({}), CONTEXT))).toBe('BUNDLE_THRESHOLD')
    expect(await verify(bytes, { ...CONTEXT, channel: 'canary' })).toBe('BUNDLE_CHANNEL')
    expect(await verify(bytes, { ...CONTEXT, nowMs: NOW + DAY })).toBe('BUNDLE_EXPIRED')
    expect(await verify(bytes, { ...CONTEXT, nowMs: NOW - DAY })).toBe('BUNDLE_NOT_YET_VALID')
    const { mark: held } = await verifyImages(bytes, trust, CONTEXT)
    const older = await signed(list([image('desktop', 1)], { revision: 2n }))
    expect(await code(verifyImages(older, trust, { ...CONTEXT, held }))).toBe('BUNDLE_COUNTER_REGRESSION')
    const other = await signed(list([image('desktop', 2)]))
    expect(await code(verifyImages(other, trust, { ...CONTEXT, held }))).toBe('BUNDLE_COUNTER_CONTENT_MISMATCH')
  })

  it('has the newest version that may still boot', async () => {
    const images = [
      image('desktop', 1),
      image('desktop', 3, { expiresAtMs: NOW }),
      image('desktop', 2),
      image('desktop', 4, { builtAtMs: NOW + DAY / 2 }),
    ]
    const verified = await verifyImages(await signed(list(images)), trust, CONTEXT)
    expect(newestImage(verified, 'desktop', NOW)?.version).toBe(2)
    expect(newestImage(verified, 'desktop', NOW - 1)?.version).toBe(3)
    expect(newestImage(verified, 'other', NOW)).toBeUndefined()
    const { profile = '' } = newestImage(verified, 'desktop', NOW) ?? {}
    expect(newestImage(verified, 'desktop', NOW, profile)?.version).toBe(2)
    expect(newestImage(verified, 'desktop', NOW, `${profile}-other`)).toBeUndefined()
  })
})
