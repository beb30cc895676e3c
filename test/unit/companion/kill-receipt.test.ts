// The receipt of the kill switch, read later: signed by the companion, with the agents' receipts in it, each judged by the key of whoever
// signed it. What was changed, is of somebody else or was never there is told, and never taken for a proof.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AGENT_PUBLIC_KEY, agentKey, agentSigner } from '../../../src/agent/key.js'
import { type Receipt, signReceipt } from '../../../src/agent/receipt.js'
import { readAgentKeys } from '../../../src/agent/signed.js'
import { signCompact } from '../../../src/audit/seal.js'
import { utf8 } from '../../../src/base/bytes.js'
import { canonicalize, type Json } from '../../../src/base/canonical.js'
import { verifyKill } from '../../../src/bin/kill-receipt.js'
import type { Signer } from '../../../src/bundle/sign.js'
import { KILL_TYPE, type KillReport, kill } from '../../../src/companion/lifecycle/kill.js'
import { ask, boot, fresh, World, WS } from '../../support/companion/world.js'

/** When the clock of the world begins. */
const WORLD_MS = 1_000_000
const AGENT: Omit<Receipt, 'workspace'> = {
  ...{ format: 'sluice-receipt/1', node: 'spiffe://fleet.example/node/n1', action: 'quarantine-set' },
  ...{ attachmentId: 'att-1', interface: 'ws0', leaseGeneration: 1, commandId: 'c-1', by: 'companion', reason: '' },
  ...{
    askedAtMs: WORLD_MS,
    fencedAtMs: WORLD_MS + 2,
    elapsedMs: 2,
    quietFromMs: WORLD_MS + 10,
    drainedPackets: 0,
    unknown: {},
  },
  ...{ generation: 7, planDigest: null, bundleDigest: null, backends: ['memory'] },
}

describe('the receipt of a kill', () => {
  const random = (length: number): Uint8Array => randomBytes(length)
  const folders = [0, 1, 2].map(() => mkdtempSync(join(tmpdir(), 'sluice-kill-')))
  const folderOf = (n: number): string => folders[n] ?? ''
  const keysOf = (n: number) => readAgentKeys(readFileSync(join(folderOf(n), AGENT_PUBLIC_KEY)), AGENT_PUBLIC_KEY)
  const [companion, agent, stranger] = [0, 1, 2].map((n) => agentSigner(folderOf(n), random)) as [
    Signer,
    Signer,
    Signer,
  ]

  beforeAll(() => {
    for (const folder of folders) agentKey(folder, random)
  })
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })

  /** Kills one workspace; the agent's receipt of it as `receipt` makes it. */
  async function killed(receipt?: (workspace: string) => Promise<string>) {
    const world = new World()
    const at = await boot(world)
    await ask(at, 'create')
    at.lifecycle.host.ports.fence.quarantine = async (workspace) => {
      const token = await receipt?.(workspace)
      return { ...(token === undefined ? {} : { receipt: token }), elapsedMs: 2, generation: 7 }
    }
    const asked = { requestId: fresh(), target: { kind: 'everything' }, by: 'user:ops', reason: 'incident' } as const
    const given = await kill({ ...at.kills, signer: companion }, asked)
    return { ...given, token: given.receipt ?? '' }
  }
  const byAgent = (workspace: string): Promise<string> => signReceipt({ ...AGENT, workspace }, agent)
  const resigned = (report: unknown, by = companion): Promise<string> =>
    signCompact(KILL_TYPE, utf8(canonicalize(report as Json)), by)

  it('gives the report, and each fence with what the agent signed of it', async () => {
    const { report, token } = await killed(byAgent)
    expect(await verifyKill(token, keysOf(0), keysOf(1))).toEqual({
      ...report,
      fences: [{ workspace: WS, proved: true, receipt: { ...AGENT, workspace: WS } }],
    })
  })

  it.each([
    ['nobody named the keys of agents', byAgentLater, false, 'the receipt of the agent was not looked at'],
    ['the agent made none', undefined, true, 'the agent gave no receipt'],
  ])('shows no fence where %s', async (_what, receipt, isAsked, why) => {
    const { token } = await killed(receipt)
    const { fences } = await verifyKill(token, keysOf(0), isAsked ? keysOf(1) : undefined)
    expect(fences).toEqual([{ workspace: WS, proved: false, why }])
  })
  async function byAgentLater(workspace: string): Promise<string> {
    return byAgent(workspace)
  }

  it('shows no fence of what was not fenced, whatever receipt lies beside it', async () => {
    const { report } = await killed(byAgent)
    const [one] = report.workspaces
    const steps = one?.steps.map((step) => (step.step === 'fence' ? { ...step, outcome: 'late' } : step))
    const token = await resigned({ ...report, workspaces: [{ ...one, steps }] })
    expect((await verifyKill(token, keysOf(0), keysOf(1))).fences).toEqual([
      { workspace: WS, proved: false, why: 'it was not fenced when the report was made' },
    ])
  })

  it.each([
    ['before this was asked for', -900_000],
    ['after this was answered', 3_600_000],
  ])('shows no fence with a genuine receipt of the agent from %s', async (when, byMs) => {
    const receipt = { ...AGENT, askedAtMs: WORLD_MS + byMs, fencedAtMs: WORLD_MS + byMs + 2 }
    const { token } = await killed((workspace) => signReceipt({ ...receipt, workspace }, agent))
    expect((await verifyKill(token, keysOf(0), keysOf(1))).fences).toEqual([
      { workspace: WS, proved: false, why: `the receipt of the agent is from ${when}` },
    ])
  })

  it('is refused under another key, as another type, and where it was changed', async () => {
    const { report, token } = await killed(byAgent)
    await expect(verifyKill(token, keysOf(2), keysOf(1))).rejects.toMatchObject({ code: 'BUNDLE_JWS' })
    await expect(verifyKill(await resigned(report, stranger), keysOf(0), undefined)).rejects.toMatchObject({
      code: 'BUNDLE_JWS',
    })
    await expect(verifyKill(await byAgent(WS), keysOf(1), undefined)).rejects.toMatchObject({
      code: 'AGENT_SIGNED_TYPE',
    })
    const [head = '', , signature = ''] = token.split('.')
    const payload = Buffer.from(canonicalize({ ...report, partial: true } as unknown as Json)).toString('base64url')
    await expect(verifyKill(`${head}.${payload}.${signature}`, keysOf(0), undefined)).rejects.toMatchObject({
      code: 'BUNDLE_JWS',
    })
  })

  it.each([
    ['is of another workspace', (own: string) => byAgent(`${own}9`), 'is a quarantine-set of'],
    ['is signed by a stranger', signedByStranger, 'does not hold'],
    ['is of a lift', lift, 'is a quarantine-lift of'],
  ])('is refused where the receipt of the agent %s', async (_what, receipt, why) => {
    const { token } = await killed(receipt)
    await expect(verifyKill(token, keysOf(0), keysOf(1))).rejects.toMatchObject({
      code: 'AGENT_RECEIPT',
      message: expect.stringContaining(`the receipt of the agent for ${WS} ${why}`),
    })
  })
  async function signedByStranger(workspace: string): Promise<string> {
    return signReceipt({ ...AGENT, workspace }, stranger)
  }
  async function lift(workspace: string): Promise<string> {
    return signReceipt({ ...AGENT, action: 'quarantine-lift', workspace }, agent)
  }

  it.each<[string, (report: KillReport) => unknown, string]>([
    ['another format', (report) => ({ ...report, format: 'sluice-kill/2' }), 'its format is not sluice-kill/1'],
    ['no workspaces', ({ workspaces: _, ...report }) => report, 'workspaces is missing or of another type'],
    ['a time that is none', (report) => ({ ...report, askedAtMs: 1e300 }), 'askedAtMs is missing or of another type'],
  ])('is refused with %s, though it is signed', async (_what, change, why) => {
    const { report } = await killed(byAgent)
    await expect(verifyKill(await resigned(change(report)), keysOf(0), undefined)).rejects.toMatchObject({
      code: 'AGENT_RECEIPT',
      message: `this is no receipt: ${why}`,
    })
  })
})
