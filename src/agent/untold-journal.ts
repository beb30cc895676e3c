// Which of these quarantines and lifts the journal has already: by command id, workspace, what was done and when. Both halves of an
// event count as there when the second is, because they are written in order. Segments that were written last before the first of them
// was asked for are not read.

import { statSync } from 'node:fs'
import { textOf } from '../audit/lines.js'
import { CLASS } from '../audit/ocsf/event.js'
import { partsOf } from '../audit/walk.js'
import type { Json } from '../base/canonical.js'
import { isObject } from '../base/json.js'
import type { Left, Told } from './untold.js'

/** Keys of those that are there. Fails with the system's error. */
export async function inJournal(eventsFile: string, wanted: readonly Left[]): Promise<ReadonlySet<string>> {
  const sinceMs = Math.min(...wanted.map(({ askedAtMs }) => askedAtMs))
  const there = new Set<string>()
  const isRecent = ({ path }: { readonly path: string }): boolean => statSync(path).mtimeMs >= sinceMs
  for await (const { batches } of partsOf(eventsFile, isRecent))
    for await (const { lines, torn } of batches)
      for (const line of torn ? [] : lines) {
        if (!SECOND.test(line)) continue
        const told = read(textOf(line))
        if (!told) continue
        for (const { key, askedAtMs, fact } of wanted)
          if (
            told.kind === fact.kind &&
            told.commandId === fact.commandId &&
            told.workspace === fact.workspace.workspace &&
            told.atMs >= askedAtMs
          )
            there.add(key)
      }
  return there
}

const SECOND = new RegExp(`"class_uid":${CLASS.configState},.*"command_uid":`)
const KINDS: ReadonlyMap<Json | undefined, Told['kind']> = new Map([
  [3, 'quarantine-set'],
  [9, 'quarantine-lifted'],
])

interface Seen {
  readonly kind: Told['kind']
  readonly commandId: Json | undefined
  readonly workspace: Json | undefined
  readonly atMs: number
}

function read(text: string): Seen | undefined {
  const event = parsed(text)
  if (!isObject(event)) return undefined
  const kind = KINDS.get(event.disposition_id)
  const { device, unmapped, time } = event
  if (!kind || !isObject(device) || !isObject(unmapped) || typeof time !== 'number') return undefined
  return { kind, commandId: unmapped.command_uid, workspace: device.uid, atMs: time }
}

/** The platform's parser: a line of the trail that is none is `verify`'s to find. */
function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}
