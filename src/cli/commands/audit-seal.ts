// `sluice audit seal`: closes the segment of the journal that is being written and seals it now, so that everything told so far
// is under the agent's signature. It happens by itself, by size and age.

import type { Declared } from '../frame.js'
import { configure } from '../node.js'
import { facts } from '../print.js'

export const auditSeal: Declared = {
  usage: 'seal',
  summary: 'close and seal the current segment of the audit journal',
  examples: ['sluice audit seal --config /etc/sluice/agent.yaml'],
  declare: (command) => command.option('--config <file>', 'agent.yaml of this node'),
  run: async (context, _positional, options) => {
    const config = await configure(context, options.config as string | undefined)
    const sealed = await context.host.witness.sealJournal(config)
    if (!sealed) return { json: { sealed: null }, text: 'the journal has nothing that is not sealed\n' }
    return {
      json: { sealed },
      text: facts([
        ['segment', String(sealed.segment)],
        ['events', String(sealed.events)],
        ['sealed through event', String(sealed.lastSequence)],
      ]),
    }
  },
}
