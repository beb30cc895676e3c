// Agents with journals of their own and an export that pulls from them, in one process: the ports behind an agent's API without
// the wire, so that a test can tear the stream, change a line on its way, or put another journal in the place of one.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleepFor } from 'node:timers/promises'
import type { Fact, FactOf } from '../../../src/audit/fact.js'
import { type Journal, openJournal } from '../../../src/audit/journal.js'
import { listSegments } from '../../../src/audit/segment.js'
import type { SinkConfig } from '../../../src/audit/sinks/open.js'
import { trailPorts } from '../../../src/bin/trail-ports.js'
import { type AgentExport, type Export, type ExportHost, startExport } from '../../../src/companion/export.js'
import type { AgentLink } from '../../../src/companion/export-pull.js'
import { FACTS } from '../../support/facts.js'
import { memoryMark, OPTIONS, putLines } from '../audit/rig.js'
import { until } from '../audit/sink-rig.js'

const pause = (wake: AbortSignal): Promise<void> => sleepFor(1, undefined, { signal: wake }).catch(() => undefined) // woken

function linesOf(path: string): string[] {
  const text = existsSync(path) ? readFileSync(path, 'latin1') : ''
  return text === '' ? [] : text.trimEnd().split('\n')
}

export class Agent {
  readonly node: string
  mark = memoryMark()
  /** false: nobody answers. */
  up = true
  connections = 0
  /** A line on its way; undefined: the stream breaks there. */
  send: (line: string) => string | undefined = (line) => line
  private journal: Journal | undefined

  constructor(
    readonly name: string,
    private readonly folder: string,
    private generation = 0,
  ) {
    this.node = `spiffe://acme.example/node/${name}`
  }

  get path(): string {
    return join(this.folder, `${this.name}-${this.generation}`, 'events.ndjson')
  }
  get lines(): string[] {
    const files = [...listSegments(this.path).map(({ path }) => path), this.path]
    return files.flatMap(linesOf)
  }

  async write(events: number): Promise<void> {
    const { mark } = this
    const more = { sync: 'never', mark, reporter: { uid: this.node, hostname: this.name } } as const
    if (!this.journal) {
      mkdirSync(join(this.path, '..'), { recursive: true })
      this.journal = await openJournal(this.path, { ...OPTIONS, ...more })
    }
    for (let n = 0; n < events; n++) this.journal.emit(FACTS['flow-denied'])
    await this.journal.flush()
  }
  async rotate(): Promise<void> {
    await this.journal?.rotate()
  }
  /** The journal of yesterday is put back, and the agent goes on from there. */
  async putBack(events: number): Promise<void> {
    await this.close()
    putLines(this.path, this.lines.slice(0, events))
    this.mark = memoryMark()
  }
  /** A journal of another chain stands in its place. */
  async replace(): Promise<void> {
    await this.close()
    this.generation++
    this.mark = memoryMark()
  }
  async close(): Promise<void> {
    await this.journal?.close()
    this.journal = undefined
  }

  readonly connect = (): AgentLink => {
    this.connections++
    const ports = trailPorts({
      ...{ eventsFile: this.path, mark: this.mark, status: () => this.journal?.status() },
      sleep: (_ms, wake) => pause(wake),
    })
    const { up } = this
    const send = (line: string) => this.send(line)
    const gone = () => new TypeError('connection refused')
    return {
      head: async () => {
        if (!up) throw gone()
        return ports.trail()
      },
      events: async function* (after, chain, signal) {
        if (!up) throw gone()
        for await (const { line } of ports.events(after, chain, signal)) {
          const sent = send(Buffer.from(line).toString('latin1'))
          if (sent === undefined) throw new TypeError('the connection broke')
          yield Buffer.from(sent, 'latin1')
        }
      },
      close: () => undefined,
    }
  }
}

export class Exported {
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-export-'))
  readonly directory = join(this.folder, 'export')
  readonly told: Fact[] = []
  nowMs = 1_000_000
  sinks: readonly SinkConfig[] = [this.file('archive')]
  spoolBytes = 64 << 20
  running: Export | undefined
  private readonly agents = new Map<string, Agent>()

  agent(name: string): Agent {
    const agent = this.agents.get(name) ?? new Agent(name, this.folder)
    this.agents.set(name, agent)
    return agent
  }
  /** A sink `file` with a file for each agent. */
  file(name: string, more: object = {}): SinkConfig {
    const path = join(this.folder, name, '{agent}.ndjson')
    const terms = { rotateBytes: 1 << 30, rotateMs: 1e12, keepFiles: 1_000, sync: 'never' } as const
    return { name, kind: 'file', path, ...terms, ...more }
  }
  received(agent: string, sink = 'archive'): string[] {
    const path = join(this.folder, sink, `${agent}.ndjson`)
    return linesOf(path)
  }

  start(more: Partial<ExportHost> = {}): Export {
    const { directory, sinks, spoolBytes } = this
    const others = [...this.agents.values()].filter(({ name }) => name !== more.own?.name)
    const agents = others.map(({ name, node }) => ({ name, node }))
    this.running = startExport(
      { directory, agents, sinks, spoolBytes },
      {
        connect: ({ name }) => this.agent(name).connect(),
        tell: (fact) => {
          this.told.push(fact)
          return Promise.resolve()
        },
        nowMs: () => this.nowMs,
        chance: () => 0.5,
        sleep: (_ms, wake) => pause(wake),
        terms: { maxEvents: 50, pollMs: 1, retryMs: 1, longestMs: 1 },
        ...more,
      },
    )
    return this.running
  }
  status(agent: string): AgentExport {
    const found = this.running?.status().agents.find(({ name }) => name === agent)
    if (!found) throw new TypeError(`no export of ${agent} runs`)
    return found
  }
  /** Until every sink has what the agent's journal has. */
  async delivered(agent: string): Promise<void> {
    const last = () => this.agent(agent).mark.read()
    await until(`the trail of ${agent}`, () => {
      const { pulled, chain, sinks } = this.status(agent)
      return pulled === last()?.sequence && chain === last()?.chain && sinks.every(({ lag }) => lag === 0)
    })
  }
  async stop(): Promise<void> {
    await this.running?.stop()
  }
  get broken(): FactOf<'trail-broken'>[] {
    return this.told.filter((fact): fact is FactOf<'trail-broken'> => fact.kind === 'trail-broken')
  }

  async close(): Promise<void> {
    await this.stop()
    for (const agent of this.agents.values()) await agent.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
