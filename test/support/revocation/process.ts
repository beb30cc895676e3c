// The transmitter of transmitter.mjs in a network namespace, and what a test says to it.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { exportJWK } from 'jose'
import { repositoryPath } from '../lab/repository.js'
import type { Tls } from '../tls.js'
import { AUDIENCE, type Desk, ISSUER } from './transmitter.js'

export interface Pushed {
  readonly status: number
  readonly body: string
  readonly ms: number
}
export interface Seen {
  readonly waiting: readonly string[]
  readonly errors: readonly { readonly jti: string; readonly err: string }[]
  readonly polls: number
  readonly verifications: number
}
export interface TransmitterTerms {
  readonly tls: Tls
  readonly port: number
  readonly pushUrl: string
  readonly token: string
  readonly desk: Desk
}

export class Transmitter {
  private made = 0
  private readonly waiting = new Map<number, (answer: unknown) => void>()
  private readonly ended: Promise<unknown>

  private constructor(private readonly child: ChildProcess) {
    this.ended = new Promise((resolve) => child.once('close', resolve))
    if (!child.stdout) throw new Error('the transmitter has no output')
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { id, answer } = JSON.parse(line) as { id: number; answer: unknown }
      this.waiting.get(id)?.(answer)
      this.waiting.delete(id)
    })
  }

  static async start(namespace: string, { tls, desk, ...terms }: TransmitterTerms): Promise<Transmitter> {
    const jwk = { ...(await exportJWK(desk.key)), alg: desk.alg }
    const { certFile, keyFile, caFile } = tls
    const given = JSON.stringify({
      ...terms,
      certFile,
      keyFile,
      caFile,
      issuer: ISSUER,
      audience: AUDIENCE,
      jwk,
      kid: desk.kid,
    })
    const program = repositoryPath('test/support/revocation/transmitter.mjs')
    const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, program, given], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const transmitter = new Transmitter(child)
    await transmitter.seen()
    return transmitter
  }

  push(set: string, more: { readonly bearer?: string; readonly url?: string } = {}): Promise<Pushed> {
    return this.say('push', { set, ...more }) as Promise<Pushed>
  }
  async queue(jti: string, set: string): Promise<void> {
    await this.say('queue', { jti, set })
  }
  /** It answers, and sends no verification events. */
  async mute(on: boolean): Promise<void> {
    await this.say('mute', { on })
  }
  seen(): Promise<Seen> {
    return this.say('seen', {}) as Promise<Seen>
  }

  /** SIGKILL. */
  async close(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }

  private say(name: string, given: object): Promise<unknown> {
    const id = ++this.made
    return new Promise((resolve, reject) => {
      this.waiting.set(id, resolve)
      void this.ended.then(() => {
        reject(new Error(`the transmitter ended before it answered ${name}`))
      })
      this.child.stdin?.write(`${JSON.stringify({ id, name, ...given })}\n`)
    })
  }
}
