// Executables in the maps of the guard: files of this node as they are now. One that was replaced by another under its path may run again
// when a look has seen it; what was there before may not. A process that takes up what another left does not know what the listed paths
// led to then: its first look takes away whatever they do not lead to now.

import type { Executable } from '../../plan/model.js'
import { identityOf } from './files.js'
import type { Guard } from './guard.js'
import { type Identity, programKey, sameIdentity } from './layout.js'

interface Listed {
  readonly number: number
  readonly allow: readonly Executable[] | undefined
}

/** Of the guard, what this needs. */
type Rows = Pick<Guard, 'putProgram' | 'removeProgram' | 'programs'>

export class Programs {
  /** What each side allows by path, as it was last looked at. */
  private readonly known = new Map<string, Identity>()
  /** Sides of which every row was written or looked at here. */
  private readonly own = new Set<number>()

  /** The side was cleared. */
  forget(side: number): void {
    for (const key of this.known.keys()) if (key.startsWith(`${side} `)) this.known.delete(key)
    this.own.add(side)
  }

  allow(guard: Rows, side: number, { number, allow }: Listed): void {
    for (const one of allow ?? []) {
      const identity = identityOf(one, Date.now())
      if (!identity) continue
      guard.putProgram(side, number, identity)
      this.known.set(knownKey(side, number, one), identity)
    }
  }

  /** What a clause lists is what lies there now. */
  refresh(guard: Rows, side: number, seats: readonly Listed[]): void {
    const [gone, kept] = [new Map<string, Buffer>(), new Set<string>()]
    if (!this.own.has(side)) for (const row of guard.programs(side)) gone.set(nameOf(row), row)
    for (const { number, allow } of seats)
      for (const one of allow ?? []) {
        const key = knownKey(side, number, one)
        const was = this.known.get(key)
        const is = identityOf(one, Date.now(), was)
        const moved = was && !(is && sameIdentity(was, is))
        if (moved) {
          const row = programKey(side, number, was)
          gone.set(nameOf(row), row)
        }
        if (is) kept.add(nameOf(programKey(side, number, is)))
        if (is && (!was || moved)) guard.putProgram(side, number, is)
        if (is) this.known.set(key, is)
        else this.known.delete(key)
      }
    // One file may be listed under several names: it is taken away when the last of them stands for something else.
    for (const [name, row] of gone) if (!kept.has(name)) guard.removeProgram(row)
    this.own.add(side)
  }
}

const nameOf = (row: Buffer): string => row.toString('hex')

const knownKey = (side: number, number: number, { path, digest }: Executable): string =>
  `${side} ${number} ${path} ${digest ?? ''}`
