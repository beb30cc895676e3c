// The floor under the fence: a program at the network namespace's own hooks that drops what comes by or goes to an interface
// with the name of a slot, until the fence hangs on it. It knows interfaces by name, so one that is made anew is closed from its
// first packet on, with or without an agent. Frames that a bridge passes from port to port do not come by there.
//
// Needs programs on netfilter hooks (Linux 6.4); where the kernel has none, there is no floor, and the probe says what is lost.

import { existsSync, renameSync, unlinkSync } from 'node:fs'
import { Fault } from '../../base/fault.js'
import { ebpfFault } from './errors.js'
import { type Fence, load } from './fence.js'
import type { Book } from './generation.js'
import { STRUCTS } from './layout.js'
import { errnoName } from './native.js'

export const FLOOR_OBJECT = 'fence_floor.bpf.o'
/** NFPROTO_IPV4 and NFPROTO_IPV6; NF_INET_PRE_ROUTING and NF_INET_POST_ROUTING. */
const HOOKS = [2, 10].flatMap((family) => [0, 4].map((hook) => ({ family, hook })))
/** Before everything that has a number in the kernel's list of priorities; the kernel lets each number hold one program. */
const PRIORITIES = [-1000, -1001, -1002, -1003] as const

const { size: KEY, fields } = STRUCTS.fence_name
const MAX_NAMES = 8192
const linkPath = (fence: Fence, family: number, hook: number): string => `${fence.pins}/links/floor-${family}-${hook}`

/** Lays the floor where it does not lie yet, or anew with `renew`; false where the kernel cannot. */
export function layFloor(fence: Fence, renew: boolean): boolean {
  const { native, pins } = fence
  if (floorHangs(fence) && !renew) return true
  try {
    load(native, FLOOR_OBJECT, `${pins}/maps`, `${pins}/programs`, 0)
    const program = native.call('opening the floor', 'get', `${pins}/programs/fence_floor`)
    try {
      for (const { family, hook } of HOOKS) {
        const pin = linkPath(fence, family, hook)
        hang(fence, program, family, hook, `${pin}-new`)
        // The link of such a hook cannot be given another program: the new one hangs before the old one goes.
        renameSync(`${pin}-new`, pin)
      }
    } finally {
      native.ask('close', program)
    }
    return true
  } catch (error) {
    // Without it the fence is as good as it was before; the probe tells the operator.
    if (!(error instanceof Fault)) throw error
    return false
  }
}

function hang({ native }: Fence, program: number, family: number, hook: number, pin: string): void {
  // Left by an agent that died here.
  if (existsSync(pin)) unlinkSync(pin)
  let answer = 0
  for (const priority of PRIORITIES) {
    answer = native.ask('attachNetfilter', program, family, hook, priority, pin)
    if (answer >= 0) return
  }
  throw ebpfFault('EBPF_KERNEL', { what: 'laying the floor', errno: errnoName(answer) })
}

const HOOK_NAMES: Readonly<Record<string, string>> = {
  '2-0': 'netfilter/ipv4/prerouting',
  '2-4': 'netfilter/ipv4/postrouting',
  '10-0': 'netfilter/ipv6/prerouting',
  '10-4': 'netfilter/ipv6/postrouting',
}

/** Pinned links of the floor, with the hooks that they hang on; none where there is no floor. */
export const floorLinks = (fence: Fence): { readonly hook: string; readonly path: string }[] =>
  HOOKS.map(({ family, hook }) => ({
    hook: HOOK_NAMES[`${family}-${hook}`] ?? '',
    path: linkPath(fence, family, hook),
  })).filter(({ path }) => existsSync(path))

/** It hangs on every one of its hooks. */
export const floorHangs = (fence: Fence): boolean =>
  HOOKS.every(({ family, hook }) => existsSync(linkPath(fence, family, hook)))

/** There are names to be written for it. */
export const hasFloor = (fence: Fence): boolean => existsSync(`${fence.pins}/maps/names`)

/** Writes down which interface of that name is fenced. */
export function nameFenced(fence: Fence, name: string, index: number): void {
  if (hasFloor(fence)) write(fence, nameKey(name, true), index)
}

/**
 * Makes the names those of this generation and these patterns. A pattern counts as far as its first star, and not at all when it
 * begins with one: what it means more narrowly is seen to by whoever hangs the fence.
 */
export function nameSlots(fence: Fence, book: Book | undefined, patterns: readonly string[]): void {
  if (!hasFloor(fence)) return
  const { native } = fence
  const map = fence.map('names')
  const wanted = new Map<string, { readonly key: Buffer; readonly index: number }>()
  const want = (name: string, whole: boolean, index: number): void => {
    const key = nameKey(name, whole)
    wanted.set(key.toString('hex'), { key, index })
  }
  for (const pattern of patterns) {
    const [begin = '', ...rest] = pattern.split('*')
    if (begin !== '' && rest.join('') === '') want(begin, rest.length === 0, 0)
  }
  for (const one of book?.workspaces ?? []) if (one.kind !== 'cgroup') want(one.interface, true, one.attachment)
  const { keys, count } = native.dump('reading names', map, KEY, 4, MAX_NAMES)
  for (const { key, index } of wanted.values()) write(fence, key, index)
  for (let i = 0; i < count; i++) {
    const key = keys.subarray(i * KEY, (i + 1) * KEY)
    if (!wanted.has(key.toString('hex'))) native.ask('mapDelete', map, key)
  }
}

function write(fence: Fence, key: Buffer, index: number): void {
  const value = Buffer.alloc(4)
  value.writeUInt32LE(index)
  fence.native.call('writing a name', 'mapWrite', fence.map('names'), key, value, 1, KEY, 4)
}

function nameKey(name: string, whole: boolean): Buffer {
  const key = Buffer.alloc(KEY)
  const length = key.write(name, fields.name, KEY - fields.name - 1, 'latin1')
  key.writeUInt32LE((length + (whole ? 1 : 0)) * 8, fields.bits)
  return key
}
