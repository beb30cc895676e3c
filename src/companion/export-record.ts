// What is remembered about the trail of one agent beside the copy of its events: the chains that were pulled (each is an epoch of
// the trail, with the numbers that it had), and every finding, so that one is told once and `sluice audit reconcile` knows which
// numbers were never there. A small file, replaced as a whole and synced.

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncDirectory } from '../audit/file.js'
import type { Json } from '../base/canonical.js'
import { isObject, parseJson } from '../base/json.js'
import { exportFault } from './export-errors.js'
import type { Finding } from './export-judge.js'

export const RECORD_FORMAT = 'sluice-pulled-trail/1'
/** More are counted and not listed. */
const MAX_FINDINGS = 1_000

export interface Epoch {
  readonly chain: string
  /** Everything after this one was there when pulling began. */
  readonly from: number
  /** The last one that was pulled; of the epoch that goes on, the copy knows better. */
  readonly through: number
}

export interface TrailRecord {
  /** SPIFFE URI. */
  readonly node: string
  readonly epochs: readonly Epoch[]
  /** Oldest first, neighbours of one kind as one range. */
  readonly findings: readonly Finding[]
  /** Findings that are not listed any more. */
  readonly further: number
}

/** undefined when there is none yet. Throws EXPORT_RECORD_DAMAGED, and what the system says. */
export function readRecord(file: string): TrailRecord | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const found = parsed(text)
  if (!found) throw exportFault('EXPORT_RECORD_DAMAGED', { file })
  return found
}

function parsed(text: string): TrailRecord | undefined {
  try {
    const value = parseJson(text)
    if (!isObject(value) || value.format !== RECORD_FORMAT) return undefined
    const { node, epochs, findings, further } = value
    if (typeof node !== 'string' || typeof further !== 'number') return undefined
    if (!Array.isArray(epochs) || !epochs.every(isEpoch)) return undefined
    if (!Array.isArray(findings) || !findings.every(isFinding)) return undefined
    return value as unknown as TrailRecord
  } catch {
    // No JSON is no record either; the caller says so.
    return undefined
  }
}

const has = (value: Json, texts: readonly string[], numbers: readonly string[]): boolean =>
  isObject(value) &&
  texts.every((name) => typeof value[name] === 'string') &&
  numbers.every((name) => Number.isSafeInteger(value[name]))
const isEpoch = (value: Json): boolean => has(value, ['chain'], ['from', 'through'])
const isFinding = (value: Json): boolean => has(value, ['found', 'chain'], ['fromSequence', 'toSequence'])

/** On return it is on stable storage. Throws what the system says; the old one then stands. */
export function writeRecord(file: string, record: TrailRecord): void {
  const temporary = `${file}.new`
  const handle = openSync(temporary, 'w', 0o600)
  try {
    writeSync(handle, `${JSON.stringify({ format: RECORD_FORMAT, ...record })}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(temporary, file)
  syncDirectory(dirname(file))
}

/** Whether this was found before. */
export const isKnown = ({ findings }: TrailRecord, { found, chain, fromSequence, toSequence }: Finding): boolean =>
  findings.some(
    (one) =>
      one.found === found && one.chain === chain && one.fromSequence <= fromSequence && toSequence <= one.toSequence,
  )

/** The record with one more finding. */
export function withFinding(record: TrailRecord, finding: Finding): TrailRecord {
  const last = record.findings.at(-1)
  const goesOn =
    last?.found === finding.found && last.chain === finding.chain && last.toSequence + 1 === finding.fromSequence
  const findings = goesOn
    ? [...record.findings.slice(0, -1), { ...last, toSequence: finding.toSequence }]
    : [...record.findings, finding]
  const over = Math.max(0, findings.length - MAX_FINDINGS)
  return { ...record, findings: findings.slice(over), further: record.further + over }
}

/** The record once the copy goes on with `chain`, after `from` of it; `through` is where the one before ended. */
export function withEpoch(record: TrailRecord, chain: string, from: number, through: number): TrailRecord {
  const last = record.epochs.at(-1)
  if (last?.chain === chain) return record
  const ended = last ? [...record.epochs.slice(0, -1), { ...last, through }] : []
  return { ...record, epochs: [...ended, { chain, from, through: from }] }
}

/** How many numbers of the chain up to `through` were never pulled, as the findings say, and the first range of them. */
export function missingIn({ findings }: TrailRecord, chain: string) {
  const ranges = findings.filter((one) => one.found === 'events-missing' && one.chain === chain)
  const missing = ranges.reduce((sum, { fromSequence, toSequence }) => sum + toSequence - fromSequence + 1, 0)
  return { missing, ranges: ranges.map(({ fromSequence, toSequence }) => [fromSequence, toSequence] as const) }
}
