// Which processors traffic runs on: one for the workspace's side, one for the server's, the same for every variant. Where the scheduler
// chooses, a stream has two speeds (sender and receiver on one processor, or on two), and repetitions differ by chance alone. On a veth
// the fence runs where the sender runs. Reads what this process may use; chooses nothing on a machine with one processor.

import { readFileSync } from 'node:fs'

export interface Pair {
  readonly client: number
  readonly server: number
}

/** `0,2-3` as the kernel writes it (cpuset(7), "List format"). */
export const listed = (text: string): number[] =>
  [...text.matchAll(/(\d+)(?:-(\d+))?/g)].flatMap(([, from, to]) => {
    const first = Number(from)
    return Array.from({ length: Number(to ?? from) - first + 1 }, (_, i) => first + i)
  })

/** The last ones: interrupts of devices are taken by the first. Not two threads of one core, where there are others. */
export function pairOf(
  allowed: readonly number[],
  siblings: (processor: number) => readonly number[],
): Pair | undefined {
  const [client, ...others] = [...allowed].sort((a, b) => b - a)
  if (client === undefined) return undefined
  const server = others.find((one) => !siblings(client).includes(one)) ?? others[0]
  return server === undefined ? undefined : { client, server }
}

export function processors(): Pair | undefined {
  const status = readFileSync('/proc/self/status', 'utf8')
  return pairOf(listed(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? ''), (processor) => {
    try {
      return listed(readFileSync(`/sys/devices/system/cpu/cpu${processor}/topology/thread_siblings_list`, 'utf8'))
    } catch {
      return [] // a kernel or a container that does not say: then nobody can do better than any two
    }
  })
}

/** Words before a command that is to stay on a processor. */
export const pinned = (processor: number | undefined): readonly string[] =>
  processor === undefined ? [] : ['taskset', '-c', String(processor)]
