// The signed payload: one YAML document, an APF v1alpha1 `PolicyBundle` (bundle-trust sheet section 1). Parsed only after
// its signature was verified. All findings at once; unknown keys, wrong versions and empty windows are errors, where APF
// itself looks away.

import { utf8 } from '../base/bytes.js'
import { LIMITS } from '../base/limits.js'
import type { Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import { nearest } from '../base/suggest.js'
import { joinPath, type Place, readYaml, type YamlLimits, type YamlMap, type YamlNode } from '../base/yaml.js'
import { formatInstant, parseInstant, parseRevision } from './instant.js'
import { MANIFEST_FILE, type Manifest, type ManifestMember } from './model.js'
import { PathSet, refuseMemberPath } from './path.js'

export const MANIFEST_VERSION = 'nvidia.agent-policy-fabric.policy/v1alpha1'
export const MANIFEST_KIND = 'PolicyBundle'

const KEYS = [
  'apiVersion',
  'kind',
  'metadata',
  'id',
  'description',
  'policy_revision',
  'not_before',
  'expires_at',
  'manifest',
] as const
const REQUIRED = ['apiVersion', 'kind', 'id', 'policy_revision', 'not_before', 'expires_at'] as const

export const isBundleId = (text: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9._:@/+=-]*$/.test(text) && text.length <= LIMITS.bundleIdCharacters

export interface ManifestResult {
  /** Present exactly when there are no error notes. */
  readonly manifest?: Manifest
  readonly notes: readonly Note[]
}

class Reading {
  readonly notes: Note[] = []

  note(
    code: string,
    place: Place,
    path: string,
    say: string,
    severity: Note['severity'] = 'error',
    suggestion?: string,
  ): void {
    const { line, column } = place
    const more = suggestion === undefined ? {} : { suggestion }
    this.notes.push({ code, severity, file: MANIFEST_FILE, line, column, path, say, ...more })
  }

  /** The members of a map by name, unknown ones refused. */
  fields<K extends string>(map: YamlMap, path: string, keys: readonly K[], required: readonly K[]): Map<K, YamlNode> {
    const found = new Map<K, YamlNode>()
    for (const { key, at, value } of map.entries) {
      const here = joinPath(path, key)
      if ((keys as readonly string[]).includes(key)) found.set(key as K, value)
      else if (path === '' && key.startsWith('runtime_com'))
        // The published table of the format has a row of this name whose meaning is not published.
        this.note('undefined-key', at, here, `${quote(key)} has no published meaning and is ignored`, 'warning')
      else {
        const suggestion = nearest(key, keys)
        const hint = suggestion === undefined ? '' : `; did you mean ${quote(suggestion)}?`
        this.note('unknown-key', at, here, `${quote(key)} is not a key here${hint}`, 'error', suggestion)
      }
    }
    for (const key of required)
      if (!found.has(key)) this.note('missing-key', map, joinPath(path, key), `${quote(key)} is missing`)
    return found
  }

  text(node: YamlNode | undefined, path: string): string | undefined {
    if (node === undefined) return undefined
    if (node.kind === 'scalar' && node.type === 'string') return node.value as string
    this.note('wrong-type', node, path, 'a string is expected')
    return undefined
  }

  exactly(node: YamlNode | undefined, path: string, expected: string): void {
    const text = this.text(node, path)
    if (node !== undefined && text !== undefined && text !== expected)
      this.note('wrong-value', node, path, `${quote(expected)} is expected, not ${quote(text)}`)
  }

  instant(node: YamlNode | undefined, path: string): number | undefined {
    const text = this.text(node, path)
    if (node === undefined || text === undefined) return undefined
    const ms = parseInstant(text)
    if (ms === undefined)
      this.note('bad-time', node, path, `${quote(text)} is not an RFC 3339 time such as 2026-01-02T03:04:05Z`)
    return ms
  }
}

const SIGNED: YamlLimits = { bytes: LIMITS.manifestBytes, nodes: LIMITS.smallDocumentNodes }

/** Reads the payload. Never throws for any bytes. The limits may be narrowed for octets that nobody signed. */
export function parseManifest(payload: Uint8Array, limits: YamlLimits = SIGNED): ManifestResult {
  const { root, notes } = readYaml(payload, MANIFEST_FILE, limits)
  if (root === undefined) return { notes }
  const reading = new Reading()
  if (root.kind !== 'map') {
    reading.note('wrong-type', root, '', 'a mapping is expected')
    return { notes: reading.notes }
  }
  const fields = reading.fields(root, '', KEYS, REQUIRED)
  reading.exactly(fields.get('apiVersion'), 'apiVersion', MANIFEST_VERSION)
  reading.exactly(fields.get('kind'), 'kind', MANIFEST_KIND)
  const metadata = fields.get('metadata')
  if (metadata !== undefined && metadata.kind !== 'map')
    reading.note('wrong-type', metadata, 'metadata', 'a mapping is expected')
  const id = readId(reading, fields.get('id'))
  const description = reading.text(fields.get('description'), 'description')
  const policyRevision = readRevision(reading, fields.get('policy_revision'))
  const notBeforeMs = reading.instant(fields.get('not_before'), 'not_before')
  const expiresAt = fields.get('expires_at')
  const expiresAtMs = reading.instant(expiresAt, 'expires_at')
  if (expiresAt && notBeforeMs !== undefined && expiresAtMs !== undefined && expiresAtMs <= notBeforeMs)
    reading.note('empty-window', expiresAt, 'expires_at', 'expires_at must be later than not_before')
  const members = readMembers(reading, fields.get('manifest'))
  if (id === undefined || policyRevision === undefined || notBeforeMs === undefined || expiresAtMs === undefined)
    return { notes: reading.notes }
  if (reading.notes.some((note) => note.severity === 'error')) return { notes: reading.notes }
  const described = description === undefined ? {} : { description }
  return { manifest: { id, ...described, policyRevision, notBeforeMs, expiresAtMs, members }, notes: reading.notes }
}

function readId(reading: Reading, node: YamlNode | undefined): string | undefined {
  const id = reading.text(node, 'id')
  if (node === undefined || id === undefined || isBundleId(id)) return id
  reading.note(
    'bad-id',
    node,
    'id',
    'an id has letters, digits and . _ : @ / + - =, starts with a letter or digit, and has at most 512 characters',
  )
  return undefined
}

/** A u64, read digit by digit from the source: number types round it. */
function readRevision(reading: Reading, node: YamlNode | undefined): bigint | undefined {
  if (node === undefined) return undefined
  const value = node.kind === 'scalar' && node.type === 'int' ? parseRevision(node.source) : undefined
  if (value === undefined)
    reading.note('bad-revision', node, 'policy_revision', 'a whole number from 1 to 18446744073709551615 is expected')
  return value
}

function readMembers(reading: Reading, node: YamlNode | undefined): ManifestMember[] {
  if (node === undefined) return []
  if (node.kind !== 'seq') {
    reading.note('wrong-type', node, 'manifest', 'a list is expected')
    return []
  }
  if (node.items.length > LIMITS.members) {
    reading.note(
      'too-many-members',
      node,
      'manifest',
      `there are ${node.items.length} members; the limit is ${LIMITS.members}`,
    )
    return []
  }
  const paths = new PathSet()
  return node.items.flatMap((item, i) => {
    const here = `manifest[${i}]`
    if (item.kind !== 'map') {
      reading.note('wrong-type', item, here, 'a mapping with path and sha256 is expected')
      return []
    }
    const fields = reading.fields(item, here, ['path', 'sha256'], ['path', 'sha256'])
    const path = reading.text(fields.get('path'), `${here}.path`)
    const sha256 = reading.text(fields.get('sha256'), `${here}.sha256`)
    if (path === undefined || sha256 === undefined) return []
    const why = refuseMemberPath(path) ?? paths.add(path)
    if (why !== undefined)
      reading.note('bad-path', fields.get('path') ?? item, `${here}.path`, `${quote(path)} is not acceptable: ${why}`)
    if (!/^[0-9a-fA-F]{64}$/.test(sha256))
      reading.note(
        'bad-digest',
        fields.get('sha256') ?? item,
        `${here}.sha256`,
        'exactly 64 hexadecimal digits are expected',
      )
    return [{ path, sha256: sha256.toLowerCase() }]
  })
}

/** Writes the payload to sign. Every string is quoted, so that it reads back as itself. */
export function writeManifest(manifest: Manifest): Uint8Array {
  const lines = [
    `apiVersion: ${MANIFEST_VERSION}`,
    `kind: ${MANIFEST_KIND}`,
    `id: ${JSON.stringify(manifest.id)}`,
    ...(manifest.description === undefined ? [] : [`description: ${JSON.stringify(manifest.description)}`]),
    `policy_revision: ${manifest.policyRevision}`,
    `not_before: "${formatInstant(manifest.notBeforeMs)}"`,
    `expires_at: "${formatInstant(manifest.expiresAtMs)}"`,
    ...(manifest.members.length === 0 ? ['manifest: []'] : ['manifest:']),
    ...manifest.members.flatMap(({ path, sha256 }) => [
      `  - path: ${JSON.stringify(path)}`,
      `    sha256: ${JSON.stringify(sha256)}`,
    ]),
  ]
  return utf8(`${lines.join('\n')}\n`)
}
