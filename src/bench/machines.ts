// Whether two runs are of one machine, as far as the machines say of themselves. Another name is another machine, whatever it is made of:
// two guests of one host have the same processors and the same kernel. The same name with another amount of memory is the same machine,
// and is told.

import type { Machine } from './results.js'

/** Of memory: a kernel takes a little more or less of it for itself. */
const SAME_MEMORY = 0.05

/** In what they are two machines, in words; nothing where they are one. */
export function differing(a: Machine, b: Machine): readonly string[] {
  const parts = [
    ['name', a.name, b.name],
    ['processor', a.cpu, b.cpu],
    ['processors', a.cpus, b.cpus],
    ['kernel', a.kernel, b.kernel],
  ] as const
  return parts.flatMap(([part, old, now]) => (old === now ? [] : [`${part} ${old} and ${now}`]))
}

export function memoryTold(a: Machine, b: Machine): readonly string[] {
  const most = Math.max(a.memoryMiB, b.memoryMiB)
  return Math.abs(a.memoryMiB - b.memoryMiB) > SAME_MEMORY * most
    ? [`the memory differs: ${a.memoryMiB} and ${b.memoryMiB} MiB`]
    : []
}
