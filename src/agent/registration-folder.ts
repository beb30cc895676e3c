// The folder by which registration records come to a node: every `*.jws.json` in it, looked at when it changed. Whoever brings the
// files (a sync from the registry of agents, an operator) needs no key of ours and can do no harm: what is not signed, or is older
// than what was seen, is refused, told once, and what is held stays. Taking a file away takes nothing back; a new version does.

import { join } from 'node:path'
import { Fault } from '../base/fault.js'
import { LIMITS } from '../base/limits.js'
import { agentFault } from './errors.js'
import { NODE_FILES, readRegular } from './files.js'
import { tellRefused } from './freshness.js'
import type { AgentNode } from './node.js'
import type { Registrations } from './registrations.js'

const SUFFIX = '.jws.json'

export class RegistrationFolder {
  /** Files that were judged, by name: what they looked like, and under which trust root. */
  private readonly seen = new Map<string, string>()
  private running: Promise<void> | undefined

  constructor(
    private readonly directory: string,
    private readonly registrations: Registrations,
  ) {}

  /** Judges what is new. Passes that are asked for at once are one. Throws AGENT_CONFIG_READ when the folder cannot be listed. */
  pass(node: AgentNode): Promise<void> {
    this.running ??= this.run(node).finally(() => {
      this.running = undefined
    })
    return this.running
  }

  private async run(node: AgentNode): Promise<void> {
    const names = this.names()
    if (names.length > LIMITS.registrations)
      throw agentFault('AGENT_REGISTRATION_MANY', { count: names.length, limit: LIMITS.registrations })
    for (const gone of [...this.seen.keys()].filter((name) => !names.includes(name))) this.seen.delete(gone)
    for (const name of names) {
      const path = join(this.directory, name)
      const stamp = `${node.trustDigest} ${NODE_FILES.stamp?.(path) ?? ''}`
      if (this.seen.get(name) === stamp) continue
      try {
        await this.registrations.take(readRecord(path), node.trust, node.nowMs())
        this.seen.set(name, stamp)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        // A disk that is full now may not be so at the next pass; anything else is said once, until the file or the root changes.
        if (error.reaction === 'retry') throw error
        this.seen.set(name, stamp)
        await tellRefused(node, error)
      }
    }
  }

  private names(): readonly string[] {
    try {
      return [...NODE_FILES.list(this.directory)].filter((name) => name.endsWith(SUFFIX)).sort()
    } catch (cause) {
      throw agentFault('AGENT_CONFIG_READ', { what: 'folder of registrations', file: this.directory }, { cause })
    }
  }
}

function readRecord(file: string): Uint8Array {
  try {
    const bytes = readRegular(file, LIMITS.registrationBytes)
    if (typeof bytes !== 'string') return bytes
    throw new TypeError(bytes === 'too-large' ? `it has more than ${LIMITS.registrationBytes} octets` : 'it is no file')
  } catch (cause) {
    throw agentFault('AGENT_CONFIG_READ', { what: 'registration record', file }, { cause })
  }
}
