// Sessions that are open at the agent although a security event took their id away: it was asked to open them before the event, and did it
// after whoever asked was gone, with the companion that crashed or at the end of its patience. Nobody else would look.

import { revokedSessions } from '../agent/revoked-sessions.js'
import { isOpen } from '../agent/session-record.js'
import type { BrokerDesk } from '../companion/broker-desk.js'

export interface SweepTerms {
  readonly stateDirectory: string
  readonly broker: Pick<BrokerDesk, 'sessions' | 'closeSession'>
  readonly nowMs: () => number
  /** What the agent's list may take. */
  readonly withinMs: number
}

/** Asks the agent only while ids are remembered. Each is tried; throws why the first could not be closed, or nobody can say. */
export async function closeRevoked({ stateDirectory, broker, nowMs, withinMs }: SweepTerms): Promise<void> {
  const isRevoked = revokedSessions(stateDirectory, nowMs())
  if (!isRevoked) return
  const failures: unknown[] = []
  for (const { workspace, sessionId } of (await broker.sessions('', withinMs)).filter(isOpen))
    if (isRevoked(sessionId))
      await broker.closeSession({ workspace, sessionId }).catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}
