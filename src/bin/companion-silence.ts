// What `silence: deny` means at a companion, which can take nobody's traffic and give it back: while one of its own streams is lost nothing
// begins here, no machine and no session. What runs goes on, and is the agent's, which suspends it by the streams that it hears itself.

import type { RevocationConfig } from '../agent/config-revocation.js'
import { agentFault } from '../agent/errors.js'
import { type StreamSeen, streamsSeen } from '../agent/revocation-standing.js'
import { isSessionIdRevoked } from '../agent/revoked-sessions.js'
import type { CompanionConfig } from '../companion/config.js'
import { lifecycleFault } from '../companion/lifecycle/errors.js'

type Heard = Pick<CompanionConfig, 'revocation' | 'stateDirectory'>

/** Throws WORKSPACE_SILENT. A stream that nobody listened to here yet has no window. */
export function requireHeard({ revocation, stateDirectory }: Heard, nowMs: number): void {
  if (revocation?.silence !== 'deny') return
  const lost = seenOf(revocation, stateDirectory, nowMs).find(
    ({ standing }) => standing !== 'heard' && standing !== 'unheard',
  )
  if (!lost) return
  const { name: stream, standing, heardAtMs } = lost
  throw lifecycleFault('WORKSPACE_SILENT', { stream, standing, heardAtMs })
}

function seenOf(config: RevocationConfig, stateDirectory: string, nowMs: number): readonly StreamSeen[] {
  try {
    return streamsSeen(config, stateDirectory, nowMs)
  } catch (cause) {
    // Nobody can say when a stream was heard: that is silence.
    throw lifecycleFault('WORKSPACE_SILENT', { stream: '', standing: '', heardAtMs: 0 }, { cause })
  }
}

/** Throws WORKSPACE_SILENT, and AGENT_SESSION_OVER for an id that a security event took away, as the agent does for its own. */
export function requireOpenable(
  config: Heard,
  { workspace, sessionId }: { readonly workspace: string; readonly sessionId: string },
  nowMs: number,
): void {
  requireHeard(config, nowMs)
  if (config.revocation && isSessionIdRevoked(config.stateDirectory, sessionId, nowMs))
    throw agentFault('AGENT_SESSION_OVER', { workspace, session: sessionId, how: 'revoked' })
}
