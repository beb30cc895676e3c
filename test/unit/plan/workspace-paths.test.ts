// Paths of the workspace's own file system and the volumes that they lie on: what a clause of `filesystem_policy` becomes, and
// that the rules that come out say on every path of a volume what the policy says there.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { vaultfsCapabilities } from '../../../src/backends/vaultfs/capabilities.js'
import { compilePlan } from '../../../src/plan/compile.js'
import { evaluateFile } from '../../../src/plan/evaluate-file.js'
import type { Volume } from '../../../src/plan/inventory.js'
import { isAtOrBelow } from '../../../src/plan/volume-path.js'
import { coveredBy } from '../../../src/plan/workspace-paths.js'
import { normalizePolicies } from '../../../src/policy/normalize.js'
import { ENTRY, MEMORY, SOURCE, WS } from '../../support/plans.js'

const FILES = vaultfsCapabilities({
  backend: 'vaultfs',
  trustDomain: 'host',
  probes: ['daemon', 'fuse', 'resolve-beneath', 'root'].map((feature) => ({ feature, answer: 'yes', why: '' })),
})

const seenAt = (name: string, at?: string): Volume => ({
  name,
  source: `/srv/${name}`,
  mount: `/run/view/${name}`,
  ...(at === undefined ? {} : { at }),
})
const WORK = seenAt('work', '/sandbox/work')
const DATA = seenAt('data', '/sandbox/data')
const HIDDEN = seenAt('hidden')

describe('what a path of the workspace covers', () => {
  it.each([
    ['/sandbox/work', 'work:/', false],
    ['/sandbox/work/', 'work:/', false],
    ['//sandbox/./work//src/', 'work:/src', false],
    ['/sandbox/work/src/a', 'work:/src/a', false],
    ['/sandbox/works', '', true],
    ['/sandbox/Work', '', true],
    ['/sandbox', 'work:/ data:/', true],
    ['/', 'work:/ data:/', true],
    ['/usr', '', true],
    [`/sandbox/work/${'x'.repeat(256)}`, '', true],
  ])('%s: %s', (path, on, outside) => {
    const covered = coveredBy(path, [WORK, DATA, HIDDEN])
    expect(covered.on.map(({ volume, path: at }) => `${volume.name}:${at}`).join(' ')).toBe(on)
    expect(covered.outside).toBe(outside)
  })
  it('is everything of a volume that is the root of the workspace', () => {
    const root = seenAt('root', '/')
    expect(coveredBy('/', [root])).toEqual({ on: [{ volume: root, path: '/' }], outside: false })
    expect(coveredBy('/usr/lib', [root])).toEqual({ on: [{ volume: root, path: '/usr/lib' }], outside: false })
  })
})

function compile(sandbox: string, volumes: readonly Volume[], more: string, files = FILES) {
  const fence = `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: { name: fence }
applies_to: { workspaces: ["${WS}"] }
sandboxPolicy: { path: sandbox.yaml }
${more}`
  const members = new Map(Object.entries({ 'fence.yaml': fence, 'sandbox.yaml': sandbox }))
  const { policies, notes } = normalizePolicies(
    new Map([...members].map(([path, text]) => [path, new TextEncoder().encode(text)])),
  )
  if (!policies) throw new TypeError(JSON.stringify(notes))
  const inventory = { audience: 'test', revision: '1', entries: [{ ...ENTRY, volumes }] }
  const capabilities = [MEMORY, files]
  return compilePlan({ source: SOURCE, policies, inventory, capabilities, order: ['memory', 'vaultfs'] })
}

const sandboxOf = (readOnly: readonly string[], readWrite: readonly string[]): string =>
  JSON.stringify({
    version: 1,
    filesystem_policy: { read_only: readOnly, read_write: readWrite },
    network_policies: {},
  })

describe('filesystem_policy', () => {
  it('needs nobody inside where all of it lies on volumes', () => {
    const { plan, guarantees } = compile(sandboxOf(['/sandbox/work'], ['/sandbox/work/out']), [WORK], '')
    expect(guarantees.map(({ level, dimension }) => [level, dimension])).toEqual([
      ['enforced', undefined],
      ['enforced', undefined],
    ])
    expect(plan?.workspaces[0]?.storage?.volumes[0]?.rules.map(({ path, access }) => `${access} ${path}`)).toEqual([
      'read-only /',
      'read-write /out',
    ])
  })

  it('is granted beside what the FencePolicy grants, and below what it denies', () => {
    const more = 'storage: { volumes: [{ name: work, read_only: [/lib], deny: [/out/keys] }] }\n'
    const { plan } = compile(sandboxOf([], ['/sandbox/work/out']), [WORK], more)
    const slice = plan?.workspaces[0]?.storage
    const judge = (path: string) =>
      evaluateFile(slice, { quarantined: false, suspended: false }, { volume: 'work', operation: 'open-write', path })
    expect([judge('/out/a'), judge('/lib/a'), judge('/out/keys/a')].map((verdict) => verdict.kind)).toEqual([
      'allow',
      'deny',
      'deny',
    ])
  })

  it('is of no volume that says not where it is seen, and of none where nothing serves files', () => {
    const needed = sandboxOf(['/sandbox/work'], [])
    for (const { guarantees, plan } of [
      compile(needed, [seenAt('work')], ''),
      compile(needed, [WORK], '', { ...FILES, usable: false }),
    ]) {
      expect(plan).toBeUndefined()
      expect(guarantees.map(({ level, dimension, why }) => [level, dimension, why])).toEqual([
        [
          'refused',
          'filesystem',
          'the fence cannot see read_only and would admit every path of the workspace; add `filesystem` to delegate, or remove read_only',
        ],
      ])
    }
  })

  it('says on every path of a volume what the policy says there', () => {
    const segments = fc.array(fc.constantFrom('sandbox', 'work', 'a', 'b'), { minLength: 1, maxLength: 4 })
    const path = segments.map((parts) => `/${parts.join('/')}`)
    const asked = fc.array(fc.constantFrom('sandbox', 'work', 'a', 'b'), { maxLength: 4 })
    const seen = { allow: 0, deny: 0 }
    fc.assert(
      fc.property(
        fc.array(path, { maxLength: 4 }),
        fc.array(path, { maxLength: 3 }),
        path,
        fc.array(asked, { minLength: 20, maxLength: 20 }),
        (readOnly, readWrite, at, paths) => {
          const { plan } = compile(sandboxOf(readOnly, readWrite), [seenAt('work', at)], 'delegate: [filesystem]\n')
          for (const parts of paths) {
            const within = `/${parts.join('/')}`
            const full = within === '/' ? at : `${at}${within}`
            const writes = readWrite.some((one) => isAtOrBelow(full, one))
            const reads = writes || readOnly.some((one) => isAtOrBelow(full, one))
            for (const [operation, expected] of [
              ['open', reads],
              ['open-write', writes],
            ] as const) {
              const request = { volume: 'work', operation, path: within }
              const slice = plan?.workspaces[0]?.storage
              const { kind } = evaluateFile(slice, { quarantined: false, suspended: false }, request)
              seen[kind]++
              expect(kind, `${operation} ${full} under ${readOnly.join()} and ${readWrite.join()}`).toBe(
                expected ? 'allow' : 'deny',
              )
            }
          }
        },
      ),
      { seed: 9, numRuns: 250 },
    )
    expect(Math.min(seen.allow, seen.deny)).toBeGreaterThan(500)
  })
})
