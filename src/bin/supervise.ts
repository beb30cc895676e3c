// What the service manager hears of a running agent: ready when the fence stands, one line of how it is, a sign of life each
// time the loop went round, and that it stops. Takes the lines that the log gets; adds nothing of its own but `stuck`.

import { openServiceManager, signOfLife } from '../agent/notify.js'
import type { Spoken } from './agent-lines.js'

export interface Supervised {
  /** After each line of the log. */
  readonly heard: (line: Spoken) => void
  readonly turned: (oldestMs: number) => void
  /** From now on the agent is on its way out. */
  readonly stopping: () => void
  readonly close: () => void
}

/** Lines that say how the fence is; `failed` is one of them when it is about looking or repairing. */
const SHOWN: Readonly<Record<string, string>> = {
  stands: 'fence',
  active: 'fence active:',
  drift: 'fence differs:',
  whole: 'fence as planned',
  failed: 'failed:',
  'source-failed': 'channel:',
  'trust-root': 'trust root:',
}

/** Does nothing where nobody supervises this process. `stuck`: a command has run for too long, and no sign of life is given. */
export function supervise(
  environment: (name: string) => string | undefined,
  monotonicMs: () => number,
  stuck: (ageMs: number) => void,
): Supervised {
  const manager = openServiceManager(environment, process.pid)
  if (!manager) return { heard: ignore, turned: ignore, stopping: ignore, close: ignore }
  return {
    heard: ({ event, detail }) => {
      const say = SHOWN[event]
      if (say === undefined) return
      const words = Object.entries(detail).map(([key, value]) => `${key} ${Array.isArray(value) ? value[0] : value}`)
      const ready = event === 'stands' ? ['READY=1'] : []
      manager.notify(...ready, `STATUS=${[say, ...words].join(' ').slice(0, 400)}`)
    },
    turned: signOfLife(manager, monotonicMs, stuck),
    stopping: () => manager.notify('STOPPING=1', 'STATUS=stopping; the fence stands'),
    close: () => manager.close(),
  }
}

const ignore = (): void => undefined
