// The network laboratory: namespaces, servers and probes with one lifetime. `withLab` builds it, hands it over and takes it
// away again on success, failure, SIGINT and SIGTERM; what a SIGKILL leaves is collected at the next start. Needs root.

import { isV6, OUT, OUT_PORTS } from './addresses.js'
import { type CommandOptions, type CommandResult, command } from './command.js'
import { buildNamespaces, namespaceOf, type Role, removeNamespaces, writeHosts } from './namespaces.js'
import { Station } from './station.js'
import { Sender, Sniffer } from './wire.js'

export interface PingResult {
  readonly outcome: 'answered' | 'prohibited' | 'timeout' | 'failed'
  readonly tookMs: number
}

export interface Lab {
  readonly ws: Station
  readonly ws2: Station
  /** Serves OUT_PORTS on every address of OUT. */
  readonly out: Station
  namespace(role: Role): string
  /** Runs a command inside a namespace. */
  exec(role: Role, argv: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /** One ICMP echo. */
  ping(role: Role, address: string, options?: { timeoutMs?: number; from?: string }): Promise<PingResult>
  sniff(role: Role, networkInterface: string, snap?: number): Promise<Sniffer>
  sender(role: Role, networkInterface: string): Promise<Sender>
  /** A second process in a namespace, for load that must not slow the probes. */
  station(role: Role): Promise<Station>
  /** Names that a workspace resolves; everything else does not resolve there. */
  hosts(role: 'ws' | 'ws2', names: Readonly<Record<string, readonly string[]>>): void
  close(): Promise<void>
}

export async function openLab(): Promise<Lab> {
  const closing: (() => Promise<void>)[] = []
  const removeOnExit = (): void => removeNamespaces()
  const onSignal = (signal: NodeJS.Signals): void => {
    removeNamespaces()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  process.once('exit', removeOnExit)
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end()
    removeNamespaces()
    process.off('exit', removeOnExit)
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
  const keep = <T extends { close(): Promise<void> }>(part: T): T => {
    closing.push(() => part.close())
    return part
  }
  try {
    await buildNamespaces()
    const station = async (role: Role): Promise<Station> => keep(await Station.start(namespaceOf(role)))
    const [ws, ws2, out] = await Promise.all([station('ws'), station('ws2'), station('out')])
    await out.serveHttp(OUT_PORTS.http)
    await out.serveTcpEcho(OUT_PORTS.echo)
    await out.serveUdpEcho(Object.values(OUT), OUT_PORTS.udp)
    return {
      ws,
      ws2,
      out,
      namespace: (role) => namespaceOf(role),
      exec: (role, argv, options) => command(['ip', 'netns', 'exec', namespaceOf(role), ...argv], options),
      ping,
      sniff: async (role, networkInterface, snap) =>
        keep(await Sniffer.start(namespaceOf(role), networkInterface, snap)),
      sender: async (role, networkInterface) => keep(await Sender.start(namespaceOf(role), networkInterface)),
      station,
      hosts: writeHosts,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Builds a laboratory, runs `work` in it, and takes it away whatever happens. */
export async function withLab<T>(work: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await openLab()
  try {
    return await work(lab)
  } finally {
    await lab.close()
  }
}

async function ping(
  role: Role,
  address: string,
  options: { timeoutMs?: number; from?: string } = {},
): Promise<PingResult> {
  const seconds = (options.timeoutMs ?? 1000) / 1000
  const from = options.from === undefined ? [] : ['-I', options.from]
  const result = await command([
    ...['ip', 'netns', 'exec', namespaceOf(role)],
    ...['ping', isV6(address) ? '-6' : '-4', '-n', '-c', '1', '-W', String(seconds), '-w', String(Math.ceil(seconds))],
    ...[...from, address],
  ])
  const said = `${result.stdout}${result.stderr}`
  if (/ 1 received/.test(said)) return { outcome: 'answered', tookMs: result.tookMs }
  if (/Packet filtered|prohibited/i.test(said)) return { outcome: 'prohibited', tookMs: result.tookMs }
  return { outcome: / 0 received/.test(said) ? 'timeout' : 'failed', tookMs: result.tookMs }
}
