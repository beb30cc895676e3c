// Where a companion's export goes, all at once: a file of its own, a receiver over HTTP that is a process, and a stream of three nats-servers.
// The last two can be killed and come back with what they had; what each has got can be read.

import { existsSync, readFileSync, truncateSync } from 'node:fs'
import { rotatedFiles } from '../../../src/audit/sinks/file-sink.js'
import { Receiver } from '../agent/receiver.js'
import { Cluster } from './cluster.js'

const PORT = 8088

export const linesIn = (files: readonly string[]): readonly string[] =>
  files.flatMap((file) =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
      : [],
  )

export class Receivers {
  private constructor(
    private readonly folder: string,
    private readonly http: Receiver,
    private readonly cluster: Cluster,
  ) {}

  static async open(namespace: string, folder: string): Promise<Receivers> {
    const cluster = await Cluster.open(namespace)
    const receivers = new Receivers(folder, new Receiver(namespace, PORT, `${folder}/received.ndjson`), cluster)
    await receivers.start('http')
    return receivers
  }

  /** The section `export` of companion.yaml, for one agent and the companion's own trail. */
  section(agent: string): string {
    return `export:
  agents:
    - {name: n1, ${agent}}
  sinks:
    - {name: archive, kind: file, path: "${this.archive('{agent}')}", rotate_bytes: 262144, keep_files: 10000}
    - {name: siem, kind: http, url: "http://127.0.0.1:${PORT}/"}
    - {name: fleet, ${this.cluster.sink}}
`
  }

  /** SIGKILL, of the receiver over HTTP or of the server with that number. */
  async kill(which: 'http' | number): Promise<void> {
    await (which === 'http' ? this.http.stop() : this.cluster.kill(which))
  }
  async start(which: 'http' | number): Promise<void> {
    if (which !== 'http') return this.cluster.start(which)
    if (!this.http.running) this.cutTornEnd()
    await this.http.start()
  }
  get servers(): number {
    return this.cluster.size
  }

  /** What each sink has, oldest first; of the file and the stream what belongs to that trail, of HTTP everything. */
  async arrived(name: string): Promise<Readonly<Record<'archive' | 'siem' | 'fleet', readonly string[]>>> {
    const archive = this.archive(name)
    return {
      archive: linesIn([...rotatedFiles(archive).map(({ path }) => path), archive]),
      siem: linesIn([this.http.file]),
      fleet: await this.cluster.read(),
    }
  }

  async close(): Promise<void> {
    await this.http.stop()
    await this.cluster.close()
  }

  private archive(name: string): string {
    return `${this.folder}/archive/${name}.ndjson`
  }
  /** A batch that was being written was not answered, and comes again. */
  private cutTornEnd(): void {
    if (!existsSync(this.http.file)) return
    const octets = readFileSync(this.http.file)
    truncateSync(this.http.file, octets.lastIndexOf(0x0a) + 1)
  }
}
