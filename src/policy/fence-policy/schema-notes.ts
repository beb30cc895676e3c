// Checks a FencePolicy's YAML tree against its JSON Schema with ajv, and turns what ajv says into notes with line, column and
// path. The schema decides what keys exist and what shape they take; rules about meaning are in checks.ts.

import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { quote } from '../../base/quote.js'
import { nearest } from '../../base/suggest.js'
import { joinPath, type YamlNode } from '../../base/yaml.js'
import type { Findings, Spot } from '../findings.js'
import { FENCE_POLICY_SCHEMA } from '../schema/gen/fence-policy.js'
import { describe, unknownKey } from '../shape.js'

/** Above this many octets only the first mistake is listed, so that a hostile list cannot ask for a million findings. */
const ALL_ERRORS_BYTES = 262_144

const compiled: { all?: ValidateFunction; first?: ValidateFunction } = {}

/** Compiled on first use, and only the one that is used: each takes fifty milliseconds that most commands do not need to spend. */
function validator(which: 'all' | 'first'): ValidateFunction {
  compiled[which] ??= new Ajv({
    ...{ verbose: true, ownProperties: true, allowUnionTypes: true },
    allErrors: which === 'all',
  }).compile(FENCE_POLICY_SCHEMA)
  return compiled[which]
}

export function checkSchema(root: YamlNode, bytes: number, findings: Findings): void {
  const validate = validator(bytes > ALL_ERRORS_BYTES ? 'first' : 'all')
  if (validate(plain(root))) return
  for (const error of validate.errors ?? []) tell(error, root, findings)
}

/**
 * The tree as JSON values. Objects have no prototype, so that no key means more than a key. The schema uses no keyword that
 * compares whole values (uniqueItems, a const object): ajv would call a `valueOf` that the document itself can supply.
 */
function plain(node: YamlNode): unknown {
  if (node.kind === 'seq') return node.items.map(plain)
  if (node.kind === 'scalar') return typeof node.value === 'bigint' ? Number(node.value) : node.value
  const out = Object.create(null) as Record<string, unknown>
  for (const entry of node.entries) out[entry.key] = plain(entry.value)
  return out
}

const KEY_HINTS: Readonly<Record<string, string>> = {
  port: 'write ports: [443]',
  host: 'write hosts: [name]',
  cidr: 'write cidrs: [10.1.0.0/16]',
  network_policies: 'OpenShell rules stay in the SandboxPolicy that sandboxPolicy.path names',
  sandbox_policy: 'the key is "sandboxPolicy"',
  binaries: 'a fence outside the workspace cannot see programs; use a SandboxPolicy and delegate: [binary]',
}

const PLURAL = { string: 'a string', object: 'a mapping', array: 'a list', integer: 'an integer' } as const

function tell(error: ErrorObject, root: YamlNode, findings: Findings): void {
  const { node, spot } = locate(root, error.instancePath)
  const parent = error.parentSchema as Record<string, unknown>
  const params = error.params as Record<string, unknown>
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(params.additionalProperty)
      const known = Object.keys(parent.properties ?? {})
      const what = spot.path === '' ? 'a FencePolicy' : quote(spot.path)
      unknownKey(key, known, { what, hints: KEY_HINTS }, keySpot(node, key, spot), findings)
      return
    }
    case 'required':
      findings.note('missing-key', spot, `${quote(String(params.missingProperty))} is required here`)
      return
    case 'type': {
      const types = [params.type].flat() as (keyof typeof PLURAL)[]
      findings.note('bad-type', spot, `expected ${types.map((t) => PLURAL[t]).join(' or ')}, found ${describe(node)}`)
      return
    }
    case 'enum':
    case 'const': {
      const values = ((params.allowedValues as unknown[] | undefined) ?? [params.allowedValue]).map(String)
      const given = node.kind === 'scalar' ? node.source : ''
      const meant = nearest(given, values)
      const shown = node.kind === 'scalar' && node.type === 'string' ? quote(String(node.value)) : describe(node)
      const rest =
        meant === undefined || values.length === 1 ? `expected ${values.join(', ')}` : `did you mean ${quote(meant)}?`
      findings.note('bad-value', spot, `${shown} is not accepted here; ${rest}`, meant)
      return
    }
    case 'minItems':
    case 'minLength':
      findings.note('empty-list', spot, 'nothing stands here; remove the key or give it a value')
      return
    case 'minimum':
    case 'maximum':
      findings.note('out-of-range', spot, `${describe(node)} is out of range; expected ${String(parent.title)}`)
      return
    default:
      findings.note(
        'bad-format',
        spot,
        `expected ${String(parent.title ?? parent.description)}, found ${describe(node)}`,
      )
  }
}

/** A JSON pointer (RFC 6901) -> the node and its place. */
function locate(root: YamlNode, pointer: string): { node: YamlNode; spot: Spot } {
  let node = root
  let path = ''
  for (const raw of pointer === '' ? [] : pointer.slice(1).split('/')) {
    const step = raw.replaceAll('~1', '/').replaceAll('~0', '~')
    if (node.kind === 'seq') {
      const item = node.items[Number(step)]
      if (!item) break
      path += `[${step}]`
      node = item
    } else if (node.kind === 'map') {
      // Of a repeated key the last one is what the schema saw.
      const entry = node.entries.findLast((candidate) => candidate.key === step)
      if (!entry) break
      path = joinPath(path, step)
      node = entry.value
    }
  }
  return { node, spot: { line: node.line, column: node.column, path } }
}

function keySpot(node: YamlNode, key: string, parent: Spot): Spot {
  const entry = node.kind === 'map' ? node.entries.findLast((candidate) => candidate.key === key) : undefined
  return entry ? { ...entry.at, path: joinPath(parent.path, key) } : parent
}
