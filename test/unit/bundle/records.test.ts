// Registration and delegation records as they are signed: each member that is wrong is refused by name, before anybody signs it
// and after somebody did; a signature of another role, or for another kind of statement, counts for nothing.

import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/base/bytes.js'
import { delegationDigest, parseDelegation, signDelegation, verifyDelegation } from '../../../src/bundle/delegation.js'
import { signerOf } from '../../../src/bundle/key-file.js'
import { parseRegistration, signRegistration, verifyRegistration } from '../../../src/bundle/registration.js'
import type { JsonObject } from '../../../src/bundle/statement.js'
import {
  agentKeyOf,
  BRIDGE,
  childHop,
  delegated,
  keyOf,
  REGISTRY,
  registered,
  registration,
  rootHop,
  rootWith,
} from '../../support/decide/records.js'
import { NOW, UNTIL } from './fixture.js'

const WS = 'spiffe://fleet.example/ws/alpha'
const { trust } = rootWith([keyOf('author', 'a'), keyOf('release', 'r'), keyOf('inventory', 'i')], UNTIL)
const good = registration('agent-a', NOW, [WS])
const without = (statement: JsonObject, key: string): JsonObject =>
  Object.fromEntries(Object.entries(statement).filter(([name]) => name !== key))
const authorized = (authorization: JsonObject) => ({ authorizations: [authorization] })
const [key = {}] = good.delegation_keys

describe('a registration record', () => {
  it('gives what was signed', async () => {
    const { record, keys, signers } = await verifyRegistration(await registered(good), trust)
    expect(record).toEqual({
      issuer: 'https://registry.example',
      recordId: 'record-of-agent-a',
      recordVersion: 1,
      agentId: 'agent-a',
      state: 'active',
      validUntilMs: NOW + 3_600_000,
      sponsor: 'user:jane',
      owner: 'team:research',
      workspaces: [WS],
      authorizations: [{ kind: 'connect' }, { kind: 'request' }, { kind: 'exec' }],
    })
    expect([...keys.values()]).toEqual([
      { kid: 'key-of-agent-a', role: 'delegation', key: agentKeyOf('agent-a').public },
    ])
    expect(signers).toEqual(['registry-1'])
  })

  it.each<[JsonObject, string]>([
    [{ record_version: -1 }, 'record_version is not a whole number'],
    [{ agent_id: 'agent a' }, 'agent_id is "agent a"'],
    [{ lifecycle_state: 'retired' }, 'lifecycle_state is "retired"'],
    [{ valid_until: 'tomorrow' }, 'valid_until is not an RFC 3339 time'],
    [{ workspaces: ['alpha'] }, 'workspaces is "alpha"'],
    [{ workspaces: WS }, 'workspaces is not a list of at most 256'],
    [{ authorizations: {} }, 'authorizations is not a list of at most 256'],
    [authorized({ kind: 'write' }), 'an authorization has none of the kinds request, connect, file, exec, run-as'],
    [authorized({ kind: 'exec', hosts: ['a.example'] }), 'an authorization of kind exec knows no limit "hosts"'],
    [authorized({ kind: 'connect', hosts: ['A.example'] }), 'hosts has "A.example"'],
    [authorized({ kind: 'connect', hosts: ['*.*.example'] }), 'hosts has "*.*.example"'],
    [authorized({ kind: 'connect', ports: [0] }), 'ports has something that is not a port'],
    [authorized({ kind: 'request', methods: ['get'] }), 'methods has "get"'],
    [authorized({ kind: 'request', paths: ['/a/*/b'] }), 'paths has "/a/*/b"'],
    [authorized({ kind: 'request', paths: ['a/**'] }), 'paths has "a/**"'],
    [authorized({ kind: 'request', tools: ['get_*_all'] }), 'tools has "get_*_all"'],
    [authorized({ kind: 'file', access: 'write' }), 'access is read, or left out for both'],
    [{ delegation_keys: [{ ...key, alg: 'RS256' }] }, 'alg is "RS256"'],
    [{ delegation_keys: [key, key] }, 'the key "key-of-agent-a" stands there twice'],
    [{ delegation_keys: [{ ...key, extra: 1 }] }, 'a key has exactly alg, kid and public_key'],
  ])('is refused with %j', async (change, why) => {
    const fault = { code: 'BUNDLE_STATEMENT', message: expect.stringContaining(why) as string }
    expect(() => parseRegistration({ ...good, ...change })).toThrow(expect.objectContaining(fault))
    await expect(signRegistration({ ...good, ...change }, signerOf(REGISTRY))).rejects.toMatchObject(fault)
  })

  it('has exactly its members', () => {
    for (const name of Object.keys(good).filter((one) => one !== 'format'))
      expect(() => parseRegistration(without(good, name))).toThrow(
        expect.objectContaining({ code: 'BUNDLE_STATEMENT' }),
      )
    expect(() => parseRegistration({ ...good, note: '' })).toThrow(
      expect.objectContaining({ code: 'BUNDLE_STATEMENT' }),
    )
  })

  it('counts with the keys of its role alone', async () => {
    await expect(
      verifyRegistration(await registered(good, keyOf('registration', 'other')), trust),
    ).rejects.toMatchObject({
      code: 'BUNDLE_THRESHOLD',
    })
    await expect(signRegistration(good, signerOf(BRIDGE))).rejects.toMatchObject({ code: 'BUNDLE_KEY' })
    await expect(verifyRegistration(await delegated(rootHop('agent-a', NOW)), trust)).rejects.toMatchObject({
      code: 'BUNDLE_STATEMENT',
    })
    const long = utf8(`{"payload":"${'a'.repeat(65_536)}"}\n`)
    await expect(verifyRegistration(long, trust)).rejects.toMatchObject({ code: 'BUNDLE_TOO_LARGE' })
  })

  it('is void when one octet of it is another', async () => {
    const signed = await registered(good)
    for (let at = 0; at < signed.length; at += 13) {
      const changed = signed.with(at, (signed[at] ?? 0) ^ 1)
      await expect(verifyRegistration(changed, trust), `octet ${at}`).rejects.toMatchObject({
        code: expect.stringMatching(/^BUNDLE_(STATEMENT|SIGNATURE|THRESHOLD)/) as string,
      })
    }
  })
})

describe('a delegation record', () => {
  const root = rootHop('agent-a', NOW)

  it('gives what was signed, and its digest', async () => {
    const signed = await delegated(root)
    const { record, digest } = await verifyDelegation(signed, trust.keys, 1)
    expect(record).toEqual({
      delegationId: 'd-root',
      issuer: 'user:jane',
      actor: 'agent-a',
      taskId: 'task-7',
      authorizations: [{ kind: 'connect', ports: [443] }],
      maxDepth: 3,
      review: false,
      issuedAtMs: NOW - 1_000,
      expiresAtMs: NOW + 600_000,
    })
    expect(digest).toBe(delegationDigest(signed))
    const child = await signDelegation(childHop('agent-a', 'agent-b', signed, NOW), signerOf(agentKeyOf('agent-a')))
    const keys = (await verifyRegistration(await registered(good), trust)).keys
    expect((await verifyDelegation(child, keys, 1)).record.parent).toEqual({
      issuer: 'user:jane',
      delegationId: 'd-root',
      digest,
    })
    await expect(verifyDelegation(child, trust.keys, 1)).rejects.toMatchObject({ code: 'BUNDLE_THRESHOLD' })
  })

  it.each<[JsonObject, string]>([
    [{ review: 'no' }, 'review is not true or false'],
    [{ max_depth: 1.5 }, 'max_depth is not a whole number'],
    [{ expires_at: root.issued_at }, 'expires_at must be later than issued_at'],
    [{ actor: '' }, 'actor is ""'],
    [{ parent_delegation_ref: null }, 'parent_delegation_ref has exactly delegation_id, issuer and record_digest'],
    [
      { parent_delegation_ref: { delegation_id: 'd', issuer: 'i', record_digest: 'sha256:00' } },
      'record_digest is "sha256:00"',
    ],
  ])('is refused with %j', (change, why) => {
    expect(() => parseDelegation({ ...root, ...change })).toThrow(
      expect.objectContaining({ code: 'BUNDLE_STATEMENT', message: expect.stringContaining(why) as string }),
    )
  })

  it('has exactly its members', () => {
    for (const name of Object.keys(root).filter((one) => one !== 'format'))
      expect(() => parseDelegation(without(root, name))).toThrow(expect.objectContaining({ code: 'BUNDLE_STATEMENT' }))
  })
})
