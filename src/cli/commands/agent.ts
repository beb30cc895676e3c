// `sluice agent`: the process that keeps this node at what its channel says, for months. It holds the node's lock while it
// runs; commands of the same node go to its socket. What it does is told a line each on the error output; with --json the
// lines are JSON. SIGTERM and Ctrl-C end it after the command that is under way; the fence stands.

import type { Declared } from '../frame.js'
import type { AgentLine } from '../host.js'
import { configure } from '../node.js'

export const agentCommand: Declared = {
  usage: 'agent',
  summary: 'keep this node at what its channel says, until stopped',
  examples: ['sluice agent --config /etc/sluice/agent.yaml'],
  declare: (command) =>
    command
      .option('--config <file>', 'agent.yaml of this node')
      .option('--first', 'make the state of a node that never held a bundle, if there is none'),
  run: async (context, _positional, options) => {
    const { host } = context
    const { config: named, first, json } = options as { config?: string; first?: boolean; json?: boolean }
    const config = await configure(context, named)
    if (first) await host.createState(config, { unlessThere: true })
    const tell = (line: AgentLine): void => {
      host.writeError(say(line))
    }
    const log = json ? { log: host.writeError } : {}
    await host.runAgent(config, { signal: host.interrupted(undefined), tell, ...log })
    return { json: undefined, text: '', streamed: true }
  },
}

function say({ atMs, level, event, detail }: AgentLine): string {
  const words = Object.entries(detail).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return `${new Date(atMs).toISOString()} ${level} ${event}${words.length === 0 ? '' : ` ${words.join(' ')}`}\n`
}
