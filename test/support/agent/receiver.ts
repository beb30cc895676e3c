// The receiver of receiver.mjs as a process in a namespace: killed and started again as a test wants.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { repositoryPath } from '../lab/repository.js'

export class Receiver {
  private child: ChildProcess | undefined

  constructor(
    private readonly namespace: string,
    private readonly port: number,
    /** Where it appends what arrives. */
    readonly file: string,
  ) {}

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  /** Listens on loopback when this resolves. One that runs stays. */
  async start(): Promise<void> {
    if (this.running) return
    const program = [process.execPath, repositoryPath('test/support/agent/receiver.mjs'), String(this.port), this.file]
    const child = spawn('ip', ['netns', 'exec', this.namespace, ...program], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.child = child
    await new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve))
  }
  /** SIGKILL. */
  async stop(): Promise<void> {
    const { child } = this
    if (!child || !this.running) return
    const ended = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGKILL')
    await ended
  }
}
