// Publishing, through the command line: release, co-signing, promotion, rollback, roots, freshness, break-glass; and a
// bundle that travels through every transport into force.

import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EXPIRES, Fleet, WORKSPACE } from '../support/fleet.js'
import { hasRegistry, startRegistry } from '../support/registry.js'

let fleet: Fleet
beforeEach(async () => {
  fleet = await Fleet.make({ freshness: true })
})
afterEach(() => fleet.close())

const release = (directory: string, revision: number, keys: string, more = '') =>
  `publish release ${directory} --revision ${revision} --audience fleet.example/dev --expires ${EXPIRES} ${keys} ${more}`
const verify = (path: string, more = '') =>
  fleet.ask(`bundle verify ${path} --trust root.json --audience fleet.example/dev ${more}`)

describe('releases', () => {
  test('are co-signed one by one until the threshold', async () => {
    await fleet.sign('bundle', 7, ['release-1'])
    expect((await verify('bundle')).json.code).toBe('BUNDLE_THRESHOLD')
    const first = await fleet.ask('publish cosign bundle/release.jws.json --key keys/release-1.key --trust root.json')
    expect(first.json.progress).toEqual({ role: 'release', signers: ['release-1'], need: 2, complete: false })
    const second = await fleet.ask('publish cosign bundle/release.jws.json --key keys/release-3.key --trust root.json')
    expect(second.json).toMatchObject({ kind: 'release', added: ['release-3'], progress: { complete: true } })
    expect((await verify('bundle')).json.verdict).toBe('accepted')
  })

  test('a key of another role signs nothing', async () => {
    await fleet.sign('bundle', 7)
    expect((await fleet.ask('publish cosign bundle/release.jws.json --key keys/freshness-1.key')).json.error.code).toBe(
      'BUNDLE_KEY',
    )
  })

  test('go from canary to stable as the very same content', async () => {
    await fleet.sign('bundle', 7, ['release-1', 'release-2'], '--channel canary')
    const { digest } = (await fleet.ask('bundle inspect bundle')).json
    await fleet.ok(
      `publish promote bundle --to stable --revision 12 --expires ${EXPIRES} --key keys/release-1.key,keys/release-2.key --out promoted`,
    )
    const promoted = (await verify('promoted')).json
    expect([promoted.verdict, (await fleet.ask('bundle inspect promoted')).json.digest]).toEqual(['accepted', digest])
    const again = await fleet.ask(
      `publish promote bundle --to stable --over promoted --revision 12 --expires ${EXPIRES} --key keys/release-1.key --out twice`,
    )
    expect([again.exit, again.json.error.code]).toEqual([2, 'BUNDLE_COUNTER_REGRESSION'])
  })

  test('are not promoted with the release of another content', async () => {
    await fleet.sign('bundle', 7, ['release-1', 'release-2'], '--channel canary')
    fleet.operator.shell("cp -r bundle other && sed -i 's/93.184.216.40/93.184.216.41/' other/fence.yaml")
    await fleet.sign('other', 8)
    fleet.operator.shell('cp bundle/release.jws.json other/')
    const line = `publish promote other --to stable --revision 12 --expires ${EXPIRES} --key keys/release-1.key --out mixed`
    expect((await fleet.ask(line)).json.error.code).toBe('BUNDLE_RELEASE_MISMATCH')
  })

  test('roll back to older content under a higher revision, and the node goes there', async () => {
    fleet.operator.shell('cp -r bundle older')
    await fleet.sign('older', 7)
    await fleet.publish('older')
    await fleet.publishFreshness('older')
    expect((await fleet.take()).code).toBe('active')
    fleet.operator.shell("sed -i 's/93.184.216.40/93.184.216.41/' bundle/fence.yaml")
    await fleet.sign('bundle', 8)
    await fleet.publish('bundle')
    await fleet.publishFreshness('bundle')
    expect((await fleet.take()).code).toBe('active')
    const line = `bundle rollback bundle --to older --expires ${EXPIRES} --key keys/release-1.key,keys/release-2.key --trust root.json`
    expect((await fleet.ask(`${line} --revision 8 --out back`)).json.error.code).toBe('BUNDLE_COUNTER_REGRESSION')
    expect((await fleet.ask(`${line} --revision 9 --out back`)).json.progress.complete).toBe(true)
    await fleet.publish('back')
    await fleet.publishFreshness('back')
    expect((await fleet.take()).code).toBe('active')
    const { live } = (await fleet.ask('status')).json
    expect([live.source.policyRevision, live.source.bundleDigest]).toEqual([
      '9',
      (await fleet.ask('bundle inspect older')).json.digest,
    ])
  })
})

describe('roots', () => {
  test('rotate with thresholds of both, travel on the channel, and a revoked key counts no more', async () => {
    await fleet.sign('bundle', 7)
    await fleet.publish('bundle')
    await fleet.publishFreshness('bundle')
    expect((await fleet.take()).code).toBe('active')
    await fleet.ok('bundle keygen --role release --kid release-4 --out keys')
    const line = 'publish revoke root.json release-1 --add keys/release-4.pub.json --out 2.root.jws.json'
    const one = await fleet.ask(`${line} --key keys/root-1.key`)
    expect(one.json.progress).toMatchObject({ version: 2, complete: false, current: { need: 2 } })
    fleet.published.set('roots/2.jws.json', fleet.read('2.root.jws.json'))
    expect((await fleet.pull('--root root.json')).json.error.code).toBe('BUNDLE_THRESHOLD')
    const both = await fleet.ask('publish cosign 2.root.jws.json --key keys/root-2.key --trust root.json')
    expect(both.json.progress).toMatchObject({ complete: true, next: { signers: ['root-1', 'root-2'], need: 2 } })
    fleet.published.set('roots/2.jws.json', fleet.read('2.root.jws.json'))
    const pulled = await fleet.pull('--root root.json')
    expect([pulled.exit, pulled.json.root]).toEqual([0, 2])
    expect(fleet.json('root.json')).toMatchObject({ version: 2 })
    // The old release still has release-2, and release-1 no longer counts.
    expect((await verify('bundle')).json.code).toBe('BUNDLE_THRESHOLD')
    await fleet.ok('publish cosign bundle/release.jws.json --key keys/release-4.key')
    expect((await verify('bundle')).json.verdict).toBe('accepted')
    expect(
      (await fleet.ask('publish rotate root.json --add keys/release-1.pub.json --key keys/root-1.key')).json.error.code,
    ).toBe('BUNDLE_ROOT')
  })

  test('a new epoch restarts a burnt counter', async () => {
    await fleet.sign('bundle', 7)
    await fleet.publish('bundle')
    await fleet.publishFreshness('bundle')
    expect((await fleet.take()).code).toBe('active')
    await fleet.ok('publish rotate root.json --new-epoch --key keys/root-1.key,keys/root-2.key --out 2.root.jws.json')
    fleet.published.set('roots/2.jws.json', fleet.read('2.root.jws.json'))
    expect((await fleet.pull('--root root.json')).json.root).toBe(2)
    await fleet.ok('inventory sign inventory.yaml --key keys/inventory.key --epoch 2')
    await fleet.ok(release('bundle', 1, '--key keys/release-1.key,keys/release-2.key', '--epoch 2'))
    await fleet.publish('bundle')
    await fleet.publishFreshness('bundle')
    expect((await fleet.take()).code).toBe('active')
    expect(await fleet.live()).toBe('1')
  })

  test('a skipped version, and a root for the same version', async () => {
    await fleet.sign('bundle', 7)
    await fleet.publish('bundle')
    const rotate = (root: string, out: string) =>
      fleet.ok(`publish rotate ${root} --key keys/root-1.key,keys/root-2.key --out ${out}`)
    await rotate('root.json', '2.jws.json')
    fleet.operator.shell('cp root.json first.json')
    fleet.published.set('roots/2.jws.json', fleet.read('2.jws.json'))
    await fleet.pull('--root root.json')
    await rotate('root.json', '3.jws.json')
    fleet.published.set('roots/2.jws.json', fleet.read('3.jws.json'))
    expect((await fleet.pull('--root first.json')).json.error.code).toBe('BUNDLE_ROOT_VERSION')
    expect(fleet.json('first.json')).toMatchObject({ version: 1 })
  })
})

describe('break-glass', () => {
  test('quarantines and lifts on a node, and the trail has it as Critical', async () => {
    await fleet.sign('bundle', 7)
    await fleet.publish('bundle')
    await fleet.publishFreshness('bundle')
    await fleet.take()
    const order = (more: string, out: string) =>
      fleet.ask(
        `publish breakglass ${more} --workspace ${WORKSPACE} --audience fleet.example/dev --reason 'broker down' --key keys/breakglass-1.key,keys/breakglass-2.key --out ${out} --trust root.json`,
      )
    expect((await order('--action lift', 'x.json')).json.error.code).toBe('CLI_LIFT_TERMS')
    expect((await order('--action lift --quarantine cmd-1 --minutes 61', 'x.json')).json.error.code).toBe(
      'BUNDLE_STATEMENT',
    )
    expect((await order('--action quarantine', 'q.json')).json.progress.complete).toBe(true)
    const done = await fleet.ask('quarantine breakglass q.json')
    expect([done.exit, done.json]).toMatchObject([0, { action: 'quarantine', workspace: WORKSPACE, until: null }])
    const [held] = (await fleet.ask('status')).json.quarantines
    expect(held).toMatchObject({ by: 'breakglass-1, breakglass-2', reason: 'broker down' })
    await order(`--action lift --quarantine ${held.commandId}`, 'l.json')
    const lifted = await fleet.ask('quarantine breakglass l.json')
    expect(lifted.json).toMatchObject({ action: 'lift', until: '2026-06-01T01:00:00Z' })
    expect((await fleet.ask('status')).json.quarantines).toEqual([])
    expect((await fleet.ask('quarantine breakglass l.json')).json.error.code).toBe('AGENT_NOT_QUARANTINED')
    const critical = fleet.events().filter((event) => event.class_uid === 2004 && event.severity_id === 5)
    expect(critical.map((event) => event.status_code)).toEqual(['breakglass', 'breakglass'])
    // After its hour the quarantine is back with the next command that acts.
    fleet.operator.nowMs += 3_600_000
    await fleet.ask('apply got.tgz --inventory inventory.yaml')
    expect((await fleet.ask('status')).json.quarantines).toMatchObject([
      { workspace: WORKSPACE, commandId: held.commandId },
    ])
  })
})

/** Where a bundle is pushed to, with the options that reach it. */
interface Place {
  readonly to: string
  readonly close: () => Promise<void>
}

describe('a bundle travels into force', () => {
  if (!hasRegistry()) test('needs docker-registry', (context) => context.skip('docker-registry is not installed'))
  test.each(
    [
      ['a folder', () => Promise.resolve({ to: 'shelf', close: () => Promise.resolve() })],
      [
        'a Git repository',
        () => {
          execFileSync('git', ['init', '--quiet', '--bare', fleet.path('repository.git')])
          return Promise.resolve({ to: `git+file://${fleet.path('repository.git')}`, close: () => Promise.resolve() })
        },
      ],
      [
        'an OCI registry',
        async () => {
          const registry = await startRegistry(fleet.tls)
          return { to: `oci://${registry.origin.host}/fleet/policies --ca ca.pem`, close: () => registry.stop() }
        },
      ],
    ].filter(([what]) => hasRegistry() || what !== 'an OCI registry') as [string, () => Promise<Place>][],
  )('through %s', async (_what, start) => {
    const { to, close } = await start()
    try {
      await fleet.sign('bundle', 7)
      await fleet.ok('publish freshness bundle --key keys/freshness-1.key --out fresh.jws.json')
      expect((await fleet.ask(`bundle push bundle --freshness fresh.jws.json --to ${to}`)).json.channel).toBe('stable')
      const pulled = await fleet.ask(`bundle pull ${to} --out got.tgz`)
      expect(pulled.json.freshness).toBe('got.tgz.freshness.jws.json')
      expect((await verify('got.tgz')).json.verdict).toBe('accepted')
      const applied = await fleet.ask(`apply got.tgz --inventory inventory.yaml --freshness ${pulled.json.freshness}`)
      expect([applied.exit, applied.json.state]).toEqual([0, 'active'])
    } finally {
      await close()
    }
  })
})
