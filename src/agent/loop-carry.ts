// Carries out one command of the union: a row a kind, so that a command without a row does not compile. Each row is the
// function that the command line has always called; nothing is decided here.

import { admit, tendAll } from './admit.js'
import { type Attached, attach, detach } from './attach.js'
import { breakGlass } from './breakglass.js'
import type { Command, CommandOf } from './command.js'
import type { Applied } from './enforce.js'
import { type Tended, tellRefused } from './freshness.js'
import { type Repaired, repair } from './loop-repair.js'
import type { AgentNode } from './node.js'
import { type Quarantined, quarantine } from './quarantine.js'
import { followRoots } from './roots.js'
import { closeSession, openSession, type SessionClosed, type SessionOpened } from './sessions.js'
import { type Stood, stand } from './stand.js'

/** What each command answers with. */
export interface Answers {
  readonly apply: Applied
  readonly stand: Stood
  readonly tend: Tended & { readonly relocked: readonly string[] }
  readonly repair: Repaired
  /** The version that is trusted now. */
  readonly roots: { readonly version: number }
  readonly breakglass: Awaited<ReturnType<typeof breakGlass>>
  readonly refused: undefined
  readonly 'quarantine-set': Quarantined
  readonly 'quarantine-lift': Quarantined
  readonly attach: Attached
  readonly detach: Attached
  readonly 'session-open': SessionOpened
  readonly 'session-close': SessionClosed
}

type Carriers = {
  readonly [K in Command['kind']]: (node: AgentNode, command: CommandOf<K>) => Promise<Answers[K]>
}

const CARRIERS: Carriers = {
  apply: (node, command) => admit(node, command, command.freshness),
  stand: (node, { inventory }) => stand(node, inventory),
  tend: (node, { freshness }) => tendAll(node, freshness),
  repair,
  roots: async (node, { statements }) => ({
    version: (await followRoots(node.config.trustRoot, statements, node.nowMs())).version,
  }),
  breakglass: (node, { statement }) => breakGlass(node, statement),
  refused: async (node, { code, message }) => {
    await tellRefused(node, { code, message })
    return undefined
  },
  'quarantine-set': quarantine,
  'quarantine-lift': quarantine,
  attach,
  detach,
  'session-open': openSession,
  'session-close': closeSession,
}

/** Commands that narrow one workspace at once: they have a lane of their own. A lift waits its turn with the rest. */
export const isUrgent = (command: Command): boolean => command.kind === 'quarantine-set'

/** Commands that end what a security event took back: in the lane of the work, before whatever waits there. */
export const isFirst = (command: Command): boolean => command.kind === 'session-close' && command.revoked === true

/** Commands that judge no signature: a trust root that cannot be read must not keep the fence from being kept. */
export const needsNoTrust = (command: Command): boolean =>
  isUrgent(command) ||
  command.kind === 'stand' ||
  command.kind === 'repair' ||
  command.kind === 'detach' ||
  command.kind === 'session-close' ||
  (command.kind === 'tend' && command.freshness === undefined)

export const carry = <K extends Command['kind']>(node: AgentNode, command: CommandOf<K>): Promise<Answers[K]> =>
  (CARRIERS[command.kind as K] as (node: AgentNode, command: CommandOf<K>) => Promise<Answers[K]>)(node, command)
