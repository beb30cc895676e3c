// Users that machines run as: a number for each workspace, given once and kept beside its record, whatever becomes of the list of networks.
// Two machines under one user could signal each other and read each other's files, so a number that a machine of another workspace has is
// refused, and one is given to somebody else only when its workspace and its machines are gone.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { canonicalize } from '../base/canonical.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import type { MachineSeen } from './drivers/driver.js'
import { companionFault } from './errors.js'

const FORMAT = 'sluice-machine-users/1'

export type MachineUser = Pick<MachineSeen, 'workspace' | 'user'>

export interface UsersPlace {
  /** JSON, replaced as a whole. */
  readonly file: string
  /** The lowest number that is given. */
  readonly first: number
  /** Of the users of this host (passwd(5)): whoever is in it is no machine. */
  readonly passwd?: string
}
/** How many numbers there are from the first one on. */
const NUMBERS = 4_096
/** `nobody`, and what 16 bits have instead of no user at all: anybody's. */
const SHARED: readonly number[] = [65_534, 65_535]

/**
 * The number of the workspace, on the disk when this returns. `known`: workspaces that there are records of; `machines`: what is listed
 * now, of whoever. Throws MACHINE_USER when a machine of another workspace has it, MACHINE_USERS for a file that is not what was written.
 */
export function userOf(
  workspace: string,
  place: UsersPlace,
  known: readonly string[],
  machines: readonly MachineUser[],
): number {
  const { file } = place
  const given = read(file)
  const others = machines.filter((one) => one.workspace !== workspace)
  const running = machines.find((one) => one.workspace === workspace && one.user !== undefined)?.user
  const user = given.get(workspace) ?? running ?? free(place, given, machines, known)
  const taken = others.find((one) => one.user === user)
  if (taken) throw companionFault('MACHINE_USER', { workspace, user, other: taken.workspace })
  if (given.get(workspace) === user) return user
  const kept = [...given].filter(([one]) => isNeeded(one, known, machines))
  write(file, new Map([...kept, [workspace, user]]))
  return user
}

const isNeeded = (workspace: string, known: readonly string[], machines: readonly MachineUser[]): boolean =>
  known.includes(workspace) || machines.some((one) => one.workspace === workspace)

function free(
  { file, first, passwd = '/etc/passwd' }: UsersPlace,
  given: ReadonlyMap<string, number>,
  machines: readonly MachineUser[],
  known: readonly string[],
): number {
  const had = new Set([...machines.map(({ user }) => user), ...SHARED, ...usersOf(passwd)])
  for (const [workspace, user] of given) if (isNeeded(workspace, known, machines)) had.add(user)
  for (let user = first; user < first + NUMBERS; user++) if (!had.has(user)) return user
  throw companionFault('MACHINE_USERS', { file, why: `none of the ${NUMBERS} numbers from ${first} on is free` })
}

/** A host without the file has no users of its own. */
const usersOf = (passwd: string): readonly number[] =>
  existsSync(passwd)
    ? [...readFileSync(passwd, 'latin1').matchAll(/^[^:\n]*:[^:\n]*:(\d+):/gm)].map(([, user]) => Number(user))
    : []

function read(file: string): ReadonlyMap<string, number> {
  if (!existsSync(file)) return new Map()
  const no = (why: string, cause?: unknown) => companionFault('MACHINE_USERS', { file, why }, { cause })
  try {
    const value = parseJson(readFileSync(file, 'utf8'))
    if (!isObject(value) || value.format !== FORMAT || !isObject(value.users)) throw no(`it is not ${FORMAT}`)
    const users = Object.entries(value.users)
    const good = users.every(([, user]) => Number.isSafeInteger(user) && Number(user) > 0)
    if (!good || new Set(users.map(([, user]) => user)).size !== users.length)
      throw no('it has what is no number, or one twice')
    return new Map(users as [string, number][])
  } catch (error) {
    if (error instanceof JsonError) throw no(error.message, error)
    throw error
  }
}

function write(file: string, users: ReadonlyMap<string, number>): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const beside = openSync(`${file}.new`, 'w', 0o600)
  try {
    writeSync(beside, `${canonicalize({ format: FORMAT, users: Object.fromEntries(users) })}\n`)
    fsyncSync(beside)
  } finally {
    closeSync(beside)
  }
  renameSync(`${file}.new`, file)
  const folder = openSync(dirname(file), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
