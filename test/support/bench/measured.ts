// A run of the bench's own process with a test's variants (worker.mjs): what it told, and how it ended.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Raw } from '../../../src/bench/assemble.js'
import type { Scene } from '../../../src/bench/matrix.js'
import type { Ran } from '../../../src/bench/run.js'
import type { Heard } from '../../../src/bench/told.js'

const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url))

export interface Asked {
  readonly scenes: readonly Scene[]
  readonly names: readonly string[]
  readonly seed: number
  /** Names of `names` that are another variant, or the one of that name, with so many rules beside it that match nothing. */
  readonly plant?: Readonly<Record<string, { readonly in: string; readonly rules: number }>>
}

export interface Told {
  readonly raws: readonly Raw[]
  readonly remarks: readonly string[]
  readonly ran: Ran | undefined
  readonly status: number | null
}

/** `during` is called with each line and the process; it may stop it. */
export async function measured(asked: Asked, during?: (line: Heard, child: ChildProcess) => void): Promise<Told> {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const words = ['--net', '--mount', '--propagation', 'private', process.execPath, WORKER]
  const child = spawn('unshare', [...words, JSON.stringify({ ...asked, stateDirectory })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const raws: Raw[] = []
  const remarks: string[] = []
  let ran: Ran | undefined
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as Heard
    if (line.kind === 'raw') raws.push(line.raw)
    else if (line.kind === 'remark') remarks.push(line.say)
    else if (line.kind === 'ran') ran = line.ran
    during?.(line, child)
  })
  await once(child, 'close')
  rmSync(stateDirectory, { recursive: true, force: true })
  return { raws, remarks, ran, status: child.exitCode }
}

/** Processes that this one started and that are alive. */
export const childrenOf = (pid: number): readonly number[] =>
  readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
      return Number(fields[1]) === pid && fields[0] !== 'Z' ? [Number(name)] : []
    } catch {
      // It ended while it was looked at.
      return []
    }
  })
