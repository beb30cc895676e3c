// The product as an operator uses it: the real command line, in the enforcement node's namespace, with `--json`. Gives exit
// status and the document; a command that was meant to work and did not ends the demo with what it said.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { command } from '../../test/support/lab/command.js'
import { repositoryPath } from '../../test/support/lab/repository.js'

const PROGRAM = repositoryPath('dist/bin/sluice.js')

/** A JSON document that is looked into by name. */
export type Document = { readonly [key: string]: unknown }

export interface Answer {
  readonly exit: number | null
  readonly json: Document
  readonly stderr: string
  readonly tookMs: number
}

export class Product {
  /** A namespace that is a path is entered with this machine's own mounts: `ip netns exec` hides cgroups. */
  constructor(
    private readonly namespace: string,
    private readonly directory: string,
  ) {
    if (!existsSync(PROGRAM)) throw new Error('dist/bin/sluice.js is missing: run `npm run build` first')
  }

  /** Runs `sluice ARGUMENTS --json` and gives whatever it answered. */
  async try(...words: readonly string[]): Promise<Answer> {
    const argv = [...this.enter, process.execPath, PROGRAM, ...words, '--json']
    const { status, stdout, stderr, tookMs } = await command(argv, { cwd: this.directory })
    return { exit: status, json: parse(stdout), stderr, tookMs }
  }

  /** Starts `sluice watch --json` beside everything else. */
  watch(): Watch {
    const words = [
      'netns',
      'exec',
      this.namespace,
      process.execPath,
      PROGRAM,
      'watch',
      '--config',
      'agent.yaml',
      '--json',
    ]
    return new Watch(spawn('ip', words, { cwd: this.directory, stdio: ['ignore', 'pipe', 'pipe'] }))
  }

  /** Starts a command that runs until it is interrupted; resolves when it has said a line that has `first` in it. */
  async begin(first: string, ...words: readonly string[]): Promise<Begun> {
    const [door, ...through] = this.enter
    const argv = [...through, process.execPath, PROGRAM, ...words]
    const child = spawn(door, argv, { cwd: this.directory, stdio: ['ignore', 'ignore', 'pipe'] })
    const said: string[] = []
    const closed = new Promise<void>((done) => child.once('close', () => done()))
    await new Promise<void>((done, failed) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        said.push(line)
        if (line.includes(first)) done()
      })
      void closed.then(() => failed(new Error(`sluice ${words.join(' ')} ended: ${said.join('\n')}`)))
    })
    const end = async (signal: 'SIGINT' | 'SIGKILL'): Promise<void> => {
      child.kill(signal)
      await closed
    }
    return { stop: () => end('SIGINT'), kill: () => end('SIGKILL') }
  }

  private get enter(): readonly [string, ...string[]] {
    return this.namespace.startsWith('/')
      ? ['nsenter', `--net=${this.namespace}`, '--']
      : ['ip', 'netns', 'exec', this.namespace]
  }

  /** As `try`, for commands that must work. */
  async run(...words: readonly string[]): Promise<Answer> {
    const answer = await this.try(...words)
    if (answer.exit === 0) return answer
    const said = JSON.stringify(answer.json) === '{}' ? answer.stderr : JSON.stringify(answer.json, undefined, 2)
    throw new Error(`sluice ${words.join(' ')}: exit ${answer.exit}\n${said}`)
  }
}

export interface Begun {
  /** Ends it as Ctrl-C does. */
  stop(): Promise<void>
  /** Ends it at once, without its leave. */
  kill(): Promise<void>
}

/** A running `sluice watch`: the facts that it told so far. */
export class Watch {
  readonly facts: Document[] = []
  private stderr = ''

  constructor(private readonly child: ChildProcessByStdio<null, Readable, Readable>) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.facts.push(JSON.parse(line) as Document)
    })
    child.stderr.on('data', (data) => {
      this.stderr += String(data)
    })
  }

  /** Ends it as Ctrl-C does. Throws when it had ended by itself. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null) throw new Error(`sluice watch ended by itself: ${this.stderr}`)
    await new Promise((done) => {
      this.child.once('close', done)
      this.child.kill('SIGINT')
    })
  }
}

function parse(stdout: string): Document {
  if (stdout.trim() === '') return {}
  return JSON.parse(stdout) as Document
}

/** The text or number at a path of member names, as text; '' where there is none. */
export function textAt(document: Document, ...path: readonly string[]): string {
  let at: unknown = document
  for (const name of path) at = typeof at === 'object' && at !== null ? (at as Document)[name] : undefined
  return typeof at === 'string' || typeof at === 'number' ? String(at) : ''
}
