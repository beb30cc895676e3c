// `sluice floor`: closes what this node would fence, before its network is up; run by the unit `sluice-floor.service`. It grants
// nothing and needs no bundle, clock or trust root; what is live already stays as it is.

import type { Declared } from '../frame.js'
import { configure } from '../node.js'
import { table } from '../print.js'

const WORDS = { laid: 'closed', stands: 'stands already', none: 'NOT CLOSED' } as const

export const floorCommand: Declared = {
  usage: 'floor',
  summary: 'close this node before its network is up; the agent opens what its bundle grants',
  examples: ['sluice floor --config /etc/sluice/agent.yaml'],
  declare: (command) => command.option('--config <file>', 'agent.yaml of this node'),
  run: async (context, _positional, options) => {
    const { config } = options as { config?: string }
    const report = await context.host.layFloor(await configure(context, config))
    const rows = report.lines.map(({ backend, state, say }) => [backend, WORDS[state], say])
    return { json: { ...report }, text: table(['backend', 'deny floor', 'what'], rows) }
  },
}
