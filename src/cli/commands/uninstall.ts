// `sluice uninstall`: takes away every table, pin and file that the node made, after asking. Without a fence the
// workspaces' traffic is the node's to route: the question says so. What `init` wrote for people to edit stays.

import { cliFault } from '../errors.js'
import type { Declared } from '../frame.js'
import { configure, withNode } from '../node.js'

export const uninstall: Declared = {
  usage: 'uninstall',
  summary: 'remove every table, pin and file that sluice made on this node',
  examples: ['sluice uninstall --config agent.yaml', 'sluice uninstall --yes'],
  declare: (command) => command.option('--config <file>', 'agent.yaml of this node').option('--yes', 'do not ask'),
  run: async (context, _positional, options) => {
    const { config, yes } = options as { config?: string; yes?: boolean }
    const { stateDirectory, eventsFile, backends } = await configure(context, config)
    const question =
      `This removes the fence of ${backends.join(', ')}, ${stateDirectory} and ${eventsFile}. ` +
      'Workspaces that still run are not fenced after it. Go on?'
    if (!yes && !(await context.host.confirm(question))) throw cliFault('CLI_NOT_CONFIRMED', { what: 'uninstall' })
    return withNode(context, { config, exclusive: true }, async (node) => {
      const { removed } = await node.uninstall()
      const text =
        removed.length === 0 ? 'there was nothing to remove\n' : removed.map((what) => `removed ${what}\n`).join('')
      return { json: { removed }, text: `${text}agent.yaml, keys, trust root and inventory are yours and stay\n` }
    })
  },
}
