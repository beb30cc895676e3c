// How many connections are asked to stand at the same time: as many as memory, ports and descriptors of this machine have room for. The
// fence is what should say no, and nothing else of the bench; a fence that has a quota shows it, and one that has none what the
// machine holds. Steps where a bound moves by itself, so that two runs on one machine ask for the same and can be compared.

import type { Scene } from './matrix.js'
import { CLIENT_PORTS, STANDING } from './setting.js'

export interface Room {
  /** MemAvailable. */
  readonly memoryBytes: number
  /** Open files that one process may have. */
  readonly descriptors: number
}

/** Two sockets with their files and what watches them, an entry of conntrack and one of a fence: ten thousand were measured (Linux 6.18). */
const EACH_BYTES = 16_384
/** Of each process at either end, beside its connections. */
const SPARE_DESCRIPTORS = 256
/** Of one parity: connect(2) gives those out first, and looks at all of them before each further one, a time that grows without end. */
const PORTS_OF_CLIENT = Math.floor((CLIENT_PORTS.to - CLIENT_PORTS.from) / 2)

export const MOST_STANDING = STANDING * PORTS_OF_CLIENT

/** Half of what is free is left to everybody else; a power of two, since it is never the same twice. */
const ofMemory = (bytes: number): number => 2 ** Math.floor(Math.log2(Math.max(1, bytes / 2 / EACH_BYTES)))
const ofDescriptors = (descriptors: number): number => STANDING * Math.max(1, descriptors - SPARE_DESCRIPTORS)

/** Which of the three says how many, and how many. */
export function roomFor({ memoryBytes, descriptors }: Room): { readonly flows: number; readonly by: string } {
  const bounds = [
    { by: 'ports', flows: MOST_STANDING },
    { by: 'descriptors', flows: ofDescriptors(descriptors) },
    { by: 'memory', flows: ofMemory(memoryBytes) },
  ]
  return bounds.reduce((least, one) => (one.flows < least.flows ? one : least))
}

/** The scenes with so many, and what the results say of it; nothing where no scene asks. */
export function asking(
  scenes: readonly Scene[],
  room: Room,
): { readonly scenes: readonly Scene[]; readonly remarks: readonly string[] } {
  if (!scenes.some(({ probes }) => probes.some(({ question }) => question === 'flows'))) return { scenes, remarks: [] }
  const { flows, by } = roomFor(room)
  const free = Math.round(room.memoryBytes / 2 ** 20).toLocaleString('en')
  const [asked, each] = [flows, room.descriptors].map((count) => count.toLocaleString('en'))
  return {
    scenes: scenes.map((scene) => ({
      ...scene,
      probes: scene.probes.map((probe) => (probe.question === 'flows' ? { ...probe, flows } : probe)),
    })),
    remarks: [
      `${asked} connections were asked to stand: ${by} had room for no more, with ${free} MiB free and ${each} descriptors a process`,
    ],
  }
}
