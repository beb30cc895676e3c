// What the access broker is told when authority ends: hooks, over HTTPS or as a command, each with little time and a few tries. A hook
// that does not do it is a fault of the step, which is owed and tried again; the fence lets nothing of a session through meanwhile.
// A command gets the words as JSON on its standard input and none of them on its command line, where others could read them.

import { spawn } from 'node:child_process'
import { causeChain } from '../base/fault.js'
import { ask } from '../revocation/ask.js'
import { lifecycleFault } from './lifecycle/errors.js'
import type { Clock, SessionPort } from './lifecycle/ports.js'

export type Hook = {
  readonly name: string
  /** Of one try. */
  readonly timeoutMs: number
  /** 1 and up. */
  readonly tries: number
} & (
  | {
      readonly kind: 'webhook'
      readonly url: string
      readonly tokenFile?: string
      readonly caFile?: string
      readonly certificateFile?: string
      readonly keyFile?: string
    }
  | { readonly kind: 'command'; readonly command: readonly string[] }
)

const PAUSE_MS = 250
/** How long a hook takes at most: every try, and the pauses between them. */
export const longest = ({ timeoutMs, tries }: Pick<Hook, 'timeoutMs' | 'tries'>): number =>
  tries * timeoutMs + (PAUSE_MS * tries * (tries - 1)) / 2

/** In the signed report of a kill: whoever keeps sessions of their own was told nothing by this host. */
export const NO_BROKER = 'no access broker is configured: nobody was told, and connections end at the fence alone'

export const brokerSessions = (hooks: readonly Hook[], clock: Clock): SessionPort => ({
  close: async (about) => {
    if (hooks.length === 0) return NO_BROKER
    const told = await Promise.allSettled(
      hooks.map((hook) => tell(hook, { action: 'close-sessions', ...about }, clock)),
    )
    const failed = told.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
    return undefined
  },
})

type Words = Readonly<Record<string, string>>

/** Throws WORKSPACE_SESSIONS with what the last try said. */
async function tell(hook: Hook, words: Words, clock: Clock): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await (hook.kind === 'webhook' ? post(hook, words) : run(hook, words))
    } catch (cause) {
      if (attempt >= hook.tries)
        throw lifecycleFault('WORKSPACE_SESSIONS', { hook: hook.name, why: causeChain(cause).join(': ') }, { cause })
    }
    await clock.sleep(PAUSE_MS * attempt)
  }
}

async function post(hook: Extract<Hook, { kind: 'webhook' }>, words: Words): Promise<void> {
  const { status } = await ask(hook, words, hook.timeoutMs, new AbortController().signal)
  if (status < 200 || status > 299) throw new TypeError(`it answered ${status}`)
}

/** Done when it ends with 0 in its time; afterwards nothing of it runs. */
function run({ command, timeoutMs }: Extract<Hook, { kind: 'command' }>, words: Words): Promise<void> {
  const [program = '', ...rest] = command
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      env: { PATH: process.env.PATH },
    })
    const late = setTimeout(() => {
      try {
        // It and what it started.
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It ended in this moment.
      }
      reject(new TypeError(`it took longer than ${timeoutMs} ms`))
    }, timeoutMs)
    child.once('error', (error) => {
      clearTimeout(late)
      reject(error)
    })
    child.once('exit', (code, signal) => {
      clearTimeout(late)
      if (code === 0) resolve()
      else reject(new TypeError(`it ended with ${code ?? signal ?? 'nothing'}`))
    })
    // One that reads nothing is not thereby wrong.
    child.stdin.on('error', () => undefined)
    child.stdin.end(`${JSON.stringify(words)}\n`)
  })
}
