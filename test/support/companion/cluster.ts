// Three real nats-servers in a namespace of the laboratory, which know each other and keep a stream in three copies. Each has a store of
// its own, and is killed and started again over it.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { command } from '../lab/command.js'
import { repositoryPath } from '../lab/repository.js'

const SERVERS = [0, 1, 2] as const
/** Below what the kernel gives to those who connect: another process of the namespace has none of them. */
const CLIENTS = 4222
const ROUTES = 6222
const STREAM = 'SLUICE'
const PATIENCE_MS = 240_000

export class Cluster {
  private readonly folder = mkdtempSync(join(tmpdir(), 'sluice-cluster-'))
  private readonly children: (ChildProcess | undefined)[] = []

  private constructor(private readonly namespace: string) {}

  /** With its stream. */
  static async open(namespace: string): Promise<Cluster> {
    const cluster = new Cluster(namespace)
    try {
      await Promise.all(SERVERS.map((n) => cluster.begin(n)))
      await cluster.ask('make')
    } catch (error) {
      await cluster.close()
      throw error
    }
    return cluster
  }

  /** Keys of a sink `nats`, without its name. */
  readonly sink =
    `kind: nats, servers: [${SERVERS.map((n) => `"nats://127.0.0.1:${CLIENTS + n}"`).join(', ')}], stream: ${STREAM}, subject: "sluice.{agent}"`
  readonly size = SERVERS.length

  /** SIGKILL. */
  async kill(n: number): Promise<void> {
    const child = this.children[n]
    if (!child) return
    const ended = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGKILL')
    await ended
    this.children[n] = undefined
  }

  /** Over the store that it had; resolves when it takes connections. One that runs stays. */
  async start(n: number): Promise<void> {
    if (!this.children[n]) await this.begin(n)
  }

  /** Every message of the stream, in its order. */
  async read(): Promise<readonly string[]> {
    const file = join(this.folder, 'read.ndjson')
    await this.ask('read', file)
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
  }

  async close(): Promise<void> {
    for (const n of SERVERS) await this.kill(n)
    rmSync(this.folder, { recursive: true, force: true })
  }

  private begin(n: number): Promise<void> {
    const file = join(this.folder, `${n}.conf`)
    const others = SERVERS.filter((one) => one !== n).map((one) => `"nats://127.0.0.1:${ROUTES + one}"`)
    writeFileSync(
      file,
      `listen: "127.0.0.1:${CLIENTS + n}"
server_name: "n${n}"
jetstream { store_dir: "${join(this.folder, String(n))}" }
cluster { name: "c", listen: "127.0.0.1:${ROUTES + n}", routes: [${others.join(', ')}] }
`,
    )
    const words = ['netns', 'exec', this.namespace, '/usr/sbin/nats-server', '-c', file]
    const child = spawn('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.children[n] = child
    return new Promise<void>((resolve, reject) => {
      let said = ''
      createInterface({ input: child.stderr }).on('line', (line) => {
        said = `${said}${line}\n`.slice(-2_000)
        if (line.includes('Server is ready')) resolve()
      })
      child.once('close', () => reject(new Error(`nats-server ${n} ended: ${said}`)))
    })
  }

  private async ask(word: string, file = ''): Promise<void> {
    const ports = SERVERS.map((n) => CLIENTS + n).join(',')
    const program = [process.execPath, repositoryPath('test/support/companion/jetstream.mjs')]
    const argv = ['ip', 'netns', 'exec', this.namespace, ...program, ports, STREAM, word, file]
    const { status, stderr } = await command(argv, { timeoutMs: PATIENCE_MS })
    if (status !== 0) throw new Error(`${word} of the stream: ${stderr}`)
  }
}
