// Rows of the attack matrix about who may say what, for whom and when: signatures, counters, freshness, keys, time.
// Names are those of the matrix.

import { expect } from 'vitest'
import { utf8 } from '../../src/base/bytes.js'
import { change, jwsOf, remanifest, restate, serve, served, writeJws } from './forge.js'
import { edit, HOUR, next, type Row } from './row.js'

export const TRUST_ROWS: Readonly<Record<string, Row>> = {
  'arbitrary install': {
    variants: [
      [
        'signed by keys that nobody enrolled',
        'BUNDLE_SIGNER_UNKNOWN',
        async (fleet) => {
          await fleet.ok('bundle keygen --role author --kid evil --out keys')
          fleet.operator.shell('mv keys/evil.key keys/author.key')
          await next(fleet)
        },
      ],
      [
        'signed by a key that calls itself by an enrolled name',
        'BUNDLE_SIGNATURE',
        async (fleet) => {
          await fleet.ok('bundle keygen --role author --kid dev-author --out evil')
          fleet.operator.shell('mv evil/dev-author.key keys/author.key')
          await next(fleet)
        },
      ],
      [
        'a member that was changed on the way',
        'BUNDLE_MEMBER_DIGEST',
        (fleet) =>
          change(fleet, ({ members }) => ({
            members: new Map(
              [...members].map(([path, bytes]) => [path, bytes.map((octet) => (octet === 52 ? 53 : octet))]),
            ),
          })),
      ],
    ],
  },
  'signature stripped': {
    variants: [
      [
        'of the manifest',
        'BUNDLE_UNSIGNED',
        (fleet) =>
          change(fleet, ({ manifest }) => ({
            manifest: manifest.subarray(0, Buffer.from(manifest).lastIndexOf('---\n')),
          })),
      ],
      [
        'the release as a whole',
        'BUNDLE_RELEASE_MISSING',
        async (fleet) => {
          const { manifest, members } = await served(fleet)
          await serve(fleet, { manifest, members })
        },
      ],
      [
        'all signatures of the release',
        'BUNDLE_THRESHOLD',
        (fleet) => change(fleet, (bundle) => ({ release: writeJws({ ...jwsOf(bundle), signatures: [] }) })),
      ],
    ],
  },
  rollback: { variants: [['an older revision, well signed', 'BUNDLE_COUNTER_REGRESSION', (fleet) => next(fleet, 6n)]] },
  'equivocation: same revision, other content': {
    variants: [
      [
        'both well signed',
        'BUNDLE_COUNTER_CONTENT_MISMATCH',
        async (fleet) => {
          edit(fleet, 's/93.184.216.40/93.184.216.41/')
          await next(fleet, 7n)
        },
      ],
    ],
  },
  'indefinite freeze': {
    freshness: true,
    variants: [
      [
        'the source withholds statements',
        'BUNDLE_STALE',
        (fleet) => {
          fleet.published.delete('channels/stable/freshness.jws.json')
          fleet.operator.nowMs += 2 * HOUR
        },
      ],
      [
        'the source keeps serving an old statement',
        'BUNDLE_EXPIRED',
        (fleet) => {
          fleet.operator.nowMs += 2 * HOUR
        },
      ],
      [
        'the source serves the new statement and the old bundle',
        'BUNDLE_SUPERSEDED',
        async (fleet) => {
          const old = await served(fleet)
          await next(fleet)
          await fleet.publishFreshness('bundle')
          await serve(fleet, old)
        },
      ],
      [
        'the source replays a statement that was replaced',
        'BUNDLE_REPLAYED',
        async (fleet) => {
          const old = fleet.read('fresh.jws.json')
          fleet.operator.nowMs += 60_000
          await fleet.publishFreshness('bundle')
          expect((await fleet.take()).code).toBe('active')
          fleet.published.set('channels/stable/freshness.jws.json', old)
        },
      ],
    ],
  },
  'fast-forward (revision 2^64-1)': {
    variants: [
      ['the highest number there is', 'BUNDLE_COUNTER_JUMP', (fleet) => next(fleet, 2n ** 64n - 1n)],
      ['one past the longest step', 'BUNDLE_COUNTER_JUMP', (fleet) => next(fleet, 7n + 1_000_001n)],
    ],
  },
  'mix-and-match': {
    variants: [
      [
        'the release of one revision beside the manifest of another',
        'BUNDLE_RELEASE_MISMATCH',
        async (fleet) => {
          const old = await served(fleet)
          edit(fleet, 's/93.184.216.40/93.184.216.41/')
          await next(fleet)
          await change(fleet, () => ({ manifest: old.manifest, members: old.members }))
        },
      ],
      [
        'one member of another revision',
        'BUNDLE_MEMBER_DIGEST',
        async (fleet) => {
          const old = await served(fleet)
          edit(fleet, 's/93.184.216.40/93.184.216.41/')
          await next(fleet)
          await change(fleet, ({ members }) => ({
            members: new Map([...members, ['fence.yaml', old.members.get('fence.yaml') ?? utf8('')]]),
          }))
        },
      ],
      [
        'a member too many',
        'BUNDLE_MEMBER_UNLISTED',
        (fleet) => change(fleet, ({ members }) => ({ members: new Map([...members, ['more.yaml', utf8('x')]]) })),
      ],
      [
        'a member too few',
        'BUNDLE_MEMBER_MISSING',
        (fleet) =>
          change(fleet, ({ members }) => ({
            members: new Map([...members].filter(([path]) => path !== 'sandbox.yaml')),
          })),
      ],
    ],
  },
  'wrong target': {
    variants: [
      [
        'a bundle for another fleet',
        'BUNDLE_AUDIENCE',
        (fleet) => restate(fleet, { statement: { audience: ['fleet.example/prod'], policy_revision: '8' } }),
      ],
      ['a bundle of another channel', 'BUNDLE_CHANNEL', (fleet) => next(fleet, 8n, undefined, '--channel canary')],
    ],
  },
  'key compromise': {
    variants: [
      ['one release key is not enough', 'BUNDLE_THRESHOLD', (fleet) => next(fleet, 8n, ['release-1'])],
      [
        'an author key signs no release',
        'BUNDLE_THRESHOLD',
        async (fleet) => {
          fleet.operator.shell(
            'cp keys/author.key keys/copy.key && sed -i "s/^role: author/role: release/" keys/copy.key',
          )
          await next(fleet, 8n, ['release-1', 'copy'])
        },
      ],
      [
        'a revoked key counts no more',
        'BUNDLE_THRESHOLD',
        async (fleet) => {
          await fleet.ok('publish revoke root.json release-1 --key keys/root-1.key,keys/root-2.key --out 2.jws.json')
          fleet.published.set('roots/2.jws.json', fleet.read('2.jws.json'))
          expect((await fleet.pull('--root root.json')).json.root).toBe(2)
          await next(fleet)
        },
      ],
      [
        'a root that only the stolen root key signed is not followed',
        'BUNDLE_THRESHOLD',
        async (fleet) => {
          await fleet.ok('publish rotate root.json --threshold release=1 --key keys/root-1.key --out 2.jws.json')
          fleet.published.set('roots/2.jws.json', fleet.read('2.jws.json'))
          expect((await fleet.pull('--root root.json')).json.error.code).toBe('BUNDLE_THRESHOLD')
          await next(fleet, 8n, ['release-1'])
        },
      ],
    ],
  },
  'one key counted twice (same key, two keyids; one keyid twice)': {
    variants: [
      [
        'one keyid twice',
        'BUNDLE_THRESHOLD',
        (fleet) => restate(fleet, { statement: { policy_revision: '8' }, keys: ['release-1', 'release-1'] }),
      ],
      [
        'one key under two keyids of the trust root',
        'BUNDLE_ROOT',
        async (fleet) => {
          const root = fleet.json('root.json') as { keys: Record<string, object> }
          const twice = { ...root, keys: { ...root.keys, 'release-9': root.keys['release-1'] } }
          fleet.write('root.json', JSON.stringify(twice))
          await next(fleet)
        },
      ],
    ],
  },
  'cross-protocol reuse': {
    freshness: true,
    variants: [
      [
        'a signature for an inventory on a release',
        'BUNDLE_STATEMENT_TYPE',
        (fleet) => restate(fleet, { header: { typ: 'application/vnd.sluice.inventory+json' } }),
      ],
      [
        'an inventory statement in the place of the release',
        'BUNDLE_STATEMENT',
        (fleet) => change(fleet, () => ({ release: fleet.read('inventory.jws.json') })),
      ],
      [
        'a freshness key on a release',
        'BUNDLE_THRESHOLD',
        (fleet) => restate(fleet, { statement: { policy_revision: '8' }, keys: ['release-1', 'freshness-1'] }),
      ],
    ],
  },
  'clock set back or forward': {
    variants: [
      [
        'back by more than five minutes',
        'AGENT_CLOCK_BACK',
        async (fleet) => {
          await next(fleet)
          fleet.operator.nowMs -= 300_001
        },
      ],
      [
        'forward beyond the trust root',
        'BUNDLE_ROOT_EXPIRED',
        (fleet) => {
          fleet.operator.nowMs += 20 * 365 * 24 * HOUR
        },
      ],
    ],
  },
  'downgrade of the format version': {
    variants: [
      ['of the release', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { statement: { format: 'sluice-release/0' } })],
      [
        'of the manifest',
        'BUNDLE_MANIFEST',
        (fleet) => remanifest(fleet, (payload) => payload.replace('policy/v1alpha1', 'policy/v1alpha0')),
      ],
      [
        'of the type of a signature',
        'BUNDLE_STATEMENT_TYPE',
        (fleet) => restate(fleet, { header: { typ: 'application/vnd.sluice.release.v0+json' } }),
      ],
    ],
  },
}
