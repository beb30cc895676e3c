// Moves this process into a network namespace of its own, for tests of the eBPF fence: it ends with the process, so nothing is
// left behind, and its cookie gives the fence a folder of pins of its own. Needs root. Child processes are born in it too.

import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'

const CLONE_NEWNET = 0x40000000

export function seclude(): void {
  const unshare = koffi.load('libc.so.6').func('int unshare(int flags)')
  if (unshare(CLONE_NEWNET) !== 0) throw new Error('unshare: a network namespace of its own needs root')
}

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' })

/** Moves this process into a named network namespace of the laboratory. */
export function enter(namespace: string): void {
  const libc = koffi.load('libc.so.6')
  const handle = openSync(`/run/netns/${namespace}`, 'r')
  const answer = libc.func('int setns(int fd, int kind)')(handle, CLONE_NEWNET)
  closeSync(handle)
  if (answer !== 0) throw new Error(`setns: cannot enter ${namespace}`)
}

/** Where the process came from, for `leave`. */
export function remember(): () => void {
  const libc = koffi.load('libc.so.6')
  const handle = openSync('/proc/thread-self/ns/net', 'r')
  return () => {
    libc.func('int setns(int fd, int kind)')(handle, CLONE_NEWNET)
    closeSync(handle)
  }
}
