// Servers inside a namespace, as children that are ended by their own process id: Debian's docker-registry, sshd with its own
// configuration and keys, and a folder behind TLS. Each is ready when something listens on its port.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { command } from './lab/command.js'
import { repositoryPath } from './lab/repository.js'
import type { Tls } from './tls.js'

export interface Inside {
  readonly port: number
  stop(): Promise<void>
}

export const hasSshd = (): boolean => existsSync('/usr/sbin/sshd')

async function start(namespace: string, port: number, argv: readonly string[]): Promise<Inside> {
  const child = spawn('ip', ['netns', 'exec', namespace, ...argv], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const probe = ['ip', 'netns', 'exec', namespace, 'bash', '-c', `exec 3<>/dev/tcp/127.0.0.1/${port}`]
  for (let tries = 0; (await command(probe)).status !== 0; tries++) {
    if (tries > 200 || child.exitCode !== null) throw new Error(`${argv[0]} does not listen: ${said}`)
    await sleep(50)
  }
  return { port, stop: () => ended(child) }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise((resolve) => {
    child.once('exit', resolve)
    child.kill('SIGTERM')
  })
}

export function registryInside(namespace: string, directory: string, tls: Tls, port = 5443): Promise<Inside> {
  const config = join(directory, 'registry.yml')
  writeFileSync(
    config,
    `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: ${join(directory, 'registry')} } }
http: { addr: '127.0.0.1:${port}', tls: { certificate: ${tls.certFile}, key: ${tls.keyFile} } }
`,
  )
  return start(namespace, port, ['/usr/bin/docker-registry', 'serve', config])
}

export interface Sshd extends Inside {
  /** Private key that may come in. */
  readonly key: string
  /** Pins the server's key; the other one pins a key that the server does not have. */
  readonly knownHosts: string
  readonly strangers: string
}

/** One key may come in, and run git alone. */
export async function sshdInside(namespace: string, directory: string, port = 5022): Promise<Sshd> {
  const at = (name: string): string => join(directory, name)
  for (const name of ['host', 'other', 'client'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', at(name)])
  const publicKey = (name: string): string =>
    readFileSync(at(`${name}.pub`), 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ')
  writeFileSync(
    at('authorized'),
    `restrict,command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"" ${publicKey('client')}\n`,
  )
  writeFileSync(at('known'), `[localhost]:${port} ${publicKey('host')}\n`)
  writeFileSync(at('strangers'), `[localhost]:${port} ${publicKey('other')}\n`)
  writeFileSync(
    at('sshd_config'),
    `Port ${port}
ListenAddress 127.0.0.1
HostKey ${at('host')}
AuthorizedKeysFile ${at('authorized')}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
`,
  )
  chmodSync(directory, 0o755)
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const running = await start(namespace, port, ['/usr/sbin/sshd', '-D', '-e', '-f', at('sshd_config')])
  return { ...running, key: at('client'), knownHosts: at('known'), strangers: at('strangers') }
}

export const webInside = (namespace: string, folder: string, tls: Tls, port = 5444): Promise<Inside> =>
  start(namespace, port, [
    process.execPath,
    repositoryPath('test/support/folder-server.mjs'),
    ...[String(port), tls.certFile, tls.keyFile, folder],
  ])
