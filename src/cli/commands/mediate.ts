// `sluice mediate`: answers the names of the workspaces of this node, and lets no answer out before its grant is live. It runs
// beside whoever applies bundles and follows the plan on record; a running `sluice agent` needs none.

import { quote } from '../../base/quote.js'
import { counting, type Declared } from '../frame.js'
import type { Mediated, MediateLine } from '../host-names.js'
import { configure } from '../node.js'
import type { Paint } from '../print.js'

export const mediateCommand: Declared = {
  usage: 'mediate',
  summary: 'resolve the granted names of the workspaces, until interrupted',
  examples: ['sluice mediate --config agent.yaml', 'sluice mediate --config agent.yaml --for 60 --json'],
  declare: (command) =>
    command
      .option('--config <file>', 'agent.yaml of this node, with a section dns')
      .option('--for <seconds>', 'end after that long; with Ctrl-C otherwise', counting),
  run: async (context, _positional, options) => {
    const { config, for: seconds } = options as { config?: string; for?: number }
    const { host, paint } = context
    const signal = host.interrupted(seconds === undefined ? undefined : seconds * 1_000)
    const tell = (line: MediateLine): void => host.writeError(say(line, paint))
    const done = await host.mediate(await configure(context, config), { signal, tell })
    return { json: done, text: summary(done) }
  },
}

function say(line: MediateLine, paint: Paint): string {
  switch (line.kind) {
    case 'listening': {
      const where = line.places.length === 0 ? 'no address' : line.places.join(', ')
      return `listening on ${where}; ${line.generation === null ? 'no bundle is live' : `generation ${line.generation}`}\n`
    }
    case 'missing':
      return `${paint('yellow', 'not listening')} on ${line.place}: ${line.why}\n`
    case 'failed':
      return `${paint('red', 'failed')}: ${line.say}\n`
  }
}

function summary({ replies, refused, learned, shared, labels }: Mediated): string {
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .map(([word, count]) => `${count} ${word}`)
      .join(', ') || 'none'
  const lines = [`replies: ${counts(replies)}`, `refused: ${counts(refused)}`, `learned grants: ${learned}`]
  for (const { workspace, pattern, names, limit, octets } of labels)
    lines.push(`labels: ${workspace} ${pattern}: ${names} of ${limit} names, ${octets} octets`)
  for (const { workspace, address, names } of shared)
    lines.push(`shared address: ${workspace} ${address}: ${names.map((name) => quote(name)).join(' and ')}`)
  return `${lines.join('\n')}\n`
}
