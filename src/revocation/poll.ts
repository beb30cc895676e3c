// Receiving by poll (RFC 8936): ask, do what each event says, and acknowledge with the next question what was kept and done. What could
// not be done now is neither acknowledged nor complained about, and so comes again; what is wrong goes back as an error of its own.
// A transmitter that does not answer is asked again later and later, and never in step with other nodes.

import type { Json } from '../base/canonical.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { type Asked, ask } from './ask.js'
import { revocationFault } from './errors.js'
import type { Refusal, StreamTerms } from './model.js'
import type { Receiver } from './receiver.js'

export interface PollStream {
  readonly terms: StreamTerms
  readonly to: Asked
  /** The transmitter keeps the question until it has something (RFC 8936 section 2.4, `returnImmediately` false). */
  readonly longPoll: boolean
  /** Between questions that are answered at once. */
  readonly intervalMs: number
}
export interface PollHost {
  readonly receiver: Receiver
  readonly chance: () => number
  /** Resolves after that long, or at once when aborted; never rejects. */
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  readonly monotonicMs: () => number
  /** It answered, or it did not, and why. */
  readonly asked: (stream: string, failure?: unknown) => void
}

const MAX_EVENTS = 64
const LONG_POLL_MS = 90_000
const SHORT_MS = 15_000
const LONGEST_WAIT_MS = 60_000
/** A transmitter that answers a long question at once, with nothing, is not asked faster than this. */
const LEAST_GAP_MS = 250

/** Questions in a row without a pause: a transmitter that never tires of an event is not asked faster than it can be. */
const HURRIED = 64

/** What the next question says of the last answer. */
interface Settled {
  readonly ack: readonly string[]
  readonly setErrs: Readonly<Record<string, Refusal>>
}
const NOTHING: Settled = { ack: [], setErrs: {} }

/** Asks until the signal is aborted. Never rejects. */
export async function pollStream(stream: PollStream, host: PollHost, signal: AbortSignal): Promise<void> {
  let settled = NOTHING
  let failures = 0
  let hurried = 0
  while (!signal.aborted) {
    const beganMs = host.monotonicMs()
    try {
      const told = await question(stream, settled, signal)
      settled = await takeAll(stream, host, told.sets)
      failures = 0
      host.asked(stream.terms.name)
      // What was done is acknowledged at once, whatever the interval. Where nothing was, asking sooner brings the same again, even if
      // there is said to be more.
      hurried = settled === NOTHING ? 0 : hurried + 1
      if (hurried > 0 && hurried % HURRIED !== 0) continue
      const spentMs = host.monotonicMs() - beganMs
      const wantedMs = stream.longPoll ? LEAST_GAP_MS : stream.intervalMs
      await host.sleep(Math.max(0, wantedMs - spentMs), signal)
    } catch (error) {
      if (signal.aborted) return
      host.asked(stream.terms.name, error)
      failures++
      const fullMs = Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(failures, 16))
      await host.sleep(fullMs * (0.5 + host.chance() / 2), signal)
    }
  }
}

interface Told {
  // untrusted: all of it
  readonly sets: readonly (readonly [jti: string, token: string])[]
}

async function question(
  { terms, to, longPoll }: PollStream,
  { ack, setErrs }: Settled,
  signal: AbortSignal,
): Promise<Told> {
  const { name } = terms
  const no = (why: string, cause?: unknown) => revocationFault('REVOCATION_POLL', { stream: name, why }, { cause })
  // An acknowledgement that waits for news would be none.
  const hurry = !longPoll || ack.length > 0 || Object.keys(setErrs).length > 0
  const body: Json = {
    maxEvents: MAX_EVENTS,
    returnImmediately: hurry,
    ...(ack.length > 0 ? { ack } : {}),
    ...(Object.keys(setErrs).length > 0 ? { setErrs: setErrs as unknown as Json } : {}),
  }
  let answer: Awaited<ReturnType<typeof ask>>
  try {
    answer = await ask(to, body, hurry ? SHORT_MS : LONG_POLL_MS, signal)
  } catch (cause) {
    // A transmitter may hold a long question for longer than we do.
    if (!hurry && (cause as Error).name === 'TimeoutError') return { sets: [] }
    throw no('it does not answer', cause)
  }
  if (answer.status !== 200) throw no(`HTTP ${answer.status}`)
  try {
    const document = parseJson(answer.body)
    if (!isObject(document) || !isObject(document.sets)) throw no('its answer has no sets')
    const sets = Object.entries(document.sets).map(
      ([jti, token]) => [jti, typeof token === 'string' ? token : ''] as const,
    )
    return { sets }
  } catch (cause) {
    if (cause instanceof JsonError) throw no('its answer is not strict JSON', cause)
    throw cause
  }
}

async function takeAll({ terms, to }: PollStream, { receiver }: PollHost, sets: Told['sets']): Promise<Settled> {
  if (sets.length === 0) return NOTHING
  const { host: from } = new URL(to.url)
  const ack: string[] = []
  const setErrs = Object.create(null) as Record<string, Refusal>
  for (const [jti, token] of sets) {
    const reply = await receiver.receive(terms, token, from)
    // RFC 8936 section 2.3: the key is the SET's own jti; under another it could not be acknowledged.
    if (reply.kind === 'taken' && reply.jti === jti) ack.push(jti)
    else if (reply.kind === 'taken')
      setErrs[jti] = { err: 'invalid_request', description: 'the key is not the jti of the SET' }
    else if (reply.kind === 'refused') setErrs[jti] = reply.refusal
  }
  return ack.length === 0 && Object.keys(setErrs).length === 0 ? NOTHING : { ack, setErrs }
}
