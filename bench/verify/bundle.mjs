// A signed and released bundle with a given number of grants, one clause each, and what a node needs to verify and compile it:
// the worst form a policy of that size can have. Keys come from fixed octets and are good for nothing else.

import { createHash } from 'node:crypto'
import { memoryCapabilities } from '../../dist/backends/memory/capabilities.js'
import { adoptSha256, sha256 } from '../../dist/base/digest.js'
import { generateKey, signerOf } from '../../dist/bundle/key-file.js'
import { parseTrustRoot, writeTrustRoot } from '../../dist/bundle/root.js'
import { makeManifest, makeRelease, signManifest, signRelease } from '../../dist/bundle/sign.js'
import { verifyBundle } from '../../dist/bundle/verify.js'
import { checkPlan } from '../../dist/plan/check.js'
import { encodePlan } from '../../dist/plan/codec.js'
import { compilePlan } from '../../dist/plan/compile.js'
import { normalizePolicies } from '../../dist/policy/normalize.js'

// As the program does.
adoptSha256((bytes) => createHash('sha256').update(bytes).digest())

const text = new TextEncoder()
const NOW = Date.UTC(2026, 5, 1)
const WINDOW = { notBeforeMs: NOW - 1, expiresAtMs: NOW + 86_400_000 }
const WORKSPACE = 'spiffe://fleet.example/ws/ws0'
const pair = (role, kid) => generateKey({ role, kid }, (length) => sha256(text.encode(kid)).slice(0, length))
const KEYS = {
  author: pair('author', 'author-1'),
  release1: pair('release', 'release-1'),
  release2: pair('release', 'release-2'),
  inventory: pair('inventory', 'inventory-1'),
}

function policy(grants) {
  const lines = [
    'apiVersion: sluice.dev/v1alpha1',
    'kind: FencePolicy',
    'metadata:',
    '  name: bench',
    'applies_to:',
    `  workspaces: ["${WORKSPACE}"]`,
    'egress:',
  ]
  for (let i = 0; i < grants; i++)
    lines.push(
      `  - name: service-${i}`,
      `    cidrs: ["45.${76 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32"]`,
      '    protocol: tcp',
      `    ports: [${1024 + (i % 1000)}]`,
    )
  return text.encode(`${lines.join('\n')}\n`)
}

const slot = {
  kind: 'veth',
  interface: 'ws0',
  mac: '02:00:00:00:09:02',
  addresses: ['10.9.0.2'],
  gateway: { mac: '02:00:00:00:09:01', addresses: ['10.9.0.1'] },
}
const inventory = { audience: 'fleet.example/dev', revision: '1', entries: [{ workspace: WORKSPACE, slot }] }

/** Gives `verify`, and `compile` of what it gave: from members to the encoded plan. */
export async function prepare(grants) {
  const members = new Map([['fence.yaml', policy(grants)]])
  const terms = { id: 'bench', policyRevision: 1n, ...WINDOW }
  const manifest = await signManifest(makeManifest(terms, members), signerOf(KEYS.author))
  const statement = makeRelease(manifest, members, {
    policyRevision: 1n,
    epoch: 1,
    channel: 'stable',
    audience: ['fleet.example/dev'],
    ...WINDOW,
  })
  let release
  for (const key of [KEYS.release1, KEYS.release2]) release = await signRelease(statement, signerOf(key), release)
  const root = {
    version: 1,
    epoch: 1,
    expiresAtMs: WINDOW.expiresAtMs,
    keys: new Map(Object.values(KEYS).map(({ kid, role, public: key }) => [kid, { kid, role, key }])),
    thresholds: new Map([
      ['author', 1],
      ['release', 2],
      ['inventory', 1],
    ]),
    revoked: [],
  }
  const trust = parseTrustRoot(writeTrustRoot(root))
  const context = { nowMs: NOW, audience: 'fleet.example/dev', channel: 'stable' }
  return {
    verify: () => verifyBundle({ manifest, release, members }, trust, context),
    compile: (bundle) => {
      const { policies, notes } = normalizePolicies(bundle.members)
      if (!policies) throw new Error(notes[0]?.say)
      const capabilities = [memoryCapabilities({ backend: 'memory', trustDomain: 'host', probes: [] })]
      const source = { ...bundle.source, inventoryRevision: '1' }
      const made = compilePlan({ source, policies, inventory, capabilities, order: ['memory'] })
      if (!made.plan) throw new Error(made.notes[0]?.say)
      if (made.plan.workspaces[0].network.egress.length !== grants) throw new Error('not all grants are in the plan')
      checkPlan(made.plan)
      return encodePlan(made.plan)
    },
  }
}
