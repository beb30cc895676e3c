// The typed end of a process inside a namespace (station.mjs): servers and client probes. Each call is one request and one
// answer; calls may overlap. The process ends with the laboratory, because its input does.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { repositoryPath } from './repository.js'

export type ConnectOutcome = 'connected' | 'reset' | 'prohibited' | 'timeout' | 'failed'
export type ReplyOutcome = 'answered' | 'reset' | 'prohibited' | 'timeout' | 'failed'

interface Reach {
  readonly host: string
  readonly port: number
  readonly timeoutMs?: number
}
interface Local {
  readonly localAddress?: string
  readonly localPort?: number
}

export interface ConnectResult {
  readonly outcome: ConnectOutcome
  /** The system's error code, where there was one. */
  readonly code?: string
  readonly localPort: number
  readonly tookMs: number
}
export interface ReplyResult {
  readonly outcome: ReplyOutcome
  readonly code?: string
  readonly tookMs: number
}
export interface HttpResult extends ReplyResult {
  readonly status?: number
  /** The address of the server's socket. */
  readonly reached?: string
  readonly body?: string
}
export interface DownloadState {
  readonly state: 'open' | 'closed' | 'stopped' | 'reset' | 'prohibited' | 'timeout' | 'failed'
  readonly bytes: number
  /** Milliseconds since 1970, with a fraction. */
  readonly lastByteMs: number
  readonly endedMs: number
  readonly localPort: number
  readonly code?: string
}
export interface TcpCounters {
  readonly RetransSegs: number
  readonly OutRsts: number
  readonly EstabResets: number
  readonly TCPTimeouts: number
}

export class Station {
  private readonly child: ChildProcessWithoutNullStreams
  private readonly waiting = new Map<number, { done: (value: never) => void; failed: (error: Error) => void }>()
  private lastId = 0
  private stderr = ''

  constructor(readonly namespace: string) {
    const program = repositoryPath('test/support/lab/station.mjs')
    this.child = spawn('ip', ['netns', 'exec', namespace, process.execPath, program], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.child.stderr.on('data', (data) => {
      this.stderr = `${this.stderr}${data}`.slice(-4000)
    })
    // Writing to a station that died is answered by its close event below.
    this.child.stdin.on('error', () => undefined)
    this.child.on('close', (status) => {
      for (const { failed } of this.waiting.values())
        failed(new Error(`station ${namespace} ended (${status}): ${this.stderr}`))
      this.waiting.clear()
    })
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line) as { id: number; result?: never; error?: string }
      const call = this.waiting.get(id)
      this.waiting.delete(id)
      if (error === undefined) call?.done(result as never)
      else call?.failed(new Error(`station ${namespace}: ${error}`))
    })
  }

  /** Resolves when the process is there. */
  static async start(namespace: string): Promise<Station> {
    const station = new Station(namespace)
    await new Promise((done, failed) => station.waiting.set(0, { done, failed }))
    return station
  }

  private call<T>(op: string, request: object = {}): Promise<T> {
    const id = ++this.lastId
    return new Promise<T>((done, failed) => {
      this.waiting.set(id, { done, failed })
      this.child.stdin.write(`${JSON.stringify({ id, op, ...request })}\n`)
    })
  }

  serveHttp = (ports: readonly number[]): Promise<void> => this.call('serveHttp', { ports })
  serveTcpEcho = (ports: readonly number[]): Promise<void> => this.call('serveTcpEcho', { ports })
  serveUdpEcho = (addresses: readonly string[], ports: readonly number[]): Promise<void> =>
    this.call('serveUdpEcho', { addresses, ports })
  /** How many requests, connections and datagrams arrived at this station's servers. */
  served = (): Promise<{ http: number; tcp: number; udp: number }> => this.call('served')

  tcp = (at: Reach & Local & { say?: string }): Promise<ConnectResult> => this.call('tcp', at)
  udp = (at: Reach & Local & { say?: string }): Promise<ReplyResult> => this.call('udp', at)
  httpGet = (at: Reach & { path?: string }): Promise<HttpResult> => this.call('httpGet', at)
  /** The addresses that the system's resolver gives here; empty for an unknown name. */
  lookup = (name: string): Promise<string[]> => this.call('lookup', { name })

  /** Rate in octets a second. Resolves with its number when the first byte is here. */
  download = (at: Reach & Local & { rate: number }): Promise<{ number: number; localPort: number }> =>
    this.call('download', at)
  downloads = (numbers: readonly number[]): Promise<DownloadState[]> => this.call('downloads', { numbers })
  /** Sends an octet on a download's connection. */
  poke = (number: number): Promise<void> => this.call('poke', { number })
  stopDownload = (numbers: readonly number[]): Promise<void> => this.call('stopDownload', { numbers })
  tcpCounters = (): Promise<TcpCounters> => this.call('tcpCounters')

  /** Ends the process and waits for its end. */
  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    await new Promise((done) => {
      this.child.once('close', done)
      this.child.stdin.end()
    })
  }
}
