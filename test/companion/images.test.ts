// Golden images: fetched by digest, given out by a signed list, read-only under a layer of each machine. One machine boots from its disk
// and writes to it; everything else is what must not boot.

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Image } from '../../src/bundle/images.js'
import { signerOf } from '../../src/bundle/key-file.js'
import type { KeyRole } from '../../src/bundle/model.js'
import type { MachineSpec } from '../../src/companion/drivers/driver.js'
import { QemuDriver } from '../../src/companion/drivers/qemu.js'
import { ensureTap, removeTap } from '../../src/companion/drivers/tap.js'
import { ImageStore, type ImageTerms } from '../../src/companion/image-store.js'
import { TAP_OF } from '../support/companion/driver-suite.js'
import { listOf, published, publishList } from '../support/companion/images.js'
import { BootFolder, machine, PATIENCE_MS, saidOn, verified } from '../support/companion/machine.js'
import { seclude } from '../support/ebpf/seclusion.js'
import { entry, keyOf, NOW, ROOT, trustWith } from '../unit/bundle/fixture.js'

const DAY = 86_400_000
const builder = keyOf('image', 'image-1')
const trust = trustWith({
  keys: new Map([...ROOT.keys, entry(builder)]),
  thresholds: new Map<KeyRole, number>([...ROOT.thresholds, ['image', 1]]),
})
/** Says what its disk begins with, writes there, and says it again. */
const COMMAND = [
  'first() { dd if=/dev/vda bs=6 count=1 2>/dev/null; }',
  'echo before: $(first); printf "dirty." | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null; sync; echo after: $(first)',
  'while [ ! -e /tmp/off ]; do sleep 1; done',
].join('\n')

describe('golden images', () => {
  let boot: BootFolder
  let driver: QemuDriver
  let nowMs = NOW
  const at = (name: string) => join(boot.directory, name)
  const store = (more: Partial<ImageTerms> = {}) =>
    new ImageStore({ directory: at('store'), trust: () => trust, channel: 'stable', nowMs: () => nowMs, ...more })
  let images: readonly Image[]
  let spec: MachineSpec

  beforeAll(async () => {
    seclude()
    boot = new BootFolder()
    driver = QemuDriver.open({ directory: at('run') })
    await ensureTap(TAP_OF)
    const { kernel } = boot.boot({ command: COMMAND, modules: ['virtio_blk'] })
    writeFileSync(at('golden.raw'), Buffer.concat([Buffer.from('golden'), Buffer.alloc((1 << 20) - 6)]))
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', at('golden.qcow2'), '1M'])
    const file = (path = '') => published(at('published'), path)
    const image = (version: number, more: Partial<Image>): Image => ({
      ...{ name: 'tiny', version, profile: 'test', builtAtMs: NOW - DAY, expiresAtMs: NOW + DAY },
      kernel: {
        file: file(kernel?.file.path),
        initrd: file(kernel?.initrd?.path),
        commandLine: kernel?.commandLine ?? '',
      },
      ...more,
    })
    images = [
      image(1, { disk: { file: file(at('golden.qcow2')), format: 'qcow2' } }),
      image(2, { disk: { file: file(at('golden.raw')), format: 'raw' } }),
      image(3, { expiresAtMs: NOW - 1 }),
    ]
    await publishList(at('published'), listOf(NOW, images), signerOf(builder))
    await store().fetch(at('published'))
    await store().layer('tiny@2', at('layer.qcow2'))
    spec = machine(await store().boot('tiny@2', at('layer.qcow2')), TAP_OF.interface)
  }, PATIENCE_MS)
  afterEach(async () => {
    for (const { id } of (await driver?.list()) ?? []) {
      await driver.kill(id)
      await driver.remove(id)
    }
  }, PATIENCE_MS)
  afterAll(async () => {
    await removeTap(TAP_OF.interface)
    boot?.close()
  })

  it('come by digest, and the newest that may boot is given out', async () => {
    await expect(store({ directory: at('empty') }).newest('tiny')).rejects.toThrow('there is no list of images')
    expect(await store().fetch(at('published'))).toEqual(['tiny@1', 'tiny@2', 'tiny@3'])
    expect(await store().list()).toEqual(['tiny@2', 'tiny@1'])
    expect(await store().newest('tiny')).toBe('tiny@2')
    expect(await store().shelf()).toEqual({
      builtAtMs: new Map([1, 2, 3].map((version) => [`tiny@${version}`, NOW - DAY])),
      newest: new Map(['tiny', 'tiny test'].map((key) => [key, 'tiny@2'])),
    })
    await expect(store().newest('other')).rejects.toThrow(/no version of it that may boot/)
    await expect(store().boot('tiny@3', '')).rejects.toThrow('tiny@3 does not boot: it expired at')
    await expect(store().boot('tiny@9', '')).rejects.toThrow(/the list of channel stable does not have it/)
    await expect(store({ maxAgeMs: DAY / 2 }).newest('tiny')).rejects.toThrow(/longer ago than this host allows/)
    expect(await store({ maxAgeMs: DAY / 2 }).list()).toEqual([])
    await expect(store({ channel: 'canary' }).newest('tiny')).rejects.toMatchObject({ code: 'BUNDLE_CHANNEL' })
  })

  it('are read-only under the layer of a machine', { timeout: PATIENCE_MS }, async () => {
    const layer = at('layer.qcow2')
    await driver.prepare(spec)
    const { paths } = await driver.inspect('m1')
    expect(
      paths
        .filter(({ kind }) => kind === 'storage')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['base', 'base-file', 'layer', 'layer-file'])
    await driver.run('m1')
    expect(await saidOn(driver, 'm1', /after: .*\n/)).toMatch(/before: golden\nafter: dirty\.\n/)
    await driver.kill('m1')
    const base = spec.boot.disk?.base.path ?? ''
    expect(verified(base)).toEqual(spec.boot.disk?.base)
    const begins = (path: string) => {
      const file = {
        driver: 'qcow2',
        file: { driver: 'file', filename: path },
        backing: { driver: 'raw', file: { driver: 'file', filename: base } },
      }
      execFileSync('qemu-img', ['convert', '-O', 'raw', `json:${JSON.stringify(file)}`, at('flat')])
      return readFileSync(at('flat')).subarray(0, 6).toString()
    }
    expect(begins(layer)).toBe('dirty.')
    // A rebake: another layer over the same golden image.
    await store().layer('tiny@2', at('fresh.qcow2'))
    expect(begins(at('fresh.qcow2'))).toBe('golden')
    // What is there is kept.
    await store().layer('tiny@2', layer)
    expect(begins(layer)).toBe('dirty.')
  })

  it('do not boot when anything about them is another', { timeout: PATIENCE_MS }, async () => {
    const refused = async (why: RegExp, change: Partial<NonNullable<MachineSpec['boot']['disk']>>) => {
      const { disk } = spec.boot
      if (!disk) throw new TypeError('a disk')
      const other = { ...spec, boot: { ...spec.boot, disk: { ...disk, ...change } } }
      await expect(driver.prepare(other)).rejects.toMatchObject({
        code: 'MACHINE_IMAGE',
        message: expect.stringMatching(why),
      })
      expect(await driver.list()).toEqual([])
    }
    const layer = (...words: readonly string[]) => {
      rmSync(at('bad.qcow2'), { force: true })
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...words, at('bad.qcow2'), '1M'])
      return { overlay: at('bad.qcow2') }
    }
    await refused(/it names a backing file/, layer('-b', at('golden.raw'), '-F', 'raw'))
    await refused(/it names an external data file/, layer('-o', `data_file=${at('outside')}`))
    await refused(/qcow2 version 2/, layer('-o', 'compat=0.10'))
    writeFileSync(at('bad.qcow2'), 'no qcow2 at all')
    await refused(/too short/, { overlay: at('bad.qcow2') })
    layer()
    chmodSync(at('bad.qcow2'), 0o666)
    await refused(/others may write it/, { overlay: at('bad.qcow2') })
    symlinkSync(at('layer.qcow2'), at('link.qcow2'))
    await refused(/it cannot be opened \(ELOOP\)/, { overlay: at('link.qcow2') })
    mkdirSync(at('folder'))
    await refused(/it cannot be opened|not a regular file/, { overlay: at('folder') })
    // A golden image that leads somewhere else, although its digest is right.
    execFileSync('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      at('golden.raw'),
      '-F',
      'raw',
      at('leads.qcow2'),
      '1M',
    ])
    chmodSync(at('leads.qcow2'), 0o444)
    await refused(/it names a backing file/, { base: verified(at('leads.qcow2')), format: 'qcow2' })
    const base = spec.boot.disk?.base.path ?? ''
    chmodSync(base, 0o644)
    appendFileSync(base, '\0')
    await refused(/octets were signed|were signed/, {})
    writeFileSync(base, Buffer.alloc(1 << 20))
    await refused(/its digest is/, {})
  })

  it('are withdrawn by a newer list, and an older list does not bring them back', async () => {
    const newer = listOf(NOW, images.slice(0, 1), { revision: 2n })
    await publishList(at('newer'), newer, signerOf(builder))
    renameSync(at('published'), at('more'))
    // Their files are here already, so that the folder needs nothing but the list.
    expect(await store().fetch(at('newer'))).toEqual(['tiny@1'])
    await expect(store().boot('tiny@2', '')).rejects.toThrow(/does not have it/)
    await expect(store().fetch(at('more'))).rejects.toMatchObject({ code: 'BUNDLE_COUNTER_REGRESSION' })
    expect(await store().newest('tiny')).toBe('tiny@1')
    expect((await store().sweep()).length).toBe(1)
    nowMs = NOW + 3_600_000
    await expect(store().newest('tiny')).rejects.toMatchObject({ code: 'BUNDLE_EXPIRED' })
    nowMs = NOW
  })

  it('are refused when a file is not the one that was signed', async () => {
    const file = published(at('liar'), at('golden.raw'))
    const image = { ...(images[0] as Image), version: 9, disk: { file, format: 'raw' as const } }
    await publishList(at('liar'), listOf(NOW, [image], { revision: 3n }), signerOf(builder))
    const path = join(at('liar'), file.digest.slice(7))
    await expect(store().fetch(at('nowhere'))).rejects.toThrow('there is no list of images')
    writeFileSync(path, Buffer.alloc(file.size))
    await expect(store().fetch(at('liar'))).rejects.toThrow(/its digest is/)
    writeFileSync(path, 'short')
    await expect(store().fetch(at('liar'))).rejects.toThrow(/it has 5 octets, and 1048576 were signed/)
    rmSync(path)
    await expect(store().fetch(at('liar'))).rejects.toThrow(/it is not there/)
    expect(await store().newest('tiny')).toBe('tiny@1')
  })
})
