// A guest of the emulated card that always has a read under way: a commit waits for the answers that were begun before it, and for no others.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, expect, it } from 'vitest'
import { lower } from '../../src/vault/lower.js'
import { WS } from '../support/plans.js'
import { buildGuest, Guest, names, PCI, ROOT, VUID, words } from '../support/vault/guest.js'
import { until } from '../support/vault/served.js'
import { sliceOf, volume } from '../support/vault/slices.js'

let program = ''
beforeAll(() => {
  program = buildGuest()
}, 240_000)

const after: (() => unknown)[] = []
afterEach(async () => {
  for (const step of after.splice(0).reverse()) await step()
})

it.skipIf(process.getuid?.() !== 0)(
  'commits while a guest always has an answer under way',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sv-'))
    after.push(() => rmSync(directory, { recursive: true, force: true }))
    const [source, state] = [join(directory, 'source'), join(directory, 'state')]
    for (const one of [source, state]) mkdirSync(one)
    writeFileSync(join(source, 'f'), 'data')
    const guest = new Guest([program], directory)
    const stage = (rule: string, generation: number): Promise<string> =>
      guest.stage(lower(sliceOf([volume([rule], { source })], generation)).table)
    expect(await guest.say(`card ${PCI} ${VUID}`)).toBe('0')
    expect(await guest.say(`open ${state}`)).toBe('0 ')
    expect(await guest.say(`place ${WS} work ${PCI} ${VUID} tag`)).toBe('0')
    expect([await stage('read-write /', 1), await guest.say('commit 1')]).toEqual(['0 ', '0 '])
    const node = (await guest.ask('lookup', ROOT, { given: names('f') })).body.readBigUInt64LE(0)
    const fh = (await guest.ask('open', node, { arg: words(0, 0) })).body.readBigUInt64LE(0)
    /** Returns once the answer is under way: what comes after it in order is answered. */
    const begin = async (): Promise<void> => {
      await guest.send('read', node, { arg: words(fh, 0n, 9, 0, 0n, 0, 0), room: 9 })
      expect((await guest.ask('getattr', node, { arg: words(0, 0, 0n) })).errno).toBe(0)
    }
    await guest.say('hold 1')
    await begin()
    expect(await stage('read-only /', 2)).toBe('0 ')
    expect(await guest.say('begin 2')).toBe('0')
    await until('the switch', async () => (await guest.list('observe')).includes('generation 2'))
    expect(await guest.say('ended'), 'an answer from before it is under way').toBe('no')
    let ended = 'no'
    await until('the commit to end', async () => {
      await begin()
      await guest.say('pass 1')
      expect((await guest.wait()).data.toString()).toBe('data')
      ended = await guest.say('ended')
      return ended !== 'no'
    })
    expect(ended).toBe('0 0')
    await guest.say('hold 0')
    expect((await guest.wait()).data.toString()).toBe('data')
    expect(await guest.list('violations')).toEqual([])
    expect(await guest.say('close')).toBe('0')
    expect(await guest.end()).toBe('')
  },
  120_000,
)
