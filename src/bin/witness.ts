// Composes what `sluice audit`, `sluice receipt` and `sluice evidence` need: journals, seals and signed statements of agents.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CanarySeen, runCanary } from '../agent/canary.js'
import { questionDigest, verifyDecision } from '../agent/decision.js'
import { agentFault } from '../agent/errors.js'
import { makeEvidence, verifyEvidence } from '../agent/evidence.js'
import { AGENT_PUBLIC_KEY } from '../agent/key.js'
import { verifyReceipt } from '../agent/receipt.js'
import { agentKeysOf, openSigned, readAgentKeys, typeOf } from '../agent/signed.js'
import { markAt, TRAIL_STATE } from '../agent/trail.js'
import { events } from '../audit/query.js'
import { SEAL_TYPE } from '../audit/seal.js'
import { verifyJournal } from '../audit/verify.js'
import { decodeUtf8 } from '../base/bytes.js'
import { Fault } from '../base/fault.js'
import type { JwsKey } from '../bundle/jwk.js'
import { parseTrustRoot } from '../bundle/root.js'
import type { JournalPlace, WitnessHost } from '../cli/witness-host.js'
import { KILL_TYPE } from '../companion/lifecycle/kill.js'
import { readQuestion } from '../decide/read-question.js'
import type { BackendName } from '../plan/model.js'
import { verifyKill } from './kill-receipt.js'
import { openAgentNode, type Surroundings, trailOf } from './node.js'
import { reconcileSinks } from './reconcile.js'

interface KeyFile {
  readonly file: string
  readonly bytes: Uint8Array
}

export const composeWitness = (around: Surroundings): WitnessHost => ({
  verifyJournal: (place) => verifyJournal(around.resolve(place.eventsFile), terms(around, place)),
  queryJournal: (eventsFile, filter, unreadable) => events(around.resolve(eventsFile), filter, unreadable),
  sealJournal: async (config) => {
    const closed = await trailOf(around, config).rotate()
    if (!closed) return undefined
    if ('damaged' in closed) {
      const { line, sequence } = closed.damaged
      throw agentFault('AGENT_JOURNAL_DAMAGED', { segment: closed.segment, line, sequence })
    }
    const { events: count, lastSequence } = closed.seal
    return { segment: closed.segment, events: count, lastSequence }
  },
  reconcileSinks: (config, asked) => reconcileSinks(around, config, asked),
  verifyDecision: (token, keys, { question, ...asked }) => {
    const read = question === undefined ? undefined : readQuestion(question)
    if (typeof read === 'string') throw agentFault('AGENT_QUESTION', { why: read })
    const digest = read === undefined ? {} : { question: questionDigest(read) }
    return verifyDecision(token, trusted(keys), { ...asked, ...digest })
  },
  verifyReceipt: (token, keys, agents) =>
    typeOf(token) === KILL_TYPE
      ? verifyKill(token, trusted(keys), agents && trusted(agents))
      : verifyReceipt(token, trusted(keys)),
  makeEvidence: async (config, asked) => {
    const { node, close } = await openAgentNode(around, config, { exclusive: false })
    try {
      return await makeEvidence(node, { ...asked, release: around.version, canary: canaryOf(around) })
    } finally {
      await close()
    }
  },
  verifyEvidence: (token, keys, asked) => verifyEvidence(token, trusted(keys), asked),
})

/** Runs the canary's children from beside this file. */
export const canaryOf =
  ({ nowMs }: Pick<Surroundings, 'nowMs'>) =>
  (backend: BackendName): Promise<CanarySeen> =>
    runCanary(backend, {
      program: [process.execPath, fileURLToPath(new URL('./canary.js', import.meta.url))],
      nowMs,
    })

/** The keys of agents in a trust root, or in the file that an agent wrote. Throws AGENT_KEYS, BUNDLE_ROOT, BUNDLE_KEY. */
export function trusted({ file, bytes }: KeyFile): readonly JwsKey[] {
  if (!/"format"\s*:/.test(decodeUtf8(bytes) ?? '')) return readAgentKeys(bytes, file)
  const keys = agentKeysOf(parseTrustRoot(bytes))
  if (keys.length === 0) throw agentFault('AGENT_KEYS', { file, why: 'the trust root has no key of role agent' })
  return keys
}

function terms(around: Surroundings, { keys, stateDirectory, redacted }: JournalPlace) {
  const directory = stateDirectory === undefined ? undefined : around.resolve(stateDirectory)
  const own = directory === undefined ? undefined : join(directory, AGENT_PUBLIC_KEY)
  const file = keys ?? (own !== undefined && existsSync(own) ? { file: own, bytes: readFileSync(own) } : undefined)
  const mark = directory === undefined ? undefined : markAt(join(directory, TRAIL_STATE[0])).read()
  const accepted = file && trusted(file)
  const openSeal = async (token: string): Promise<Uint8Array | undefined> => {
    try {
      return accepted && (await openSigned(token, SEAL_TYPE, accepted))
    } catch (error) {
      // Why a seal does not count is one finding, whatever the reason is.
      if (error instanceof Fault) return undefined
      throw error
    }
  }
  return { ...(mark ? { mark } : {}), ...(accepted ? { openSeal } : {}), ...(redacted ? { redacted } : {}) }
}
