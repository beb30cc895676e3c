// Running git with nothing around it: no configuration of the system or the user, no hooks, no filters, no submodules, no
// credentials helper, no prompt, one protocol, and a bound on time, output and on every file that it writes. The settings
// travel in the environment, so that no secret stands in a list of processes.
//
// git checks what it fetches (fsck), and never writes a work tree: what it holds is read as objects.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LIMITS } from '../../base/limits.js'
import { quote } from '../../base/quote.js'
import { transportFault } from './errors.js'
import type { Deadlines } from './transport.js'
import type { WireTrust } from './wire.js'

export type GitScheme = 'https' | 'ssh' | 'file'

export interface GitTerms extends WireTrust {
  readonly url: URL
  /** PEM file of the CA, since git reads it by itself. */
  readonly caFile?: string
  readonly token?: string
  /** Private key and known hosts for ssh; a host that is not known is refused. */
  readonly ssh?: { readonly keyFile: string; readonly knownHostsFile: string }
  readonly deadlines: Deadlines
}

export interface GitOptions {
  readonly input?: Uint8Array
  readonly maxBytes?: number
  /** Added to the environment: names of files, authors. */
  readonly environment?: Readonly<Record<string, string>>
  /** Exit codes that are answers. */
  readonly accept?: readonly number[]
}
export interface GitAnswer {
  readonly exit: number
  readonly output: Buffer
}

/** The most octets that git may write into one file: a whole bundle, and packing. */
const FILE_BYTES = LIMITS.unpackedBytes + (1 << 20)
const OUTPUT_BYTES = 1 << 20

const settings = (terms: GitTerms, scheme: GitScheme): [string, string][] => [
  ['protocol.allow', 'never'],
  [`protocol.${scheme}.allow`, 'always'],
  ['protocol.version', '2'],
  ['core.hooksPath', '/dev/null'],
  ['core.attributesFile', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.symlinks', 'false'],
  // Larger blobs are streamed through the check instead of being held in memory.
  ['core.bigFileThreshold', '1m'],
  ['fetch.recurseSubmodules', 'false'],
  ['submodule.recurse', 'false'],
  ['transfer.fsckObjects', 'true'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['credential.helper', ''],
  ['http.followRedirects', 'false'],
  ['http.lowSpeedLimit', String(terms.deadlines.minBytesPerSecond)],
  ['http.lowSpeedTime', String(Math.ceil(terms.deadlines.idleMs / 1000))],
  ...(terms.caFile === undefined ? [] : ([['http.sslCAInfo', terms.caFile]] as [string, string][])),
  ...(terms.pins === undefined || terms.pins.length === 0
    ? []
    : ([['http.pinnedPubkey', terms.pins.map((pin) => `sha256//${pin}`).join(';')]] as [string, string][])),
  ...(terms.token === undefined
    ? []
    : ([['http.extraHeader', `Authorization: Bearer ${terms.token}`]] as [string, string][])),
]

function environmentOf(terms: GitTerms, scheme: GitScheme, home: string): Record<string, string> {
  const list = settings(terms, scheme)
  const numbered = list.flatMap(([key, value], i): [string, string][] => [
    [`GIT_CONFIG_KEY_${i}`, key],
    [`GIT_CONFIG_VALUE_${i}`, value],
  ])
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_ALLOW_PROTOCOL: scheme,
    GIT_CONFIG_COUNT: String(list.length),
    ...(Object.fromEntries(numbered) as Record<string, string>),
    ...(terms.ssh === undefined ? {} : { GIT_SSH_COMMAND: sshCommand(terms.ssh, terms.deadlines) }),
  }
}

/** Paths are quoted for the shell that git gives the line to. */
function sshCommand(ssh: NonNullable<GitTerms['ssh']>, deadlines: Deadlines): string {
  const word = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'StrictHostKeyChecking=yes',
    'ForwardAgent=no',
    // Inner quotes are ssh's own, which would take a space for the end of the name; the list of the machine counts for nothing.
    `UserKnownHostsFile="${ssh.knownHostsFile}"`,
    'GlobalKnownHostsFile=/dev/null',
    'UpdateHostKeys=no',
    `ConnectTimeout=${Math.ceil(deadlines.connectMs / 1000)}`,
    'ServerAliveInterval=5',
    'ServerAliveCountMax=2',
  ]
  return `ssh -F /dev/null -i ${word(ssh.keyFile)} ${options.map((option) => `-o ${word(option)}`).join(' ')}`
}

/** An empty bare repository that lives as long as `use` runs, and git in it. */
export async function withGit<T>(
  terms: GitTerms,
  scheme: GitScheme,
  use: (git: Git, scratch: string) => Promise<T>,
): Promise<T> {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-git-'))
  const repository = join(scratch, 'repository')
  const endsAtMs = performance.now() + terms.deadlines.totalMs
  const git = new Git(repository, environmentOf(terms, scheme, scratch), terms, endsAtMs)
  try {
    await git.run(['init', '--quiet', '--bare', '--template=', repository])
    return await use(git, scratch)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

export class Git {
  constructor(
    private readonly repository: string,
    private readonly environment: Readonly<Record<string, string>>,
    private readonly terms: GitTerms,
    private readonly endsAtMs: number,
  ) {}

  /** Runs one command. Throws TRANSPORT_GIT, TRANSPORT_GIT_MISSING, TRANSPORT_DEADLINE, TRANSPORT_TOO_LARGE. */
  run(line: readonly string[], options: GitOptions = {}): Promise<GitAnswer> {
    const { maxBytes = OUTPUT_BYTES, accept = [0] } = options
    const step = line[0] ?? ''
    const { url } = this.terms
    const host = url.host === '' ? url.href : url.host
    const inside = step === 'init' ? [] : [`--git-dir=${this.repository}`]
    return new Promise((resolve, reject) => {
      // A group of its own, so that the programs that git starts end with it.
      const child = spawn('prlimit', [`--fsize=${FILE_BYTES}`, '--core=0', '--', 'git', ...inside, ...line], {
        env: { ...this.environment, ...options.environment },
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      const output: Buffer[] = []
      let size = 0
      let said = ''
      let stopped: Error | undefined
      const stop = (why: Error) => {
        stopped ??= why
        if (child.pid === undefined) return
        try {
          process.kill(-child.pid, 'SIGKILL')
        } catch {
          // It has ended by itself meanwhile.
        }
      }
      const limitMs = this.terms.deadlines.totalMs
      const timer = setTimeout(
        () => stop(transportFault('TRANSPORT_DEADLINE', { host, what: 'total', limitMs })),
        Math.max(0, this.endsAtMs - performance.now()),
      )
      child.stdout.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxBytes)
          stop(transportFault('TRANSPORT_TOO_LARGE', { what: `the answer of git ${step}`, limit: maxBytes }))
        else output.push(chunk)
      })
      child.stderr.on('data', (chunk: Buffer) => {
        if (said.length < 4_096) said += chunk.toString('latin1')
      })
      child.on('error', (cause: NodeJS.ErrnoException) => {
        clearTimeout(timer)
        reject(transportFault('TRANSPORT_GIT', { step, say: 'prlimit cannot be started' }, { cause }))
      })
      child.on('close', (code) => {
        clearTimeout(timer)
        const exit = code ?? -1
        if (stopped) reject(stopped)
        else if (exit === 127) reject(transportFault('TRANSPORT_GIT_MISSING', undefined))
        else if (accept.includes(exit)) resolve({ exit, output: Buffer.concat(output) })
        else reject(transportFault('TRANSPORT_GIT', { step, say: quote(said.trim(), 400) }))
      })
      // git may end before it has read everything; then its exit says why.
      child.stdin.on('error', () => undefined)
      child.stdin.end(options.input === undefined ? undefined : Buffer.from(options.input))
    })
  }
}
