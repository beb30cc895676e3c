// The mediator on a node: the class of src/dns with the node's effects behind its ports. What may be asked follows the plan on
// record, grants go through the backend that holds the workspace, what was learnt is kept in the state directory, and what
// happened goes into the trail. Whoever hosts it says how to come by the backends: a process of its own opens them again
// after a change of generation, a running agent has them.

import { join } from 'node:path'
import { decodeUtf8, utf8 } from '../base/bytes.js'
import type { Client } from '../dns/events.js'
import { Mediator } from '../dns/mediator.js'
import { encodeMemory, recall } from '../dns/memory.js'
import type { Upstream } from '../dns/model.js'
import type { NameAsked } from '../findings/sight.js'
import type { LearnedGrant } from '../plan/model.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'
import { nameFacts, questionOf } from './mediate-facts.js'
import { RecordWatch } from './mediate-record.js'
import type { AgentNode } from './node.js'
import type { OpenBackends } from './transaction.js'

/** In the state directory. */
export const NAMES_FILE = 'names.json'

export interface MediationHost {
  readonly node: Pick<AgentNode, 'store' | 'emit' | 'nowMs'>
  /** Backends that were opened, or have looked again, since that generation became live. */
  readonly backends: (generation: number) => Promise<OpenBackends>
  readonly upstream: Upstream
  readonly wildcardNames: number
  /** The kernel's boot id: what was learnt before another boot counts for nothing. */
  readonly bootId: string
  readonly tickMs: () => number
  /** Something failed and is tried again. */
  readonly failed: (error: unknown) => void
  readonly files?: StateFiles
  /** Hears of every question of a workspace. */
  readonly asked?: (question: NameAsked) => void
}

/** Builds it; `start` it. What was lost of an earlier run's memory is told to `failed`. */
export function mediatorOf(host: MediationHost): Mediator {
  const { node, files = NODE_FILES } = host
  const file = join(node.store.directory, NAMES_FILE)
  const record = new RecordWatch(node.store, node.nowMs, host.failed)
  const recalled = recall(readMemory(files, file), host.bootId)
  if (recalled.lost !== undefined) host.failed(new Error(`${file}: ${recalled.lost}; names are learnt anew`))
  return new Mediator(
    {
      standing: () => record.standing(),
      upstream: host.upstream,
      kernel: {
        learn: async (generation, grants) => {
          const backends = await host.backends(generation)
          const done = await Promise.all(
            [...backends].map(([name, { driver }]) => {
              const own = grants.filter(({ workspace }) => record.backendOf(workspace) === name)
              return own.length === 0 ? Promise.resolve(true) : driver.learn(generation, own)
            }),
          )
          return done.every((live) => live)
        },
        observe: async (generation) => {
          const seen: LearnedGrant[] = []
          const suspended = new Set<string>()
          const quarantined = new Set<string>()
          let live = false
          for (const { driver, capabilities } of (await host.backends(generation)).values()) {
            if (!capabilities.usable) continue
            const observed = (await driver.observe()).live
            if (!observed || observed.generation !== generation) continue
            live = true
            seen.push(...observed.learned)
            for (const one of observed.suspended) suspended.add(one)
            for (const one of observed.quarantined) quarantined.add(one)
          }
          if (!live) return undefined
          record.flagged(generation, quarantined, suspended)
          return seen
        },
      },
      recalled,
      keep: (memory) => {
        replaceFile(files, file, utf8(encodeMemory({ boot: host.bootId, ...memory })))
      },
      nowMs: node.nowMs,
      tickMs: host.tickMs,
      tell: (events) => {
        // The trail says by itself what it could not write.
        void node.emit(nameFacts(events, record.context()))
      },
      ...(host.asked ? { asked: questions(host.asked, record, node.nowMs) } : {}),
      failed: host.failed,
    },
    { wildcardNames: host.wildcardNames },
  )
}

const questions =
  (asked: NonNullable<MediationHost['asked']>, record: RecordWatch, nowMs: () => number) =>
  (client: Client, name: string, rcode: string): void => {
    asked(questionOf(client, name, rcode, nowMs(), record.context()))
  }

/** What cannot be read is as if it were not there: nothing is learnt from it. */
export function readMemory(files: StateFiles, file: string): string | undefined {
  try {
    const bytes = files.read(file)
    return bytes && (decodeUtf8(bytes) ?? '')
  } catch {
    return ''
  }
}
