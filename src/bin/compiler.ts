// Compiles a large bundle on a thread of its own: what takes seconds there would keep a quarantine waiting here, and the thread's
// memory goes with it. A small bundle is compiled in place, because the thread takes longer to begin than the work.

import { Worker } from 'node:worker_threads'
import { type Compiled, type Compiling, compileBundle } from '../agent/compile.js'
import { agentFault } from '../agent/errors.js'
import { isRegistered, loadBackend } from '../backends/registry.js'
import type { Needs } from '../plan/capacity.js'
import type { Answered } from './compiler-thread.js'

/** Octets of members above which a thread is worth its beginning: twenty thousand grants, a third of a second in place. */
const LARGE = 512 << 10

/** Throws AGENT_COMPILE_LOST. */
export async function compileAside(given: Compiling): Promise<Compiled> {
  const octets = [...given.members.values()].reduce((sum, { length }) => sum + length, 0)
  if (octets < LARGE) return compileBundle(given, await needsOf(given.needing))
  const worker = begin(given)
  try {
    return await new Promise<Answered>((done, failed) => {
      const lost = (why: string, cause?: unknown): void => {
        failed(agentFault('AGENT_COMPILE_LOST', { why }, { cause }))
      }
      worker.once('message', done)
      worker.once('error', (error) => {
        lost(error.message, error)
      })
      worker.once('exit', (code) => {
        lost(`exit code ${code}`)
      })
    })
  } finally {
    await worker.terminate()
  }
}

function begin(given: Compiling): Worker {
  try {
    return new Worker(new URL('./compiler-thread.js', import.meta.url), { workerData: given })
  } catch (cause) {
    throw agentFault('AGENT_COMPILE_LOST', { why: String(cause) }, { cause })
  }
}

/** The pure half of the backends says it. */
export async function needsOf(names: Compiling['needing']): Promise<Needs> {
  const loaded = await Promise.all(names.filter(isRegistered).map(loadBackend))
  return new Map(loaded.flatMap(({ name, need }) => (need ? [[name, need] as const] : [])))
}
