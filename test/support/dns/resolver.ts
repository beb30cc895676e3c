// A real recursive, validating resolver for one test run: unbound from Debian, on UDP, TCP and DoT, with the zones of zones.ts,
// one of them signed, and a stub to authority.mjs for what changes from query to query. On loopback, or inside a namespace.
// Nothing leaves the machine: every other name is answered here (REFUSED). `close` ends both processes and removes the folder.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { repositoryPath } from '../lab/repository.js'
import { makeTls, type Tls } from '../tls.js'
import { freePort } from './ports.js'
import { LAB_ZONE, LIVE_ZONE, labZone, SIGNED_ZONE, signedZone } from './zones.js'

const UNBOUND = '/usr/sbin/unbound'
const SIGNER = '/usr/bin/ldns-signzone'
export const hasUnbound = (): boolean => existsSync(UNBOUND) && existsSync(SIGNER)

export const RESOLVER_NAME = 'resolver.example'

export interface ResolverOptions {
  /** `ip netns exec` this one; its loopback must be up. Absent: the namespace of this process. */
  readonly namespace?: string
  /** Default 127.0.0.1. Must be there already. */
  readonly address?: string
  /** Default: free ones. Inside a namespace say them: it has ports of its own. */
  readonly port?: number
  readonly dotPort?: number
  readonly authorityPort?: number
  /** Zones that somebody else serves, and where: `127.0.0.1@5301`. */
  readonly stubs?: Readonly<Record<string, string>>
  /** More lines of the `server:` section: `cache-max-ttl: 0`. */
  readonly server?: readonly string[]
}

export interface Resolver {
  readonly address: string
  readonly port: number
  readonly dotPort: number
  /** The authority's own, for asking it without the resolver between. */
  readonly authorityPort: number
  readonly tls: Tls
  /** Base64 of SHA-256 of the DoT certificate's SubjectPublicKeyInfo. */
  readonly pin: string
  /** What arrived at authority.mjs so far, in order: `udp A "ROTATE.live.example"`. */
  readonly asked: readonly string[]
  /** What arrived at the resolver, with `log-queries: yes` among the lines: `45.76.9.2 git.lab.example. A IN`. */
  readonly queries: readonly string[]
  readonly pid: number
  close(): Promise<void>
}

export async function startResolver(options: ResolverOptions = {}): Promise<Resolver> {
  const address = options.address ?? '127.0.0.1'
  const port = options.port ?? (await freePort(address))
  const dotPort = options.dotPort ?? (await freePort(address))
  const authorityPort = options.authorityPort ?? (await freePort('127.0.0.1'))
  const folder = mkdtempSync(join(tmpdir(), 'sluice-dns-'))
  const tls = makeTls([`DNS:${RESOLVER_NAME}`, `IP:${address}`])
  const asked: string[] = []
  const queries: string[] = []
  const children: ChildProcess[] = []
  const close = async (): Promise<void> => {
    for (const child of children.splice(0)) await end(child)
    tls.remove()
    rmSync(folder, { recursive: true, force: true })
  }
  // A run that dies takes its servers with it.
  const onExit = (): void => {
    for (const child of children) child.kill('SIGKILL')
  }
  process.once('exit', onExit)
  const enter = options.namespace === undefined ? [] : ['ip', 'netns', 'exec', options.namespace]
  const start = (argv: readonly string[]): Promise<ChildProcess> => {
    const [file = '', ...rest] = [...enter, ...argv]
    const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'] })
    children.push(child)
    return ready(child, argv[0] ?? '', (line) => {
      if (line.startsWith('asked ')) asked.push(line.slice('asked '.length))
      const query = / info: (\S+ \S+\. [A-Z0-9]+ IN)$/.exec(line)?.[1]
      if (query !== undefined) queries.push(query)
    })
  }
  try {
    const config = join(folder, 'unbound.conf')
    const anchor = writeZones(folder)
    const addresses = { address, port, dotPort, authorityPort }
    writeFileSync(config, configuration(folder, tls, anchor, addresses, options.stubs ?? {}, options.server ?? []))
    await start([process.execPath, repositoryPath('test/support/dns/authority.mjs'), '127.0.0.1', `${authorityPort}`])
    const unbound = await start([UNBOUND, '-d', '-c', config])
    const { publicKey } = new X509Certificate(tls.cert)
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const pin = createHash('sha256').update(spki).digest('base64')
    return {
      ...addresses,
      tls,
      pin,
      asked,
      queries,
      pid: unbound.pid ?? 0,
      close: async () => {
        process.off('exit', onExit)
        await close()
      },
    }
  } catch (error) {
    process.off('exit', onExit)
    await close()
    throw error
  }
}

/** Writes both zones and signs one; gives the file with its trust anchor. */
function writeZones(folder: string): string {
  writeFileSync(join(folder, LAB_ZONE), labZone())
  writeFileSync(join(folder, SIGNED_ZONE), signedZone())
  const run = (file: string, ...argv: string[]): string => execFileSync(file, argv, { cwd: folder, encoding: 'utf8' })
  const key = run('/usr/bin/ldns-keygen', '-k', '-a', 'ECDSAP256SHA256', SIGNED_ZONE).trim()
  run(SIGNER, SIGNED_ZONE, key)
  return join(folder, `${key}.key`)
}

interface Addresses {
  readonly address: string
  readonly port: number
  readonly dotPort: number
  readonly authorityPort: number
}

const configuration = (
  folder: string,
  tls: Tls,
  anchor: string,
  { address, port, dotPort, authorityPort }: Addresses,
  stubs: Readonly<Record<string, string>>,
  server: readonly string[],
): string =>
  [
    'server:',
    ...[
      'verbosity: 1',
      'use-syslog: no',
      'logfile: ""',
      'chroot: ""',
      'username: ""',
      'pidfile: ""',
      `directory: "${folder}"`,
      'num-threads: 1',
      `interface: ${address}@${port}`,
      `interface: ${address}@${dotPort}`,
      `tls-port: ${dotPort}`,
      `tls-service-key: "${tls.keyFile}"`,
      `tls-service-pem: "${tls.certFile}"`,
      'access-control: 0.0.0.0/0 allow',
      'access-control: ::/0 allow',
      'module-config: "validator iterator"',
      `trust-anchor-file: "${anchor}"`,
      'do-not-query-localhost: no',
      // Names of other zones are answered here, so that nothing is asked of the world.
      'local-zone: "." refuse',
      ...[LAB_ZONE, SIGNED_ZONE, LIVE_ZONE, ...Object.keys(stubs)].map((zone) => `local-zone: "${zone}." transparent`),
      `domain-insecure: "${LAB_ZONE}"`,
      ...[LIVE_ZONE, ...Object.keys(stubs)].map((zone) => `domain-insecure: "${zone}"`),
      ...server,
    ].map((line) => `  ${line}`),
    ...[LAB_ZONE, SIGNED_ZONE].flatMap((zone) => [
      'auth-zone:',
      `  name: "${zone}"`,
      `  zonefile: "${join(folder, zone === SIGNED_ZONE ? `${zone}.signed` : zone)}"`,
      '  for-downstream: no',
      '  for-upstream: yes',
    ]),
    ...Object.entries({ [LIVE_ZONE]: `127.0.0.1@${authorityPort}`, ...stubs }).flatMap(([zone, at]) => [
      ...['stub-zone:', `  name: "${zone}"`, `  stub-addr: ${at}`],
    ]),
    '',
  ].join('\n')

/** Resolves when the child says that it serves; unbound's own words are `start of service`. */
function ready(child: ChildProcess, name: string, line: (text: string) => void): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const said: string[] = []
    const hear = (text: string): void => {
      if (said.push(text) > 50) said.shift()
      if (text === 'ready' || text.includes('start of service')) resolve(child)
      line(text)
    }
    for (const stream of [child.stdout, child.stderr]) if (stream) createInterface(stream).on('line', hear)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}: ${said.join('\n')}`)))
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}
