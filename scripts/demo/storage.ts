// The part of the demo with files: a volume of which the workspace may read /project and write /project/out. As root in its own
// network namespace it does that and tries the rest. What each attempt meets is the clause that the plan names for it
// (plan/evaluate-file.ts), and the trail must have every refusal.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { evaluateFile } from '../../src/plan/evaluate-file.js'
import type { FileOperation } from '../../src/plan/file-operations.js'
import type { StorageSlice } from '../../src/plan/model.js'
import { printFileRule } from '../../src/plan/storage.js'
import type { Lab } from '../../test/support/lab/lab.js'
import { repositoryPath } from '../../test/support/lab/repository.js'
import { type Document, textAt } from './product.js'
import { progress, type Row } from './report.js'
import type { Beside } from './workshop.js'

const GROUP = 'files, on a volume'
const TOLD_MS = 20_000

/** Why no volume can be served here; undefined when one can. */
export const noVolumes: string | undefined = !existsSync('/dev/fuse')
  ? 'this kernel has no FUSE'
  : !existsSync(repositoryPath('build/native/sluice-vaultfs'))
    ? 'build/native has no sluice-vaultfs'
    : undefined

/** What the demo adds where volumes can be served. */
export const VOLUME: Beside = { backend: 'vaultfs', inventory: layOut, additions: 'storage.yaml' }

/** The line of the inventory, and the directory that it speaks of with what the attempts need. */
function layOut(directory: string): string {
  const source = join(directory, 'volume')
  for (const path of ['project/out', 'project/.secrets', 'elsewhere'])
    mkdirSync(join(source, path), { recursive: true })
  writeFileSync(join(source, 'project/main.c'), 'int main;\n')
  writeFileSync(join(source, 'project/.secrets/token'), 'SECRET\n')
  writeFileSync(join(source, 'elsewhere/notes'), 'SECRET\n')
  return `    volumes: [{ name: work, source: ${source}, mount: ${join(directory, 'view')} }]\n`
}

interface Attempt {
  readonly say: string
  /** A shell's command, in the root of the volume. */
  readonly run: string
  readonly expect: 'allowed' | 'EACCES' | 'EROFS'
  /** What is asked for in the end, and of which path. */
  readonly operation: FileOperation
  readonly path: string
}

const ATTEMPTS: readonly Attempt[] = [
  {
    say: 'read project/main.c',
    run: 'cat project/main.c',
    expect: 'allowed',
    operation: 'open',
    path: '/project/main.c',
  },
  {
    say: 'write project/out/a',
    run: 'echo x > project/out/a',
    expect: 'allowed',
    operation: 'create',
    path: '/project/out/a',
  },
  {
    say: 'write over project/main.c',
    run: 'echo x > project/main.c',
    expect: 'EROFS',
    operation: 'open-write',
    path: '/project/main.c',
  },
  { say: 'make project/new', run: 'mkdir project/new', expect: 'EROFS', operation: 'mkdir', path: '/project/new' },
  {
    say: 'remove project/main.c',
    run: 'rm -f project/main.c',
    expect: 'EROFS',
    operation: 'unlink',
    path: '/project/main.c',
  },
  {
    say: 'make project/main.c executable',
    run: 'chmod 777 project/main.c',
    expect: 'EROFS',
    operation: 'setattr',
    path: '/project/main.c',
  },
  {
    say: 'read a secret',
    run: 'cat project/.secrets/token',
    expect: 'EACCES',
    operation: 'lookup',
    path: '/project/.secrets',
  },
  {
    say: 'read a secret by dot-dot',
    run: 'cat project/out/../.secrets/token',
    expect: 'EACCES',
    operation: 'lookup',
    path: '/project/.secrets',
  },
  {
    say: 'read a secret by a link',
    run: 'ln -s ../.secrets project/out/l && cat project/out/l/token',
    expect: 'EACCES',
    operation: 'lookup',
    path: '/project/.secrets',
  },
  {
    say: 'read what no clause speaks of',
    run: 'cat elsewhere/notes',
    expect: 'EACCES',
    operation: 'lookup',
    path: '/elsewhere',
  },
  {
    say: 'move project/out away',
    run: 'mv project/out project/gone',
    expect: 'EACCES',
    operation: 'rename-from',
    path: '/project/out',
  },
  {
    say: 'a hard link to main.c, to write by',
    run: 'ln project/main.c project/out/h',
    expect: 'EROFS',
    operation: 'link-from',
    path: '/project/main.c',
  },
  {
    say: 'a device',
    run: 'mknod project/out/d c 1 1',
    expect: 'EACCES',
    operation: 'make-device',
    path: '/project/out/d',
  },
]

export interface Files {
  readonly lab: Lab
  readonly directory: string
  /** What `sluice watch` told so far. */
  readonly facts: readonly Document[]
}

/** Needs the volume live. */
export async function storage({ lab, directory, facts }: Files): Promise<Row[]> {
  const plan = JSON.parse(readFileSync(join(directory, 'plan.json'), 'utf8')) as {
    readonly workspaces: readonly { readonly storage?: StorageSlice }[]
  }
  const slice = plan.workspaces[0]?.storage
  // Commands in a namespace have their mounts to themselves: the workspace's runtime would bind the volume into its own.
  const enter = ['nsenter', `--mount=/proc/${daemonOf(join(directory, 'state', 'backends', 'vaultfs'))}/ns/mnt`, '--']
  const rows: Row[] = []
  for (const { say, run, expect, operation, path } of ATTEMPTS) {
    const { status, stderr } = await lab.exec('ws', [...enter, 'sh', '-c', `cd ${join(directory, 'view')} && ${run}`], {
      env: { ...process.env, LC_ALL: 'C' },
    })
    const observed =
      status === 0 ? 'allowed' : stderr.includes('Read-only') ? 'EROFS' : stderr.includes('denied') ? 'EACCES' : stderr
    const verdict = evaluateFile(slice, { quarantined: false, suspended: false }, { volume: 'work', operation, path })
    const rule = slice?.volumes[0]?.rules.find(
      ({ clauses }) => verdict.clause !== undefined && clauses[0] === verdict.clause,
    )
    const named = rule ? printFileRule('work', rule) : 'no clause'
    const agrees = (verdict.kind === 'allow' ? 'allowed' : verdict.error) === expect
    const clause = `${verdict.kind === 'deny' ? `${verdict.reason}, ` : ''}${named}`
    rows.push({ group: GROUP, probe: say, expected: expect, observed, clause, ok: observed === expect && agrees })
  }
  rows.push(await toldOf(facts))
  progress(`files: ${ATTEMPTS.length} attempts on a volume`)
  return rows
}

/** Each path that was refused is in the trail. */
async function toldOf(facts: readonly Document[]): Promise<Row> {
  const refused = [...new Set(ATTEMPTS.filter(({ expect }) => expect !== 'allowed').map(({ path }) => path))]
  const missing = (): string[] =>
    refused.filter((path) => !facts.some((fact) => fact.kind === 'file-denied' && textAt(fact, 'path') === path))
  const until = performance.now() + TOLD_MS
  while (missing().length > 0 && performance.now() < until) await new Promise((done) => setTimeout(done, 100))
  const observed = missing().length === 0 ? 'all told' : `not told: ${missing().join(', ')}`
  const probe = `refusals told by sluice watch, ${refused.length} paths`
  return { group: GROUP, probe, expected: 'all told', observed, clause: 'file-denied', ok: observed === 'all told' }
}

/** The daemon that serves the volumes of a state directory, by the lock that it holds. */
function daemonOf(state: string): number {
  const { ino } = statSync(join(state, 'lock'))
  const line = readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .find((one) => one.includes('FLOCK') && one.includes(`:${ino} `))
  const pid = Number(line?.trim().split(/\s+/)[4])
  if (!(pid > 1)) throw new Error(`nobody serves the volumes of ${state}`)
  return pid
}
