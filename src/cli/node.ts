// Finding and opening the node that a command is about: its configuration, and the agent in this process.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { Fault } from '../base/fault.js'
import { LIMITS } from '../base/limits.js'
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

/**
 * The configuration, with its findings remembered for the error output. One that is refused is told to the trail, where it says
 * where that is.
 */
export async function configure(context: Context, named: string | undefined): Promise<Configured> {
  const { host } = context
  const path = findConfig(host, named)
  const bytes = readFile(host, path, 'configuration', LIMITS.manifestBytes)
  context.remember(path, bytes)
  try {
    return host.configure(path, bytes)
  } catch (error) {
    if (error instanceof Fault) await host.tellRefused({ path, bytes }, error)
    throw error
  }
}

/** Does something for a node without opening it, and tells its trail when that is refused. */
export async function telling<T>(host: Host, config: Configured | undefined, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (config && error instanceof Fault && error.reaction === 'reject') await host.tellRefused(config, error)
    throw error
  }
}

export interface NodeWanted {
  readonly config: string | undefined
  readonly exclusive: boolean
  readonly fencing?: boolean
  readonly backends?: readonly BackendName[]
}

/** Opens the node, runs the command, closes it; a trail that could not be written is a remark, never a failure. */
export async function withNode(
  context: Context,
  wanted: NodeWanted,
  run: (node: NodeHandle, config: Configured) => Promise<Outcome>,
): Promise<Outcome> {
  const config = await configure(context, wanted.config)
  const { exclusive, fencing = false, backends } = wanted
  const node = await context.host.openNode(config, { exclusive, fencing, ...(backends ? { backends } : {}) })
  try {
    const outcome = await run(node, config)
    const unwritten = node.unwritten()
    if (unwritten === undefined) return outcome
    return { ...outcome, remarks: `${outcome.remarks ?? ''}${context.paint('yellow', 'warning')}: ${unwritten}\n` }
  } finally {
    await node.close()
  }
}
