// A whole way out of the machine, each part a process: agents with their API, the exporter, a receiver over HTTP that fails half of
// the time, and where it is installed a real nats-server. In a folder of its own; everything is gone at the end.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listSegments } from '../../../src/audit/segment.js'
import type { SinkConfig } from '../../../src/audit/sinks/open.js'
import { reconcileHosted } from '../../../src/bin/export.js'
import type { ExportSection } from '../../../src/companion/config-export.js'
import type { ExportStatus } from '../../../src/companion/export.js'
import type { Latency } from '../../../src/companion/export-latency.js'
import { Mtls } from '../mtls.js'
import { buildProgram } from '../program.js'
import { Process } from './process.js'

export const nodeOf = (name: string): string => `spiffe://fleet.example/node/${name}`

/** Events that an agent writes before it answers. */
const AT_ONCE = 10_000
/** A healthy machine needs none of it. */
const PATIENCE_MS = 60_000

export class ExportScene {
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-export-'))
  readonly directory = join(this.folder, 'export')
  readonly exporter: Process
  readonly receiver: Process
  private readonly mtls = new Mtls()
  private readonly agents = new Map<string, Process>()
  private section: ExportSection = { agents: [], sinks: [], spoolBytes: 64 << 20, maxLagMs: 60_000 }

  private constructor(private readonly receiverPort: number) {
    const { certificate, key } = this.mtls.client(['URI:spiffe://fleet.example/companion/c1'])
    writeFileSync(this.mtls.path('client.pem'), certificate)
    writeFileSync(this.mtls.path('client.key'), key)
    this.exporter = new Process('exporter.mjs', [join(this.folder, 'section.json'), this.directory, this.told])
    this.receiver = new Process('receiver.mjs', [String(receiverPort), this.received, '20261121'])
    writeFileSync(this.told, '')
  }

  static async open(
    names: readonly string[],
    sinks: (scene: ExportScene) => readonly SinkConfig[],
  ): Promise<ExportScene> {
    buildProgram()
    const scene = new ExportScene(await freePort())
    const agents: ExportSection['agents'][number][] = []
    for (const name of names) {
      const port = await freePort()
      const agent = new Process('agent.mjs', [
        scene.journalFolder(name),
        nodeOf(name),
        String(port),
        scene.mtls.directory,
      ])
      scene.agents.set(name, agent)
      await agent.start()
      const files = { ca: 'ca.pem', certificate: 'client.pem', key: 'client.key' } as const
      const paths = Object.fromEntries(Object.entries(files).map(([k, file]) => [k, scene.mtls.path(file)]))
      agents.push({
        name,
        node: nodeOf(name),
        address: `127.0.0.1:${port}`,
        serverName: 'localhost',
        ...(paths as typeof files),
      })
    }
    scene.section = { ...scene.section, agents, sinks: sinks(scene) }
    mkdirSync(scene.directory)
    writeFileSync(join(scene.folder, 'section.json'), JSON.stringify(scene.section))
    await scene.receiver.start()
    await scene.exporter.start()
    return scene
  }

  get told(): string {
    return join(this.folder, 'told.ndjson')
  }
  /** Everything that the receiver ever kept, of all agents. */
  get received(): string {
    return join(this.folder, 'received.ndjson')
  }
  http(name: string): SinkConfig {
    return { name, kind: 'http', url: `http://127.0.0.1:${this.receiverPort}/`, format: 'ndjson', gzip: true }
  }
  file(name: string): SinkConfig {
    const path = join(this.folder, name, '{agent}.ndjson')
    return { name, kind: 'file', path, rotateBytes: 16 << 20, rotateMs: 1e12, keepFiles: 1_000, sync: 'batch' }
  }

  agent(name: string): Process {
    const agent = this.agents.get(name)
    if (!agent) throw new TypeError(`no agent ${name}`)
    return agent
  }
  /** The last sequence number on the agent's disk after so many more events. */
  async write(name: string, events: number): Promise<number> {
    let reached = 0
    for (let left = events; left > 0; left -= AT_ONCE) {
      const said = await this.agent(name).ask(String(Math.min(left, AT_ONCE)))
      const [, last, lost] = /^last (\d+) lost (\d+)$/.exec(said) ?? []
      if (lost !== '0') throw new Error(`the journal of ${name} lost ${lost} events`)
      reached = Number(last)
    }
    return reached
  }
  /** The files of the agent's journal, oldest first. */
  journal(name: string): readonly string[] {
    const path = join(this.journalFolder(name), 'events.ndjson')
    return [...listSegments(path).map((segment) => segment.path), path]
  }
  async status(): Promise<ExportStatus & { readonly latency: readonly Latency[] }> {
    return JSON.parse(await this.exporter.ask('status')) as ExportStatus & { readonly latency: readonly Latency[] }
  }
  toldKinds(): readonly string[] {
    const text = readFileSync(this.told, 'utf8')
    return text === ''
      ? []
      : text
          .trimEnd()
          .split('\n')
          .map((line) => (JSON.parse(line) as { kind: string }).kind)
  }
  /** Once every agent could be asked. `brought`: files of what the receiver of the only sink has. */
  async reconciled(brought: readonly string[] = []) {
    for (const end = Date.now() + PATIENCE_MS; ; ) {
      const found = await reconcileHosted({ ...this.section, brought }, this.directory)
      if (found.every(({ unasked }) => unasked === undefined) || Date.now() > end) return found
    }
  }

  async close(): Promise<void> {
    await this.exporter.kill()
    await this.receiver.kill()
    for (const agent of this.agents.values()) await agent.kill()
    this.mtls.remove()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private journalFolder(name: string): string {
    return join(this.folder, 'agents', name)
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
