// Workspaces that are processes of the host itself: the fence hangs on their cgroup. The hooks do not say where they hang, so
// each cgroup gets a copy of the programs that knows; the maps are the same. The links are pinned like those of interfaces.
//
// A cgroup fences only what cannot leave it or go around its hooks (design section 6): whoever starts the processes gives them
// no CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and no user namespaces, and the address families AF_INET, AF_INET6 and AF_UNIX alone.
// Nothing here can see to that. Which binary sends is not seen either: that dimension is delegated.

import { existsSync, mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { ebpfFault } from './errors.js'
import { type Fence, load } from './fence.js'
import type { EbpfWorkspace } from './program.js'

const OBJECT = 'fence_cgroup.bpf.o'

/** Program and attach type, by the numbers of linux/bpf.h. */
const HOOKS = {
  group_to: 0,
  group_from: 1,
  group_connect4: 10,
  group_connect6: 11,
  group_sendmsg4: 14,
  group_sendmsg6: 15,
} as const

const ROOTS: readonly string[] = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']

/** Where the unified hierarchy is mounted; undefined when it is not. */
export const cgroupRoot = (): string | undefined => ROOTS.find((root) => existsSync(`${root}/cgroup.controllers`))

/** Numbers of attachments above every interface's: the top bit, and the workspace's number. */
export const groupAttachment = (tenant: number): number => (0x80000000 | tenant) >>> 0

const linkName = (tenant: number, program: string): string => `cgroup${tenant}-${program}`

/** The folder of a slot's cgroup. Throws EBPF_SLOT_ABSENT. */
export function groupPath(one: Pick<EbpfWorkspace, 'workspace' | 'interface'>): string {
  const root = cgroupRoot()
  const path = `${root}/${one.interface.replace(/^\/+/, '')}`
  if (root === undefined || one.interface.split('/').includes('..') || !existsSync(path))
    throw ebpfFault('EBPF_SLOT_ABSENT', { workspace: one.workspace, interface: one.interface })
  return path
}

/** Hangs every hook on the cgroup where it does not hang yet; true when any was new. */
export function attachGroup(fence: Fence, path: string, tenant: number): boolean {
  const programs = `${fence.pins}/cgroups/${tenant}`
  const missing = Object.entries(HOOKS).filter(([program]) => !hangsOn(fence, linkName(tenant, program), path))
  if (missing.length === 0) return false
  const { native } = fence
  mkdirSync(programs, { recursive: true, mode: 0o700 })
  load(native, OBJECT, `${fence.pins}/maps`, programs, groupAttachment(tenant))
  for (const [name, hook] of missing) {
    const program = native.call(`opening ${name}`, 'get', `${programs}/${name}`)
    const pin = `${fence.pins}/links/${linkName(tenant, name)}`
    try {
      native.call(`attaching ${name} to ${path}`, 'attachCgroup', program, path, hook, pin)
    } finally {
      native.ask('close', program)
    }
  }
  return true
}

/** After the fence was loaded anew: new programs where the old ones hang, without a gap. */
export function renewGroups(fence: Fence): void {
  const { native, pins } = fence
  for (const tenant of readdirSync(`${pins}/cgroups`).map(Number)) {
    const programs = `${pins}/cgroups/${tenant}`
    load(native, OBJECT, `${pins}/maps`, programs, groupAttachment(tenant))
    for (const name of Object.keys(HOOKS)) {
      const pin = `${pins}/links/${linkName(tenant, name)}`
      if (!existsSync(pin)) continue
      const link = native.call(`opening the link of ${name}`, 'get', pin)
      const program = native.call(`opening ${name}`, 'get', `${programs}/${name}`)
      // The link of a cgroup that is gone cannot be updated and does not matter; the next stage takes it away.
      native.ask('linkUpdate', link, program)
      for (const descriptor of [link, program]) native.ask('close', descriptor)
    }
  }
}

/** Takes the hooks of a workspace away. */
export function detachGroup(fence: Fence, tenant: number): void {
  for (const program of Object.keys(HOOKS)) {
    const pin = `${fence.pins}/links/${linkName(tenant, program)}`
    if (existsSync(pin)) unlinkSync(pin)
  }
}

/** Pinned links of a workspace's cgroup, with the hooks that they hang on. */
export const groupLinks = (fence: Fence, tenant: number): { readonly hook: string; readonly path: string }[] =>
  Object.keys(HOOKS)
    .map((program) => ({
      hook: program.replace('group_', 'cgroup/'),
      path: `${fence.pins}/links/${linkName(tenant, program)}`,
    }))
    .filter(({ path }) => existsSync(path))

export const groupIsAttached = (fence: Fence, path: string, tenant: number): boolean =>
  Object.keys(HOOKS).every((program) => hangsOn(fence, linkName(tenant, program), path))

/** A link of a cgroup that is gone, or that was made anew under the same name, hangs on nothing. */
function hangsOn(fence: Fence, name: string, path: string): boolean {
  const pin = `${fence.pins}/links/${name}`
  if (!existsSync(pin)) return false
  const { native } = fence
  const link = native.call(`opening the link ${name}`, 'get', pin)
  const id = Buffer.alloc(4)
  const answer = native.ask('linkInfo', link, id, Buffer.alloc(4))
  native.ask('close', link)
  // The id of a cgroup is its inode; the link says its lower half.
  const hangs = answer >= 0 && id.readUInt32LE() === Number(BigInt(statSync(path).ino) & 0xffff_ffffn)
  if (!hangs) unlinkSync(pin)
  return hangs
}
