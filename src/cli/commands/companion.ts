// `sluice companion`: the process on the host that gives workspaces their life and ends it. It may only narrow: policy reaches the agent
// without it. What it does is told a line each on the error output, as JSON with --json. SIGTERM and Ctrl-C end it after what is under
// way; machines and their fences stay, and the next one takes them up.

import type { Declared } from '../frame.js'
import { findCompanion } from './workspace.js'

export const companionCommand: Declared = {
  usage: 'companion',
  summary: 'run the workspaces of this host as machines behind their fences, until stopped',
  examples: ['sluice companion --config /etc/sluice/companion.yaml'],
  declare: (command) => command.option('--config <file>', 'companion.yaml of this host'),
  run: async (context, _positional, options) => {
    const { host } = context
    const { config, json } = options as { readonly config?: string; readonly json?: boolean }
    const { file, bytes } = findCompanion(context, config)
    await host.companion.run(file, bytes, {
      signal: host.interrupted(undefined),
      tell: ({ atMs, level, event, detail }) => {
        const time = new Date(atMs).toISOString()
        const words = Object.entries(detail).map(
          ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
        )
        host.writeError(
          json
            ? `${JSON.stringify({ time, level, event, ...detail })}\n`
            : `${time} ${level} ${event}${words.join('')}\n`,
        )
      },
    })
    return { json: undefined, text: '', streamed: true }
  },
}
