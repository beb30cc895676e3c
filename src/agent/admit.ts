// The way from a channel into force: what stands meanwhile, the clock, the freshness statement, the bundle, and what follows from time. It stands
// around `apply` (enforce.ts), which is the story of the bundle itself.

import { Fault } from '../base/fault.js'
import { relock } from './breakglass.js'
import { readClock } from './clock.js'
import type { ApplyCommand } from './command.js'
import { type Applied, apply } from './enforce.js'
import { confirm, rememberTime, type Tended, tellRefused, tend } from './freshness.js'
import { type AgentNode, settle } from './node.js'
import { raise } from './stand.js'
import { forgetTold, tellLeft } from './untold.js'

/**
 * Applies a bundle with the freshness statement that came with it. Throws the Fault of whatever refused; what was live
 * before is live still, and suspended if it does not hold any more.
 */
export async function admit(node: AgentNode, command: ApplyCommand, freshness?: Uint8Array): Promise<Applied> {
  const found = await settle(node)
  const stood = await raise(node, found, command.inventory)
  await tellLeft(node)
  try {
    const nowMs = await believedNow(node)
    const relocked = await relock(node)
    if (freshness) await confirm(node, freshness)
    // One "now" for the whole run, and never one before the floor (TUF 1.0.34 section 5.1).
    // Nothing was changed since it was looked at, so it is not looked at again.
    const same = stood === 'as-it-was' && relocked.length === 0 && freshness === undefined
    const applied = await apply(
      { ...node, nowMs: () => Math.max(node.nowMs(), nowMs) },
      command,
      same ? found : undefined,
    )
    rememberTime(node, nowMs)
    await tend(node)
    const { decision, generation } = applied
    // It was put back before the bundle was looked at, and then there was nothing left to do.
    return stood === 'restored' && decision.kind === 'keep'
      ? { ...applied, decision: { kind: 'restore', generation } }
      : applied
  } catch (error) {
    // What was live before may have lapsed all the same. Its own trouble must not hide why the bundle was refused.
    await tend(node).catch(() => undefined)
    throw error
  }
}

/**
 * What follows from time, with the statement that came. Throws as `confirm`, `tend` and `relock`; a quarantine that cannot be set again
 * keeps nobody else from being suspended.
 */
export async function tendAll(
  node: AgentNode,
  freshness?: Uint8Array,
): Promise<Tended & { readonly relocked: readonly string[] }> {
  let failure: Error | undefined
  const relocked = await relock(node).catch((error: unknown) => {
    failure = error instanceof Error ? error : new TypeError(String(error))
    return []
  })
  if (freshness) await confirm(node, freshness)
  const tended = await tend(node)
  await forgetTold(node)
  if (failure !== undefined) throw failure
  return { ...tended, relocked }
}

async function believedNow(node: AgentNode): Promise<number> {
  try {
    return readClock(node)
  } catch (error) {
    if (error instanceof Fault) await tellRefused(node, error)
    throw error
  }
}
