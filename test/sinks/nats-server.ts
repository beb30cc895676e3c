// A real nats-server with JetStream for one test: on loopback, with TLS and a token if asked, its store in a folder of its own.
// It can be killed and started again on the same port, and is gone at the end.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import type { Tls } from '../support/tls.js'

const PROGRAM = '/usr/sbin/nats-server'
export const hasNats = (): boolean => existsSync(PROGRAM)

export class NatsServer {
  private child: ChildProcess | undefined
  private ended: Promise<unknown> = Promise.resolve()
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-nats-'))

  private constructor(
    readonly port: number,
    private readonly token: string,
    private readonly tls: Tls,
    /** Where the servers of its cluster listen for each other, its own port first; empty: it stands alone. */
    private readonly routes: readonly number[],
  ) {}

  static async open(tls: Tls, token: string): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), token, tls, [])
    await server.start()
    return server
  }
  /** As many servers that know each other. */
  static async cluster(size: number, tls: Tls, token: string): Promise<readonly NatsServer[]> {
    const routes: number[] = []
    for (let i = 0; i < size; i++) routes.push(await freePort())
    const servers: NatsServer[] = []
    for (const own of routes)
      servers.push(new NatsServer(await freePort(), token, tls, [own, ...routes.filter((port) => port !== own)]))
    await Promise.all(servers.map((server) => server.start()))
    return servers
  }

  async start(): Promise<void> {
    const file = join(this.folder, 'server.conf')
    writeFileSync(
      file,
      `listen: "127.0.0.1:${this.port}"
jetstream { store_dir: "${this.folder}/store" }
authorization { token: "${this.token}", timeout: 60 }
tls { cert_file: "${this.tls.certFile}", key_file: "${this.tls.keyFile}", timeout: 60 }
max_payload: 65536
${this.clustered()}`,
    )
    const child = spawn(PROGRAM, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.child = child
    this.ended = new Promise((resolve) => child.once('close', resolve))
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        if (line.includes('Server is ready')) resolve()
      })
      child.once('close', () => reject(new Error('nats-server ended')))
    })
  }
  private clustered(): string {
    const [own, ...others] = this.routes
    if (own === undefined) return ''
    const routes = others.map((port) => `"nats://127.0.0.1:${port}"`).join(', ')
    return `server_name: "n${own}"\ncluster { name: "c", listen: "127.0.0.1:${own}", routes: [${routes}] }\n`
  }
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.ended
  }

  async within<T>(act: (connection: NatsConnection) => Promise<T>): Promise<T> {
    const connection = await connect({
      servers: [`tls://localhost:${this.port}`],
      token: this.token,
      tls: { caFile: this.tls.caFile },
      reconnect: false,
    })
    try {
      return await act(connection)
    } finally {
      await connection.close()
    }
  }
  /** Asked again where the server, which has just begun, ends the connection. */
  async makeStream(
    name: string,
    subject: string,
    more: { readonly max_msg_size?: number; readonly num_replicas?: number } = {},
  ): Promise<void> {
    for (let tries = 0; ; tries++)
      try {
        await this.within(async (connection) =>
          (await jetstreamManager(connection)).streams.add({ name, subjects: [subject], ...more }),
        )
        return
      } catch (error) {
        if (tries === 20 || !String(error).includes('connection closed')) throw error
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
  }
  /** Everything that the stream has, in its order. */
  read(name: string): Promise<readonly string[]> {
    return this.within(async (connection) => {
      const { state } = await (await jetstreamManager(connection)).streams.info(name)
      const out: string[] = []
      if (state.messages === 0) return out
      const consumer = await jetstream(connection).consumers.get(name)
      const messages = await consumer.consume()
      for await (const message of messages) {
        out.push(message.string())
        if (out.length === state.messages) break
      }
      return out
    })
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
