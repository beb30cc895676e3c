// `agent.yaml`: who this node is, what it trusts, where it keeps its state, and which backends it may use. A table of keys;
// everything else is an error with line and column and the nearest right word. Nothing has a silent default that could
// widen anything: what is left out is either an error or the narrow choice.

import { resolve } from 'node:path'
import { LIMITS } from '../base/limits.js'
import { compareNotes, hasErrors, type Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import { nearest } from '../base/suggest.js'
import { readYaml, type YamlNode } from '../base/yaml.js'
import type { BackendName } from '../plan/model.js'

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
}

export interface ConfigResult {
  /** Present exactly when no note is an error. */
  readonly config?: AgentConfig
  readonly notes: readonly Note[]
}

/** Reads one value; a string says what was expected instead. */
type Read<T> = (node: YamlNode, context: { readonly directory: string; readonly known: readonly string[] }) => T | Wrong
class Wrong {
  constructor(
    readonly expected: string,
    readonly at?: YamlNode,
    readonly suggestion?: string,
  ) {}
}

const text = (node: YamlNode): string | undefined =>
  node.kind === 'scalar' && typeof node.value === 'string' && node.value !== '' ? node.value : undefined

/** SPIFFE-ID section 2: a trust domain of lower-case letters, digits and `. _ -`, then path segments. */
const SPIFFE = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/
/** IFNAMSIZ leaves 15 characters; the shell's `*` and `?` may stand in for some. */
const INTERFACE_PATTERN = /^[A-Za-z0-9_.@:*?-]{1,15}$/

const spiffeUri: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && value.length <= 2048 && SPIFFE.test(value)
    ? value
    : new Wrong('a SPIFFE URI such as spiffe://fleet.example/node/n1')
}
const word: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,254}$/.test(value)
    ? value
    : new Wrong('a name of letters, digits and . _ : @ / + -')
}
const path: Read<string> = (node, { directory }) => {
  const value = text(node)
  return value === undefined || value.includes('\0')
    ? new Wrong('a path (relative to this file, or absolute)')
    : resolve(directory, value)
}
const listOf =
  <T>(what: string, least: number, item: Read<T>): Read<readonly T[]> =>
  (node, context) => {
    if (node.kind !== 'seq' || node.items.length < least) return new Wrong(what)
    const out: T[] = []
    for (const entry of node.items) {
      const value = item(entry, context)
      if (value instanceof Wrong) return new Wrong(value.expected, value.at ?? entry, value.suggestion)
      if (out.includes(value)) return new Wrong('each value once', entry)
      out.push(value)
    }
    return out
  }
const backend: Read<BackendName> = (node, { known }) => {
  const value = text(node)
  if (value !== undefined && known.includes(value)) return value as BackendName
  return new Wrong(`a backend of this release (${known.join(', ')})`, node, nearest(value ?? '', known))
}
const interfacePattern: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && INTERFACE_PATTERN.test(value) && !/^[*?]+$/.test(value)
    ? value
    : new Wrong('an interface name or a pattern such as "ws*" (not every interface: the node has its own)')
}

interface Key<T> {
  readonly field: keyof AgentConfig
  readonly read: Read<T>
  /** What stands when the key is left out; absent: it must be there. */
  readonly otherwise?: T
}
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
} as const satisfies Record<string, Key<unknown>>

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
  const read = readYaml(bytes, file, { bytes: LIMITS.manifestBytes, nodes: LIMITS.smallDocumentNodes })
  const notes: Note[] = [...read.notes]
  const root = read.root
  const note = (
    code: string,
    at: { line: number; column: number },
    where: string,
    say: string,
    suggestion?: string,
  ) => {
    const { line, column } = at
    const more = suggestion === undefined ? {} : { suggestion }
    notes.push({ code, severity: 'error', file, line, column, path: where, say, ...more })
  }
  if (!root) return { notes }
  if (root.kind !== 'map') {
    note('wrong-type', root, '', 'expected a mapping of configuration keys')
    return { notes }
  }
  const context = { directory, known }
  const found = new Map<keyof AgentConfig, unknown>()
  for (const { key, at, value } of root.entries) {
    const row: Key<unknown> | undefined = Object.hasOwn(KEYS, key) ? KEYS[key as keyof typeof KEYS] : undefined
    if (!row) {
      const near = nearest(key, CONFIG_KEYS)
      note(
        'unknown-key',
        at,
        key,
        `unknown key ${quote(key)}${near === undefined ? '' : `; did you mean ${near}?`}`,
        near,
      )
      continue
    }
    const result = row.read(value, context)
    if (!(result instanceof Wrong)) found.set(row.field, result)
    else {
      const hint = result.suggestion === undefined ? '' : `; did you mean ${result.suggestion}?`
      note('bad-value', result.at ?? value, key, `expected ${result.expected}${hint}`, result.suggestion)
    }
  }
  for (const [key, row] of Object.entries(KEYS) as [string, Key<unknown>][]) {
    if (root.entries.some((entry) => entry.key === key)) continue
    if ('otherwise' in row) found.set(row.field, row.otherwise)
    else note('missing-key', root, key, `the key ${key} is missing`)
  }
  notes.sort(compareNotes)
  return hasErrors(notes) ? { notes } : { config: Object.fromEntries(found) as unknown as AgentConfig, notes }
}
