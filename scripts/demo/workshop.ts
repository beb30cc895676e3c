// The author's side of the demo: a directory with keys, trust root, inventory and one bundle directory for each revision, all
// made by the product's own commands. Revisions share keys and differ in their documents.

import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { WS } from '../../test/support/lab/addresses.js'
import { repositoryPath } from '../../test/support/lab/repository.js'
import type { Product } from './product.js'

export const WORKSPACE = 'spiffe://demo.example/workspace/ws0'
export const AUDIENCE = 'demo.example/node'
export const CHANNEL = 'stable'
/** The two documents of a bundle, as `sluice bundle init` names them. */
export const SANDBOX = 'sandbox.yaml'
export const FENCE = 'fence.yaml'

/** Where the fence stands: the slot of the workspace, which interfaces are workspaces', and more lines of agent.yaml. */
export interface Ground {
  readonly slot: string
  readonly attach: string
  readonly more?: string
  /** What holds another domain of the policy beside the network (storage.ts). */
  readonly beside?: readonly Beside[]
}

/** A part of the policy that another backend than the network's holds. */
export interface Beside {
  readonly backend: string
  /** Lines of the workspace in the inventory; makes what they speak of below this directory. */
  readonly inventory: (directory: string) => string
  /** File of this folder with what is added to the FencePolicy. */
  readonly additions: string
}

export const VETH: Ground = { slot: `{ kind: veth, interface: ${WS.slot} }`, attach: 'ws*' }

export class Workshop {
  private beside: readonly Beside[] = []

  constructor(
    readonly directory: string,
    private readonly product: Product,
  ) {}

  private path = (...parts: readonly string[]): string => join(this.directory, ...parts)

  /** Keys, trust root, agent.yaml and the signed inventory. */
  async open(backend: string, ground: Ground = VETH): Promise<void> {
    this.beside = ground.beside ?? []
    await this.product.run('init', '.', '--interface', WS.slot)
    this.edit('agent.yaml', (text) =>
      text
        .replace(/^audience:.*$/m, `audience: ${AUDIENCE}`)
        .replace(/^channel:.*$/m, `channel: ${CHANNEL}`)
        .replace(/^backends:.*$/m, `backends: [${[backend, ...this.beside.map((at) => at.backend)].join(', ')}]`)
        .replace(/^attach_interfaces:.*$/m, `attach_interfaces: ["${ground.attach}"]`)
        .concat(ground.more ?? ''),
    )
    const more = this.beside.map((at) => at.inventory(this.directory)).join('')
    writeFileSync(this.path('inventory.yaml'), inventory(ground.slot) + more)
    await this.product.run('inventory', 'sign', 'inventory.yaml', '--key', this.key('inventory'))
  }

  /** The private key that `init` made for a role. */
  key(role: string, folder = 'keys'): string {
    const files = readdirSync(this.path(folder)).filter((name) => name.startsWith(role) && name.endsWith('.key'))
    if (files.length === 0) throw new Error(`sluice init made no key for the role ${role}`)
    return `${folder}/${files.sort()[0]}`
  }

  /** Begins a bundle directory from an OpenShell policy, as a person would: the FencePolicy generated, then completed. */
  async draft(name: string): Promise<void> {
    copyFileSync(repositoryPath('scripts/demo/policy.yaml'), this.path('policy.yaml'))
    const words = ['--from', 'policy.yaml', '--out', name, '--workspace', WORKSPACE, '--name', 'demo']
    await this.product.run('bundle', 'init', ...words)
    const additions = ['additions.yaml', ...this.beside.map((at) => at.additions)]
    const added = additions.map((file) => readFileSync(repositoryPath(join('scripts/demo', file)), 'utf8'))
    this.edit(`${name}/${FENCE}`, (text) => text + added.join(''))
    await this.product.run('policy', 'check', `${name}/${FENCE}`)
  }

  /** A copy of a bundle directory whose OpenShell policy lacks one rule. */
  without(from: string, to: string, rule: string): void {
    cpSync(this.path(from), this.path(to), { recursive: true })
    const lines = readFileSync(this.path(to, SANDBOX), 'utf8').split('\n')
    const first = lines.indexOf(`  ${rule}:`)
    const length = lines.slice(first + 1).findIndex((line) => !line.startsWith('    '))
    if (first < 0) throw new Error(`${SANDBOX} has no rule ${rule}`)
    lines.splice(first, length + 1)
    writeFileSync(this.path(to, SANDBOX), lines.join('\n'))
  }

  copy(from: string, to: string): void {
    mkdirSync(this.path(to), { recursive: true })
    cpSync(this.path(from), this.path(to), { recursive: true })
  }

  /** Absolute path of the events' file, as agent.yaml names it. */
  events(): string {
    const named = /^events_file: *(\S+)/m.exec(readFileSync(this.path('agent.yaml'), 'utf8'))?.[1]
    if (named === undefined) throw new Error('agent.yaml names no events_file')
    return this.path(named)
  }

  edit(file: string, change: (text: string) => string): void {
    const before = readFileSync(this.path(file), 'utf8')
    const after = change(before)
    if (after === before) throw new Error(`nothing to change in ${file}`)
    // The mode is part of what a key file is.
    writeFileSync(this.path(file), after, { mode: statSync(this.path(file)).mode })
  }

  /** Signs a bundle directory as author and release manager, valid for an hour. */
  async sign(name: string, revision: number, keys = 'keys'): Promise<void> {
    const expires = new Date(Date.now() + 3_600_000).toISOString()
    await this.product.run(
      ...['bundle', 'sign', name, '--author', this.key('author', keys), '--release', this.key('release', keys)],
      ...['--revision', String(revision), '--audience', AUDIENCE, '--channel', CHANNEL, '--expires', expires],
      ...['--id', 'demo'],
    )
  }

  /** Keys of the right roles that no trust root knows. */
  async strangers(): Promise<void> {
    for (const role of ['author', 'release'])
      await this.product.run('bundle', 'keygen', '--role', role, '--out', 'strangers')
  }
}

const inventory = (slot: string): string => `apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: ${AUDIENCE}
revision: 2
workspaces:
  - id: ${WORKSPACE}
    slot: ${slot}
    mac: "${WS.mac}"
    addresses: ["${WS.v4}", "${WS.v6}"]
    gateway: { mac: "${WS.gatewayMac}", addresses: ["${WS.gateway4}", "${WS.gateway6}"] }
`
