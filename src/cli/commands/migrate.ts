// `sluice migrate`: brings the state of a node to the format of this release, or back to that of an older one before that one is
// started again. The agent does the first by itself when it starts; the second is asked of the newer release, with its agent
// stopped, because only that one knows both.

import { counting, type Declared } from '../frame.js'
import { configure } from '../node.js'
import { facts } from '../print.js'

export const migrateCommand: Declared = {
  usage: 'migrate',
  summary: 'convert the state of a stopped node to the format of this release, or of an older one',
  examples: [
    'sluice migrate --config agent.yaml',
    'sluice migrate --to 1 --config agent.yaml   # before an older release',
  ],
  declare: (command) =>
    command
      .option('--to <format>', 'the format to write; that of this release when left out', counting)
      .option('--config <file>', 'agent.yaml of this node'),
  run: async (context, _positional, options) => {
    const { to, config } = options as { to?: number; config?: string }
    const { from, to: now, copy } = context.host.migrate(await configure(context, config), to)
    return {
      json: { from, to: now, copy: copy ?? null },
      text:
        copy === undefined
          ? `the state has format ${now} already\n`
          : facts([
              ['format', `${from} -> ${now}`],
              ['as it was', copy],
            ]),
    }
  },
}
