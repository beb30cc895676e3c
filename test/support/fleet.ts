// A small fleet: an operator's directory with keys for every role, a trust root that asks for two release keys and for
// freshness, a bundle source, and a published folder behind a real TLS server. What an attacker who owns the server can do,
// a test does to `published`.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readPrivateKey, signerOf } from '../../src/bundle/key-file.js'
import type { Signer } from '../../src/bundle/sign.js'
import { Operator, type Said } from './operator.js'
import { makeTls, type Tls } from './tls.js'
import { files, serve, type Web } from './web.js'

export const WORKSPACE = 'spiffe://fleet.example/ws/ws0'
export const EXPIRES = '2026-12-31T00:00:00Z'

// biome-ignore lint/suspicious/noExplicitAny: the JSON of many commands, each looked into by the test that asked.
type Answer = Record<string, any>

export class Fleet {
  readonly operator = new Operator()
  readonly published = new Map<string, Uint8Array>()
  private constructor(
    readonly tls: Tls,
    readonly web: Web,
  ) {}

  static async make(options: { readonly freshness?: boolean } = {}): Promise<Fleet> {
    const tls = makeTls()
    const web = await serve(tls, (request, response) => files(fleet.published)(request, response))
    const fleet = new Fleet(tls, web)
    await fleet.ok('init . --backend memory')
    for (const [role, count] of [
      ['release', 3],
      ['freshness', 1],
      ['breakglass', 2],
      ['root', 2],
    ] as const)
      for (let i = 1; i <= count; i++) await fleet.ok(`bundle keygen --role ${role} --kid ${role}-${i} --out keys`)
    const root = fleet.json('root.json') as { keys: object; roles: object }
    const roles = { ...root.roles, release: { threshold: 2 }, breakglass: { threshold: 2 }, root: { threshold: 2 } }
    const names = ['release-1', 'release-2', 'release-3', 'breakglass-1', 'breakglass-2', 'root-1', 'root-2']
    const more = options.freshness ? { freshness: { threshold: 1 } } : {}
    const keys = [...names, ...(options.freshness ? ['freshness-1'] : [])].map((kid) =>
      fleet.json(`keys/${kid}.pub.json`),
    )
    fleet.write(
      'root.json',
      JSON.stringify({ ...root, keys: Object.assign({}, root.keys, ...keys), roles: { ...roles, ...more } }),
    )
    fleet.write('ca.pem', tls.ca)
    return fleet
  }

  async close(): Promise<void> {
    await this.web.close()
    this.tls.remove()
    this.operator.close()
  }

  path(name: string): string {
    return join(this.operator.directory, name)
  }
  read(name: string): Buffer {
    return readFileSync(this.path(name))
  }
  json(name: string): unknown {
    return JSON.parse(this.read(name).toString('utf8'))
  }
  write(name: string, content: string | Uint8Array): void {
    mkdirSync(dirname(this.path(name)), { recursive: true })
    writeFileSync(this.path(name), content)
  }
  signer(kid: string): Signer {
    return signerOf(readPrivateKey(this.read(`keys/${kid}.key`)))
  }

  sluice(line: string): Promise<Said> {
    return this.operator.sluice(line)
  }
  /** A command that must succeed; gives what it prints. */
  async ok(line: string): Promise<string> {
    const { exit, out, error } = await this.sluice(line)
    if (exit !== 0) throw new Error(`sluice ${line}: exit ${exit}: ${error}${out}`)
    return out
  }
  /** A command's JSON, and its exit code. */
  async ask(line: string): Promise<{ exit: number; json: Answer; error: string }> {
    const { exit, out, error } = await this.sluice(`${line} --json`)
    return { exit, json: out === '' ? {} : (JSON.parse(out) as Answer), error }
  }

  /** Signs `bundle` (a directory below the operator's) with the author and these release keys. */
  sign(directory: string, revision: bigint | number, keys: readonly string[] = ['release-1', 'release-2'], more = '') {
    const release = keys.map((kid) => `--release keys/${kid}.key`).join(' ')
    return this.ok(
      `bundle sign ${directory} --author keys/author.key ${release} --revision ${revision} --audience fleet.example/dev --expires ${EXPIRES} ${more}`,
    )
  }

  /** Packs a directory and puts it on the server. */
  async publish(directory: string, channel = 'stable'): Promise<void> {
    this.operator.shell('rm -f publish.tgz')
    await this.ok(`bundle pack ${directory} --out publish.tgz`)
    this.published.set(`channels/${channel}/bundle.tgz`, this.read('publish.tgz'))
  }
  async publishFreshness(directory: string, lifetime = 3_600): Promise<void> {
    await this.ok(
      `publish freshness ${directory} --key keys/freshness-1.key --lifetime ${lifetime} --out fresh.jws.json`,
    )
    this.published.set('channels/stable/freshness.jws.json', this.read('fresh.jws.json'))
  }

  get source(): string {
    return `${this.web.url.href} --ca ca.pem`
  }
  pull(more = '') {
    return this.ask(`bundle pull ${this.source} --out got.tgz ${more}`)
  }
  /** Pulls and applies; the first refusal is the answer. `first` makes the node's state. */
  async take(more = ''): Promise<{ readonly exit: number; readonly code: string; readonly say: string }> {
    const pulled = await this.pull('--config agent.yaml')
    if (pulled.exit !== 0) return { exit: pulled.exit, ...pulled.json.error }
    const fresh = pulled.json.freshness ? `--freshness ${pulled.json.freshness}` : ''
    const applied = await this.ask(`apply got.tgz --inventory inventory.yaml ${fresh} ${more}`)
    return applied.exit === 0 ? { exit: 0, code: 'active', say: '' } : { exit: applied.exit, ...applied.json.error }
  }
  /** The revision that is on record as live. */
  async live(): Promise<string | undefined> {
    return (await this.ask('status')).json.live?.source.policyRevision
  }
  events(): {
    readonly class_uid: number
    readonly severity_id: number
    readonly status_id?: number
    readonly status_code?: string
  }[] {
    const lines = this.read('events.ndjson').toString('utf8').trim().split('\n')
    return lines.map((line) => JSON.parse(line) as ReturnType<Fleet['events']>[number])
  }
  /** Codes of the refusals in the trail. */
  refusals(): string[] {
    return this.events()
      .filter((event) => event.class_uid === 3004 && event.status_id === 2)
      .map((event) => event.status_code ?? '')
  }
}
