// Signed decisions: what they say, and everything that makes them void.

import { beforeAll, describe, expect, it } from 'vitest'
import {
  answerQuestion,
  DECISION_MS,
  questionDigest,
  signDecision,
  verifyDecision,
} from '../../../src/agent/decision.js'
import { readAgentKeys } from '../../../src/agent/signed.js'
import { base64url } from '../../../src/base/bytes.js'
import type { JwsKey } from '../../../src/bundle/jwk.js'
import { generateKey, signerOf } from '../../../src/bundle/key-file.js'
import { type Question, readQuestion } from '../../../src/decide/read-question.js'
import { programOf } from '../../support/decide/program.js'
import { WS } from '../../support/plans.js'

const NOW = 1_800_000_000_000
const AUDIENCE = 'spiffe://example.org/gateway'
const program = programOf({
  fence: 'review: [requests]',
  sandbox: `
network_policies:
  a:
    endpoints: [{ host: a.example.com, port: 443, protocol: rest, enforcement: enforce, access: read-write }]
    binaries: [{ path: /usr/bin/curl }]
`,
})
const read = (method: string, traceId = 't'): Question => {
  const runtime = { executable: '/usr/bin/curl' }
  const action = { method, resource: 'https://a.example.com/x' }
  const found = readQuestion(JSON.stringify({ agent_runtime: runtime, action, request_trace_id: traceId }))
  if (typeof found === 'string') throw new Error(found)
  return found
}
const STANDING = { workspace: WS, quarantined: false, suspended: false }
const TERMS = { node: 'spiffe://example.org/node/n1', audience: AUDIENCE, nonce: 'ab'.repeat(16), nowMs: NOW }

const pair = generateKey({ role: 'agent' }, (length) => new Uint8Array(length).fill(7))
const keysOf = ({ kid, role, public: { alg, bytes } }: typeof pair): readonly JwsKey[] =>
  readAgentKeys(
    new TextEncoder().encode(JSON.stringify({ [kid]: { role, alg, public_key: base64url(bytes) } })),
    'keys',
  )

describe('a signed decision', () => {
  const keys = keysOf(pair)
  const question = read('POST')
  const { decision, statement } = answerQuestion(program, STANDING, question, TERMS)
  let token = ''
  beforeAll(async () => {
    token = await signDecision(statement, signerOf(pair))
  })
  const expected = { audience: AUDIENCE, nowMs: NOW + 1 }

  it('says what was decided, under what, for whom and for how long', async () => {
    expect(decision).toMatchObject({
      decision: 'allow',
      reason: 'rule',
      obligations: [{ kind: 'review', of: 'requests' }],
    })
    const full = { ...expected, question: questionDigest(question), nonce: TERMS.nonce }
    expect(await verifyDecision(token, keys, full)).toEqual({
      format: 'sluice-decision/1',
      node: TERMS.node,
      audience: AUDIENCE,
      workspace: WS,
      decision: 'allow',
      reason: 'rule',
      agent: '',
      task: '',
      clause: decision.clause,
      obligations: [{ kind: 'review', of: 'requests' }],
      question: questionDigest(question),
      bundleDigest: program.bundleDigest,
      planDigest: program.planDigest,
      generation: 7,
      issuedAtMs: NOW,
      expiresAtMs: NOW + DECISION_MS,
      nonce: TERMS.nonce,
    })
  })

  it('names the question by what is asked, whatever its trace id', () => {
    expect(questionDigest(read('POST', 'other'))).toBe(questionDigest(question))
    expect(questionDigest(read('GET'))).not.toBe(questionDigest(question))
  })

  it('is void when one octet of it is another', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (let at = 0; at < token.length; at += 17) {
      const was = token[at] ?? ''
      const other = was === '.' ? 'A' : alphabet[(alphabet.indexOf(was) + 32) % 64]
      const changed = token.slice(0, at) + other + token.slice(at + 1)
      await expect(verifyDecision(changed, keys, expected), `octet ${at}`).rejects.toMatchObject({ code: 'BUNDLE_JWS' })
    }
  })

  it.each([
    [{ audience: 'spiffe://example.org/other' }, `it is for ${AUDIENCE}, not for spiffe://example.org/other`],
    [{ nowMs: NOW - 5_001 }, 'it was made in the future'],
    [{ nowMs: NOW + DECISION_MS }, 'it has expired'],
    [{ question: questionDigest(read('GET')) }, 'it answers another question'],
    [{ nonce: 'cd' }, 'its nonce is not the one that was sent'],
  ])('is void for %j', async (other, why) => {
    await expect(verifyDecision(token, keys, { ...expected, ...other })).rejects.toMatchObject({
      code: 'AGENT_DECISION',
      message: `the signed decision does not hold: ${why}`,
    })
  })

  it('holds until its last millisecond, and for a clock that is a little behind', async () => {
    for (const nowMs of [NOW - 5_000, NOW + DECISION_MS - 1])
      expect((await verifyDecision(token, keys, { audience: AUDIENCE, nowMs })).decision).toBe('allow')
  })

  it('is void under another key, and as another kind of statement', async () => {
    const other = generateKey({ role: 'agent' }, (length) => new Uint8Array(length).fill(8))
    await expect(verifyDecision(token, keysOf(other), expected)).rejects.toMatchObject({ code: 'BUNDLE_JWS' })
    const { signCompact } = await import('../../../src/audit/seal.js')
    const receipt = await signCompact(
      'application/vnd.sluice.receipt+json',
      new TextEncoder().encode('{}'),
      signerOf(pair),
    )
    await expect(verifyDecision(receipt, keys, expected)).rejects.toMatchObject({ code: 'AGENT_SIGNED_TYPE' })
    const odd = await signDecision({ ...statement, generation: -1 }, signerOf(pair))
    await expect(verifyDecision(odd, keys, expected)).rejects.toMatchObject({ code: 'AGENT_DECISION' })
  })

  it('names the agent and the task, and ends with what it rests on', () => {
    const of = { agentId: 'agent-a', sponsor: 'user:jane', taskId: 'task-7', scopes: [], review: false }
    const named = { ...question, agentId: 'agent-a' }
    const until = (expiresAtMs: number, at = program) =>
      answerQuestion(at, { ...STANDING, authority: { ...of, expiresAtMs } }, named, TERMS).statement
    expect(until(NOW + 20_000)).toMatchObject({ agent: 'agent-a', task: 'task-7', expiresAtMs: NOW + 20_000 })
    expect(until(NOW + 90_000).expiresAtMs).toBe(NOW + DECISION_MS)
    expect(until(NOW + 90_000, { ...program, expiresAtMs: NOW + 30_000 }).expiresAtMs).toBe(NOW + 30_000)
    // A bundle that is held beyond its end on purpose ends nothing.
    expect(until(NOW + 90_000, { ...program, expiresAtMs: NOW - 1 }).expiresAtMs).toBe(NOW + DECISION_MS)
    const bare = answerQuestion(program, { ...STANDING, authority: 'agent-revoked' }, named, TERMS).statement
    expect(bare).toMatchObject({ decision: 'deny', reason: 'agent-revoked', agent: 'agent-a', task: '' })
    // Who asks is a part of what was asked.
    expect(questionDigest(named)).not.toBe(questionDigest(question))
  })

  it('says deny as surely as allow', async () => {
    const asked = answerQuestion(program, { ...STANDING, quarantined: true }, question, TERMS)
    const denied = await signDecision(asked.statement, signerOf(pair))
    expect(await verifyDecision(denied, keys, expected)).toMatchObject({
      decision: 'deny',
      reason: 'quarantined',
      clause: '',
    })
  })
})
