// Gives memory back to the machine. Reading a large bundle takes several hundred megabytes for some seconds; the engine keeps them
// until it collects for reasons of its own, which on an agent at rest may be never. After work that made the heap grow it is asked
// to collect once, with the agent at rest.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Octets, of objects and of buffers, beyond what was left after the last time. */
const WORTH_IT = 64 << 20
/** After a large activation its plan is read back and looked at a few times more. */
const REST_MS = 3_000

export interface Memory {
  /** Something was done that may have taken much; never throws, and returns at once. */
  readonly used: () => void
  readonly close: () => void
}

export function keepSmall(): Memory {
  let left = held()
  let timer: NodeJS.Timeout | undefined
  let collect: (() => void) | undefined
  const giveBack = (): void => {
    timer = undefined
    if (held() - left < WORTH_IT) return
    collect ??= collector()
    collect()
    left = held()
  }
  return {
    used: () => {
      timer ??= setTimeout(giveBack, REST_MS).unref()
    },
    close: () => {
      clearTimeout(timer)
    },
  }
}

const held = (): number => {
  const { heapTotal, external } = process.memoryUsage()
  return heapTotal + external
}

/** The engine shows its collector only to a context made after the flag was set. One that shows none keeps its memory. */
function collector(): () => void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('globalThis.gc') as (() => void) | undefined
  setFlagsFromString('--no-expose-gc')
  return collect ?? (() => undefined)
}
