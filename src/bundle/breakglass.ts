// Break-glass statements: what people with a key of role breakglass may order when nothing else works. They can narrow
// (quarantine a workspace) or lift one quarantine for at most an hour; they cannot grant anything, ever.
//
// A lift names the quarantine that it lifts by the id of its command, so that it can never lift a later one: somebody who
// replays it within its hour, after an operator quarantined again, is refused.

import { LIMITS } from '../base/limits.js'
import { bundleFault } from './errors.js'
import { CLOCK_TOLERANCE_MS } from './freshness.js'
import { formatInstant } from './instant.js'
import type { TrustRoot } from './model.js'
import { count, instant, isName, type No, text } from './release.js'
import { requireLiveRoot, thresholdOf } from './root.js'
import { type Signer, signStatement } from './sign.js'
import { hasExactly, type JsonObject, readEnvelope, requireThreshold, STATEMENTS } from './statement.js'

/** The longest time that a lift may hold, and that any statement may be carried out after it was issued. */
export const BREAKGLASS_LIFETIME_MS = 3_600_000

interface Order {
  readonly audience: string
  readonly epoch: number
  readonly workspace: string
  readonly reason: string
  readonly issuedAtMs: number
  /** For a lift, when the quarantine is back; for a quarantine, until when the statement may be carried out. */
  readonly expiresAtMs: number
}
export type Breakglass =
  | (Order & { readonly action: 'quarantine' })
  | (Order & {
      readonly action: 'lift'
      /** Command id of the quarantine that is lifted. */
      readonly quarantine: string
    })

declare const verifiedBreakglass: unique symbol
export interface VerifiedBreakglass {
  readonly [verifiedBreakglass]: true
  readonly order: Breakglass
  readonly signers: readonly string[]
}

const COMMON = ['action', 'audience', 'epoch', 'expires_at', 'format', 'issued_at', 'reason', 'workspace'] as const
const LIFT = [...COMMON, 'quarantine'] as const

const isWorkspace = (value: string): boolean => /^spiffe:\/\/[\x21-\x7e]{1,2039}$/.test(value)
const isReason = (value: string): boolean => value.length >= 1 && value.length <= 1_024 && !/\p{C}/u.test(value)
const isCommandId = (value: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(value)

/** Throws BUNDLE_STATEMENT, naming the member. */
export function parseBreakglass(statement: JsonObject): Breakglass {
  const no: No = (why) => bundleFault('BUNDLE_STATEMENT', { what: STATEMENTS.breakglass.what, why })
  const lifts = statement.action === 'lift'
  if (!lifts && statement.action !== 'quarantine') throw no('the action is neither quarantine nor lift')
  const keys = lifts ? LIFT : COMMON
  if (!hasExactly(statement, keys)) throw no(`exactly ${keys.join(', ')} are expected`)
  const issuedAtMs = instant(statement.issued_at, 'issued_at', no)
  const expiresAtMs = instant(statement.expires_at, 'expires_at', no)
  if (expiresAtMs <= issuedAtMs) throw no('expires_at must be later than issued_at')
  if (expiresAtMs - issuedAtMs > BREAKGLASS_LIFETIME_MS) throw no('it holds for more than an hour')
  const order = {
    audience: text(statement.audience, 'audience', isName, no),
    epoch: count(statement.epoch, 'epoch', no),
    workspace: text(statement.workspace, 'workspace', isWorkspace, no),
    reason: text(statement.reason, 'reason', isReason, no),
    issuedAtMs,
    expiresAtMs,
  }
  if (!lifts) return { ...order, action: 'quarantine' }
  const { quarantine } = statement as JsonObject
  return { ...order, action: 'lift', quarantine: text(quarantine ?? null, 'quarantine', isCommandId, no) }
}

export const breakglassStatement = (order: Breakglass): JsonObject => ({
  format: STATEMENTS.breakglass.format,
  action: order.action,
  audience: order.audience,
  epoch: order.epoch,
  workspace: order.workspace,
  reason: order.reason,
  issued_at: formatInstant(order.issuedAtMs),
  expires_at: formatInstant(order.expiresAtMs),
  ...(order.action === 'lift' ? { quarantine: order.quarantine } : {}),
})

/** Adds one signature to a break-glass statement. */
export function signBreakglass(order: Breakglass, signer: Signer, existing?: Uint8Array): Promise<Uint8Array> {
  const statement = breakglassStatement(order)
  parseBreakglass(statement)
  return signStatement('breakglass', statement, signer, existing)
}

/** Verifies a statement: threshold of role breakglass, audience, epoch, and that it holds now. Throws BUNDLE_*. */
export async function verifyBreakglass(
  bytes: Uint8Array,
  trust: TrustRoot,
  context: { readonly nowMs: number; readonly audience: string },
): Promise<VerifiedBreakglass> {
  const { nowMs } = context
  const { what } = STATEMENTS.breakglass
  requireLiveRoot(trust, nowMs)
  const limit = LIMITS.breakglassBytes
  if (bytes.length > limit) throw bundleFault('BUNDLE_TOO_LARGE', { what: `the ${what}`, size: bytes.length, limit })
  const envelope = readEnvelope(new Uint8Array(bytes), 'breakglass')
  const signers = await requireThreshold(envelope, trust.keys, thresholdOf(trust, 'breakglass'))
  const order = parseBreakglass(envelope.statement)
  const { audience, epoch, issuedAtMs, expiresAtMs } = order
  if (audience !== context.audience)
    throw bundleFault('BUNDLE_AUDIENCE', { what, audience: [audience], expected: context.audience })
  if (epoch !== trust.epoch) throw bundleFault('BUNDLE_EPOCH', { what, epoch, root: trust.epoch })
  if (issuedAtMs > nowMs + CLOCK_TOLERANCE_MS)
    throw bundleFault('BUNDLE_NOT_YET_VALID', { what, notBeforeMs: issuedAtMs, nowMs })
  if (nowMs >= expiresAtMs) throw bundleFault('BUNDLE_EXPIRED', { what, expiresAtMs, nowMs })
  return Object.freeze({ order, signers }) as unknown as VerifiedBreakglass
}
