// A volume of a temporary directory, served by the real daemon through the real driver, and taken away again.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, it } from 'vitest'
import type { FileDenied } from '../../../src/backends/backend.js'
import { daemonPath } from '../../../src/backends/vaultfs/daemon.js'
import { VaultfsDriver } from '../../../src/backends/vaultfs/driver.js'
import type { PlanSlice, VolumePlan } from '../../../src/plan/model.js'
import { lower } from '../../../src/vault/lower.js'
import { WS } from '../plans.js'
import { sliceOf, volume } from './slices.js'

/** Root, FUSE and the built daemon; says why not otherwise. */
export const cannotServe: string | undefined =
  process.getuid?.() !== 0
    ? 'this needs root'
    : !existsSync('/dev/fuse')
      ? 'this kernel has no FUSE'
      : !existsSync(daemonPath())
        ? '`make native` has not been run'
        : undefined

/** Files can be handed over from Linux 6.9 on; before, every volume is judged, which test/kernel/vaultfs.test.ts shows. */
const [major = 0, minor = 0] = release().split('.').map(Number)
export const cannotLend = major > 6 || (major === 6 && minor >= 9) ? cannotServe : 'this kernel cannot take files'

/** `describe`; where it cannot be had, one skipped test says why. */
export function suiteUnless(why: string | undefined, name: string, body: () => void): void {
  if (why === undefined) describe(name, body)
  else it(name, (context) => context.skip(why))
}

export interface Served {
  readonly directory: string
  readonly source: string
  readonly mount: string
  readonly driver: VaultfsDriver
  /** Puts other rules in place; answers with the generation. */
  readonly apply: (rules: readonly string[], more?: Partial<PlanSlice>) => Promise<number>
  /** Every refusal since the last call. */
  readonly refused: () => Promise<readonly FileDenied[]>
  readonly quarantine: (on: boolean) => Promise<void>
  /** Process id of the daemon. */
  readonly pid: () => number
  readonly close: () => Promise<void>
}

export async function serve(rules: readonly string[], terms: Partial<VolumePlan> = {}): Promise<Served> {
  const directory = await mkdtemp(join(tmpdir(), 'sv-'))
  const [source, mount, state] = ['source', 'mount', 'state'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  await mkdir(source)
  const driver = new VaultfsDriver({ attachInterfaces: [], stateDirectory: state })
  let generation = 0
  const apply = async (lines: readonly string[], more: Partial<PlanSlice> = {}): Promise<number> => {
    generation++
    const slice = sliceOf([volume(lines, { source, mount, ...terms })], generation, more)
    await driver.commit(await driver.stage(lower(slice)))
    return generation
  }
  await apply(rules)
  return {
    directory,
    source,
    mount,
    driver,
    apply,
    refused: async () => {
      const seen: FileDenied[] = []
      const stop = await driver.fileDenials(({ denials }) => seen.push(...denials))
      await stop()
      return seen
    },
    quarantine: (on) => driver.flag(WS, 'quarantined', on),
    pid: () => daemonOf(state),
    close: async () => {
      await driver.uninstall()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The daemon of a state directory, by its argument. */
export function daemonOf(state: string): number {
  const found = readFileSync('/proc/locks', 'utf8')
  const inode = statSync(join(state, 'lock')).ino
  const line = found.split('\n').find((one) => one.includes('FLOCK') && one.includes(`:${inode} `))
  const pid = Number(line?.trim().split(/\s+/)[4])
  if (!(pid > 1)) throw new Error(`no daemon holds ${state}`)
  return pid
}

/** Until `condition` holds; throws with what it says otherwise. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 3_000; i++) {
    if (await condition()) return
    await sleep(10)
  }
  throw new Error(`never came: ${what}`)
}
