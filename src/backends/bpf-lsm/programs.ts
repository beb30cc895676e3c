// Executables in the maps of the guard: files of this node as they are now. One that was replaced by another under its path may run again
// when a look has seen it; what was there before may not.

import type { Executable } from '../../plan/model.js'
import { identityOf } from './files.js'
import type { Guard } from './guard.js'
import { type Identity, programKey, sameIdentity } from './layout.js'

interface Listed {
  readonly number: number
  readonly allow: readonly Executable[] | undefined
}

export class Programs {
  /** What each side allows by path, as it was last looked at. */
  private readonly known = new Map<string, Identity>()

  forget(side: number): void {
    for (const key of this.known.keys()) if (key.startsWith(`${side} `)) this.known.delete(key)
  }

  allow(guard: Guard, side: number, { number, allow }: Listed): void {
    for (const one of allow ?? []) {
      const identity = identityOf(one, Date.now())
      if (!identity) continue
      guard.putProgram(side, number, identity)
      this.known.set(knownKey(side, number, one), identity)
    }
  }

  /** What a clause lists is what lies there now. */
  refresh(guard: Guard, side: number, seats: readonly Listed[]): void {
    const [gone, kept] = [new Map<string, () => void>(), new Set<string>()]
    for (const { number, allow } of seats)
      for (const one of allow ?? []) {
        const key = knownKey(side, number, one)
        const was = this.known.get(key)
        const is = identityOf(one, Date.now(), was)
        const moved = was && !(is && sameIdentity(was, is))
        if (moved) gone.set(rowKey(side, number, was), () => guard.removeProgram(side, number, was))
        if (is) kept.add(rowKey(side, number, is))
        if (is && (!was || moved)) guard.putProgram(side, number, is)
        if (is) this.known.set(key, is)
        else this.known.delete(key)
      }
    // One file may be listed under several names: it is taken away when the last of them stands for something else.
    for (const [row, remove] of gone) if (!kept.has(row)) remove()
  }
}

const rowKey = (side: number, number: number, of: Identity): string => programKey(side, number, of).toString('hex')

const knownKey = (side: number, number: number, { path, digest }: Executable): string =>
  `${side} ${number} ${path} ${digest ?? ''}`
