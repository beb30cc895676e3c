// A node in a scratch directory with memory backends that outlive commands, and bundles signed for it: each test changes
// one thing. Keys come from fixed seeds, the clock is a number that the test moves.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import type { ApplyCommand } from '../../../src/agent/command.js'
import type { StateFiles } from '../../../src/agent/files.js'
import { NODE_FILES } from '../../../src/agent/files.js'
import type { AgentNode } from '../../../src/agent/node.js'
import { Store } from '../../../src/agent/store.js'
import type { OpenBackend } from '../../../src/agent/transaction.js'
import type { Fact } from '../../../src/audit/fact.js'
import type { Backend, Driver } from '../../../src/backends/backend.js'
import { memoryCapabilities } from '../../../src/backends/memory/capabilities.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { utf8 } from '../../../src/base/bytes.js'
import { digestOf, sha256 } from '../../../src/base/digest.js'
import { generateKey, type KeyPair, signerOf } from '../../../src/bundle/key-file.js'
import type { BundleBytes, KeyRole } from '../../../src/bundle/model.js'
import { parseTrustRoot, writeTrustRoot } from '../../../src/bundle/root.js'
import { makeManifest, makeRelease, signInventory, signManifest, signRelease } from '../../../src/bundle/sign.js'
import type { BackendName, PlanSlice } from '../../../src/plan/model.js'

export const NOW = Date.UTC(2026, 5, 1)
const FROM = Date.UTC(2026, 0, 1)
/** Bundles and root end there. */
export const UNTIL = Date.UTC(2027, 0, 1)
export const ALPHA = 'spiffe://fleet.example/ws/alpha'
export const BETA = 'spiffe://fleet.example/ws/beta'
const AUDIENCE = 'fleet.example/dev'

const keyOf = (role: KeyRole, kid: string): KeyPair =>
  generateKey({ role, kid }, (length) => sha256(utf8(kid)).slice(0, length))
const AUTHOR = keyOf('author', 'author-1')
const RELEASE = keyOf('release', 'release-1')
const INVENTORY = keyOf('inventory', 'inventory-1')
export const STRANGER = keyOf('release', 'stranger')

const ROOT = writeTrustRoot({
  version: 1,
  epoch: 1,
  expiresAtMs: UNTIL,
  keys: new Map(
    [AUTHOR, RELEASE, INVENTORY].map((pair) => [pair.kid, { kid: pair.kid, role: pair.role, key: pair.public }]),
  ),
  thresholds: new Map<KeyRole, number>([
    ['author', 1],
    ['release', 1],
    ['inventory', 1],
  ]),
  revoked: [],
})

const inventoryYaml = (revision: number, workspaces: readonly string[], volumes: string, link?: string): string =>
  `apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: ${AUDIENCE}
revision: ${revision}
workspaces:
${workspaces
  .map(
    (id, i) => `  - id: ${id}
    slot: { kind: ${id === BETA ? 'tap' : 'veth'}, interface: ${link ?? `ws${i}`} }
    mac: "02:00:00:00:0${i}:02"
    addresses: [10.9.${i}.2]
    gateway: { mac: "02:00:00:00:0${i}:01", addresses: [10.9.${i}.1] }
${id === ALPHA ? volumes : ''}`,
  )
  .join('')}`

export interface Egress {
  readonly cidr: string
  readonly port: number
}
const fenceYaml = (egress: readonly Egress[], extra: string): string => `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: { name: fence }
applies_to: { workspaces: ["spiffe://fleet.example/ws/*"] }
${extra}egress:
${egress.map(({ cidr, port }, i) => `  - { name: rule-${i}, cidrs: [${cidr}], protocol: tcp, ports: [${port}] }\n`).join('')}`

export interface Offer {
  readonly revision?: bigint
  readonly egress?: readonly Egress[]
  /** More lines of the FencePolicy. */
  readonly extra?: string
  /** More members, by path. */
  readonly members?: Readonly<Record<string, string>>
  readonly releaseKey?: KeyPair
  readonly workspaces?: readonly string[]
  readonly inventoryRevision?: number
  /** The interface of the one workspace, where one is to exist. */
  readonly link?: string
  /** A SandboxPolicy, as the member `sandbox.yaml`. */
  readonly sandbox?: string
  /** The key `volumes` of the workspace alpha, as it stands in the inventory. */
  readonly volumes?: string
  /** What the signed statement says, when it is not what the document says. */
  readonly statementRevision?: bigint
  readonly notBeforeMs?: number
  readonly retry?: boolean
  /** Changes the finished bytes. */
  readonly tamper?: (bytes: BundleBytes) => BundleBytes
}

export const WEB: Egress = { cidr: '93.184.216.34/32', port: 443 }
export const MAIL: Egress = { cidr: '93.184.216.35/32', port: 25 }

export async function offer(given: Offer = {}): Promise<ApplyCommand> {
  const policyRevision = given.revision ?? 1n
  const window = { notBeforeMs: given.notBeforeMs ?? FROM, expiresAtMs: UNTIL }
  const members = new Map([['fence.yaml', utf8(fenceYaml(given.egress ?? [WEB], given.extra ?? ''))]])
  for (const [path, text] of Object.entries(given.members ?? {})) members.set(path, utf8(text))
  if (given.sandbox !== undefined) members.set('sandbox.yaml', utf8(given.sandbox))
  const payload = makeManifest({ id: 'sample', policyRevision, ...window }, members)
  const manifest = await signManifest(payload, signerOf(AUTHOR))
  const terms = { policyRevision, epoch: 1, channel: 'stable', audience: [AUDIENCE], ...window }
  const release = await signRelease(makeRelease(manifest, members, terms), signerOf(given.releaseKey ?? RELEASE))
  const bytes: BundleBytes = { manifest, release, members }
  const revision = given.inventoryRevision ?? 1
  const yaml = utf8(inventoryYaml(revision, given.workspaces ?? [ALPHA], given.volumes ?? '', given.link))
  const inventory = { audience: AUDIENCE, epoch: 1, revision: given.statementRevision ?? BigInt(revision) }
  return {
    kind: 'apply',
    commandId: 'cmd-1',
    by: 'user:test',
    fetch: () => Promise.resolve((given.tamper ?? ((same) => same))(bytes)),
    inventory: { yaml, signature: await signInventory(yaml, inventory, signerOf(INVENTORY)), file: 'inventory.yaml' },
    retry: given.retry ?? false,
  }
}

const scratch: string[] = []
afterEach(() => {
  for (const directory of scratch.splice(0)) rmSync(directory, { recursive: true, force: true })
})
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-unit-'))
  scratch.push(directory)
  return directory
}

/** One backend that keeps its state between commands, under the name and for the slots that a test gives it. */
export function memoryAs(
  name: BackendName,
  slots: readonly ('veth' | 'tap')[],
  driver: Driver<PlanSlice>,
): OpenBackend {
  const backend: Backend<PlanSlice> = {
    name,
    capabilities: (probed) => ({ ...memoryCapabilities(probed), backend: name, slots }),
    lower: (slice) => slice,
    render: () => '',
    open: () => Promise.resolve(driver),
  }
  const capabilities = backend.capabilities({ backend: name, trustDomain: 'host', probes: [] })
  return { backend: backend, driver, capabilities }
}

export interface TestNode extends AgentNode {
  readonly facts: Fact[]
  now: number
}

export function makeNode(
  backends: readonly OpenBackend[] = [memoryAs('memory', ['veth', 'tap'], new MemoryDriver())],
  files: StateFiles = NODE_FILES,
): TestNode {
  const directory = scratchDirectory()
  const stateDirectory = join(directory, 'state')
  const facts: Fact[] = []
  const node: TestNode = {
    config: {
      node: 'spiffe://fleet.example/node/n1',
      audience: AUDIENCE,
      channel: 'stable',
      trustRoot: join(directory, 'root.json'),
      stateDirectory,
      eventsFile: join(directory, 'events.ndjson'),
      backends: backends.map((open) => open.backend.name),
      attachInterfaces: [],
    },
    trust: parseTrustRoot(ROOT),
    trustDigest: digestOf(ROOT),
    store: new Store(stateDirectory, files),
    backends: new Map(backends.map((open) => [open.backend.name, open])),
    order: backends.map((open) => open.backend.name),
    emit: (more) => {
      facts.push(...more)
      return Promise.resolve()
    },
    nowMs: () => node.now,
    facts,
    now: NOW,
  }
  node.store.create()
  return node
}
