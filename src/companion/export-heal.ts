// Makes the record of a pulled trail again from what lies beside it, when it is not there or knows less: the chains that cursors and
// copy have, each with its numbers, and what the lines of the copy say against each other. What was found and left no line behind is
// in the companion's own trail, where it was told before it was recorded. Reads only.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ChainPoint } from '../audit/chain.js'
import { hashOctets } from '../audit/file.js'
import type { Stretch } from '../audit/sinks/cursor.js'
import { cursorFile } from '../audit/sinks/terms.js'
import { partsOf } from '../audit/walk.js'
import { Fault } from '../base/fault.js'
import { SINKS } from './export-deliver.js'
import { type Finding, judge } from './export-judge.js'
import { type Epoch, isKnown, type TrailRecord, withFinding } from './export-record.js'
import { stretchesOf } from './export-survey.js'

export interface Healed {
  readonly record: TrailRecord
  /** What the record did not have. */
  readonly findings: readonly Finding[]
}

/** undefined: nothing is missing in it. `copied`: the chains of the copy at `path`, oldest first. Fails with the system's error. */
export async function heal(
  record: TrailRecord,
  folder: string,
  { path, chains: copied }: { readonly path: string; readonly chains: readonly string[] },
): Promise<Healed | undefined> {
  const sinks = stretchesIn(join(folder, SINKS))
  const chains = [...new Set([...sinks.flat().map(({ chain }) => chain), ...copied])]
  const has = (chain: string): boolean => record.epochs.some((epoch) => epoch.chain === chain)
  if (chains.every(has)) return undefined
  const { extents, findings: said } = await judged(path)
  const older = record.epochs.filter(({ chain }) => !chains.includes(chain))
  const epochs = [...older.map(({ chain }) => chain), ...chains].map((chain, i): Epoch => {
    const held = record.epochs.find((epoch) => epoch.chain === chain)
    const stretches = sinks.flat().filter((stretch) => stretch.chain === chain)
    const { before, last } = extents.get(chain) ?? { before: Number.MAX_SAFE_INTEGER, last: 0 }
    // Only the first chain may have begun before anybody pulled it.
    const from = held?.from ?? (i > 0 ? 0 : Math.min(before, ...stretches.map((stretch) => stretch.from)))
    const through = Math.max(held?.through ?? from, last, ...stretches.map(({ sequence }) => sequence))
    return { chain, from, through }
  })
  let healed: TrailRecord = { ...record, epochs }
  const findings: Finding[] = []
  const replaced = epochs.slice(0, -1).flatMap(({ chain, through }): Finding[] => {
    const known = [...record.findings, ...said].some((one) => one.found === 'replaced' && one.chain === chain)
    return known ? [] : [{ found: 'replaced', chain, fromSequence: through, toSequence: through }]
  })
  for (const finding of [...replaced, ...said])
    if (!isKnown(healed, finding)) {
      healed = withFinding(healed, finding)
      findings.push(finding)
    }
  return { record: healed, findings }
}

const CURSOR = '.cursor.json'

/** Of every sink that ever had something, the one that knows most chains first: the others began later. */
function stretchesIn(directory: string): readonly (readonly Stretch[])[] {
  const names = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(CURSOR)) : []
  return names
    .map((name) => {
      try {
        return stretchesOf(cursorFile(directory, name.slice(0, -CURSOR.length)))
      } catch (error) {
        // A damaged cursor says nothing here; its sink says so itself.
        if (error instanceof Fault && error.code === 'AUDIT_CURSOR_DAMAGED') return []
        throw error
      }
    })
    .sort((a, b) => b.length - a.length)
}

/** The lines of the copy as they would be judged if they came now. */
async function judged(path: string) {
  const extents = new Map<string, { readonly before: number; readonly last: number }>()
  const findings: Finding[] = []
  let before: ChainPoint | undefined
  for await (const { batches } of partsOf(path))
    for await (const { lines, torn } of batches)
      for (const line of torn ? [] : lines) {
        const found = judge(before, line, hashOctets)
        if (found.kind !== 'next') continue
        const { chain, sequence } = found.link
        findings.push(...found.findings)
        extents.set(chain, { before: extents.get(chain)?.before ?? sequence - 1, last: sequence })
        before = found.link
      }
  return { extents, findings }
}
