// The command line's way to a running agent of this node: connects to its socket and calls it. `connectAgent` gives
// undefined when nobody listens, and then the command does its work in its own process.

import { createConnection, type Socket } from 'node:net'
import { apiFault } from './errors.js'
import { LineReader } from './lines.js'
import { decodeLine, encodeLine, faultFromWire, type Reply } from './wire.js'

export interface AgentConnection {
  /** Throws the Fault that the agent answered with, or API_LOST. */
  call(name: string, given: unknown, more?: CallOptions): Promise<unknown>
  close(): void
}
export interface CallOptions {
  readonly tell?: (told: unknown) => void
  /** Stops the call; the agent still answers. */
  readonly signal?: AbortSignal
}

/** Throws API_SOCKET when the socket is there and may not be used. */
export async function connectAgent(path: string): Promise<AgentConnection | undefined> {
  const socket = await connect(path)
  return socket && new Connection(path, socket)
}

function connect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      // Nothing is there, or it is left over from an agent that was killed.
      if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED' || cause.code === 'ENOTDIR') resolve(undefined)
      else reject(apiFault('API_SOCKET', { path, why: cause.code ?? 'it does not answer' }, { cause }))
    })
  })
}

interface Waiting {
  readonly resolve: (gives: unknown) => void
  readonly reject: (error: Error) => void
  readonly tell: ((told: unknown) => void) | undefined
}

class Connection implements AgentConnection {
  private readonly waiting = new Map<number, Waiting>()
  private next = 1
  private ended: Error | undefined

  constructor(
    private readonly path: string,
    private readonly socket: Socket,
  ) {
    const lines = new LineReader((line) => {
      this.take(decodeLine(line) as Reply)
    })
    socket.on('data', (chunk: Buffer) => {
      try {
        lines.push(chunk)
      } catch (error) {
        this.end(error instanceof Error ? error : apiFault('API_LOST', { path }))
      }
    })
    socket.on('error', () => undefined) // `close` follows and ends every call
    socket.on('close', () => {
      this.end(apiFault('API_LOST', { path: this.path }))
    })
  }

  call(name: string, given: unknown, { tell, signal }: CallOptions = {}): Promise<unknown> {
    if (this.ended) return Promise.reject(this.ended)
    const id = this.next++
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, tell })
      this.socket.write(encodeLine({ id, call: name, given }))
      const stop = (): void => {
        if (this.socket.writable) this.socket.write(encodeLine({ id, stop: true }))
      }
      if (signal?.aborted) stop()
      else signal?.addEventListener('abort', stop, { once: true })
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private take(reply: Reply): void {
    // Number 0 is about the connection itself.
    if (reply.id === 0 && 'fault' in reply) {
      this.end(faultFromWire(reply.fault))
      return
    }
    const call = this.waiting.get(reply.id)
    if (!call) return
    if ('tells' in reply) {
      call.tell?.(reply.tells)
      return
    }
    this.waiting.delete(reply.id)
    if ('fault' in reply) call.reject(faultFromWire(reply.fault))
    else call.resolve(reply.gives)
  }

  private end(error: Error): void {
    this.ended ??= error
    for (const { reject } of this.waiting.values()) reject(this.ended)
    this.waiting.clear()
    this.socket.destroy()
  }
}
