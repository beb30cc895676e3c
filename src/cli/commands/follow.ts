// `sluice follow`: keeps this node at what a channel says: roots, freshness and bundles, asked for with jitter and back-off.
// What does not hold any more is suspended on the way, also while the source does not answer.

import { counting, type Declared } from '../frame.js'
import type { FollowLine } from '../host.js'
import { readInventory } from '../inventory.js'
import { configure, telling } from '../node.js'
import { withSource, withSourceOptions } from '../source.js'

export const followCommand: Declared = {
  usage: 'follow <source>',
  summary: 'keep this node at what a channel says, until interrupted',
  examples: ['sluice follow https://policy.example/published --inventory inventory.yaml --config agent.yaml'],
  declare: (command) =>
    withSourceOptions(
      command
        .requiredOption('--inventory <file>', 'the signed list of workspaces of this node')
        .option('--config <file>', 'agent.yaml of this node')
        .option('--interval <seconds>', 'how often to ask', counting, 30)
        .option('--for <seconds>', 'stop after this time', counting),
    ),
  run: async (context, [address = ''], options) => {
    const { host } = context
    const given = options as unknown as { inventory: string; config?: string; interval: number; for?: number }
    const config = await configure(context, given.config)
    const inventory = await telling(host, config, async () => readInventory(host, given.inventory))
    const lines: FollowLine[] = []
    const { interval } = given
    const signal = host.interrupted(given.for === undefined ? undefined : given.for * 1000)
    const tell = (line: FollowLine) => {
      lines.push(line)
      host.writeError(`${say(line)}\n`)
    }
    await withSource(context, address, options, (source) =>
      host.follow(config, { source, inventory, intervalMs: interval * 1000, signal, tell }),
    )
    return { json: { passes: lines }, text: '' }
  },
}

function say(line: FollowLine): string {
  switch (line.kind) {
    case 'active':
      return `active: revision ${line.revision}, generation ${line.generation}`
    case 'root':
      return `root: followed to version ${line.version}`
    case 'suspended':
    case 'resumed':
      return `${line.kind}: ${line.workspaces.join(', ')}`
    case 'failed':
      return `${line.code}: ${line.say}; next try in ${Math.round(line.waitMs / 1000)} s`
  }
}
