// The real host of the command line: this process's terminal, clock, randomness and files, and the agent in this process.
// Tests compose the same parts with a fixed clock and a seeded source, and their own output.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { parseConfig } from '../agent/config.js'
import { agentFault } from '../agent/errors.js'
import { readRegular } from '../agent/files.js'
import { followRoots } from '../agent/roots.js'
import { Store } from '../agent/store.js'
import { writeBundleArchive } from '../agent/transports/archive.js'
import { openTransport } from '../agent/transports/open.js'
import { readBundle } from '../agent/transports/read.js'
import { lookForCard } from '../backends/doca-flow/card.js'
import { isRegistered, loadBackend, REGISTERED_BACKENDS, type RegisteredBackend } from '../backends/registry.js'
import { causeChain, Fault } from '../base/fault.js'
import { comparisonHtml, reportHtml } from '../bench/assets.js'
import { cliFault } from '../cli/errors.js'
import type { ConfigBytes, Configured, Host, Surveyed } from '../cli/host.js'
import type { BackendName } from '../plan/model.js'
import { runAgent } from './agent.js'
import { benchHere } from './bench.js'
import { measureHosts, serveBench } from './bench-hosts.js'
import { companionHost } from './companion-host.js'
import { explainNameHere } from './explain-name.js'
import { layFloor, seeFloor } from './floor.js'
import { followChannel } from './follow.js'
import { mediate } from './mediate.js'
import { readMembers } from './members.js'
import { migrateHere } from './migrate.js'
import { openBackend, openNode, tellTrail } from './node.js'
import { recover } from './recover.js'
import { openRemote } from './remote.js'
import { composeWitness } from './witness.js'

/** What differs between a terminal, a pipe and a test. */
export interface Surface {
  readonly cwd: string
  readonly environment: (name: string) => string | undefined
  readonly write: (text: string) => void
  readonly writeError: (text: string) => void
  readonly colour: boolean
  readonly nowMs: () => number
  readonly random: (length: number) => Uint8Array
  readonly confirm: (question: string) => Promise<boolean>
  readonly operator: string
  readonly interrupted: (afterMs: number | undefined) => AbortSignal
}

export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version

export function composeHost(surface: Surface): Host {
  const at = (path: string): string => resolve(surface.cwd, path)
  const around = { ...surface, version: VERSION, resolve: at }
  const read = ({ path, bytes }: ConfigBytes) => parseConfig(bytes, path, dirname(at(path)), REGISTERED_BACKENDS)
  const trailPlace = (config: ConfigBytes) => read(config).trail
  return {
    ...surface,
    version: VERSION,
    readFile: (path, what, maxBytes) => readOperatorFile(at(path), { what, path }, maxBytes),
    tellRefused: (config, fault) => tellTrail(around, 'path' in config ? trailPlace(config) : config, fault),
    readBundle: (path) => readBundle(at(path)),
    readMembers: (directory) => readMembers(at(directory)),
    packBundle: writeBundleArchive,
    survey,
    lookForCard,
    configure: (path, bytes) => {
      const { config, notes } = read({ path, bytes })
      const errors = notes.filter((note) => note.severity === 'error').length
      if (!config) throw agentFault('AGENT_CONFIG', { file: path, errors }, { notes })
      return { ...config, file: path }
    },
    openSource: (source, terms) => openTransport(source, { ...terms, cwd: surface.cwd }),
    followRoots: async (file, statements) => (await followRoots(at(file), statements, surface.nowMs())).version,
    openNode: async (config, options) =>
      (await openRemote(around, config, options)) ?? openNode(around, config, options),
    layFloor: (config) => layFloor(config, surface.nowMs()),
    seeFloor: (config) => seeFloor(config),
    migrate: migrateHere,
    recover: (config, request) => recover(around, config, request),
    explainName: (config, question) => explainNameHere(config, question, surface.nowMs()),
    mediate: (config, request) => mediate(around, config, request),
    companion: companionHost(around),
    follow: (config, request) => followChannel(around, config, request),
    witness: composeWitness(around),
    bench: {
      run: (request) => benchHere(request, VERSION, surface.nowMs),
      client: (request) => measureHosts(request, VERSION, surface.nowMs),
      serve: serveBench,
      report: reportHtml,
      comparison: comparisonHtml,
    },
    createState: async (config, options) => {
      const store = new Store(config.stateDirectory)
      if (!(options?.unlessThere && store.exists())) store.create()
    },
    runAgent: (config, request) => runAgent(around, config, request),
  }
}

/** Throws CLI_FILE_UNREADABLE, CLI_FILE_KIND, CLI_FILE_TOO_LARGE. */
function readOperatorFile(absolute: string, named: { what: string; path: string }, maxBytes: number): Uint8Array {
  try {
    const found = readRegular(absolute, maxBytes)
    if (found === 'not-regular') throw cliFault('CLI_FILE_KIND', named)
    if (found === 'too-large') throw cliFault('CLI_FILE_TOO_LARGE', { ...named, limit: maxBytes })
    return found
  } catch (cause) {
    throw cause instanceof Fault ? cause : cliFault('CLI_FILE_UNREADABLE', named, { cause })
  }
}

/** Asks every backend on a scratch state directory; one that cannot even open could not tell. */
async function survey(
  backends: readonly BackendName[],
  config?: Pick<Configured, 'flower' | 'argus' | 'vault'>,
): Promise<readonly Surveyed[]> {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'sluice-survey-'))
  try {
    const out: Surveyed[] = []
    for (const name of backends) if (isRegistered(name)) out.push(await surveyOne(name, stateDirectory, config))
    return out
  } finally {
    rmSync(stateDirectory, { recursive: true, force: true })
  }
}

async function surveyOne(
  name: RegisteredBackend,
  stateDirectory: string,
  config: Pick<Configured, 'flower' | 'argus' | 'vault'> | undefined,
): Promise<Surveyed> {
  try {
    const open = await openBackend(name, { ...config, attachInterfaces: [], stateDirectory })
    await open.driver.close()
    return { backend: name, capabilities: open.capabilities, probes: open.probed.probes }
  } catch (error) {
    const why = causeChain(error).join(': ')
    const backend = await loadBackend(name)
    const nothing = backend.capabilities({ backend: name, trustDomain: 'host', probes: [] })
    return {
      backend: name,
      capabilities: { ...nothing, usable: false, why },
      probes: [{ feature: 'open', answer: 'could-not-tell', why }],
    }
  }
}

/** Who asks; by number where the machine has no name for it, as in a container of somebody's own. */
function operatorHere(): string {
  try {
    return `user:${userInfo().username}`
  } catch {
    return `uid:${process.getuid?.() ?? 0}` // ENOENT of getpwuid: no fault of whoever asks
  }
}

/** The surface of this process. */
export const processSurface = (): Surface => ({
  cwd: process.cwd(),
  environment: (name) => process.env[name],
  write: (text) => {
    process.stdout.write(text)
  },
  writeError: (text) => {
    process.stderr.write(text)
  },
  // https://no-color.org: present and not empty means no colour.
  colour: process.stdout.isTTY && process.stderr.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
  nowMs: Date.now,
  random: (length) => randomBytes(length),
  confirm: async (question) => {
    if (!process.stdin.isTTY || !process.stderr.isTTY) return false
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    try {
      return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
    } finally {
      terminal.close()
    }
  },
  operator: operatorHere(),
  interrupted: (afterMs) => {
    const controller = new AbortController()
    const stop = (): void => {
      controller.abort()
    }
    process.once('SIGINT', stop).once('SIGTERM', stop)
    if (afterMs !== undefined) setTimeout(stop, afterMs).unref()
    return controller.signal
  },
})
