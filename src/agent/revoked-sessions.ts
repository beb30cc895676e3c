// Ids of sessions that a security event revoked before the access broker opened them here: an identity provider may be faster than the
// broker, and an open may wait in its lane while the event is answered. Such an id opens nothing for as long as a session may last.
//
// Each is a file without content in `revoked-sessions` of the state directory, named by when it was revoked and a digest of its id, so
// that one more is one write, whatever was there before. The oldest go first; who is told so early has the rest of the day to forget.

import { join } from 'node:path'
import { digestOfText } from '../base/digest.js'
import { agentFault } from './errors.js'
import { NODE_FILES, type StateFiles } from './files.js'
import { SESSION_LIFETIME } from './session-record.js'

export const REVOKED_SESSIONS = 'revoked-sessions'
/** As many as events are remembered that were done (revocation-memory.ts). */
export const REVOKED_SESSIONS_MOST = 10_000

const NAME = /^(\d{15})-([0-9a-f]{32})$/
const digestOf = (sessionId: string): string => digestOfText(sessionId).slice(7, 39)

/** On return it is on stable storage that none of these opens anything. Throws AGENT_STORE_WRITE. */
export function revokeSessionIds(
  stateDirectory: string,
  ids: readonly string[],
  nowMs: number,
  files: StateFiles = NODE_FILES,
  most = REVOKED_SESSIONS_MOST,
): void {
  if (ids.length === 0) return
  const directory = join(stateDirectory, REVOKED_SESSIONS)
  try {
    files.makeDirectory(directory)
    const held = files.list(directory).filter((name) => NAME.test(name))
    const kept = held.filter((name) => isRemembered(name, nowMs)).sort()
    const known = new Set(kept.map((name) => name.slice(16)))
    const added = [...new Set(ids.map(digestOf))].filter((digest) => !known.has(digest))
    for (const digest of added) {
      const name = `${String(nowMs).padStart(15, '0')}-${digest}`
      files.writeSynced(join(directory, name), new Uint8Array())
    }
    const stays = new Set(kept.slice(Math.max(0, kept.length + added.length - most)))
    for (const name of held) if (!stays.has(name)) files.remove(join(directory, name))
    // Also for what an earlier try wrote, whose name may not be there after a crash.
    files.syncDirectory(directory)
  } catch (cause) {
    throw agentFault('AGENT_STORE_WRITE', { file: directory }, { cause })
  }
}

/** Throws AGENT_STORE_DAMAGED where nobody can say: then nothing is opened. */
export const isSessionIdRevoked = (
  stateDirectory: string,
  sessionId: string,
  nowMs: number,
  files: StateFiles = NODE_FILES,
): boolean => revokedSessions(stateDirectory, nowMs, files)?.(sessionId) ?? false

/** Which ids are revoked now; undefined: none is. Throws AGENT_STORE_DAMAGED. */
export function revokedSessions(
  stateDirectory: string,
  nowMs: number,
  files: StateFiles = NODE_FILES,
): ((sessionId: string) => boolean) | undefined {
  const directory = join(stateDirectory, REVOKED_SESSIONS)
  try {
    const kept = files.list(directory).filter((name) => isRemembered(name, nowMs))
    const digests = new Set(kept.map((name) => name.slice(16)))
    return digests.size === 0 ? undefined : (sessionId) => digests.has(digestOf(sessionId))
  } catch (cause) {
    throw agentFault('AGENT_STORE_DAMAGED', { file: directory, why: 'it cannot be read' }, { cause })
  }
}

/** A clock that was set back forgets nothing. */
const isRemembered = (name: string, nowMs: number): boolean =>
  Number(NAME.exec(name)?.[1] ?? 0) + SESSION_LIFETIME.mostMs > nowMs
