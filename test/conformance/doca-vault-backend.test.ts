// The agent's backend `doca-vault` on the emulated card, through the contract that every backend has, against evaluateFile: what is
// staged, committed, flagged, read back and told. The shim itself is tried in doca-vault.test.ts, with sanitizers.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { FileDenied } from '../../src/backends/backend.js'
import { docaVaultCapabilities } from '../../src/backends/doca-vault/capabilities.js'
import { DocaVaultDriver } from '../../src/backends/doca-vault/driver.js'
import { docaVaultBackend } from '../../src/backends/doca-vault/index.js'
import { digestOf } from '../../src/base/digest.js'
import { evaluateFile } from '../../src/plan/evaluate-file.js'
import type { VolumePlan } from '../../src/plan/model.js'
import { SOURCE, WS } from '../support/plans.js'
import { buildShim, EmulatedCard } from '../support/vault/card.js'
import { names, PCI, ROOT, VUID, words } from '../support/vault/guest.js'
import { ON_ENTRY, ON_NODE } from '../support/vault/plays.js'
import { until } from '../support/vault/served.js'
import { sliceOf, volume } from '../support/vault/slices.js'

const [EACCES, EROFS] = [13, 30] as const
const cannot = process.getuid?.() !== 0 && 'this needs root'

beforeAll(buildShim)

const after: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const step of after.splice(0).reverse()) await step()
})

function scene(functions: readonly string[] = [VUID, 'OTHER']) {
  const directory = mkdtempSync(join(tmpdir(), 'sv-'))
  after.push(() => rmSync(directory, { recursive: true, force: true }))
  const [source, state] = [join(directory, 'source'), join(directory, 'state')]
  mkdirSync(source)
  const card = new EmulatedCard(functions)
  const driver = new DocaVaultDriver({ attachInterfaces: [], stateDirectory: state, vault: { card: PCI } })
  after.push(async () => {
    await driver.close()
    expect(card.violations()).toEqual([])
  })
  const placed = (rules: readonly string[], more: Partial<VolumePlan> = {}) =>
    volume(rules, { source, function: { vuid: VUID, tag: 'work' }, ...more })
  let generation = 0
  const apply = async (rules: readonly string[], more: Partial<Parameters<typeof sliceOf>[2]> = {}) => {
    const program = docaVaultBackend.lower(sliceOf([placed(rules)], ++generation, more))
    await driver.commit(await driver.stage(program))
    return program
  }
  const lookup = (name: string, vuid = VUID) => card.ask('lookup', ROOT, { given: names(name), vuid })
  return { directory, source, state, card, driver, placed, apply, lookup }
}

const path = fc
  .array(fc.constantFrom('a', 'b'), { maxLength: 1 })
  .chain((parts) => fc.constantFrom('a', 'b', 'f').map((last) => `/${[...parts, last].join('/')}`))
const rule = fc
  .tuple(fc.constantFrom('read-only', 'read-write', 'read-write', 'deny'), path)
  .map((pair) => pair.join(' '))

describe.skipIf(cannot)('the backend doca-vault', () => {
  it('says what it is, and that this card is emulated', async () => {
    const { driver } = scene()
    const probed = await driver.probe()
    expect(probed).toEqual({
      backend: 'doca-vault',
      trustDomain: 'host',
      probes: [
        { feature: 'library', answer: 'yes', why: 'the shim over DevEmu virtio-fs' },
        { feature: 'card', answer: 'yes', why: `${PCI} emulates virtio-fs` },
        { feature: 'hardware', answer: 'no', why: 'the software card: what it serves, it serves to this process' },
      ],
    })
    expect(docaVaultCapabilities(probed)).toMatchObject({
      ...{ usable: true, storage: true, volumes: 'functions', lifetime: 'process', commit: 'atomic' },
      why: "our authorizer behind DevEmu virtio-fs, not NVIDIA's DOCA Vault, which has no published interface; emulated",
    })
    const other = await new DocaVaultDriver({
      attachInterfaces: [],
      stateDirectory: '',
      vault: { card: '07:00.0' },
    }).probe()
    expect(docaVaultCapabilities(other)).toMatchObject({ usable: false, why: 'card: no card has the address 07:00.0' })
    const none = await new DocaVaultDriver({ attachInterfaces: [], stateDirectory: '' }).probe()
    expect(docaVaultCapabilities(none)).toMatchObject({
      usable: false,
      why: 'card: agent.yaml has no section doca_vault',
    })
  })

  it('decides as evaluateFile: 25 sets of rules, each operation on each path', async () => {
    const seen = { allow: 0, deny: 0 }
    const { source, apply, card } = scene()
    const cases = fc.tuple(fc.uniqueArray(rule, { minLength: 1, maxLength: 5 }), fc.uniqueArray(path, { minLength: 4 }))
    for (const [rules, paths] of fc.sample(cases, { seed: 5, numRuns: 25 })) {
      for (const name of ['a', 'b', 'f']) rmSync(join(source, name), { recursive: true, force: true })
      for (const one of ['a/a', 'a/b', 'b/a', 'b/b']) mkdirSync(join(source, one), { recursive: true })
      for (const one of ['f', 'a/f', 'b/f']) writeFileSync(join(source, one), 'x')
      const slice = (await apply(rules)).volumes.map(({ volume: one }) => one)
      const judge = (operation: Parameters<typeof evaluateFile>[2]['operation'], at: string) =>
        evaluateFile(
          { backend: 'doca-vault', domain: 'host', volumes: slice },
          { quarantined: false, suspended: false },
          { volume: 'work', operation, path: at },
        )
      const check = (what: string, errno: number, verdict: ReturnType<typeof judge>): void => {
        seen[verdict.kind]++
        if (verdict.kind === 'deny') expect(errno, what).toBe(verdict.error === 'EROFS' ? EROFS : EACCES)
        else expect([EACCES, EROFS], what).not.toContain(errno)
      }
      for (const at of paths) {
        const parts = at.split('/').slice(1)
        let [node, parent, way] = [ROOT, ROOT, '']
        let gone = false
        for (const part of parts) {
          way += `/${part}`
          const found = await card.ask('lookup', node, { given: names(part) })
          check(`lookup ${way} under ${rules.join(', ')}`, found.errno, judge('lookup', way))
          gone = found.errno !== 0
          parent = node
          if (gone) break
          node = found.body.readBigUInt64LE(0)
        }
        if (gone && way !== at) continue
        const isFile = at.endsWith('f')
        for (const [operation, kind, play] of gone ? [] : ON_NODE)
          if (kind === 'any' || (kind === 'file') === isFile)
            check(
              `${operation} ${at} under ${rules.join(', ')}`,
              (await play(card, node, 0n, '')).errno,
              judge(operation, at),
            )
        for (const [operation, play] of ON_ENTRY)
          check(
            `${operation} ${at} under ${rules.join(', ')}`,
            (await play(card, 0n, parent, parts.at(-1) ?? '')).errno,
            judge(operation, at),
          )
      }
    }
    expect(Math.min(seen.allow, seen.deny)).toBeGreaterThan(250)
  }, 120_000)

  it('shows what is live, where it hangs, and by which octets it judges', async () => {
    const { driver, apply, source } = scene()
    expect(await driver.observe()).toMatchObject({ live: null, drift: [] })
    expect(await driver.inspect()).toEqual([])
    const { table, planDigest } = await apply(['read-only /'])
    expect(await driver.observe()).toMatchObject({
      live: { generation: 1, planDigest, workspaces: [WS], quarantined: [], suspended: [] },
      drift: [],
      volumes: [{ workspace: WS, name: 'work', state: 'serving', device: `${PCI}#${VUID}`, openFiles: 0, lasting: 0 }],
    })
    expect(await driver.inspect()).toEqual([
      {
        ...{ workspace: WS, emulated: true, generation: 1 },
        hooks: [{ hook: 'virtio-fs', on: `${PCI}#${VUID}`, owner: { kind: 'rules', digest: digestOf(table) } }],
        objects: [{ kind: 'mount', name: 'work', id: `${PCI}#${VUID}` }],
      },
    ])
    expect(
      docaVaultBackend.render(docaVaultBackend.lower(sliceOf([volume(['read-only /'], { source })], 7))),
    ).toContain('read-only work:/')
  })

  it('refuses everything that is staged, in quarantine, suspended and after the deadline, also what is open', async () => {
    const { driver, card, source, apply, lookup, placed } = scene()
    writeFileSync(join(source, 'f'), 'data')
    const staged = await driver.stage(docaVaultBackend.lower(sliceOf([placed(['read-write /'])], 1)))
    expect((await lookup('f')).errno).toBe(EACCES)
    await driver.commit(staged)
    const { body } = await lookup('f')
    const node = body.readBigUInt64LE(0)
    const fh = (await card.ask('open', node, { arg: words(0, 0) })).body.readBigUInt64LE(0)
    const read = () => card.ask('read', node, { arg: words(fh, 0n, 9, 0, 0n, 0, 0), room: 9 })
    expect((await read()).data.toString()).toBe('data')
    for (const flag of ['quarantined', 'suspended'] as const) {
      await driver.flag(WS, flag, true)
      expect((await driver.observe()).live?.[flag]).toEqual([WS])
      expect([(await read()).errno, (await lookup('f')).errno]).toEqual([EACCES, EACCES])
      await driver.flag(WS, flag, false)
      expect((await read()).data.toString()).toBe('data')
    }
    await apply(['read-write /'], { source: { ...SOURCE, expiresAtMs: Date.now() + 700 } })
    await until('the deadline', async () => (await read()).errno === EACCES)
    expect((await driver.observe()).volumes).toMatchObject([{ state: 'expired' }])
    await apply(['read-write /'])
    expect((await read()).data.toString()).toBe('data')
  })

  it('follows the inventory: a function that moves serves its new workspace, and two that are swapped serve each the other', async () => {
    const { directory, driver, lookup, placed } = scene()
    const OTHER_WS = `${WS}-other`
    const sources = ['mine', 'theirs'].map((name) => join(directory, name)) as [string, string]
    for (const [i, name] of ['mine', 'theirs'].entries()) {
      mkdirSync(sources[i] ?? '')
      writeFileSync(join(sources[i] ?? '', name), name)
    }
    let generation = 0
    type Where = { readonly vuid: string; readonly tag?: string } | undefined
    const slice = (mine: Where, theirs: Where) => {
      const slices = [mine, theirs].map((at, i) => {
        if (!at) return []
        const function_ = { tag: 'work', ...at }
        const one = placed(['read-only /'], { source: sources[i] ?? '', mount: `/run/view/${i}`, function: function_ })
        return sliceOf([one]).workspaces.map((own) => ({ ...own, workspace: i === 0 ? WS : OTHER_WS }))
      })
      return docaVaultBackend.lower(sliceOf([], ++generation, { workspaces: slices.flat() }))
    }
    const [first, second] = [{ vuid: VUID }, { vuid: 'OTHER' }]
    const seen = async (name: string) => [
      (await lookup(name, VUID)).errno === 0,
      (await lookup(name, 'OTHER').catch(() => ({ errno: -1 }))).errno === 0,
    ]
    const hangs = async () =>
      Object.fromEntries((await driver.inspect()).map(({ workspace, hooks }) => [workspace, hooks.map(({ on }) => on)]))
    await driver.commit(await driver.stage(slice(first, second)))
    expect([await seen('mine'), await seen('theirs')]).toEqual([
      [true, false],
      [false, true],
    ])
    // Until the commit what serves is what served, and so it says.
    const swapped = await driver.stage(slice(second, first))
    expect([await seen('mine'), await seen('theirs')]).toEqual([
      [true, false],
      [false, true],
    ])
    expect(await hangs()).toEqual({ [WS]: [`${PCI}#${VUID}`], [OTHER_WS]: [`${PCI}#OTHER`] })
    await driver.commit(swapped)
    expect([await seen('mine'), await seen('theirs')]).toEqual([
      [false, true],
      [true, false],
    ])
    expect(await hangs()).toEqual({ [WS]: [`${PCI}#OTHER`], [OTHER_WS]: [`${PCI}#${VUID}`] })
    expect((await driver.observe()).volumes?.map(({ state }) => state)).toEqual(['serving', 'serving'])
    // One leaves, and what it had goes to the other at once; then to a workspace that was not there.
    await driver.commit(await driver.stage(slice(first, undefined)))
    expect([(await lookup('mine')).errno, (await lookup('theirs')).errno === 0]).toEqual([0, false])
    await driver.commit(await driver.stage(slice(undefined, { ...first, tag: 'anew' })))
    expect([(await lookup('mine')).errno === 0, (await lookup('theirs')).errno]).toEqual([false, 0])
    expect(await hangs()).toEqual({ [OTHER_WS]: [`${PCI}#${VUID}`] })
  })

  it('tells what it refused, with its clause, and stays as it was when something cannot be served', async () => {
    const { driver, lookup, placed, apply } = scene()
    await apply(['read-only /', 'deny /secret'])
    const told: FileDenied[] = []
    const stop = await driver.fileDenials(({ denials }) => told.push(...denials))
    expect((await lookup('secret')).errno).toBe(EACCES)
    // The ring is the process's own: what scenes before this one were refused may come first.
    await until('the refusal', () => told.at(-1)?.path === '/secret')
    await stop()
    expect(told.at(-1)).toMatchObject({
      workspace: WS,
      volume: 'work',
      operation: 'lookup',
      reason: 'denied',
      uid: 0,
      pid: 1234,
    })
    expect(told.at(-1)?.clause).toMatch(/^sha256:/)
    const cases = [
      [{ function: { vuid: 'NOWHERE', tag: 'work' } }, /the function NOWHERE of 0000:03:00.0: NOT_FOUND \(EIO\)$/],
      [{ source: '/nowhere/at/all' }, /the source \/nowhere\/at\/all: No such file or directory \(EIO\)$/],
    ] as const
    for (const [more, why] of cases) {
      const program = docaVaultBackend.lower(
        sliceOf([placed(['read-only /'], { name: 'second', mount: '/run/view/second', ...more })], 5),
      )
      await expect(driver.stage(program)).rejects.toMatchObject({
        code: 'DOCA_VAULT_REFUSED',
        message: expect.stringMatching(why),
      })
    }
    expect((await driver.observe()).live?.generation).toBe(1)
    expect((await lookup('other')).errno).not.toBe(EACCES)
    const { planDigest } = docaVaultBackend.lower(sliceOf([placed([])], 9))
    await expect(driver.commit({ generation: 9, planDigest })).rejects.toMatchObject({
      code: 'DOCA_VAULT_REFUSED',
      message: 'switching the volumes: generation 9 is not what was staged last (ECANCELED)',
    })
    const without = new DocaVaultDriver({ attachInterfaces: [], stateDirectory: '' })
    await expect(without.stage(docaVaultBackend.lower(sliceOf([], 1)))).rejects.toMatchObject({
      code: 'DOCA_VAULT_CARD',
    })
  })

  it('ends with its process, keeps flags for the next one, and can be taken away', async () => {
    const { driver, state, lookup, placed, apply } = scene()
    await apply(['read-only /'])
    await driver.flag(WS, 'quarantined', true)
    await driver.close()
    expect(await driver.observe()).toMatchObject({ live: null })
    expect((await lookup('f')).status).not.toBe(0)
    const next = new DocaVaultDriver({ attachInterfaces: [], stateDirectory: state, vault: { card: PCI } })
    after.push(() => next.close())
    await next.commit(await next.stage(docaVaultBackend.lower(sliceOf([placed(['read-only /'])], 4))))
    expect((await next.observe()).live).toMatchObject({ generation: 4, quarantined: [WS] })
    expect((await lookup('f')).errno).toBe(EACCES)
    expect(await next.uninstall()).toEqual(['the volumes of 1 workspaces, and the functions that served them'])
    expect(await next.uninstall()).toEqual([])
  })
})
