// Moves this process into a network namespace of its own, for tests of the eBPF fence: it ends with the process, so nothing is
// left behind, and its cookie gives the fence a folder of pins of its own. Needs root. Child processes are born in it too.

import { execFileSync } from 'node:child_process'
import koffi from 'koffi'

const CLONE_NEWNET = 0x40000000

export const isRoot = (): boolean => process.getuid?.() === 0

/** Why the suites that need the kernel are skipped; undefined when they are not. */
export const skipReason = (): string | undefined => (isRoot() ? undefined : 'needs root')

export function seclude(): void {
  const unshare = koffi.load('libc.so.6').func('int unshare(int flags)')
  if (unshare(CLONE_NEWNET) !== 0) throw new Error('unshare: a network namespace of its own needs root')
}

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' })
