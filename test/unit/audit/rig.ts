// A journal in a folder of its own, written with a key that the test knows, for suites that tamper with it.

import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openSigned } from '../../../src/agent/signed.js'
import type { ChainPoint } from '../../../src/audit/chain.js'
import type { Sealing } from '../../../src/audit/head.js'
import { type JournalOptions, openJournal } from '../../../src/audit/journal.js'
import { SEAL_TYPE } from '../../../src/audit/seal.js'
import type { VerifyTerms } from '../../../src/audit/verify.js'
import { base64url } from '../../../src/base/bytes.js'
import { Fault } from '../../../src/base/fault.js'
import { readJwks } from '../../../src/bundle/jwk.js'
import { generateKey, signerOf } from '../../../src/bundle/key-file.js'
import { CONTEXT, FACTS, NOW } from '../../support/facts.js'

export const KEY = generateKey({ role: 'agent' }, (length) => randomBytes(length))
const KEYS = readJwks({ kty: 'OKP', crv: 'Ed25519', alg: 'Ed25519', kid: KEY.kid, x: base64url(KEY.public.bytes) })

export const SEALING: Sealing = {
  signer: signerOf(KEY),
  node: 'spiffe://acme.example/node/7',
  segmentBytes: 1 << 20,
  segmentMs: 3_600_000,
  keepBytes: 1 << 30,
  keepMs: 1e12,
}
export const OPTIONS: JournalOptions = {
  product: CONTEXT.product,
  reporter: CONTEXT.reporter,
  nowMs: () => NOW,
  random: (length) => randomBytes(length),
  retryMs: 5,
  sealing: SEALING,
}

export const CHECKED: VerifyTerms = {
  openSeal: (token) =>
    openSigned(token, SEAL_TYPE, KEYS).catch((error: unknown) => {
      if (error instanceof Fault) return undefined
      throw error
    }),
}

/** A mark that remembers in memory. */
export function memoryMark(point?: ChainPoint) {
  let held = point
  return {
    read: () => held,
    write: (next: ChainPoint) => {
      held = next
    },
  }
}

/** Writes `counts` events, a segment for each count but the last, which stays open. */
export async function writeSegments(path: string, counts: readonly number[], more: Partial<JournalOptions> = {}) {
  const journal = await openJournal(path, { ...OPTIONS, sync: 'never', ...more })
  for (const [i, count] of counts.entries()) {
    for (let n = 0; n < count; n++) journal.emit(FACTS['flow-denied'])
    if (i < counts.length - 1) await journal.rotate()
  }
  return journal.close()
}

export const linesIn = (path: string): string[] => readFileSync(path, 'latin1').trimEnd().split('\n')
export const putLines = (path: string, lines: readonly string[]): void => {
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''), 'latin1')
}
export const pathIn = (folder: string): string => join(folder, 'events.ndjson')
