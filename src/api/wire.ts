// The words of the agent's socket: one JSON text a line. What JSON has no word for is tagged: octets, maps and whole numbers
// without a limit. A fault crosses with everything that makes it one, so that a command prints and exits the same whether the
// agent or the command itself ran it.

import { causeChain, Fault, type Reaction } from '../base/fault.js'
import type { Note } from '../base/note.js'
import { apiFault } from './errors.js'

/** Octets of one line: a bundle of the largest size in base64, with room around it. */
export const MAX_LINE_BYTES = 128 << 20

export type Request =
  | { readonly id: number; readonly call: string; readonly given: unknown }
  /** Ends a call that tells. */
  | { readonly id: number; readonly stop: true }
export type Reply =
  | { readonly id: number; readonly tells: unknown }
  | { readonly id: number; readonly gives: unknown }
  | { readonly id: number; readonly fault: WireFault }

export interface WireFault {
  readonly code: string
  readonly reaction: Reaction | null
  readonly message: string
  readonly remedy: string
  readonly detail: unknown
  readonly notes: readonly Note[]
  readonly causes: readonly string[]
}

const OCTETS = '$octets'
const MAP = '$map'
const WHOLE = '$whole'

/** One line, with its line feed. */
export function encodeLine(message: Request | Reply): string {
  return `${JSON.stringify(message, function (this: Record<string, unknown>, key, value: unknown) {
    const raw = this[key] // toJSON of a Buffer has been called on `value` already
    if (raw instanceof Uint8Array)
      return { [OCTETS]: Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('base64') }
    if (raw instanceof Map) return { [MAP]: [...raw] as unknown[] }
    if (typeof raw === 'bigint') return { [WHOLE]: String(raw) }
    return value
  })}\n`
}

/** Throws API_WIRE. */
export function decodeLine(line: string): unknown {
  try {
    return JSON.parse(line, (_key, value: unknown) => {
      if (typeof value !== 'object' || value === null) return value
      const tagged = value as Record<string, unknown>
      const octets = tagged[OCTETS]
      if (typeof octets === 'string') return new Uint8Array(Buffer.from(octets, 'base64'))
      const whole = tagged[WHOLE]
      if (typeof whole === 'string' && /^-?\d{1,40}$/.test(whole)) return BigInt(whole)
      const entries = tagged[MAP]
      if (Array.isArray(entries)) return new Map(entries as [unknown, unknown][])
      return value
    })
  } catch (cause) {
    throw apiFault('API_WIRE', { why: 'a line is not JSON' }, { cause })
  }
}

/** `untrusted`: what a peer sent. Throws API_WIRE. */
export function readRequest(value: unknown): Request {
  const { id, call, stop, given } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) throw apiFault('API_WIRE', { why: 'a call has no number' })
  if (stop === true) return { id, stop }
  if (typeof call !== 'string') throw apiFault('API_WIRE', { why: 'a call has no name' })
  return { id, call, given }
}

export function faultToWire(error: unknown): WireFault {
  if (!(error instanceof Fault)) {
    const message = error instanceof Error ? error.message : 'something that is not an Error was thrown'
    return {
      code: 'INTERNAL',
      reaction: null,
      message,
      remedy: '',
      detail: null,
      notes: [],
      causes: causeChain(error).slice(1),
    }
  }
  const { code, reaction, message, remedy, detail, notes } = error
  return { code, reaction, message, remedy, detail: detail ?? null, notes, causes: causeChain(error).slice(1) }
}

/** The error as it was thrown at the other end: a Fault, or for a defect of ours an Error. */
export function faultFromWire(wire: WireFault): Error {
  const { code, reaction, message, remedy, detail, notes, causes } = wire
  const cause = [...causes]
    .reverse()
    .reduce<Error | undefined>((inner, say) => new Error(say, { cause: inner }), undefined)
  if (reaction === null) return new TypeError(message, { cause })
  return new Fault(code, { reaction, say: () => message, remedy }, detail, { notes, ...(cause ? { cause } : {}) })
}
