// A program of this folder as a process: started, asked over its standard input, killed with SIGKILL, and gone at the end.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { repositoryPath } from '../lab/repository.js'

/** No healthy machine needs it. */
const PATIENCE_MS = 60_000

export class Process {
  private child: ChildProcess | undefined
  private ended: Promise<unknown> = Promise.resolve()
  private waiting: ((line: string) => void)[] = []
  private said = ''

  constructor(
    private readonly program: string,
    private readonly words: readonly string[],
  ) {}

  /** Resolves when it says that it is there. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [repositoryPath(`test/support/export/${this.program}`), ...this.words], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.child = child
    this.said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      this.said = `${this.said}${chunk.toString()}`.slice(-4_000)
    })
    child.stdin.on('error', () => undefined) // it was killed while somebody asked
    const lines = createInterface({ input: child.stdout })
    lines.on('line', (line) => this.waiting.shift()?.(line))
    this.ended = new Promise((resolve) => child.once('close', resolve))
    await this.answer('its first word')
  }

  /** The next line that it says after this one. */
  async ask(line: string): Promise<string> {
    this.child?.stdin?.write(`${line}\n`)
    return this.answer(line)
  }

  async kill(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.ended
    this.waiting = []
  }

  private async answer(what: string): Promise<string> {
    let late: NodeJS.Timeout | undefined
    const line = new Promise<string>((resolve) => this.waiting.push(resolve))
    const over = new Promise<never>((_resolve, reject) => {
      late = setTimeout(() => reject(new Error(`${this.program}: no answer to ${what}: ${this.said}`)), PATIENCE_MS)
      void this.ended.then(() => reject(new Error(`${this.program} ended: ${this.said}`)))
    })
    try {
      return await Promise.race([line, over])
    } finally {
      clearTimeout(late)
    }
  }
}
