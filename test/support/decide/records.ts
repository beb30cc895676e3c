// Signed registration and delegation records as tests need them: the statements with one part changed at a time, keys from fixed
// seeds, and a trust root that knows both roles.

import { base64url, utf8 } from '../../../src/base/bytes.js'
import type { Json } from '../../../src/base/canonical.js'
import { digestOf, sha256 } from '../../../src/base/digest.js'
import { parseJson } from '../../../src/base/json.js'
import { delegationDigest, signDelegation } from '../../../src/bundle/delegation.js'
import { formatInstant } from '../../../src/bundle/instant.js'
import { generateKey, type KeyPair, signerOf } from '../../../src/bundle/key-file.js'
import type { KeyRole } from '../../../src/bundle/model.js'
import { signRegistration } from '../../../src/bundle/registration.js'
import { parseTrustRoot, writeTrustRoot } from '../../../src/bundle/root.js'
import type { JsonObject } from '../../../src/bundle/statement.js'

export const keyOf = (role: KeyRole, kid: string): KeyPair =>
  generateKey({ role, kid }, (length) => sha256(utf8(kid)).slice(0, length))

export const REGISTRY = keyOf('registration', 'registry-1')
export const BRIDGE = keyOf('delegation', 'bridge-1')
export const SPONSOR = 'user:jane'
export const ISSUER = 'https://registry.example'
/** Of each agent, with which it hands on. */
export const agentKeyOf = (agentId: string): KeyPair => keyOf('delegation', `key-of-${agentId}`)

/** A root that has the keys of `others` too, each role with a threshold of one. */
export function rootWith(others: readonly KeyPair[], expiresAtMs: number, own = [REGISTRY, BRIDGE]) {
  const pairs = [...others, ...own]
  const bytes = writeTrustRoot({
    version: 1,
    epoch: 1,
    expiresAtMs,
    keys: new Map(pairs.map((pair) => [pair.kid, { kid: pair.kid, role: pair.role, key: pair.public }])),
    thresholds: new Map(pairs.map(({ role }) => [role, 1])),
    revoked: [],
  })
  return { trust: parseTrustRoot(bytes), trustDigest: digestOf(bytes) }
}

export function registration(agentId: string, nowMs: number, workspaces: readonly string[], more: JsonObject = {}) {
  const { kid, public: key } = agentKeyOf(agentId)
  return {
    format: 'sluice-registration/1',
    record_issuer: ISSUER,
    record_id: `record-of-${agentId}`,
    record_version: 1,
    agent_id: agentId,
    lifecycle_state: 'active',
    valid_until: formatInstant(nowMs + 3_600_000),
    sponsor_ref: SPONSOR,
    owner_ref: 'team:research',
    workspaces,
    authorizations: [{ kind: 'connect' }, { kind: 'request' }, { kind: 'exec' }],
    delegation_keys: [{ kid, alg: key.alg, public_key: base64url(key.bytes) }],
    ...more,
  } satisfies JsonObject
}
export const registered = (statement: JsonObject, by = REGISTRY): Promise<Uint8Array> =>
  signRegistration(statement, signerOf(by))

export const rootHop = (actor: string, nowMs: number, more: JsonObject = {}): JsonObject => ({
  format: 'sluice-delegation/1',
  delegation_id: 'd-root',
  issuer: SPONSOR,
  actor,
  task_id: 'task-7',
  authorizations: [{ kind: 'connect', ports: [443] }],
  max_depth: 3,
  review: false,
  issued_at: formatInstant(nowMs - 1_000),
  expires_at: formatInstant(nowMs + 600_000),
  ...more,
})
export const childHop = (
  from: string,
  actor: string,
  parent: Uint8Array,
  nowMs: number,
  more: JsonObject = {},
): JsonObject => {
  const above = statementOf(parent)
  return {
    ...rootHop(actor, nowMs),
    delegation_id: `d-${from}`,
    issuer: from,
    max_depth: Number(above.max_depth) - 1,
    expires_at: above.expires_at,
    parent_delegation_ref: {
      issuer: above.issuer,
      delegation_id: above.delegation_id,
      record_digest: delegationDigest(parent),
    },
    ...more,
  }
}
const statementOf = (signed: Uint8Array): JsonObject => {
  const { payload } = parseJson(new TextDecoder().decode(signed)) as { readonly payload: string }
  return parseJson(Buffer.from(payload, 'base64url').toString()) as JsonObject
}

export const delegated = (statement: JsonObject, by = BRIDGE): Promise<Uint8Array> =>
  signDelegation(statement, signerOf(by))

/** As it stands in a question. */
export const inQuestion = (signed: Uint8Array): Json => parseJson(new TextDecoder().decode(signed).trimEnd())
