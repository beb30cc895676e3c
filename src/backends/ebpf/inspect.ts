// Where the fence hangs, by the kernel's own numbers: for each workspace its hooks with the id and the tag of the program there, the
// maps that these programs use, and the maps of the live generation. Asked of links, programs and maps, never of the agent's
// own record, so that it agrees with what any other tool shows of the same kernel.

import { existsSync } from 'node:fs'
import type { Anchor, AnchorHook, AnchorObject } from '../backend.js'
import { groupLinks } from './cgroup.js'
import { type Fence, OUTER } from './fence.js'
import { floorLinks } from './floor.js'
import type { Book } from './generation.js'
import { errnoName } from './native.js'

const DIRECTIONS = [
  { direction: 'from', egress: 0, hook: 'ingress' },
  { direction: 'to', egress: 1, hook: 'egress' },
] as const
const MAPS = 64
const INFO = { program: 16, map: 24 } as const

/** What one program is and uses; the same program hangs on many interfaces. */
interface Program {
  readonly id: number
  readonly tag: string
  readonly maps: readonly number[]
}

export function inspect(fence: Fence, book: Book): Anchor[] {
  const word = fence.word()
  const programs = new Map<number, Program>()
  const names = new Map<number, string>()
  const known = (id: number): Program => {
    const held = programs.get(id) ?? programOf(fence, id)
    programs.set(id, held)
    return held
  }
  const nameOf = (id: number): string => {
    const held = names.get(id) ?? mapName(fence, id)
    names.set(id, held)
    return held
  }
  const hooked = (hook: string, on: string, id: number): AnchorHook => ({
    hook,
    on,
    owner: { kind: 'program', id, tag: known(id).tag },
  })
  const floor = floorLinks(fence).map(({ hook, path }) => hooked(hook, '*', linkOf(fence, path).program))
  const slot = Number(word & 1n)
  const generation = generationMaps(fence, slot)
  return book.workspaces.map((one): Anchor => {
    const hooks =
      one.kind === 'cgroup'
        ? groupLinks(fence, one.tenant).map(({ hook, path }) =>
            hooked(hook, one.interface, linkOf(fence, path).program),
          )
        : [...interfaceHooks(fence, one).map(({ hook, on, id }) => hooked(hook, on, id)), ...floor]
    const ids = new Set(hooks.flatMap(({ owner }) => (owner.kind === 'program' ? known(owner.id).maps : [])))
    const lasting = [...ids].map((id): AnchorObject => ({ kind: 'map', name: nameOf(id), id: String(id) }))
    return {
      workspace: one.workspace,
      emulated: false,
      generation: Number(word >> 1n),
      hooks,
      objects: [...lasting, ...generation],
    }
  })
}

function interfaceHooks(fence: Fence, { interface: name, attachment: index }: Book['workspaces'][number]) {
  return DIRECTIONS.flatMap(({ direction, egress, hook }) => {
    const on = `${name}#${index}`
    const pin = `${fence.pins}/links/${index}-${direction}`
    const link = existsSync(pin) ? linkOf(fence, pin) : undefined
    // A pin outlives its interface: then the link hangs on nothing.
    if (link?.on === index) return [{ hook: `tcx/${hook}`, on, id: link.program }]
    const id = fence.native.ask('clsactProgram', index, egress)
    return id > 0 ? [{ hook: `clsact/${hook}`, on, id }] : []
  })
}

function linkOf({ native }: Fence, path: string): { readonly on: number; readonly program: number } {
  const link = native.call('opening a link', 'get', path)
  const [on, program] = [Buffer.alloc(4), Buffer.alloc(4)]
  try {
    native.call('reading a link', 'linkInfo', link, on, program)
  } finally {
    native.ask('close', link)
  }
  return { on: on.readUInt32LE(), program: program.readUInt32LE() }
}

function programOf({ native }: Fence, id: number): Program {
  const program = native.call(`opening program ${id}`, 'programOpen', id)
  const info = Buffer.alloc(INFO.program)
  const ids = Buffer.alloc(MAPS * 4)
  try {
    native.call(`reading program ${id}`, 'programInfo', program, info)
    const count = Math.min(MAPS, native.call(`reading maps of program ${id}`, 'programMaps', program, ids, MAPS))
    const maps = Array.from({ length: count }, (_, i) => ids.readUInt32LE(i * 4))
    return { id, tag: info.toString('hex', 0, 8), maps }
  } finally {
    native.ask('close', program)
  }
}

function mapName({ native }: Fence, id: number): string {
  const map = native.ask('mapOpen', id)
  // It went with a generation since it was listed; its number is told all the same.
  if (map < 0) return errnoName(map)
  const info = Buffer.alloc(INFO.map)
  try {
    native.call(`reading map ${id}`, 'mapInfo', map, info)
    return info.toString('latin1', 8, info.indexOf(0, 8))
  } finally {
    native.ask('close', map)
  }
}

/** The maps of the live generation: what user space reads from an outer map is the number of the inner one. */
function generationMaps(fence: Fence, slot: number): AnchorObject[] {
  const key = Buffer.alloc(4)
  key.writeUInt32LE(slot)
  return OUTER.map((name): AnchorObject => {
    const id = Buffer.alloc(4)
    fence.native.call(`reading ${name}`, 'mapRead', fence.map(name), key, id)
    return { kind: 'map', name: `${name}[${slot}]`, id: String(id.readUInt32LE()) }
  })
}
