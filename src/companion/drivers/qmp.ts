// A QMP connection: greeting, capabilities, then commands with ids, one line each way. Opened for a few questions and closed again,
// because QEMU's socket serves one client at a time and whoever holds it would keep out the companion that comes after a crash.
//
// Gives the answers; refuses, with QmpProblem, what is not QMP, what comes late, and what ends in the middle.

import { createConnection, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Json } from '../../base/canonical.js'
import { quote } from '../../base/quote.js'
import { MAX_LINE_BYTES, type QmpMessage, QmpProblem, readMessage } from './qmp-message.js'

/** What QEMU says when it does not do what it was asked. */
export class QmpRefusal extends TypeError {
  override readonly name = 'QmpRefusal'
}

interface Waiting {
  readonly resolve: (value: Json) => void
  readonly reject: (error: Error) => void
}

export class Qmp {
  private readonly waiting = new Map<number, Waiting>()
  private next = 1
  private held = Buffer.alloc(0)
  private ended: Error | undefined
  private greeted: ((version: string) => void) | undefined
  /** Of QEMU. */
  version = ''

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      try {
        this.take(chunk)
      } catch (error) {
        this.end(error instanceof Error ? error : new QmpProblem(String(error)))
      }
    })
    socket.on('error', (error) => {
      this.end(new QmpProblem(`the socket: ${error.message}`))
    })
    socket.on('close', () => {
      this.end(new QmpProblem('it ended the connection'))
    })
  }

  /**
   * Connects within `withinMs`; another client is waited for. `gone` is asked while nothing listens: true ends the waiting. `over`
   * ends the connection, whatever is waited for on it. Throws QmpProblem.
   */
  static async open(
    path: string,
    withinMs: number,
    gone: () => boolean = () => false,
    over?: AbortSignal,
  ): Promise<Qmp> {
    const endMs = Date.now() + withinMs
    for (;;) {
      const socket = await connect(path)
      if (socket) {
        const qmp = new Qmp(socket)
        const leave = (): void => {
          qmp.end(new QmpProblem('nobody waits for it any more'))
        }
        if (over?.aborted) leave()
        over?.addEventListener('abort', leave, { once: true })
        await qmp.greet(Math.max(endMs - Date.now(), 1))
        return qmp
      }
      if (over?.aborted) throw new QmpProblem('nobody waits for it any more')
      if (gone()) throw new QmpProblem('its process ended')
      if (Date.now() >= endMs) throw new QmpProblem(`nothing listens on ${path}`)
      await sleep(10)
    }
  }

  /** Throws QmpRefusal for what QEMU refuses, QmpProblem for everything else. */
  execute(command: string, given: Readonly<Record<string, Json>> = {}, withinMs = ANSWER_MS): Promise<Json> {
    if (this.ended) return Promise.reject(this.ended)
    const id = this.next++
    const answer = new Promise<Json>((resolve, reject) => this.waiting.set(id, { resolve, reject }))
    this.socket.write(`${JSON.stringify({ execute: command, arguments: given, id })}\n`)
    return this.within(answer, withinMs, command)
  }

  close(): void {
    this.end(new QmpProblem('closed'))
  }

  private async greet(withinMs: number): Promise<void> {
    const greeting = new Promise<string>((resolve, reject) => {
      this.greeted = resolve
      this.waiting.set(0, { resolve: () => undefined, reject })
      if (this.ended) reject(this.ended)
    })
    const endMs = Date.now() + withinMs
    this.version = await this.within(greeting, withinMs, 'its greeting')
    this.waiting.delete(0)
    await this.execute('qmp_capabilities', {}, Math.max(endMs - Date.now(), 1))
  }

  private async within<T>(answer: Promise<T>, ms: number, what: string): Promise<T> {
    const timer = setTimeout(() => {
      this.end(new QmpProblem(`no answer to ${what} within ${ms} ms`))
    }, ms)
    try {
      return await answer
    } finally {
      clearTimeout(timer)
    }
  }

  private take(chunk: Buffer): void {
    this.held = Buffer.concat([this.held, chunk])
    for (let end = this.held.indexOf(10); end >= 0; end = this.held.indexOf(10)) {
      const line = this.held.subarray(0, end).toString('utf8')
      this.held = this.held.subarray(end + 1)
      if (line.trim() !== '') this.give(readMessage(line))
    }
    if (this.held.length > MAX_LINE_BYTES) throw new QmpProblem(`a line is longer than ${MAX_LINE_BYTES} octets`)
  }

  private give(message: QmpMessage): void {
    switch (message.kind) {
      case 'event':
        return // what a machine is now is asked, not remembered
      case 'greeting':
        this.greeted?.(message.version)
        return
      case 'answer':
      case 'error': {
        const waiting = message.id === undefined ? undefined : this.waiting.get(message.id)
        if (!waiting || message.id === undefined) throw new QmpProblem('it answers what nobody asked')
        this.waiting.delete(message.id)
        if (message.kind === 'answer') waiting.resolve(message.value)
        else waiting.reject(new QmpRefusal(`${message.name}: ${quote(message.say, 400)}`))
      }
    }
  }

  private end(error: Error): void {
    this.ended ??= error
    for (const { reject } of this.waiting.values()) reject(this.ended)
    this.waiting.clear()
    this.socket.destroy()
  }
}

/** QEMU answers at once; a machine whose memory is being swapped takes long. */
const ANSWER_MS = 20_000

/** undefined: nothing listens there now. Another error is the caller's. */
function connect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      if (['ENOENT', 'ECONNREFUSED', 'EAGAIN'].includes(cause.code ?? '')) resolve(undefined)
      else reject(new QmpProblem(`cannot connect to ${path}: ${cause.code ?? cause.message}`))
    })
  })
}
