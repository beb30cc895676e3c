// How the streams of security events stand, by what is on the disk: for status, and for `tend`, which denies every workspace of this
// node while one of them is silent (`silence: deny`). It needs no receiver in this process; a stream that nobody ever listened to here
// has no window yet.

import type { StreamStanding } from '../revocation/silence.js'
import { standingOf } from '../revocation/silence.js'
import type { RevocationConfig } from './config-revocation.js'
import { readStreams } from './revocation-memory.js'

export interface StreamSeen {
  readonly name: string
  readonly kind: 'push' | 'poll'
  /** `unheard`: nobody listened here yet. */
  readonly standing: StreamStanding | 'unheard'
  readonly heardAtMs: number
}

/** Throws AGENT_STORE_DAMAGED, AGENT_STORE_FORMAT. */
export function streamsSeen(
  config: RevocationConfig | undefined,
  stateDirectory: string,
  nowMs: number,
): readonly StreamSeen[] {
  if (!config) return []
  const records = readStreams(stateDirectory)
  return config.streams.map(({ name, kind, silenceMs }) => {
    const record = records.get(name)
    const standing = record ? standingOf(record, silenceMs, nowMs) : 'unheard'
    return { name, kind, standing, heardAtMs: record?.heardAtMs ?? 0 }
  })
}

/** Why no workspace of this node may have traffic; undefined while the streams are heard. Never throws. */
export function silenceDenies(
  config: RevocationConfig | undefined,
  stateDirectory: string,
  nowMs: number,
): string | undefined {
  if (config?.silence !== 'deny') return undefined
  try {
    const lost = streamsSeen(config, stateDirectory, nowMs).some(
      ({ standing }) => standing !== 'heard' && standing !== 'unheard',
    )
    return lost ? 'revocation-silent' : undefined
  } catch {
    // Nobody can say when a stream was heard: that is silence, and no reason to leave expiry and tenures unjudged.
    return 'revocation-silent'
  }
}
