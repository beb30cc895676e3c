// The storage half of a plan: volumes of the inventory, clauses about them with a guarantee each, and what a rule allows.

import { describe, expect, it } from 'vitest'
import { guardCapabilities } from '../../../src/backends/bpf-lsm/capabilities.js'
import { docaVaultCapabilities } from '../../../src/backends/doca-vault/capabilities.js'
import { vaultfsCapabilities } from '../../../src/backends/vaultfs/capabilities.js'
import type { Probe } from '../../../src/plan/capabilities.js'
import { compilePlan } from '../../../src/plan/compile.js'
import { diffPlans, renderDiff } from '../../../src/plan/diff.js'
import { evaluateFile } from '../../../src/plan/evaluate-file.js'
import type { FileOperation } from '../../../src/plan/file-operations.js'
import type { InventoryEntry } from '../../../src/plan/inventory.js'
import type { BackendName } from '../../../src/plan/model.js'
import { parseInventory } from '../../../src/plan/parse-inventory.js'
import { identify } from '../../../src/policy/clause-id.js'
import type { Clause, Policy, StorageClause } from '../../../src/policy/model.js'
import { ENTRY, MEMORY, policy, SOURCE } from '../../support/plans.js'
import { volume } from '../../support/vault/slices.js'

const FILES = vaultfsCapabilities({
  backend: 'vaultfs',
  trustDomain: 'host',
  probes: [
    { feature: 'daemon', answer: 'yes', why: 'built' },
    { feature: 'fuse', answer: 'yes', why: '/dev/fuse' },
    { feature: 'resolve-beneath', answer: 'yes', why: 'openat2' },
    { feature: 'root', answer: 'yes', why: 'uid 0' },
  ],
})

const WITH_VOLUME: InventoryEntry = {
  ...ENTRY,
  volumes: [{ name: 'work', source: '/srv/ws0/work', mount: '/run/sluice/ws0/work' }],
}

const storage = (
  access: 'read-only' | 'read-write' | 'deny',
  paths: readonly string[],
  name = 'work',
  more: Pick<StorageClause, 'openFiles'> = {},
): Clause =>
  identify({
    ...more,
    kind: 'storage',
    name,
    origin: { file: 'fence.yaml', path: 'storage.volumes[0]', line: 9 },
    losses: [],
    access,
    paths,
    volume: name,
  })

const compile = (
  clauses: readonly Clause[],
  entry = WITH_VOLUME,
  more: Partial<Policy> = {},
  files = FILES,
  order: readonly BackendName[] = ['memory', 'vaultfs'],
) =>
  compilePlan({
    source: SOURCE,
    policies: [policy(clauses, more)],
    inventory: { audience: 'test', revision: '1', entries: [entry] },
    capabilities: [MEMORY, files],
    order,
  })

describe('compiling clauses about files', () => {
  it('makes one rule of a path and an access, with every clause that says it', () => {
    const [a, b] = [storage('read-only', ['/lib', '/project']), storage('read-only', ['/project'])]
    const { plan, guarantees, notes } = compile([a, b, storage('read-write', ['/project'])])
    expect(notes).toEqual([])
    const slice = plan?.workspaces[0]?.storage
    expect(slice).toMatchObject({ backend: 'vaultfs', domain: 'host' })
    expect(slice?.volumes.map(({ name, source, mount }) => ({ name, source, mount }))).toEqual(WITH_VOLUME.volumes)
    expect(slice?.volumes[0]?.rules.map(({ path, access, clauses }) => [path, access, clauses.length])).toEqual([
      ['/lib', 'read-only', 1],
      ['/project', 'read-only', 2],
      ['/project', 'read-write', 1],
    ])
    expect(slice?.volumes[0]?.rules[1]?.clauses).toEqual([a.id, b.id].sort())
    expect(guarantees.map(({ level, why }) => `${level} ${why}`)).toEqual(Array(3).fill('enforced vaultfs'))
  })

  it('denies a volume that no clause speaks of', () => {
    const slice = compile([]).plan?.workspaces[0]?.storage
    expect(slice?.volumes[0]?.rules).toEqual([])
    const verdict = evaluateFile(slice, { quarantined: false, suspended: false }, request('lookup', '/'))
    expect(verdict).toEqual({ kind: 'deny', reason: 'no-rule', error: 'EACCES', clause: undefined })
  })

  it.each([
    ['a volume that the inventory does not give', WITH_VOLUME, FILES, {}, /gives the workspace no volume "other"/],
    ['no volumes at all', ENTRY, FILES, {}, /gives the workspace no volume "other"/],
    ['no backend for files', WITH_VOLUME, MEMORY, {}, /no backend here fences files/],
    ['one that is not usable', WITH_VOLUME, { ...FILES, usable: false }, {}, /no backend here fences files/],
  ] as const)('refuses %s', (_, entry, files, more, say) => {
    const { plan, notes } = compile([storage('read-only', ['/'], 'other')], entry, more, files)
    expect(plan).toBeUndefined()
    expect(notes.map(({ code }) => code)).toEqual(['clause-unenforceable'])
    expect(notes[0]?.say).toMatch(say)
  })

  it('refuses a domain that is too weak, for files as for traffic', () => {
    const strong = { ...MEMORY, trustDomain: 'dpu-restricted' as const }
    const { plan, notes } = compilePlan({
      source: SOURCE,
      policies: [policy([storage('read-only', ['/'])], { requireDomain: 'dpu-restricted' })],
      inventory: { audience: 'test', revision: '1', entries: [WITH_VOLUME] },
      capabilities: [strong, FILES],
      order: ['memory', 'vaultfs'],
    })
    expect(plan).toBeUndefined()
    expect(notes[0]?.say).toMatch(/no backend here fences files/)
  })

  it('leaves the file system inside the workspace to the runtime', () => {
    const inside: Clause = identify({
      kind: 'storage',
      name: 'filesystem_policy.read_only',
      origin: { file: 'sandbox.yaml', path: 'filesystem_policy', line: 2 },
      losses: [{ dimension: 'filesystem', what: 'read_only', widenedTo: 'every path of the workspace' }],
      access: 'read-only',
      paths: ['/usr'],
    })
    expect(compile([inside]).notes.map(({ code }) => code)).toEqual(['dimension-not-delegated'])
    const { guarantees } = compile([inside], WITH_VOLUME, { delegate: ['filesystem'] })
    expect(guarantees.map(({ level, dimension }) => [level, dimension])).toEqual([['delegated', 'filesystem']])
  })

  it('says what would make a path be judged, where files are judged as they lie', () => {
    const guard = guardCapabilities({
      backend: 'bpf-lsm',
      trustDomain: 'host',
      probes: ['library', 'lsm', 'btf', 'cgroup', 'files'].map((feature) => ({ feature, answer: 'yes', why: '' })),
    })
    const inside: Clause = identify({
      kind: 'storage',
      name: 'filesystem_policy.read_only',
      origin: { file: 'sandbox.yaml', path: 'filesystem_policy', line: 2 },
      losses: [{ dimension: 'filesystem', what: 'read_only', widenedTo: 'every path of the workspace' }],
      access: 'read-only',
      paths: ['/usr/lib', '/etc'],
    })
    const at = (path: string): InventoryEntry => ({
      ...ENTRY,
      slot: { ...ENTRY.slot, kind: 'cgroup' },
      volumes: [{ name: 'system', source: '/usr', mount: '/run/sluice/usr', at: path }],
    })
    const said = (path: string) =>
      compile([inside], at(path), { delegate: ['filesystem'] }, guard, ['memory', 'bpf-lsm']).guarantees.map(
        ({ level, why }) => `${level}: ${why}`,
      )
    const why =
      'bpf-lsm judges what lies on volumes: to have it held, give the directory as one, with `at`, in the inventory'
    expect(said('/usr')).toEqual([
      'enforced: bpf-lsm: /usr/lib is system:/lib',
      `delegated: read_only of /etc left to the runtime inside the workspace; the fence admits every path that is on no volume; ${why}`,
    ])
    expect(said('/srv')).toEqual([
      `delegated: read_only left to the runtime inside the workspace; the fence admits every path of the workspace; ${why}`,
    ])
  })
})

const request = (operation: FileOperation, path: string) => ({ volume: 'work', operation, path })

describe('what a rule allows', () => {
  const slice = {
    backend: 'vaultfs' as const,
    domain: 'host' as const,
    volumes: [
      volume(['read-only /project', 'read-write /project/out', 'deny /project/.secrets', 'deny /project/out/keys']),
    ],
  }
  const judge = (operation: FileOperation, path: string): string => {
    const verdict = evaluateFile(slice, { quarantined: false, suspended: false }, request(operation, path))
    return verdict.kind === 'allow' ? 'allow' : `${verdict.error} ${verdict.reason}`
  }
  it.each<[FileOperation, string, string]>([
    ['lookup', '/', 'allow'],
    ['list', '/', 'allow'],
    ['open', '/', 'EACCES no-rule'],
    ['lookup', '/elsewhere', 'EACCES no-rule'],
    ['create', '/elsewhere', 'EACCES no-rule'],
    ['open', '/project/main.c', 'allow'],
    ['open-write', '/project/main.c', 'EROFS read-only'],
    ['open-write', '/project/output', 'EROFS read-only'],
    ['open-write', '/project/out/a', 'allow'],
    ['lookup', '/project/.secrets', 'EACCES denied'],
    ['lookup', '/project/.secrets/key', 'EACCES denied'],
    ['lookup', '/project/.SECRETS', 'allow'],
    ['open', '/project/out/keys/a', 'EACCES denied'],
    ['unlink', '/project/out/a', 'allow'],
    ['rename-from', '/project/out/a', 'allow'],
    ['rename-from', '/project/out', 'EACCES anchored'],
    ['rmdir', '/project/out', 'EACCES anchored'],
    ['mkdir', '/project/out', 'allow'],
    ['link-from', '/project/main.c', 'EROFS read-only'],
    ['link-to', '/project/out/main.c', 'allow'],
    ['rename-to', '/project/main.c', 'EROFS read-only'],
    ['make-device', '/project/out/null', 'EACCES never'],
    ['open-handle', '/project/main.c', 'EACCES never'],
    ['lookup', '/project/../project', 'EACCES bad-path'],
    ['lookup', '/project/out/', 'EACCES bad-path'],
    ['lookup', '', 'EACCES bad-path'],
  ])('%s %s: %s', (operation, path, expected) => {
    expect(judge(operation, path)).toBe(expected)
  })

  it('denies everything in quarantine, and when suspended', () => {
    const at = request('lookup', '/project')
    expect(evaluateFile(slice, { quarantined: true, suspended: true }, at)).toMatchObject({ reason: 'quarantined' })
    expect(evaluateFile(slice, { quarantined: false, suspended: true }, at)).toMatchObject({ reason: 'suspended' })
    expect(evaluateFile(slice, { quarantined: false, suspended: false }, { ...at, volume: 'other' })).toMatchObject({
      reason: 'no-volume',
    })
  })
})

describe('open files that stay open', () => {
  const lasting = storage('read-only', ['/'], 'work', { openFiles: 'until-closed' })

  it('are another clause, say so in their guarantee, and are a word of the plan', () => {
    expect(lasting.id).not.toBe(storage('read-only', ['/']).id)
    const { plan, guarantees } = compile([lasting])
    expect(plan?.workspaces[0]?.storage?.volumes[0]?.openFiles).toBe('until-closed')
    expect(guarantees).toMatchObject([
      {
        level: 'enforced',
        why: 'vaultfs: when a file is opened; what is open stays open until it is closed, also in quarantine',
      },
    ])
    expect(compile([storage('read-only', ['/'])]).plan?.workspaces[0]?.storage?.volumes[0]).not.toHaveProperty(
      'openFiles',
    )
  })

  it('are seen by a diff in both directions', () => {
    const [judged, lasts] = [compile([storage('read-only', ['/'])]).plan, compile([lasting]).plan]
    if (!judged || !lasts) throw new TypeError('both compile')
    const line = 'open files of work until they are closed (vaultfs)'
    expect(renderDiff(diffPlans(judged, lasts))).toContain(`+ ${line}`)
    expect(renderDiff(diffPlans(lasts, judged))).toContain(`- ${line}`)
  })
})

describe('volumes that a card serves', () => {
  const probes = [
    { feature: 'library', answer: 'yes', why: 'built' },
    { feature: 'card', answer: 'yes', why: 'emulates virtio-fs' },
  ] as const
  const card = (more: readonly Probe[] = []) =>
    docaVaultCapabilities({ backend: 'doca-vault', trustDomain: 'host', probes: [...probes, ...more] })
  const [volume] = WITH_VOLUME.volumes ?? []
  if (!volume) throw new TypeError('it has one')
  const placed = { ...WITH_VOLUME, volumes: [{ ...volume, function: { vuid: 'MT1VFS0', tag: 'work' } }] }
  const order = ['memory', 'doca-vault'] as const

  it('need a function in the inventory', () => {
    const clauses = [storage('read-only', ['/'], 'work', { openFiles: 'until-closed' })]
    const refused = compile(clauses, WITH_VOLUME, {}, card(), order)
    expect(refused.plan).toBeUndefined()
    expect(refused.guarantees).toMatchObject([
      {
        level: 'refused',
        why: 'doca-vault serves by functions of a card, and the inventory names none for the volume "work"; add `function` there',
      },
    ])
    const { plan, guarantees } = compile(clauses, placed, {}, card(), order)
    expect(plan?.workspaces[0]?.storage).toMatchObject({ backend: 'doca-vault', volumes: [placed.volumes[0]] })
    // A card judges every octet, also of what the policy would leave alone.
    expect(plan?.workspaces[0]?.storage?.volumes[0]).not.toHaveProperty('openFiles')
    expect(guarantees).toMatchObject([
      {
        level: 'enforced',
        why: "doca-vault: our authorizer behind DevEmu virtio-fs, not NVIDIA's DOCA Vault, which has no published interface",
      },
    ])
  })

  it('say so when the card is emulated', () => {
    const emulated = { feature: 'hardware', answer: 'no', why: 'the software card' } as const
    const { guarantees } = compile([storage('read-only', ['/'])], placed, {}, card([emulated]), order)
    expect(guarantees[0]?.why).toMatch(/no published interface; emulated$/)
  })

  it('hold no path of the workspace that lies on a volume without a function', () => {
    const own = identify({
      ...{ kind: 'storage', name: 'filesystem_policy', access: 'read-only', paths: ['/work'] },
      origin: { file: 'sandbox.yaml', path: 'filesystem_policy', line: 2 },
      losses: [{ dimension: 'filesystem', what: 'paths', widenedTo: 'every path' }],
    })
    const at = (entry: InventoryEntry) => ({
      ...entry,
      volumes: (entry.volumes ?? []).map((one) => ({ ...one, at: '/work' })),
    })
    expect(compile([own], at(WITH_VOLUME), {}, card(), order).guarantees).toMatchObject([{ level: 'refused' }])
    expect(compile([own], at(placed), {}, card(), order).guarantees).toMatchObject([
      { level: 'enforced', why: 'doca-vault: /work is work:/' },
    ])
  })

  it('have functions of their own in the inventory', () => {
    const read = (first: string, second: string) =>
      parseInventory(
        Buffer.from(
          [
            'apiVersion: sluice.dev/v1alpha1\nkind: Inventory\naudience: a\nrevision: 1\nworkspaces:',
            ...['  - id: spiffe://example.org/ws/a', '    slot: { kind: cgroup, interface: ws/a }'],
            ...[
              '    addresses: ["10.9.0.2"]\n    volumes:',
              `      - { name: one, source: /srv/1, mount: /run/1, ${first} }`,
            ],
            `      - { name: two, source: /srv/2, mount: /run/2, ${second} }`,
          ].join('\n'),
        ),
        'inventory.yaml',
      )
    const good = read('function: { vuid: MT1VFS0, tag: one }', 'function: { vuid: MT1VFS1, tag: two }')
    expect(good.inventory?.entries[0]?.volumes?.map((one) => one.function)).toEqual([
      { vuid: 'MT1VFS0', tag: 'one' },
      { vuid: 'MT1VFS1', tag: 'two' },
    ])
    const said = (...of: readonly [string, string]) =>
      read(...of).notes.map(({ line, column, path, code, say }) => `${line}:${column} ${path} [${code}] ${say}`)
    expect(said('function: { vuid: MT1, tag: one }', 'function: { vuid: MT1, tag: two }')).toEqual([
      '6:5 workspaces[0].volumes [not-distinct] two volumes have one function; each has its own',
    ])
    expect(said(`function: { vuid: "a b", tag: ${'t'.repeat(21)} }`, 'function: { vuid: MT1 }')).toEqual([
      '10:71 workspaces[0].volumes[0].function.vuid [bad-value] a VUID is 1 to 127 letters and digits',
      '10:83 workspaces[0].volumes[0].function.tag [bad-value] a tag is 1 to 20 letters, digits, ".", "_" and "-"',
      '11:63 workspaces[0].volumes[1].function.tag [missing-key] tag is missing',
    ])
  })
})

describe('volumes of the inventory', () => {
  const read = (...volumes: readonly string[]) =>
    parseInventory(
      Buffer.from(
        [
          'apiVersion: sluice.dev/v1alpha1\nkind: Inventory\naudience: a\nrevision: 1\nworkspaces:',
          ...['  - id: spiffe://example.org/ws/a', '    slot: { kind: cgroup, interface: ws/a }'],
          '    addresses: ["10.9.0.2"]\n    volumes:',
          ...volumes.map((one) => `      - ${one}`),
        ].join('\n'),
      ),
      'inventory.yaml',
    )
  it('come sorted by name', () => {
    const { inventory, notes } = read(
      '{ name: work, source: /srv/a/work, mount: /run/view/work }',
      '{ name: cache, source: /srv/a/cache, mount: /run/view/cache }',
    )
    expect(notes).toEqual([])
    expect(inventory?.entries[0]?.volumes?.map(({ name }) => name)).toEqual(['cache', 'work'])
  })
  it.each([
    ['{ name: a, source: /srv/../etc, mount: /run/view/a }', 'bad-path'],
    ['{ name: a, source: /, mount: /run/view/a }', 'bad-path'],
    ['{ name: a, source: srv, mount: /run/view/a }', 'bad-path'],
    ['{ name: a/b, source: /srv/a, mount: /run/view/a }', 'bad-value'],
    ['{ name: a, source: /srv/a }', 'missing-key'],
    ['{ name: a, source: /srv/a, mount: /srv/a/view }', 'not-distinct'],
    ['{ name: a, source: /srv/a, mount: /srv/a }', 'not-distinct'],
    ['{ name: a, source: /srv/a, mount: /run/view/a, mode: rw }', 'unknown-key'],
    ['{ name: a, source: /srv/a, mount: /run/view/a, at: work }', 'bad-path'],
    ['{ name: a, source: /srv/a, mount: /run/view/a, at: /a/../b }', 'bad-path'],
  ])('%s: %s', (line, code) => {
    expect(read(line).notes.map((note) => note.code)).toContain(code)
  })
  it('may say where the workspace sees them, each apart', () => {
    const one = '{ name: a, source: /srv/a, mount: /run/view/a, at: /sandbox/work }'
    expect(read(one).inventory?.entries[0]?.volumes).toEqual([
      { name: 'a', source: '/srv/a', mount: '/run/view/a', at: '/sandbox/work' },
    ])
    const inside = '{ name: b, source: /srv/b, mount: /run/view/b, at: /sandbox/work/b }'
    expect(read(one, inside).notes.map(({ code, say }) => `${code} ${say}`)).toEqual([
      'not-distinct /sandbox/work/b and /sandbox/work of the volume "a" lie in one another; a path lies on one volume',
    ])
  })
  it('never twice the same name', () => {
    const line = '{ name: a, source: /srv/a, mount: /run/view/a }'
    expect(read(line, line).notes.map(({ code }) => code)).toEqual(['duplicate-name', 'not-distinct', 'not-distinct'])
  })
})
