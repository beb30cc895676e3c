// A whole node with a kernel backend, and real packets: closed before anything was accepted and while everything is refused;
// then `sluice apply` takes bundles from a real registry, a real Git server over ssh and a web server, and packets obey each;
// and a freshness limit holds when nobody is left to look at the clock.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Document, Product } from '../../scripts/demo/product.js'
import { hasSshd, registryInside, type Sshd, sshdInside, webInside } from '../support/inside.js'
import { OUT, WS } from '../support/lab/addresses.js'
import { must } from '../support/lab/command.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { canBuild } from '../support/lab/namespaces.js'
import { buildProgram } from '../support/program.js'
import { hasRegistry } from '../support/registry.js'
import { makeTls, type Tls } from '../support/tls.js'

const able = await canBuild()
const WORKSPACE = 'spiffe://fleet.example/ws/ws0'

const inventory = (revision: number): string => `apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: fleet.example/dev
revision: ${revision}
workspaces:
  - id: ${WORKSPACE}
    slot: { kind: veth, interface: ${WS.slot} }
    mac: "${WS.mac}"
    addresses: ["${WS.v4}", "${WS.v6}"]
    gateway: { mac: "${WS.gatewayMac}", addresses: ["${WS.gateway4}", "${WS.gateway6}"] }
`
const policy = (port: number): string => `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: { name: fence }
applies_to: { workspaces: [${WORKSPACE}] }
egress:
  - { name: web, cidrs: [${OUT.git}/32], protocol: tcp, ports: [${port}] }
`

/** One node in a laboratory of its own, with its folder. */
class Node {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-node-'))
  readonly product: Product
  private constructor(
    readonly lab: Lab,
    readonly tls: Tls,
  ) {
    this.product = new Product(lab.namespace('node'), this.directory)
  }

  static async make(backend: string): Promise<Node> {
    buildProgram()
    const node = new Node(await openLab(), makeTls())
    await node.product.run('init', '.', '--interface', WS.slot)
    const config = readFileSync(node.at('agent.yaml'), 'utf8')
    node.write(
      'agent.yaml',
      config
        .replace(/^backends:.*$/m, `backends: [${backend}]`)
        .replace(/^attach_interfaces:.*$/m, 'attach_interfaces: ["ws*"]'),
    )
    node.write('inventory.yaml', inventory(2))
    await node.product.run('inventory', 'sign', 'inventory.yaml', '--key', 'keys/inventory.key')
    return node
  }

  async close(): Promise<void> {
    await this.product.try('uninstall', '--yes')
    await this.lab.close()
    this.tls.remove()
    rmSync(this.directory, { recursive: true, force: true })
  }

  at = (name: string): string => join(this.directory, name)
  write(name: string, text: string): void {
    mkdirSync(join(this.at(name), '..'), { recursive: true })
    writeFileSync(this.at(name), text)
  }
  /** Adds a key of a role to the trust root, with threshold 1. */
  async trust(role: string): Promise<void> {
    await this.product.run('bundle', 'keygen', '--role', role, '--kid', role, '--out', 'keys')
    const root = JSON.parse(readFileSync(this.at('root.json'), 'utf8')) as { keys: object; roles: object }
    const key = JSON.parse(readFileSync(this.at(`keys/${role}.pub.json`), 'utf8')) as object
    const roles = { ...root.roles, [role]: { threshold: 1 } }
    this.write('root.json', JSON.stringify({ ...root, keys: { ...root.keys, ...key }, roles }))
  }
  /** A signed bundle that lets one port out. */
  async release(name: string, revision: number, port: number): Promise<void> {
    this.write(`${name}/fence.yaml`, policy(port))
    const keys = ['--author', 'keys/author.key', '--release', 'keys/release.key']
    const expires = new Date(Date.now() + 3_600_000).toISOString()
    const terms = ['--revision', String(revision), '--audience', 'fleet.example/dev', '--expires', expires]
    await this.product.run('bundle', 'sign', name, ...keys, ...terms, '--id', 'sample')
  }
  apply(from: string, ...more: readonly string[]) {
    return this.product.try('apply', from, '--inventory', 'inventory.yaml', ...more)
  }
  reach = async (port: number): Promise<string> =>
    (await this.lab.ws.tcp({ host: OUT.git, port, timeoutMs: 1_000 })).outcome
  /** What every port that is asked about answers. */
  reached = async (...ports: readonly number[]): Promise<Record<number, string>> => {
    const out: Record<number, string> = {}
    for (const port of ports) out[port] = await this.reach(port)
    return out
  }
  codes(): string[] {
    const lines = readFileSync(this.at('events.ndjson'), 'utf8').trim().split('\n')
    return lines.map((line) => (JSON.parse(line) as { status_code?: string }).status_code ?? '')
  }
}

const codeOf = (document: Document): unknown => (document.error as Document | undefined)?.code
const REFUSED = /^(reset|prohibited)$/

if (able !== true) it('needs network namespaces', (context) => context.skip(able))

describe.runIf(able === true).each(['nftables', 'ebpf'])('a node with %s', (backend) => {
  let node: Node
  beforeAll(async () => {
    node = await Node.make(backend)
  }, 600_000)
  afterAll(() => node?.close())

  it('is closed by its first refusal, its interfaces too; a quarantine waits for its workspace', async () => {
    expect(await node.reach(443)).toBe('connected')
    await node.release('good', 1, 443)
    cpSync(node.at('good'), node.at('forged'), { recursive: true })
    node.write('forged/fence.yaml', policy(80))
    const refused = await node.apply('forged')
    expect([refused.exit, codeOf(refused.json)]).toEqual([2, 'BUNDLE_MEMBER_SIZE'])
    expect(await node.reached(443, 80)).toEqual({
      443: expect.stringMatching(REFUSED),
      80: expect.stringMatching(REFUSED),
    })
    // ws1 is in no inventory, and its name says that only fenced traffic may come from there.
    expect((await node.lab.ws2.tcp({ host: OUT.git, port: 443, timeoutMs: 500 })).outcome).toBe('timeout')
    expect((await node.product.run('status')).json).toMatchObject({ state: 'closed', live: { generation: 1 } })
    expect(node.codes()).toEqual(expect.arrayContaining(['policy.bundle_activated', 'BUNDLE_MEMBER_SIZE']))
  })

  it('opens for what was granted once a bundle is accepted', async () => {
    const applied = await node.apply('good')
    expect(applied.json).toMatchObject({ state: 'active', generation: 2 })
    expect(await node.reached(443, 80)).toEqual({ 443: 'connected', 80: expect.stringMatching(REFUSED) })
  })

  it('fences by what the kernel has when its state is damaged', async () => {
    const state = readFileSync(node.at('state/state.json'))
    writeFileSync(node.at('state/state.json'), state.subarray(1))
    const set = await node.product.run('quarantine', 'set', WORKSPACE, '--reason', 'incident')
    expect(set.json).toMatchObject({ attached: true, changed: true })
    expect(await node.reach(443)).toBe('timeout')
    writeFileSync(node.at('state/state.json'), state)
    await node.product.run('quarantine', 'lift', WORKSPACE, '--reason', 'over')
    // While it was fenced its neighbour entry went stale, and its stack asks again in its own time.
    await expect.poll(() => node.reach(443), { timeout: 30_000 }).toBe('connected')
  })

  it('suspends by itself when freshness runs out, and a new statement moves the limit of the same generation', async () => {
    await node.trust('freshness')
    const confirm = async (seconds: number): Promise<void> => {
      const words = ['--key', 'keys/freshness.key', '--lifetime', String(seconds), '--out', 'fresh.jws.json']
      await node.product.run('publish', 'freshness', 'good', ...words)
    }
    await confirm(3_600)
    expect((await node.apply('good', '--freshness', 'fresh.jws.json')).exit).toBe(0)
    await confirm(12)
    const shorter = await node.apply('good', '--freshness', 'fresh.jws.json')
    expect(shorter.json).toMatchObject({ state: 'active', decision: 'keep', generation: 2 })
    // Nobody runs: only the data plane knows the time. The bundle itself holds for an hour.
    for (let tries = 0; (await node.reach(443)) === 'connected' && tries < 300; tries++) await sleep(200)
    expect(await node.reach(443)).not.toBe('connected')
    await confirm(3_600)
    expect((await node.apply('good', '--freshness', 'fresh.jws.json')).json).toMatchObject({ generation: 2 })
    expect(await node.reach(443)).toBe('connected')
  }, 120_000)
})

const servers = able === true && hasRegistry() && hasSshd()
if (able === true && !servers)
  it('needs docker-registry and openssh-server', (context) => context.skip('not installed'))

describe.runIf(servers)('sources of a node', () => {
  let node: Node
  let ssh: Sshd
  const stops: (() => Promise<void>)[] = []
  beforeAll(async () => {
    node = await Node.make('nftables')
    const namespace = node.lab.namespace('node')
    const folder = node.at('servers')
    mkdirSync(folder)
    await must(['git', 'init', '--quiet', '--bare', node.at('policies.git')])
    const registry = await registryInside(namespace, folder, node.tls)
    stops.push(() => registry.stop())
    ssh = await sshdInside(namespace, folder)
    stops.push(() => ssh.stop())
    const web = await webInside(namespace, node.at('published'), node.tls)
    stops.push(() => web.stop())
  }, 600_000)
  afterAll(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
    await node?.close()
  })
  const REGISTRY = 'oci://localhost:5443/fleet/policies'
  const ca = () => ['--ca', node.tls.caFile]
  const git = () => `git+ssh://localhost:5022${node.at('policies.git')}`
  const sshTerms = (knownHosts = ssh.knownHosts) => ['--ssh-key', ssh.key, '--known-hosts', knownHosts]

  it('an empty registry refuses, and leaves the node closed', async () => {
    const refused = await node.apply(REGISTRY, ...ca())
    expect([refused.exit, codeOf(refused.json)]).toEqual([2, 'TRANSPORT_NOT_FOUND'])
    expect(await node.reach(443)).toMatch(REFUSED)
    expect(node.codes()).toContain('TRANSPORT_NOT_FOUND')
  })

  it('a bundle that was pushed to a registry is pulled, verified and applied, and packets obey it', async () => {
    await node.release('first', 1, 443)
    await node.product.run('bundle', 'push', 'first', '--to', REGISTRY, ...ca())
    const applied = await node.apply(REGISTRY, ...ca())
    expect(applied.json).toMatchObject({ state: 'active', source: { policyRevision: '1' } })
    expect(await node.reached(443, 80, 8080)).toMatchObject({ 443: 'connected', 80: expect.stringMatching(REFUSED) })
  })

  it('a bundle that was pushed to a Git repository over ssh is pulled, verified and applied, and packets obey it', async () => {
    await node.release('second', 2, 80)
    await node.product.run('bundle', 'push', 'second', '--to', git(), ...sshTerms())
    const applied = await node.apply(git(), ...sshTerms())
    expect(applied.json).toMatchObject({ state: 'active', source: { policyRevision: '2' } })
    expect(await node.reached(443, 80)).toEqual({ 443: expect.stringMatching(REFUSED), 80: 'connected' })
  })

  it('a server with another host key is not talked to, and neither is one whose key nobody named', async () => {
    await node.release('third', 3, 8080)
    await node.product.run('bundle', 'push', 'third', '--to', git(), ...sshTerms())
    for (const terms of [sshTerms(ssh.strangers), []]) {
      const refused = await node.apply(git(), ...terms)
      expect(refused.exit).not.toBe(0)
      expect(codeOf(refused.json)).toMatch(/^TRANSPORT_/)
    }
    expect(await node.reached(80, 8080)).toEqual({ 80: 'connected', 8080: expect.stringMatching(REFUSED) })
    expect((await node.apply(git(), ...sshTerms())).json).toMatchObject({ source: { policyRevision: '3' } })
    expect(await node.reach(8080)).toBe('connected')
  })

  it('a bundle that was published behind HTTPS is pulled, verified and applied, and packets obey it', async () => {
    await node.release('fourth', 4, 443)
    await node.product.run('bundle', 'push', 'fourth', '--to', 'published')
    const applied = await node.apply('https://localhost:5444/', ...ca())
    expect(applied.json).toMatchObject({ state: 'active', source: { policyRevision: '4' } })
    expect(await node.reached(443, 8080)).toEqual({ 443: 'connected', 8080: expect.stringMatching(REFUSED) })
  })

  it('a certificate of another authority is refused, in the trail too, and nothing changes', async () => {
    const other = makeTls()
    const refused = await node.apply('https://localhost:5444/', '--ca', other.caFile)
    other.remove()
    expect([refused.exit, codeOf(refused.json)]).toEqual([2, 'TRANSPORT_TLS'])
    expect(node.codes().at(-1)).toBe('TRANSPORT_TLS')
    expect(await node.reach(443)).toBe('connected')
  })
})
