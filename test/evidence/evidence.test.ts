// Fence evidence: what it says follows from what was read back and from the canary's round trips, and every way to pass off
// something else is refused with a code of its own.

import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type CanarySeen, runCanary } from '../../src/agent/canary.js'
import { apply } from '../../src/agent/enforce.js'
import {
  EVIDENCE_TYPE,
  type Evidence,
  GUARANTEES,
  lacking,
  makeEvidence,
  type OuterGuarantee,
  outerDigest,
  verifyEvidence,
} from '../../src/agent/evidence.js'
import { AGENT_PUBLIC_KEY, agentKey, agentSigner } from '../../src/agent/key.js'
import type { AgentNode } from '../../src/agent/node.js'
import { RECEIPT_TYPE } from '../../src/agent/receipt.js'
import { readAgentKeys } from '../../src/agent/signed.js'
import { signCompact } from '../../src/audit/seal.js'
import { base64url, decodeBase64url, decodeUtf8, utf8 } from '../../src/base/bytes.js'
import { canonicalize, type Json } from '../../src/base/canonical.js'
import { Fault } from '../../src/base/fault.js'
import { generateKey, signerOf } from '../../src/bundle/key-file.js'
import { repositoryPath } from '../support/lab/repository.js'
import { ALPHA, BETA, makeNode, NOW, offer } from '../unit/agent/fixture.js'

const NONCE = '0123456789abcdef0123456789abcdef'
const AUDIENCE = 'spiffe://fleet.example/verifier/v1'
const SEEN: CanarySeen = {
  backend: 'memory',
  atMs: NOW,
  reachableUnfenced: true,
  defaultDeny: { refused: true, countedDrops: 1 },
  install: { connected: true, elapsedMs: 3 },
  revoke: { refused: true, cutMs: 4 },
  controllerLoss: { killed: true, refused: true },
  interfaces: ['eth0'],
}
const ASKED = { audience: AUDIENCE, nonce: NONCE, nowMs: NOW + 1_000 }
const random = (length: number): Uint8Array => randomBytes(length)

async function rig(seen: Partial<CanarySeen> = {}) {
  const plain = makeNode()
  const node: AgentNode = { ...plain, signer: agentSigner(plain.store.directory, random) }
  await apply(node, await offer())
  const make = (nonce = NONCE) =>
    makeEvidence(node, {
      nonce,
      audience: AUDIENCE,
      release: '0.1.0',
      canary: async (backend) => ({ ...SEEN, backend, ...seen }),
    })
  const token = await make()
  const keys = readAgentKeys(readFileSync(join(node.store.directory, AGENT_PUBLIC_KEY)), 'keys')
  const signer = signerOf(agentKey(node.store.directory, random))
  const evidence = JSON.parse(decodeUtf8(decodeBase64url(token.split('.')[1] ?? '') as Uint8Array) ?? '') as Evidence
  const resigned = (change: Partial<Record<keyof Evidence, unknown>>) =>
    signCompact(EVIDENCE_TYPE, utf8(canonicalize({ ...evidence, ...change } as unknown as Json)), signer)
  return { node, make, token, keys, signer, evidence, resigned }
}
const codeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'accepted',
    (error: unknown) => (error instanceof Fault ? error.code : String(error)),
  )

describe('evidence', () => {
  it('says what was read back for each attachment, and what it answers', async () => {
    const { evidence, node } = await rig()
    const { live } = node.store.load()
    expect(evidence).toMatchObject({
      format: 'sluice-evidence/1',
      node: node.config.node,
      audience: AUDIENCE,
      nonce: NONCE,
      madeAtMs: NOW,
      expiresAtMs: NOW + 300_000,
      generation: 1,
      planDigest: live?.planDigest,
      source: live?.source,
      state: 'as-planned',
      drift: [],
      canaries: [SEEN],
    })
    expect(evidence.attachments).toEqual([
      {
        workspace: ALPHA,
        attachmentId: 'ws0',
        leaseGeneration: 0,
        device: null,
        representor: 'ws0',
        kind: 'veth',
        backend: 'memory',
        trustDomain: 'host',
        generation: 1,
        planDigest: live?.planDigest,
        present: true,
        quarantined: false,
        suspended: false,
        anchor: { emulated: true, generation: 1, hooks: [], objects: [] },
        onlyPathBy: 'inventory',
      },
    ])
  })

  it('establishes the four outer-fence guarantees, with their digest', async () => {
    const { token, keys, node } = await rig()
    const { outerFence } = await verifyEvidence(token, keys, ASKED)
    expect(outerFence).toEqual({
      generation: `${node.config.node}/1`,
      established: GUARANTEES,
      evidenceDigest: outerDigest(`${node.config.node}/1`, utf8(token.trimEnd())),
    })
  })

  it('asks of who holds what runs there as much as of who holds the traffic', async () => {
    const { evidence, resigned, keys } = await rig()
    const [at] = evidence.attachments
    if (!at) throw new Error('no attachment')
    const { trustDomain, generation, planDigest, present, quarantined, suspended } = at
    const owner = { kind: 'program', id: 5, tag: 'b929401b8fdd8b99' } as const
    const hooks = [{ hook: 'lsm/bprm_check_security', on: 'ws0', owner }]
    const seen = {
      ...{ backend: 'bpf-lsm' as const, trustDomain, generation, planDigest, present, quarantined, suspended },
      anchor: { emulated: false, generation, hooks, objects: [{ kind: 'map' as const, name: 'guard_state', id: '1' }] },
    }
    const withProcess = (process: NonNullable<typeof at.process>) => ({
      attachments: [{ ...at, process }],
    })
    const lacks = (process: NonNullable<typeof at.process>) =>
      lacking({ ...evidence, ...withProcess(process) }, 'no_unmanaged_egress_path')
    expect(lacks({ blocks: seen, detects: { ...seen, backend: 'exec-sensor' } })).toBeUndefined()
    expect(lacks({ detects: { ...seen, anchor: null } })).toBe(
      `${ALPHA}: its backend knows no place where its fence hangs`,
    )
    expect(lacks({ blocks: { ...seen, anchor: { ...seen.anchor, hooks: [] } } })).toBe(
      `${ALPHA}: its fence hangs nowhere`,
    )
    expect(lacks({ blocks: { ...seen, present: false } })).toBe(`${ALPHA} was not read back under generation 1`)
    const { evidence: read } = await verifyEvidence(await resigned(withProcess({ blocks: seen })), keys, ASKED)
    expect(read.attachments[0]?.process?.blocks?.anchor?.hooks).toEqual(hooks)
    const { anchor: _, ...torn } = seen
    expect(
      await codeOf(
        verifyEvidence(await resigned({ attachments: [{ ...at, process: { blocks: torn } }] }), keys, ASKED),
      ),
    ).toBe('AGENT_EVIDENCE')
  })

  it("computes OpenShell's digest as its contract does", () => {
    expect(outerDigest('generation-1', utf8('evidence'))).toBe(
      'b8cf2dbd2d8dc02b92923660993c31fba8866e4d29487b4d3da1e42fc02ed81f',
    )
  })

  it('is not made for a question that is none, nor without a key', async () => {
    const { make, node } = await rig()
    for (const nonce of ['', 'abc', 'Z'.repeat(32), '0'.repeat(129)])
      expect(await codeOf(make(nonce))).toBe('AGENT_EVIDENCE')
    const { signer: _, ...keyless } = node
    const terms = { nonce: NONCE, audience: AUDIENCE, release: '', canary: async () => SEEN }
    expect(await codeOf(makeEvidence(keyless, terms))).toBe('AGENT_EVIDENCE')
  })
})

describe('passing off something else', () => {
  const ROWS: readonly (readonly [string, (given: Awaited<ReturnType<typeof rig>>) => Promise<unknown>, string])[] = [
    ['nothing wrong', ({ token, keys }) => verifyEvidence(token, keys, ASKED), 'accepted'],
    [
      'another nonce: a replay',
      ({ token, keys }) => verifyEvidence(token, keys, { ...ASKED, nonce: '0'.repeat(32) }),
      'AGENT_EVIDENCE_NONCE',
    ],
    [
      'another audience',
      ({ token, keys }) => verifyEvidence(token, keys, { ...ASKED, audience: 'spiffe://fleet.example/verifier/v2' }),
      'AGENT_EVIDENCE_AUDIENCE',
    ],
    [
      'expired to the millisecond',
      ({ token, keys }) => verifyEvidence(token, keys, { ...ASKED, nowMs: NOW + 300_000 }),
      'AGENT_EVIDENCE_EXPIRED',
    ],
    [
      'from the future',
      ({ token, keys }) => verifyEvidence(token, keys, { ...ASKED, nowMs: NOW - 60_001 }),
      'AGENT_EVIDENCE_EARLY',
    ],
    [
      'a character changed',
      ({ token, keys }) =>
        verifyEvidence(
          token.replace(/\.(.)/, (_all, c: string) => `.${c === 'e' ? 'f' : 'e'}`),
          keys,
          ASKED,
        ),
      'BUNDLE_JWS',
    ],
    [
      'no algorithm',
      ({ token, keys }) =>
        verifyEvidence(`${base64url(utf8('{"alg":"none"}'))}.${token.split('.')[1] ?? ''}.`, keys, ASKED),
      'BUNDLE_JWS',
    ],
    [
      'another key',
      ({ evidence, signer, keys }) => {
        const other = signerOf(generateKey({ role: 'agent', kid: signer.kid }, random))
        return signCompact(EVIDENCE_TYPE, utf8(canonicalize(evidence as unknown as Json)), other).then((token) =>
          verifyEvidence(token, keys, ASKED),
        )
      },
      'BUNDLE_JWS',
    ],
    [
      'a receipt',
      ({ evidence, signer, keys }) =>
        signCompact(RECEIPT_TYPE, utf8(canonicalize(evidence as unknown as Json)), signer).then((token) =>
          verifyEvidence(token, keys, ASKED),
        ),
      'AGENT_SIGNED_TYPE',
    ],
    [
      'another format',
      ({ resigned, keys }) =>
        resigned({ format: 'sluice-evidence/2' }).then((token) => verifyEvidence(token, keys, ASKED)),
      'AGENT_EVIDENCE',
    ],
    [
      'a member of another type',
      ({ resigned, keys }) => resigned({ canaries: [{}] }).then((token) => verifyEvidence(token, keys, ASKED)),
      'AGENT_EVIDENCE',
    ],
    [
      'no canary',
      ({ resigned, keys }) => resigned({ canaries: [] }).then((token) => verifyEvidence(token, keys, ASKED)),
      'AGENT_EVIDENCE_UNPROVED',
    ],
    [
      'a canary of another backend',
      ({ resigned, keys }) =>
        resigned({ canaries: [{ ...SEEN, backend: 'ebpf' }] }).then((token) => verifyEvidence(token, keys, ASKED)),
      'AGENT_EVIDENCE_UNPROVED',
    ],
    [
      'no attachment',
      ({ resigned, keys }) => resigned({ attachments: [] }).then((token) => verifyEvidence(token, keys, ASKED)),
      'AGENT_EVIDENCE_UNPROVED',
    ],
    [
      'drift',
      ({ resigned, keys }) =>
        resigned({ state: 'drifted', drift: ['x'] }).then((token) => verifyEvidence(token, keys, ASKED)),
      'AGENT_EVIDENCE_UNPROVED',
    ],
    [
      'an attachment of another generation',
      ({ resigned, keys, evidence }) =>
        resigned({ attachments: evidence.attachments.map((at) => ({ ...at, generation: 7 })) }).then((token) =>
          verifyEvidence(token, keys, ASKED),
        ),
      'AGENT_EVIDENCE_UNPROVED',
    ],
    ...(
      [
        ['a fence that hangs nowhere', { emulated: false, generation: 1, hooks: [], objects: [] }],
        ['a hook that another generation judges', { emulated: true, generation: 2, hooks: [], objects: [] }],
        ['no place where the fence hangs', null],
      ] as const
    ).map(([name, anchor]): (typeof ROWS)[number] => [
      name,
      ({ resigned, keys, evidence }) =>
        resigned({ attachments: evidence.attachments.map((at) => ({ ...at, anchor })) }).then((token) =>
          verifyEvidence(token, keys, ASKED),
        ),
      'AGENT_EVIDENCE_UNPROVED',
    ]),
    ...(
      [
        ['an attachment that says nothing of hooks', undefined],
        [
          'a hook without an owner',
          { emulated: false, generation: 1, hooks: [{ hook: 'tcx/ingress', on: 'ws0#7' }], objects: [] },
        ],
        [
          'a program without a tag',
          {
            emulated: false,
            generation: 1,
            hooks: [{ hook: 'tcx/ingress', on: 'ws0#7', owner: { kind: 'program', id: 4 } }],
            objects: [],
          },
        ],
        [
          'a map without a number',
          { emulated: true, generation: 1, hooks: [], objects: [{ kind: 'map', name: 'live' }] },
        ],
      ] as const
    ).map(([name, anchor]): (typeof ROWS)[number] => [
      name,
      ({ resigned, keys, evidence }) =>
        resigned({
          attachments: evidence.attachments.map(({ anchor: _, ...at }) => (anchor ? { ...at, anchor } : at)),
        }).then((token) => verifyEvidence(token, keys, ASKED)),
      'AGENT_EVIDENCE',
    ]),
    [
      'an attachment that is not there',
      ({ resigned, keys, evidence }) =>
        resigned({ attachments: evidence.attachments.map((at) => ({ ...at, workspace: BETA, present: false })) }).then(
          (token) => verifyEvidence(token, keys, ASKED),
        ),
      'AGENT_EVIDENCE_UNPROVED',
    ],
  ]
  it.each(ROWS)('%s', async (_name, attempt, code) => {
    expect(await codeOf(attempt(await rig()))).toBe(code)
  })

  it.each<[OuterGuarantee, Partial<CanarySeen>, string]>([
    [
      'default_deny_egress',
      { reachableUnfenced: false },
      'memory: the target could not be reached without a fence either',
    ],
    [
      'default_deny_egress',
      { defaultDeny: { refused: false, countedDrops: 1 } },
      'memory: what nothing grants came through',
    ],
    [
      'default_deny_egress',
      { defaultDeny: { refused: true, countedDrops: 0 } },
      'memory: nothing was counted as dropped',
    ],
    [
      'no_unmanaged_egress_path',
      { interfaces: ['eth0', 'eth1'] },
      'memory: its workspace has the interfaces eth0, eth1',
    ],
    ['revocation_verified', { install: { connected: false, elapsedMs: 1 } }, 'memory: a grant did not let through'],
    [
      'revocation_verified',
      { revoke: { refused: true, cutMs: null } },
      'memory: the live flow went on after its grant was revoked',
    ],
    [
      'revocation_verified',
      { revoke: { refused: false, cutMs: 1 } },
      'memory: a new flow came through after its grant was revoked',
    ],
    [
      'controller_loss_fails_closed',
      { controllerLoss: { killed: false, refused: true } },
      'memory: the controller was not killed',
    ],
    [
      'controller_loss_fails_closed',
      { controllerLoss: { killed: true, refused: false } },
      'memory: the fence opened when its controller was killed',
    ],
  ])('%s does not follow from %j', async (guarantee, seen, why) => {
    const { evidence, token, keys } = await rig(seen)
    expect(lacking(evidence, guarantee)).toBe(why)
    await expect(verifyEvidence(token, keys, ASKED)).rejects.toMatchObject({
      code: 'AGENT_EVIDENCE_UNPROVED',
      detail: { guarantee, why },
    })
  })

  it('an observed workspace is not denied by default, and everything else of it holds', async () => {
    const { evidence } = await rig()
    const attachments = evidence.attachments.map((at) => ({ ...at, observedUntilMs: 1_795_000_000_000 }))
    expect(lacking(evidence, 'default_deny_egress')).toBeUndefined()
    expect(lacking({ ...evidence, attachments }, 'default_deny_egress')).toBe(
      `${evidence.attachments[0]?.workspace} is observed until 2026-11-18T11:06:40.000Z: what nothing grants is let through`,
    )
    expect(lacking({ ...evidence, attachments }, 'revocation_verified')).toBeUndefined()
  })
})

describe('the canary', () => {
  const program = repositoryPath('dist/bin/canary.js')
  for (const backend of ['nftables', 'ebpf'] as const)
    it(`earns every step under ${backend}, and leaves nothing behind`, async (context) => {
      if (process.getuid?.() !== 0) context.skip('network namespaces need root')
      if (!existsSync(program)) context.skip('make build has not been run')
      const seen = await runCanary(backend, { program: [process.execPath, program], nowMs: Date.now })
      expect(seen).toMatchObject({
        backend,
        reachableUnfenced: true,
        defaultDeny: { refused: true },
        install: { connected: true },
        revoke: { refused: true, cutMs: expect.any(Number) as number },
        controllerLoss: { killed: true, refused: true },
        interfaces: ['eth0'],
      })
      expect(seen.defaultDeny.countedDrops).toBeGreaterThan(0)
      expect(leftovers()).toEqual([])
    }, 120_000)

  it('says at which step it failed, and leaves nothing behind', async (context) => {
    if (process.getuid?.() !== 0) context.skip('network namespaces need root')
    const tools = { program: [process.execPath, '-e', ''], nowMs: Date.now }
    await expect(runCanary('nftables', tools)).rejects.toMatchObject({
      code: 'AGENT_CANARY',
      message: 'the canary attachment failed at its target',
    })
    expect(leftovers()).toEqual([])
  }, 120_000)
})

const leftovers = (): string[] => readdirSync('/run/netns').filter((name) => name.startsWith(`slc-${process.pid}-`))
