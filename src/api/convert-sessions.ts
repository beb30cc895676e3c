// Sessions of the access broker between messages and the words of the agent. What a caller sends is bounded and spelt here; what
// it may open is judged by the agent.

import { readWorkspace } from './convert.js'
import { apiFault } from './errors.js'
import type { types } from './messages.js'
import type { RequestOf } from './methods.js'
import type { SessionAsked, SessionView } from './ports.js'

const wrong = (field: string, expected: string) => apiFault('API_FIELD', { field, expected })
const MAX_USER = 256
const LIFETIME_MS = { least: 1_000, most: 86_400_000 } as const

export function readSessionId(value: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._:@/+=-]{0,127}$/.test(value)) throw wrong('session_id', '1 to 128 characters of a name')
  return value
}

export function readOpenSession(request: RequestOf<'Sessions/OpenSession'>): SessionAsked {
  const { workspace, sessionId, user, peer, lifetimeMs } = request
  const who = user.trim()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (who === '' || who.length > MAX_USER || /[\u0000-\u001f\u007f\u2028\u2029]/.test(who))
    throw wrong('user', `1 to ${MAX_USER} characters on one line`)
  if (!/^[0-9a-fA-F.:]{2,45}$/.test(peer)) throw wrong('peer', 'an IPv4 or IPv6 address')
  if (!Number.isSafeInteger(lifetimeMs) || lifetimeMs < LIFETIME_MS.least || lifetimeMs > LIFETIME_MS.most)
    throw wrong('lifetime_ms', `a number from ${LIFETIME_MS.least} to ${LIFETIME_MS.most}`)
  return {
    workspace: readWorkspace(workspace),
    sessionId: readSessionId(sessionId),
    user: who,
    peer,
    lifetimeMs,
  }
}

export const sessionMessage = ({ ended, ...session }: SessionView) => ({
  ...session,
  ...(ended ? { ended: ended.reason, endedAtMs: ended.atMs } : {}),
})

type Seen = types.v1alpha1.BrokerSession.$Properties | types.v1alpha1.BrokerSessionSeen.$Properties

/** As it is decoded: fields that have their default are not members. */
export function sessionOf(message: Seen): SessionView {
  const { workspace, sessionId, user, peer, by, openedAtMs, expiresAtMs, ended, endedAtMs } = message
  return {
    ...{ workspace: workspace ?? '', sessionId: sessionId ?? '', user: user ?? '', peer: peer ?? '', by: by ?? '' },
    ...{ openedAtMs: Number(openedAtMs ?? 0), expiresAtMs: Number(expiresAtMs ?? 0) },
    ...(ended ? { ended: { reason: ended, atMs: Number(endedAtMs ?? 0) } } : {}),
  }
}
