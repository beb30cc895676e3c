// `sluice detach`: ends a tenure. The workspace is denied, read back, before anything of its slot is taken away, and stays
// denied until the next attach.

import { counting, type Declared } from '../frame.js'
import { withNode } from '../node.js'
import { facts } from '../print.js'

export const detachCommand: Declared = {
  usage: 'detach <workspace>',
  summary: 'take a workspace off its slot; denied until the next attach',
  examples: ['sluice detach spiffe://fleet.example/ws/alpha'],
  declare: (command) =>
    command
      .option('--lease <number>', 'refuse unless this is the live one', counting)
      .option('--config <file>', 'agent.yaml of this node'),
  run: (context, [workspace = ''], options) => {
    const lease = options.lease as number | undefined
    return withNode(context, { config: options.config as string | undefined, exclusive: true }, async (node) => {
      const request = { workspace, ...(lease === undefined ? {} : { leaseGeneration: lease }) }
      const { tenure, generation, fencedMs } = await node.detach(request)
      return {
        json: { state: 'detached', ...tenure, generation, fencedMs },
        text: facts([
          ['workspace', workspace],
          ['state', 'detached'],
          ['attachment', `${tenure.attachmentId}, lease ${tenure.leaseGeneration}`],
          ['deny fence read back after', `${fencedMs} ms`],
        ]),
      }
    })
  },
}
