// Finding and opening the node that a command is about: its configuration, and the agent in this process.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { BackendName } from '../plan/model.js'
import { cliFault } from './errors.js'
import { readFile } from './files.js'
import type { Context } from './frame.js'
import type { Configured, Host, NodeHandle } from './host.js'
import type { Outcome } from './outcome.js'

const PLACES = ['agent.yaml', '/etc/sluice/agent.yaml'] as const

/** `--config`, then SLUICE_CONFIG, then `agent.yaml` here, then the system's. Throws CLI_NO_CONFIG. */
export function findConfig(host: Host, named: string | undefined): string {
  const chosen = named ?? host.environment('SLUICE_CONFIG')
  if (chosen !== undefined && chosen !== '') return chosen
  const found = PLACES.find((path) => existsSync(resolve(host.cwd, path)))
  if (found === undefined) throw cliFault('CLI_NO_CONFIG', { tried: ['SLUICE_CONFIG', ...PLACES].join(', ') })
  return found
}

/** The configuration with its findings remembered for the error output. */
export function configure(context: Context, named: string | undefined): Configured {
  const file = findConfig(context.host, named)
  const bytes = readFile(context.host, file, 'configuration')
  context.remember(file, bytes)
  return context.host.configure(file, bytes)
}

export interface NodeWanted {
  readonly config: string | undefined
  readonly exclusive: boolean
  readonly backends?: readonly BackendName[]
}

/** Opens the node, runs the command, closes it; a trail that could not be written is a remark, never a failure. */
export async function withNode(
  context: Context,
  wanted: NodeWanted,
  run: (node: NodeHandle, config: Configured) => Promise<Outcome>,
): Promise<Outcome> {
  const config = configure(context, wanted.config)
  const { exclusive, backends } = wanted
  const node = await context.host.openNode(config, { exclusive, ...(backends ? { backends } : {}) })
  try {
    const outcome = await run(node, config)
    const unwritten = node.unwritten()
    if (unwritten === undefined) return outcome
    return { ...outcome, remarks: `${outcome.remarks ?? ''}${context.paint('yellow', 'warning')}: ${unwritten}\n` }
  } finally {
    await node.close()
  }
}
