// Asking a transmitter to prove that its stream works (SSF 1.0 section 8.1.4): a word of ours goes out over HTTPS and must come back as
// an event, signed, by the way on which revocations come. Asked on a timer; what does not come back leaves the stream silent.

import { type Asked, ask } from './ask.js'
import { revocationFault } from './errors.js'

export interface VerifiedStream {
  readonly name: string
  readonly to: Asked
  readonly streamId: string
  readonly intervalMs: number
}
export interface VerificationHost {
  /** Hexadecimal, nobody can guess it. */
  readonly word: () => string
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  readonly failed: (stream: string, error: unknown) => void
}

/** Words that may still come back; older ones are forgotten. */
const OUTSTANDING = 8
const ASK_MS = 10_000

export class Verification {
  private readonly words = new Map<string, string[]>()

  constructor(private readonly host: VerificationHost) {}

  /** Was this word sent, and did it not come back yet? Once. */
  expects(stream: string, state: string): boolean {
    const words = this.words.get(stream) ?? []
    const at = words.indexOf(state)
    // Those before it were overtaken.
    if (at >= 0) words.splice(0, at + 1)
    return at >= 0
  }

  /** Asks until the signal is aborted. Never rejects. */
  async keepAsking({ name, to, streamId, intervalMs }: VerifiedStream, signal: AbortSignal): Promise<void> {
    const words: string[] = []
    this.words.set(name, words)
    while (!signal.aborted) {
      const state = this.host.word()
      words.push(state)
      words.splice(0, words.length - OUTSTANDING)
      try {
        const { status } = await ask(to, { stream_id: streamId, state }, ASK_MS, signal)
        if (status < 200 || status > 299)
          throw revocationFault('REVOCATION_POLL', { stream: name, why: `HTTP ${status}` })
      } catch (error) {
        if (!signal.aborted) this.host.failed(name, error)
      }
      await this.host.sleep(intervalMs, signal)
    }
  }
}
