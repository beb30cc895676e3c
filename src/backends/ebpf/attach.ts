// Where the fence hangs. Each slot is attached in both directions before anything of its plan is live, and stays attached when
// its workspace leaves the plan: an interface that was fenced once is closed, never open. tcx links are pinned under the
// interface's number; a clsact filter, on older kernels, lives as long as its interface and needs no pin.

import { unlinkSync } from 'node:fs'
import { groupAttachment, groupPath } from './cgroup.js'
import { ebpfFault } from './errors.js'
import type { Fence } from './fence.js'
import { floorHangs } from './floor.js'
import type { Native } from './native.js'
import type { EbpfWorkspace } from './program.js'

const DIRECTIONS = ['from', 'to'] as const
const TC_KINDS: readonly string[] = ['veth', 'tap', 'bridge-port']

export interface NetworkInterface {
  readonly index: number
  readonly name: string
}

export function interfacesOf(fence: Fence): NetworkInterface[] {
  return fence.native
    .text('listing interfaces', 'interfaces', 1 << 20)
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const space = line.indexOf(' ')
      return { index: Number(line.slice(0, space)), name: line.slice(space + 1) }
    })
}

/** Above every interface's number and below those of cgroups: nothing hangs there. */
const waitingAttachment = (tenant: number): number => 0x40000000 | tenant
export const isWaiting = (attachment: number): boolean => attachment >>> 30 === 1

/** What the floor closes from an interface's first packet on, by its name; frames between ports of a bridge do not come by there. */
const FLOORED: readonly string[] = ['veth', 'tap']

/**
 * The number of a slot's place; one of its own while there is no such interface, where the floor closes it until it is fenced: a
 * workspace that is stopped keeps nobody else from a new plan. Throws EBPF_SLOT_KIND or EBPF_SLOT_ABSENT.
 */
export function attachmentOf(fence: Fence, one: EbpfWorkspace, tenant: number): number {
  if (one.kind === 'cgroup') {
    groupPath(one)
    return groupAttachment(tenant)
  }
  if (!TC_KINDS.includes(one.kind)) throw ebpfFault('EBPF_SLOT_KIND', { workspace: one.workspace, kind: one.kind })
  const index = fence.native.call('looking up an interface', 'ifindex', one.interface)
  if (index === 0 && floorHangs(fence) && FLOORED.includes(one.kind)) return waitingAttachment(tenant)
  if (index === 0) throw ebpfFault('EBPF_SLOT_ABSENT', { workspace: one.workspace, interface: one.interface })
  return index
}

const linkName = (index: number, direction: string): string => `${index}-${direction}`

/** Attaches both directions where they are not attached yet; gives the numbers that are new. */
export function attachAll(fence: Fence, indexes: readonly number[]): number[] {
  if (indexes.length === 0) return []
  const held = linksByName(fence)
  const added: number[] = []
  for (const index of new Set(indexes)) {
    const missing = DIRECTIONS.filter((direction) => !held.has(linkName(index, direction)))
    if (missing.length > 0 && attach(fence, index, missing)) added.push(index)
  }
  return added
}

/** Pinned links that still hang on their interface; the pins of others are taken away. */
function linksByName(fence: Fence): Set<string> {
  const held = new Set<string>()
  for (const name of fence.links()) {
    if (!/^\d+-(from|to)$/.test(name)) continue
    if (linkedTo(fence.native, `${fence.pins}/links/${name}`) === Number(name.split('-')[0])) held.add(name)
    else unlinkSync(`${fence.pins}/links/${name}`)
  }
  return held
}

/** What a pinned link hangs on: the number of an interface, the lower half of a cgroup's id; 0 when that is gone. */
export function linkedTo(native: Native, path: string): number {
  const link = native.call(`opening the link ${path}`, 'get', path)
  const index = Buffer.alloc(4)
  const program = Buffer.alloc(4)
  const answer = native.ask('linkInfo', link, index, program)
  native.ask('close', link)
  return answer < 0 ? 0 : index.readUInt32LE()
}

function attach(fence: Fence, index: number, directions: readonly (typeof DIRECTIONS)[number][]): boolean {
  let added = false
  for (const direction of directions) {
    const egress = direction === 'to' ? 1 : 0
    if (fence.native.ask('clsactProgram', index, egress) > 0) continue
    const program = fence.program(direction === 'from' ? 'fence_from' : 'fence_to')
    const pin = `${fence.pins}/links/${linkName(index, direction)}`
    fence.native.call(`attaching to interface ${index}`, 'attach', program, index, egress, pin, 0)
    added = true
  }
  return added
}

/** Takes the fence off these interfaces. For a stage that is discarded, and for uninstall. */
export function detachAll(fence: Fence, indexes: readonly number[]): void {
  const held = new Set(fence.links())
  for (const index of indexes)
    for (const direction of DIRECTIONS) {
      const name = linkName(index, direction)
      if (held.has(name)) unlinkSync(`${fence.pins}/links/${name}`)
      else if (fence.native.ask('clsactProgram', index, direction === 'to' ? 1 : 0) > 0)
        fence.native.call('detaching', 'detachClsact', index, direction === 'to' ? 1 : 0)
    }
}

/** Interfaces that the fence hangs on in both directions. */
export function attachedIndexes(fence: Fence): Set<number> {
  const attached = new Set<number>()
  const held = linksByName(fence)
  for (const { index } of interfacesOf(fence)) {
    const hangs = DIRECTIONS.every(
      (direction) =>
        held.has(linkName(index, direction)) ||
        fence.native.ask('clsactProgram', index, direction === 'to' ? 1 : 0) > 0,
    )
    if (hangs) attached.add(index)
  }
  return attached
}

/** `ws*` and the like: a star stands for anything. */
export function matches(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const parts = pattern.split('*')
    if (parts.length === 1) return name === pattern
    const [first = '', ...rest] = parts
    const last = rest.pop() ?? ''
    if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false
    let at = first.length
    for (const part of rest) {
      const found = name.indexOf(part, at)
      if (found < 0 || found + part.length > name.length - last.length) return false
      at = found + part.length
    }
    return true
  })
}
