// `sluice publish images`: what a builder of images writes as JSON becomes a list that the companion's verifier takes; what it would refuse
// is not signed.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { canonicalize } from '../../../src/base/canonical.js'
import { imagesStatement, verifyImages } from '../../../src/bundle/images.js'
import { readPrivateKey } from '../../../src/bundle/key-file.js'
import type { KeyRole } from '../../../src/bundle/model.js'
import { listOf } from '../../support/companion/images.js'
import { Operator } from '../../support/operator.js'
import { entry, NOW, ROOT, trustWith } from '../bundle/fixture.js'

const operator = new Operator()
afterAll(() => {
  operator.close()
})

it('signs a list with a key of role image, and refuses one that would not be taken', async () => {
  const at = (name: string) => join(operator.directory, name)
  const kernel = { file: { digest: `sha256:${'a'.repeat(64)}` as const, size: 1 }, commandLine: 'quiet' }
  const image = {
    ...{ name: 'tiny', version: 1, profile: 'test', builtAtMs: NOW, expiresAtMs: NOW + 86_400_000 },
    kernel,
  }
  const list = listOf(NOW, [image])
  expect(await operator.sluice('bundle keygen --role image --kid image-1 --out keys')).toMatchObject({ exit: 0 })
  writeFileSync(at('images.json'), canonicalize(imagesStatement(list)))
  const line = 'publish images images.json --key keys/image-1.key --out images.jws.json'
  expect(await operator.sluice(line)).toMatchObject({ exit: 0, out: expect.stringContaining('wrote images.jws.json') })
  const key = readPrivateKey(readFileSync(at('keys/image-1.key')))
  const trust = trustWith({
    keys: new Map([...ROOT.keys, entry(key)]),
    thresholds: new Map<KeyRole, number>([...ROOT.thresholds, ['image', 1]]),
  })
  const verified = await verifyImages(readFileSync(at('images.jws.json')), trust, { nowMs: NOW, channel: 'stable' })
  expect(verified.list).toEqual(list)
  writeFileSync(at('images.json'), canonicalize({ ...imagesStatement(list), audience: 'everybody' }))
  const refused = await operator.sluice(line)
  expect(refused.exit).toBe(2)
  expect(refused.error).toContain('exactly channel, epoch, expires_at')
})
