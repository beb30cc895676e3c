// A process that has a file mapped and has read of it, for what comes in between.

import { spawn } from 'node:child_process'
import { once } from 'node:events'

const READS_TWICE = `
import mmap, sys
with open(sys.argv[1], 'rb') as file:
    seen = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    assert seen[0:3] == b'int'
    print('mapped')
    sys.stdin.readline()
    print(seen[0:3])
`

export interface Mapped {
  /** Has it read once more; gives the signal that ended it, null where it could. */
  readonly again: () => Promise<NodeJS.Signals | null>
  /** Wherever it is. */
  readonly kill: () => void
}

/** `file` begins with `int`. */
export async function mapped(file: string): Promise<Mapped> {
  const child = spawn('python3', ['-u', '-c', READS_TWICE, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const said = once(child.stdout, 'data').then(() => 'mapped')
  if ((await Promise.race([said, ended])) !== 'mapped') throw new Error(`it could not be mapped: ${file}`)
  return {
    again: async () => {
      child.stdin.write('\n')
      const [, signal] = await ended
      return signal
    },
    kill: () => child.kill('SIGKILL'),
  }
}
