// `sluice quarantine breakglass`: carries out a signed break-glass statement on this node. It needs no operator's word, only
// the threshold of its keys, and it tells everybody.

import { formatInstant } from '../../bundle/instant.js'
import { readFile } from '../files.js'
import type { Declared } from '../frame.js'
import { withNode } from '../node.js'
import { facts } from '../print.js'

export const quarantineBreakglass: Declared = {
  usage: 'breakglass <statement>',
  summary: 'carry out a signed order to quarantine, or to lift one quarantine for a while',
  examples: ['sluice quarantine breakglass lift.jws.json --config agent.yaml'],
  declare: (command) => command.option('--config <file>', 'agent.yaml of this node'),
  run: (context, [file = ''], options) => {
    const config = options.config as string | undefined
    const statement = readFile(context.host, file, 'statement')
    return withNode(context, { config, exclusive: false }, async (node) => {
      const { order, workspace, generation, elapsedMs } = await node.breakGlass(statement)
      const until = order.action === 'lift' ? formatInstant(order.expiresAtMs) : null
      return {
        json: { action: order.action, workspace, generation, elapsed_ms: elapsedMs, until },
        text: facts([
          ['workspace', workspace],
          ['state', until === null ? 'quarantined' : `lifted until ${until}; then the quarantine is back`],
          ['fence read back after', `${elapsedMs} ms`],
        ]),
      }
    })
  },
}
