// Machines of real QEMU that cost almost nothing: a boot sector is all of the guest (sector.S). It sends what the policy grants its workspace
// and what it does not, for as long as it runs. Here are the signed images that it boots from, and what is left of such machines on the
// host, as the host has it.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { generateKey, signerOf } from '../../../src/bundle/key-file.js'
import { parseTrustRoot, rootDocument } from '../../../src/bundle/root.js'
import { MachineGroups } from '../../../src/companion/drivers/cgroup.js'
import { MachineFolder } from '../../../src/companion/drivers/machine-folder.js'
import { ownName } from '../../../src/companion/drivers/qemu.js'
import { type RunningAgent, until } from '../agent/running.js'
import { repositoryPath } from '../lab/repository.js'
import { listOf, published, publishList } from './images.js'

/** Octets in front of each frame: the header of virtio-net without merged buffers. */
const HEADER = 10
/** Where sector.S looks for its frames, and where a sector says that it boots. */
const AT = { frames: 0x100, signature: 0x1fe }
/** Less has no cylinder for the firmware, which then boots nothing. */
const DISK_BYTES = 1 << 20
const DAY_MS = 86_400_000

export interface Sending {
  readonly name: string
  /** Two of the same length, from destination address on. */
  readonly frames: readonly [Uint8Array, Uint8Array]
}

/** Publishes an image for each and fetches them, with the trust that they need in `image-root.json`, for a companion.yaml that is there. */
export async function imagesFor(agent: RunningAgent, machines: readonly Sending[]): Promise<void> {
  const builder = generateKey({ role: 'image', kid: 'image-1' }, (length) => randomBytes(length))
  const root = parseTrustRoot(readFileSync(agent.path('root.json')))
  const keys = new Map([...root.keys, [builder.kid, { kid: builder.kid, role: builder.role, key: builder.public }]])
  const thresholds = new Map([...root.thresholds, ['image' as const, 1]])
  agent.write('image-root.json', JSON.stringify(rootDocument({ ...root, keys, thresholds, revoked: [] })))
  const code = sector(agent)
  const nowMs = Date.now()
  const images = machines.map(({ name, frames }) => {
    const disk = Buffer.alloc(DISK_BYTES)
    code.copy(disk)
    const sent = frames.map((frame) => Buffer.concat([Buffer.alloc(HEADER), frame]))
    disk.writeUInt16LE(sent[0]?.length ?? 0, AT.frames)
    Buffer.concat(sent).copy(disk, AT.frames + 2)
    disk.writeUInt16BE(0x55aa, AT.signature)
    writeFileSync(agent.path('disk.raw'), disk)
    const file = published(agent.path('published'), agent.path('disk.raw'))
    const times = { builtAtMs: nowMs - DAY_MS, expiresAtMs: nowMs + DAY_MS }
    return { name, version: 1, profile: 'test', ...times, disk: { file, format: 'raw' as const } }
  })
  await publishList(agent.path('published'), listOf(nowMs, images), signerOf(builder))
  const { exit, json, stderr } = await agent.ask('image', 'fetch', 'published', '--config', 'companion.yaml')
  if (exit !== 0) throw new Error(`no images: ${JSON.stringify(json)}${stderr}`)
  // QEMU runs as a user of its own, and finds its files here.
  for (const name of ['', 'host']) chmodSync(agent.path(name), 0o755)
}

function sector(agent: RunningAgent): Buffer {
  const [object, code] = ['sector.o', 'sector.bin'].map((name) => agent.path(name)) as [string, string]
  execFileSync('as', ['--32', '-o', object, repositoryPath('test/support/companion/sector.S')])
  const words = ['-m', 'elf_i386', '-Ttext', '0x7c00', '-e', '_start', '--oformat', 'binary', '-o', code, object]
  execFileSync('ld', words)
  const octets = readFileSync(code)
  if (octets.length > AT.frames) throw new RangeError(`the sector has ${octets.length} octets of code`)
  return octets
}

export interface Emulated {
  readonly pid: number
  readonly id: string
}

/** Processes of machines below that folder: QEMU, or what is about to become one. */
export function processesBelow(folder: string): readonly Emulated[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8')
        const id = words.includes(`path=${folder}/`) ? /guest=([^,\0]+),/.exec(words)?.[1] : undefined
        return id === undefined ? [] : [{ pid: Number(name), id }]
      } catch {
        // It ended while we looked.
        return []
      }
    })
}

/** Ends what is there, without whom it belongs to: for the end of a test. */
export async function endBelow(folder: string): Promise<void> {
  const groups = MachineGroups.open(ownName(folder))
  for (const { pid } of processesBelow(folder)) process.kill(pid, 'SIGKILL')
  for (const id of groups.list()) await until(`the group of ${id} to be empty`, () => groups.remove(id))
}

/** Ids of machines by what each kind of leftover says. */
export const leftBelow = (folder: string) => ({
  processes: processesBelow(folder)
    .map(({ id }) => id)
    .sort(),
  groups: [...MachineGroups.open(ownName(folder)).list()].sort(),
  folders: MachineFolder.ids(folder),
})
