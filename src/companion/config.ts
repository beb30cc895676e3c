// `companion.yaml`: who the companion is, which agent fences its workspaces, what machines it may make, and whom it tells when sessions
// end. A table of keys, read as agent.yaml is: everything else is an error with line and column, all findings at once.

import { type Keys, readKeys } from '../agent/config.js'
import { COMPANION_EVENTS, type RevocationConfig, revocationKeys, revocationNotes } from '../agent/config-revocation.js'
import {
  flag,
  interfaceName,
  listenAddress,
  listOf,
  oneOf,
  path,
  type Read,
  seconds,
  spiffeUri,
  text,
  Wrong,
  whole,
  word,
} from '../agent/config-values.js'
import { parseIp } from '../base/ip.js'
import { parseMac } from '../base/mac.js'
import { compareNotes, hasErrors, type Note } from '../base/note.js'
import { EXPORT_KEYS, type ExportSection } from './config-export.js'
import { lifecycleFault } from './lifecycle/errors.js'
import { SESSIONS_MS } from './lifecycle/ports.js'
import type { Network, Volume } from './machines.js'
import { type Hook, longest } from './sessions.js'

export interface CompanionConfig {
  /** SPIFFE URI: whom the agent knows as a companion, and the reporter of every event. */
  readonly companion: string
  /** Absolute paths from here. */
  readonly stateDirectory: string
  readonly eventsFile: string
  /** `companion.sock` in the state directory when absent. */
  readonly socket?: string
  readonly agent: {
    readonly address: string
    readonly serverName: string
    readonly ca: string
    readonly certificate: string
    readonly key: string
    /** Whose signature evidence must have: a trust root with keys of role agent, or agent.pub.json of the node. */
    readonly keys: string
  }
  readonly machines: {
    readonly driver: 'qemu' | 'libvirt'
    /** Where libvirt answers; absent: as for everybody on this host. */
    readonly libvirtUri?: string
    readonly directory: string
    readonly firstUser: number
    readonly graceMs: number
  }
  readonly images: {
    readonly directory: string
    readonly trustRoot: string
    readonly channel: string
    /** Images that were built longer ago boot no more, and what runs over one is rebaked. Absent: as long as they are valid. */
    readonly maxAgeMs?: number
  }
  readonly networks: readonly Network[]
  readonly volumes: readonly Volume[]
  readonly hooks: readonly Hook[]
  readonly waitInitialMs: number
  readonly unfencedMs: number
  /** The companion's own ear for security events, beside the agent's. */
  readonly revocation?: RevocationConfig
  /** Where the trails of agents go; absent: nowhere. */
  readonly export?: ExportSection
  /** Where health and metrics are served, on loopback; absent: nowhere. */
  readonly http?: string
}

const httpsAddress: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^https:\/\/[\x21-\x7e]+$/.test(value) ? value : new Wrong('an https address')
}
const agentAddress: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[\x21-\x7e]+:\d{1,5}$/.test(value) ? value : new Wrong('an address and a port')
}
const mac: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && parseMac(value) === value ? value : new Wrong('a MAC address such as 02:00:00:00:00:01')
}
const ip: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && parseIp(value) ? value : new Wrong('an IP address')
}
const pci: Read<string> = (node) => {
  const value = text(node)
  const good = value !== undefined && /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(value)
  return good ? value : new Wrong('a PCI address such as 0000:03:00.2')
}
const tag: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[a-z0-9][a-z0-9-]{0,35}$/.test(value)
    ? value
    : new Wrong('a name of lower-case letters, digits and -')
}
const argument: Read<string> = (node) => text(node) ?? new Wrong('a word of a command')

/** A system daemon of this host: machines of a session, or of another host, are behind no fence of ours. */
const libvirtUri: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^qemu(\+unix)?:\/\/\/system(\?socket=(\/[A-Za-z0-9._@+:-]+)+)?$/.test(value)
    ? value
    : new Wrong('a system libvirt of this host, such as qemu:///system')
}

const MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const YEAR_MS = 366 * MS.d
const age: Read<number> = (node) => {
  const [, count = '', unit = ''] = /^([1-9]\d{0,5})([mhd])$/.exec(text(node) ?? '') ?? []
  const ms = Number(count) * (MS[unit as keyof typeof MS] ?? 0)
  return ms > 0 && ms <= YEAR_MS ? ms : new Wrong('a time such as 14d, 36h or 90m, of at most 366 days')
}

const AGENT_KEYS = {
  address: { field: 'address', read: agentAddress },
  server_name: { field: 'serverName', read: word },
  ca: { field: 'ca', read: path },
  certificate: { field: 'certificate', read: path },
  key: { field: 'key', read: path },
  evidence_keys: { field: 'keys', read: path },
} as const satisfies Keys

const MACHINE_KEYS = {
  driver: { field: 'driver', read: oneOf('qemu', 'libvirt'), otherwise: 'qemu' },
  libvirt_uri: { field: 'libvirtUri', read: libvirtUri, otherwise: undefined },
  directory: { field: 'directory', read: path },
  first_user: { field: 'firstUser', read: whole(1_000, 2_000_000_000) },
  grace_seconds: { field: 'graceMs', read: seconds(0, 120), otherwise: 30_000 },
} as const satisfies Keys

const IMAGE_KEYS = {
  directory: { field: 'directory', read: path },
  trust_root: { field: 'trustRoot', read: path },
  channel: { field: 'channel', read: word, otherwise: 'stable' },
  max_image_age: { field: 'maxAgeMs', read: age, otherwise: undefined },
} as const satisfies Keys

const SLOT = {
  name: { field: 'name', read: tag },
  kind: { field: 'kind', read: oneOf('tap', 'representor') },
  interface: { field: 'interface', read: interfaceName },
  mac: { field: 'mac', read: mac },
  addresses: { field: 'addresses', read: listOf('a list of IP addresses', 1, ip) },
  image_profile: { field: 'imageProfile', read: word, otherwise: undefined },
} as const satisfies Keys
const NETWORK_KEYS = {
  tap: {
    ...SLOT,
    gateway_mac: { field: 'gatewayMac', read: mac },
    gateways: { field: 'gateways', read: listOf('a list of IP addresses', 1, ip) },
  },
  representor: { ...SLOT, pci: { field: 'pci', read: pci } },
} as const satisfies Readonly<Record<string, Keys>>

const SHARE = {
  name: { field: 'name', read: tag },
  kind: { field: 'kind', read: oneOf('virtiofs') },
  source: { field: 'source', read: path },
  read_only: { field: 'readOnly', read: flag, otherwise: false },
} as const satisfies Keys

const ANY_HOOK = {
  name: { field: 'name', read: tag },
  kind: { field: 'kind', read: oneOf('webhook', 'command') },
  timeout_seconds: { field: 'timeoutMs', read: seconds(1, 10), otherwise: 3_000 },
  tries: { field: 'tries', read: whole(1, 5), otherwise: 2 },
} as const satisfies Keys
const HOOK_KEYS = {
  webhook: {
    ...ANY_HOOK,
    url: { field: 'url', read: httpsAddress },
    token_file: { field: 'tokenFile', read: path, otherwise: undefined },
    ca: { field: 'caFile', read: path, otherwise: undefined },
    certificate: { field: 'certificateFile', read: path, otherwise: undefined },
    key: { field: 'keyFile', read: path, otherwise: undefined },
  },
  command: { ...ANY_HOOK, command: { field: 'command', read: listOf('a program and its arguments', 1, argument) } },
} as const satisfies Readonly<Record<string, Keys>>

export const COMPANION_KEYS = {
  companion: { field: 'companion', read: spiffeUri },
  state_directory: { field: 'stateDirectory', read: path },
  events_file: { field: 'eventsFile', read: path },
  socket: { field: 'socket', read: path, otherwise: undefined },
  agent: { field: 'agent', section: AGENT_KEYS },
  machines: { field: 'machines', section: MACHINE_KEYS },
  images: { field: 'images', section: IMAGE_KEYS },
  networks: { field: 'networks', list: { by: 'kind', keys: NETWORK_KEYS } },
  volumes: { field: 'volumes', list: { by: 'kind', keys: { virtiofs: SHARE } }, otherwise: [] },
  broker: { field: 'hooks', list: { by: 'kind', keys: HOOK_KEYS }, otherwise: [] },
  wait_initial_seconds: { field: 'waitInitialMs', read: seconds(1, 600), otherwise: 60_000 },
  unfenced_seconds: { field: 'unfencedMs', read: seconds(1, 300), otherwise: 10_000 },
  revocation: { field: 'revocation', section: revocationKeys(COMPANION_EVENTS), otherwise: undefined },
  export: { field: 'export', section: EXPORT_KEYS, otherwise: undefined },
  http: { field: 'http', read: listenAddress, otherwise: undefined },
} as const satisfies Keys

/** Throws COMPANION_CONFIG with every finding. `file` is its name for them, `directory` what relative paths start from. */
export function parseCompanion(bytes: Uint8Array, file: string, directory: string): CompanionConfig {
  const { found, notes } = readKeys(bytes, file, directory, COMPANION_KEYS)
  const config = found as unknown as CompanionConfig
  const more = hasErrors(notes)
    ? []
    : [
        ...sharedSlots(config, file),
        ...sharedSources(config, file),
        ...slowHooks(config, file),
        ...(config.revocation ? revocationNotes(config.revocation, file) : []),
      ]
  const all = [...notes, ...more].sort(compareNotes)
  const errors = all.filter(({ severity }) => severity === 'error').length
  if (errors > 0) throw lifecycleFault('COMPANION_CONFIG', { file, errors }, { notes: all })
  return config
}

/** A try that the step does not wait for would be one that nobody hears of. */
function slowHooks({ hooks }: CompanionConfig, file: string): readonly Note[] {
  return hooks.flatMap((hook, i) => {
    const ms = longest(hook)
    if (ms < SESSIONS_MS) return []
    const { name, tries, timeoutMs } = hook
    const say = `${name} may take ${ms / 1_000} s (${tries} tries of ${timeoutMs / 1_000} s and the pauses between them); it must be less than ${SESSIONS_MS / 1_000} s`
    return [{ code: 'hook-slow', severity: 'error', file, line: 0, column: 0, path: `broker[${i}]`, say } as const]
  })
}

/** One workspace a volume, so one volume a folder: by another name it would be another workspace's, under that one's clauses. */
function sharedSources({ volumes }: CompanionConfig, file: string): readonly Note[] {
  return volumes.flatMap((volume, i) => {
    const other = volumes.slice(0, i).find(({ source }) => source === volume.source)
    const say = `${volume.name} has the source of ${other?.name}`
    const path = `volumes[${i}].source`
    return other ? [{ code: 'source-shared', severity: 'error', file, line: 0, column: 0, path, say } as const] : []
  })
}

/** One workspace a slot, so one slot a network. */
function sharedSlots({ networks }: CompanionConfig, file: string): readonly Note[] {
  return networks.flatMap((network, i) => {
    const path = `networks[${i}]`
    const other = networks
      .slice(0, i)
      .find(
        (one) =>
          one.interface === network.interface ||
          one.mac === network.mac ||
          (one.pci !== undefined && one.pci === network.pci),
      )
    const say = `${network.name} has the interface, the MAC or the VF of ${other?.name}`
    return other ? [{ code: 'slot-shared', severity: 'error', file, line: 0, column: 0, path, say } as const] : []
  })
}
