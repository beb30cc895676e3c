// `agent.yaml`: who this node is, what it trusts, where it keeps its state, and which backends it may use. A table of keys;
// everything else is an error with line and column and the nearest right word. Nothing has a silent default that could
// widen anything: what is left out is either an error or the narrow choice.

import type { ArgusOptions, FlowerOptions, VaultOptions } from '../backends/backend.js'
import { LIMITS } from '../base/limits.js'
import { compareNotes, hasErrors, type Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import { nearest } from '../base/suggest.js'
import { type Place, readYaml, type YamlNode } from '../base/yaml.js'
import type { FindingTerms } from '../findings/terms.js'
import type { BackendName } from '../plan/model.js'
import { FINDINGS_KEYS } from './config-findings.js'
import { REVOCATION_KEYS, type RevocationConfig, revocationNotes } from './config-revocation.js'
import {
  API_KEYS,
  type ApiConfig,
  ARGUS_KEYS,
  DECISION_KEYS,
  type DecisionsConfig,
  DNS_KEYS,
  type DnsConfig,
  FLOWER_KEYS,
  SOURCE_KEYS,
  type SourceConfig,
  VAULT_KEYS,
} from './config-sections.js'
import { RETENTION_KEYS, type RetentionConfig, SINK_KEYS, type SinkConfig } from './config-sinks.js'
import {
  backend,
  flag,
  interfacePattern,
  listenAddress,
  listOf,
  path,
  type Read,
  seconds,
  spiffeUri,
  Wrong,
  word,
} from './config-values.js'

export interface AgentConfig {
  /** SPIFFE URI of this node: the reporter of every event. */
  readonly node: string
  /** Whom a release and an inventory must name. */
  readonly audience: string
  readonly channel: string
  /** Absolute paths from here. */
  readonly trustRoot: string
  readonly stateDirectory: string
  readonly eventsFile: string
  /** By preference. */
  readonly backends: readonly BackendName[]
  /** Shell patterns of interface names that may only ever carry fenced traffic. */
  readonly attachInterfaces: readonly string[]
  /** True: a workspace is denied until it is attached. Otherwise the inventory alone attaches it. */
  readonly attachRequired?: boolean
  /** Where `sluice agent` gets releases; absent: it holds what was applied by hand. */
  readonly source?: SourceConfig
  /** Where health and metrics are served, on loopback; absent: nowhere. */
  readonly http?: string
  /** Absent: no gRPC. */
  readonly api?: ApiConfig
  /** For `doca-argus`. */
  readonly argus?: ArgusOptions
  /** For `doca-vault`. */
  readonly vault?: VaultOptions
  /** For `tc-flower`. */
  readonly flower?: FlowerOptions
  /** The DNS mediator of this node; absent: there is none, and a name needs a pin. */
  readonly dns?: DnsConfig
  /** Who may ask about actions; absent: a question may name no agent. */
  readonly decisions?: DecisionsConfig
  /** What is left out of it is as the agent's own bounds say. */
  readonly retention?: RetentionConfig
  /** Where else events go, by name. */
  readonly sinks?: readonly SinkConfig[]
  readonly heartbeatMs?: number
  /** Whose security events take authority away; absent: nobody's. */
  readonly revocation?: RevocationConfig
  /** Absent: detectors look by their own numbers, and nothing is done but telling. */
  readonly findings?: FindingTerms
  /** The Unix socket of a running agent; `agent.sock` in the state directory when absent. */
  readonly socket?: string
}

export interface ConfigResult {
  /** Present exactly when no note is an error. */
  readonly config?: AgentConfig
  /** Whose trail is told of a configuration that is refused: present when these keys could be read. */
  readonly trail?: Pick<AgentConfig, 'node' | 'eventsFile' | 'stateDirectory'>
  readonly notes: readonly Note[]
}

/** One key: how its value is read, or the keys of the section below it. */
export interface Key {
  readonly field: string
  readonly read?: Read<unknown>
  readonly section?: Keys
  /** A list of sections, each with a `name` of its own; the member `by` of each says which keys it has. */
  readonly list?: { readonly by: string; readonly keys: Readonly<Record<string, Keys>> }
  /** Reads a value that makes findings of its own; no value when one of them is an error. */
  readonly parse?: (
    node: YamlNode,
    file: string,
    path: string,
    directory: string,
  ) => { readonly value?: unknown; readonly notes: readonly Note[] }
  /** What stands when the key is left out; absent: it must be there. */
  readonly otherwise?: unknown
}
export type Keys = Readonly<Record<string, Key>>

const KEYS = {
  node: { field: 'node', read: spiffeUri },
  audience: { field: 'audience', read: word },
  channel: { field: 'channel', read: word },
  trust_root: { field: 'trustRoot', read: path },
  state_directory: { field: 'stateDirectory', read: path },
  events_file: { field: 'eventsFile', read: path },
  backends: { field: 'backends', read: listOf('a list with at least one backend', 1, backend) },
  attach_interfaces: {
    field: 'attachInterfaces',
    read: listOf('a list of interface names or patterns', 0, interfacePattern),
    otherwise: [],
  },
  attach_required: { field: 'attachRequired', read: flag, otherwise: undefined },
  source: { field: 'source', section: SOURCE_KEYS, otherwise: undefined },
  api: { field: 'api', section: API_KEYS, otherwise: undefined },
  http: { field: 'http', read: listenAddress, otherwise: undefined },
  dns: { field: 'dns', section: DNS_KEYS, otherwise: undefined },
  decisions: { field: 'decisions', section: DECISION_KEYS, otherwise: undefined },
  doca_argus: { field: 'argus', section: ARGUS_KEYS, otherwise: undefined },
  doca_vault: { field: 'vault', section: VAULT_KEYS, otherwise: undefined },
  tc_flower: { field: 'flower', section: FLOWER_KEYS, otherwise: undefined },
  socket: { field: 'socket', read: path, otherwise: undefined },
  retention: { field: 'retention', section: RETENTION_KEYS, otherwise: undefined },
  sinks: { field: 'sinks', list: { by: 'kind', keys: SINK_KEYS }, otherwise: undefined },
  revocation: { field: 'revocation', section: REVOCATION_KEYS, otherwise: undefined },
  findings: { field: 'findings', section: FINDINGS_KEYS, otherwise: undefined },
  heartbeat_seconds: { field: 'heartbeatMs', read: seconds(1, 86_400), otherwise: undefined },
} as const satisfies Keys

/** Every key that `agent.yaml` may hold, in the order in which `init` writes them. */
export const CONFIG_KEYS: readonly string[] = Object.keys(KEYS)

/**
 * Reads a configuration. `file` is its name for the notes, `directory` the absolute path against which relative paths
 * resolve, `known` the backends of this release. All findings at once; never throws.
 */
export function parseConfig(
  bytes: Uint8Array,
  file: string,
  directory: string,
  known: readonly string[],
): ConfigResult {
  const { root, notes } = readYaml(bytes, file, { bytes: LIMITS.manifestBytes, nodes: LIMITS.smallDocumentNodes })
  if (!root) return { notes: [...notes] }
  const reader = new Reader(file, { directory, known }, [...notes])
  const found = reader.section(root, KEYS, '')
  const { revocation } = found as Partial<AgentConfig>
  if (revocation && !hasErrors(reader.notes)) reader.notes.push(...revocationNotes(revocation, file))
  reader.notes.sort(compareNotes)
  if (hasErrors(reader.notes)) return { ...trailOf(found), notes: reader.notes }
  return { config: found as unknown as AgentConfig, notes: reader.notes }
}

/** Reads a document of these keys: all findings at once, the fields as far as they could be read; never throws. */
export function readKeys(
  bytes: Uint8Array,
  file: string,
  directory: string,
  keys: Keys,
): { readonly found: Readonly<Record<string, unknown>>; readonly notes: readonly Note[] } {
  const { root, notes } = readYaml(bytes, file, { bytes: LIMITS.manifestBytes, nodes: LIMITS.smallDocumentNodes })
  if (!root) return { found: {}, notes: [...notes] }
  const reader = new Reader(file, { directory, known: [] }, [...notes])
  return { found: reader.section(root, keys, ''), notes: reader.notes.sort(compareNotes) }
}

function trailOf({ node, eventsFile, stateDirectory }: Partial<AgentConfig>): Pick<ConfigResult, 'trail'> {
  if (node === undefined || eventsFile === undefined || stateDirectory === undefined) return {}
  return { trail: { node, eventsFile, stateDirectory } }
}

class Reader {
  constructor(
    private readonly file: string,
    private readonly context: { readonly directory: string; readonly known: readonly string[] },
    readonly notes: Note[],
  ) {}

  /** The fields of a mapping; every finding becomes a note. */
  section(root: YamlNode, keys: Keys, prefix: string): Record<string, unknown> {
    const found: Record<string, unknown> = {}
    if (root.kind !== 'map') {
      this.error('wrong-type', root, prefix, 'expected a mapping of configuration keys')
      return found
    }
    const below = (key: string): string => (prefix === '' ? key : `${prefix}.${key}`)
    for (const { key, at, value } of root.entries) {
      const row = Object.hasOwn(keys, key) ? keys[key] : undefined
      if (!row) {
        const near = nearest(key, Object.keys(keys))
        const hint = near === undefined ? '' : `; did you mean ${near}?`
        this.error('unknown-key', at, below(key), `unknown key ${quote(key)}${hint}`, near)
      } else if (row.section) found[row.field] = this.section(value, row.section, below(key))
      else if (row.list) found[row.field] = this.list(value, row.list, below(key))
      else if (row.parse) {
        const { value: parsed, notes } = row.parse(value, this.file, below(key), this.context.directory)
        this.notes.push(...notes)
        found[row.field] = parsed
      } else if (row.read) {
        const result = row.read(value, this.context)
        if (!(result instanceof Wrong)) found[row.field] = result
        else {
          const hint = result.suggestion === undefined ? '' : `; did you mean ${result.suggestion}?`
          const say = `expected ${result.expected}${hint}`
          this.error('bad-value', result.at ?? value, below(key), say, result.suggestion)
        }
      }
    }
    for (const [key, row] of Object.entries(keys)) {
      if (root.entries.some((entry) => entry.key === key)) continue
      if (!('otherwise' in row)) this.error('missing-key', root, below(key), `the key ${below(key)} is missing`)
      else if (row.otherwise !== undefined) found[row.field] = row.otherwise
    }
    return found
  }

  private list(node: YamlNode, { by, keys }: NonNullable<Key['list']>, path: string): readonly unknown[] {
    if (node.kind !== 'seq') {
      this.error('wrong-type', node, path, 'expected a list')
      return []
    }
    const names = new Set<unknown>()
    return node.items.map((item, i) => {
      const at = `${path}[${i}]`
      const chosen = item.kind === 'map' ? item.entries.find(({ key }) => key === by)?.value : undefined
      const word = chosen?.kind === 'scalar' ? String(chosen.value) : ''
      const table = Object.hasOwn(keys, word) ? keys[word] : undefined
      if (!table) {
        const near = nearest(word, Object.keys(keys))
        const say = `expected ${by} to be one of ${Object.keys(keys).join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}`
        this.error('bad-value', chosen ?? item, `${at}.${by}`, say, near)
        return {}
      }
      const found = this.section(item, table, at)
      if (names.has(found.name)) this.error('duplicate-name', item, `${at}.name`, 'each name once')
      names.add(found.name)
      return found
    })
  }

  private error(code: string, { line, column }: Place, path: string, say: string, suggestion?: string): void {
    const more = suggestion === undefined ? {} : { suggestion }
    this.notes.push({ code, severity: 'error', file: this.file, line, column, path, say, ...more })
  }
}
