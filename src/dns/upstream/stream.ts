// Questions over TCP and DoT to one upstream (RFC 7766): connections are kept while there is something to ask and closed when idle;
// several questions are on their way at a time, and answers come in any order. An answer belongs to the question whose
// id it carries, and must repeat it. A connection that the server closed under a question is replaced once: servers close
// idle ones without a word (section 6.2.4). One that is silent, or sends what cannot be read, is not used again.

import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Fault } from '../../base/fault.js'
import { dnsFault } from '../errors.js'
import type { QuestionType } from '../model.js'
import { orLate } from './abort.js'
import { type Destination, linkFault, openConnection, type Resumption } from './connect.js'
import type { UpstreamCounters } from './counters.js'
import type { Wait } from './datagram.js'
import { Deframer, framed } from './frame.js'
import { printUpstream } from './parse.js'
import { encodeQuery, type Query } from './query.js'
import { type Reply, readReply } from './reply.js'
import { u16 } from './structure.js'

/** RFC 7766 section 6.2.3: idle connections are the server's burden. */
const IDLE_MS = 5_000
/** On one connection; more questions open another one. */
const PIPELINED = 64
const CONNECTIONS = 4
/** RFC 8467 section 4.1. */
const PAD_TO = 128
/** A question that waited less, because most of its time had gone elsewhere, says nothing about the server. */
const SILENCE_MS = 500

export type StreamReply = Extract<Reply, { kind: 'answer' }>

interface Waiting {
  readonly query: Query
  readonly settle: (reply: StreamReply | Fault) => void
}

export class StreamUpstream {
  private readonly from: string
  private readonly resumption: Resumption = {}
  private readonly open: Connection[] = []
  private opening: Promise<Connection> | undefined
  private readonly silenceMs: number
  private readonly ending = new AbortController()

  constructor(
    private readonly to: Destination,
    private readonly counters: UpstreamCounters,
    /** What a question has here if nothing was tried before it: so long may connecting take, whoever waits for it. */
    private readonly wholeMs: number,
    /** 0 up to 65,535. */
    private readonly randomId: () => number,
  ) {
    this.from = printUpstream(to)
    // Of a short time half is left for connecting.
    this.silenceMs = Math.min(SILENCE_MS, wholeMs / 2)
  }

  /** Takes no longer than `wait` says. Throws DNS_UPSTREAM_SILENT, _LINK, _IDENTITY, _REPLY, or what aborted the signal. */
  async ask(name: string, type: QuestionType, wait: Wait): Promise<StreamReply> {
    const endsMs = performance.now() + wait.timeoutMs
    const left = (): Wait => {
      const timeoutMs = endsMs - performance.now()
      if (timeoutMs < 1) throw this.silent(wait.timeoutMs)
      return { signal: wait.signal, timeoutMs }
    }
    for (let again = false; ; again = true) {
      const connection = await this.connection(left())
      const used = connection.answered > 0
      const reply = await this.exchange(connection, name, type, left())
      if (!('code' in reply)) return reply
      if (again || !used || reply.code !== 'DNS_UPSTREAM_LINK') throw reply
    }
  }

  close(): void {
    const fault = this.closed('it was closed by this node')
    this.ending.abort(fault)
    for (const connection of [...this.open]) connection.end(fault)
  }

  private closed(why: string): Fault {
    return dnsFault('DNS_UPSTREAM_LINK', { from: this.from, why })
  }

  private silent(limitMs: number): Fault {
    return dnsFault('DNS_UPSTREAM_SILENT', { from: this.from, limitMs: Math.round(limitMs) })
  }

  private async connection({ timeoutMs, signal }: Wait): Promise<Connection> {
    const [least] = [...this.open].sort((a, b) => a.waiting.size - b.waiting.size)
    if (least && (least.waiting.size < PIPELINED || this.open.length >= CONNECTIONS)) return least
    // Whoever asks first opens it for all who ask meanwhile; each of them, the first too, waits as long as it may.
    this.opening ??= this.connect().finally(() => {
      this.opening = undefined
    })
    return await orLate(this.opening, timeoutMs, signal, this.silent(timeoutMs))
  }

  private async connect(): Promise<Connection> {
    const wait = { timeoutMs: this.wholeMs, signal: this.ending.signal }
    const socket = await openConnection(this.to, wait, this.resumption)
    this.counters.connections++
    if (this.to.transport === 'dot' && (socket as TLSSocket).isSessionReused()) this.counters.resumedSessions++
    const connection = new Connection(socket, this.from, this.counters, () => {
      const at = this.open.indexOf(connection)
      if (at >= 0) this.open.splice(at, 1)
    })
    this.open.push(connection)
    return connection
  }

  private exchange(connection: Connection, name: string, type: QuestionType, wait: Wait): Promise<StreamReply | Fault> {
    return new Promise((resolve, reject) => {
      let id = this.randomId()
      while (connection.waiting.has(id)) id = (id + 1) & 0xffff
      const finish = (act: () => void): void => {
        clearTimeout(timer)
        wait.signal.removeEventListener('abort', aborted)
        connection.forget(id)
        act()
      }
      const aborted = (): void => finish(() => reject(wait.signal.reason as Error))
      const timer = setTimeout(() => {
        finish(() => resolve(this.silent(wait.timeoutMs)))
        // One slow name is no reason; silence on everything is, and the others on it would find out one by one.
        if (wait.timeoutMs >= this.silenceMs && connection.heardMs < sentMs)
          connection.end(this.closed('it stopped answering'))
      }, wait.timeoutMs)
      wait.signal.addEventListener('abort', aborted)
      if (wait.signal.aborted) return aborted()
      const query: Query = { id, name, type }
      const sentMs = performance.now()
      connection.send(framed(encodeQuery(query, this.to.transport === 'dot' ? PAD_TO : 0)), {
        query,
        settle: (reply) => finish(() => resolve(reply)),
      })
      if (this.to.transport === 'dot') this.counters.sentDot++
      else this.counters.sentTcp++
    })
  }
}

class Connection {
  readonly waiting = new Map<number, Waiting>()
  answered = 0
  heardMs = 0
  private readonly deframer = new Deframer()
  private ended = false

  constructor(
    private readonly socket: Socket,
    private readonly from: string,
    private readonly counters: UpstreamCounters,
    private readonly gone: () => void,
  ) {
    socket.setTimeout(IDLE_MS, () => {
      if (this.waiting.size === 0) this.end(this.fault('it was idle'))
    })
    // A connection that is merely kept keeps no process alive.
    socket.unref()
    socket.on('data', (chunk: Uint8Array) => this.receive(chunk))
    socket.on('error', (cause) => this.end(linkFault(this.from, cause)))
    socket.on('close', () => this.end(this.fault('it closed the connection')))
    socket.on('end', () => this.end(this.fault('it closed the connection')))
  }

  private fault(why: string): Fault {
    return dnsFault('DNS_UPSTREAM_LINK', { from: this.from, why })
  }

  send(octets: Uint8Array, waiting: Waiting): void {
    if (this.ended) {
      waiting.settle(this.fault('it closed the connection'))
      return
    }
    this.waiting.set(waiting.query.id, waiting)
    this.socket.ref()
    this.socket.write(octets)
  }

  forget(id: number): void {
    this.waiting.delete(id)
    if (this.waiting.size === 0) this.socket.unref()
  }

  /** Everything that waits on it fails with `fault`. */
  end(fault: Fault): void {
    if (this.ended) return
    this.ended = true
    this.gone()
    this.socket.destroy()
    for (const { settle } of [...this.waiting.values()]) settle(fault)
  }

  private receive(chunk: Uint8Array): void {
    this.heardMs = performance.now()
    const messages = this.deframer.push(chunk)
    for (const message of messages ?? []) this.take(message)
    if (!messages) this.unreadable('it sent an empty message')
  }

  private take(message: Uint8Array): void {
    const waiting = message.length < 2 ? undefined : this.waiting.get(u16(message, 0))
    if (!waiting) {
      // Too late: whoever asked has given up.
      this.counters.strays.id++
      return
    }
    const reply = readReply(message, waiting.query, true)
    if (reply.kind === 'answer') {
      this.answered++
      waiting.settle(reply)
    } else if (reply.kind === 'stray') {
      this.counters.strays[reply.why]++
      this.unreadable(`it answered another question than it was asked (${reply.why})`)
    } else {
      this.counters.malformed++
      this.unreadable(reply.kind === 'truncated' ? 'it cut an answer short on a stream' : reply.why)
    }
  }

  private unreadable(why: string): void {
    this.end(dnsFault('DNS_UPSTREAM_REPLY', { from: this.from, why }))
  }
}
