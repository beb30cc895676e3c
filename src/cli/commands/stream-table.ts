// How streams of security events stand, as a table: of an agent and of a companion alike. What was not heard, or never, is a dash.

import { formatInstant } from '../../bundle/instant.js'
import { shown, table } from '../print.js'

export interface StreamRow {
  readonly name: string
  readonly kind: string
  readonly standing: string
  /** Milliseconds since 1970; 0: never. */
  readonly heardAtMs: number
  readonly taken?: number
  readonly refused?: number
  readonly error?: string
}

export const streamTable = (streams: readonly StreamRow[]): string =>
  table(
    ['stream', 'kind', 'standing', 'heard', 'taken', 'refused', 'error'],
    streams.map((at) => [
      ...[at.name, at.kind, at.standing, at.heardAtMs === 0 ? '-' : formatInstant(at.heardAtMs)],
      ...[String(at.taken ?? '-'), String(at.refused ?? '-'), at.error === undefined ? '-' : shown(at.error)],
    ]),
  )
