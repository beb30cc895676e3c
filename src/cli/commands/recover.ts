// `sluice recover clock` and `recover state`: an operator's way out when a node refuses to go on because its clock went back
// or its state is lost. Each says what it gives up, asks, and stands in the trail.

import { cliFault } from '../errors.js'
import type { Declared } from '../frame.js'
import type { RecoverRequest } from '../host.js'
import { configure } from '../node.js'
import { facts } from '../print.js'

const QUESTION = {
  clock:
    'The present clock will be believed, although this node has seen a later time: statements that have expired by that time hold again. Go on?',
  state:
    'The state begins anew: this node forgets which revisions it has held, and the next bundle is taken whatever its revision. Go on?',
} as const satisfies Record<RecoverRequest['what'], string>

const declared = (what: RecoverRequest['what'], summary: string): Declared => ({
  usage: what,
  summary,
  examples: [`sluice recover ${what} --reason 'clock battery replaced' --config agent.yaml`],
  declare: (command) =>
    command
      .requiredOption('--reason <text>', 'why, for the trail')
      .option('--config <file>', 'agent.yaml of this node')
      .option('--yes', 'do not ask'),
  run: async (context, _positional, options) => {
    const { reason, config, yes } = options as { reason: string; config?: string; yes?: boolean }
    const node = await configure(context, config)
    if (!yes && !(await context.host.confirm(QUESTION[what])))
      throw cliFault('CLI_NOT_CONFIRMED', { what: `recover ${what}` })
    const { moved, quarantines } = await context.host.recover(node, { what, reason })
    return {
      json: { what, moved: moved ?? null, quarantines },
      text: `recovered: ${what}\n${facts([
        ...(moved === undefined ? [] : ([['old state', moved]] as const)),
        ['quarantines', quarantines === null ? 'could not be read; set them again' : `${quarantines} kept`],
      ])}`,
    }
  },
})

export const recoverClock = declared('clock', 'believe the present clock, although a later time was seen')
export const recoverState = declared('state', 'begin the state anew after it was lost or damaged')
