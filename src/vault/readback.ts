// What the authorizer's servers say of themselves, as lines, into the agent's words. Pure: lines in, values out; a line of another kind is
// passed over, so that a newer daemon can say more.

import type { Anchor, FileDenied, Observed, VolumeSeen } from '../backends/backend.js'
import { decodeUtf8 } from '../base/bytes.js'
import { digestOf, isDigest } from '../base/digest.js'
import { FILE_DENIALS } from '../plan/evaluate-file.js'
import { FILE_OPERATION_NAMES } from '../plan/file-operations.js'
import { STRUCTS } from './layout.js'

const QUARANTINED = 1
const SUSPENDED = 2

export function readObserved(text: string): Observed {
  let generation: number | undefined
  let digest = ''
  const standing = new Map<string, number>()
  const drift: string[] = []
  const drops: Record<string, bigint> = {}
  for (const line of text.split('\n')) {
    const [kind, first = '', second = ''] = line.split(' ')
    if (kind === 'generation') generation = Number(first)
    else if (kind === 'digest') digest = `sha256:${first}`
    else if (kind === 'standing') standing.set(second, Number(first))
    else if (kind === 'count') drops[`file-${FILE_DENIALS[Number(first) - 1] ?? 'other'}`] = BigInt(second)
  }
  const volumes = readVolumes(text)
  for (const { workspace, name, state } of volumes)
    if (state === 'gone') drift.push(`the volume ${name} of ${workspace} is not served at its mount`)
  const flagged = (bit: number): string[] =>
    [...standing].flatMap(([workspace, bits]) => ((bits & bit) !== 0 ? [workspace] : [])).sort()
  return {
    live:
      generation === undefined || !isDigest(digest)
        ? null
        : {
            generation,
            planDigest: digest,
            workspaces: [...new Set(volumes.map(({ workspace }) => workspace))].sort(),
            quarantined: flagged(QUARANTINED),
            suspended: flagged(SUSPENDED),
            learned: [],
          },
    drift,
    counters: [],
    drops,
    volumes,
  }
}

/** `volume WORKSPACE NAME STATE SOURCE MOUNT MOUNT-ID DEVICE OPEN LASTING LEFT`, sorted by workspace and name. */
function readVolumes(text: string): readonly VolumeSeen[] {
  return text
    .split('\n')
    .flatMap((line): VolumeSeen[] => {
      const [kind, workspace = '', name = '', state, , mount = '', mountId, device = '', open, lasting, left] =
        line.split(' ')
      if (kind !== 'volume') return []
      return [
        {
          ...{ workspace, name, device },
          state: state === 'serving' || state === 'expired' ? state : 'gone',
          mount: unescapePath(mount),
          mountId: Number(mountId),
          openFiles: Number(open),
          lasting: Number(lasting ?? 0),
          ...(left === '1' ? { left: true } : {}),
        },
      ]
    })
    .sort((a, b) => (`${a.workspace} ${a.name}` < `${b.workspace} ${b.name}` ? -1 : 1))
}

/** What serves: `hook` in the kernel's or the card's words, and where, for each volume. */
export interface Serving {
  readonly hook: string
  readonly emulated: boolean
  readonly on: (volume: VolumeSeen) => string
}

/** Where the fence of each workspace hangs, from what is said to be served and the octets that are judged by. */
export function readAnchors(text: string, table: Uint8Array, serving: Serving): readonly Anchor[] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength)
  const generation = Number(view.getBigUint64(STRUCTS.vault_header.fields.generation, true))
  const digest = digestOf(table)
  const volumes = readVolumes(text).filter(({ state }) => state !== 'gone')
  return [...new Set(volumes.map(({ workspace }) => workspace))].map((workspace) => {
    const own = volumes.filter((volume) => volume.workspace === workspace)
    return {
      ...{ workspace, emulated: serving.emulated, generation },
      hooks: own.map((volume) => ({
        hook: serving.hook,
        on: serving.on(volume),
        owner: { kind: 'rules' as const, digest },
      })),
      objects: own.map(({ name, device }) => ({ kind: 'mount' as const, name, id: device })),
    }
  })
}

/** Flags that were set before anything was live. */
export const isFlagged = (text: string, workspace: string, bit: 'quarantined' | 'suspended'): boolean =>
  text.split('\n').some((line) => {
    const [kind, bits, at] = line.split(' ')
    return (
      kind === 'standing' &&
      at === workspace &&
      (Number(bits) & (bit === 'quarantined' ? QUARANTINED : SUSPENDED)) !== 0
    )
  })

/** Events as the daemon gives them, and how many it could not keep. */
export function readEvents(text: string): { readonly denials: readonly FileDenied[]; readonly lost: number } {
  const denials: FileDenied[] = []
  let lost = 0
  for (const line of text.split('\n')) {
    const words = line.split(' ')
    if (words[0] === 'lost') lost += Number(words[1])
    const [at, generation, uid, pid, op, verdict, workspace, volume, clause, count, path] = words
    const operation = FILE_OPERATION_NAMES[Number(op)]
    const reason = FILE_DENIALS[Number(verdict) - 1]
    if (path === undefined || operation === undefined || reason === undefined) continue
    denials.push({
      atMs: Number(at),
      generation: Number(generation),
      workspace: workspace ?? '',
      volume: volume ?? '',
      operation,
      reason,
      path: unescapePath(path),
      count: Number(count),
      uid: Number(uid),
      pid: Number(pid),
      ...(clause !== undefined && isDigest(clause) ? { clause } : {}),
    })
  }
  return { denials, lost }
}

/** %XX into octets. A path that is no UTF-8 stays as it was written. */
function unescapePath(text: string): string {
  const octets: number[] = []
  for (let i = 0; i < text.length; i++)
    if (text[i] === '%') {
      octets.push(Number.parseInt(text.slice(i + 1, i + 3), 16))
      i += 2
    } else octets.push(text.charCodeAt(i))
  return decodeUtf8(Uint8Array.from(octets)) ?? text
}
