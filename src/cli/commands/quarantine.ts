// `sluice quarantine set` and `lift`: a durable flag, stronger than every plan, that drops all traffic of a workspace. Set
// works while an apply is under way; the answer comes when the fence has been read back.

import { cliFault } from '../errors.js'
import { writeFile } from '../files.js'
import type { Context, Declared } from '../frame.js'
import type { Quarantined } from '../host.js'
import { withNode } from '../node.js'
import { facts } from '../print.js'

const declared = (
  kind: 'quarantine-set' | 'quarantine-lift',
  verb: string,
  summary: string,
  done: string,
): Declared => ({
  usage: `${verb} <workspace>`,
  summary,
  examples: [`sluice quarantine ${verb} spiffe://fleet.example/ws/alpha --reason 'incident 4711'`],
  declare: (command) =>
    command
      .requiredOption('--reason <text>', 'why, for the trail')
      .option('--receipt <file>', 'write the signed receipt there')
      .option('--config <file>', 'agent.yaml of this node'),
  run: (context, [workspace = ''], options) => {
    const { reason, config, receipt } = options as { reason: string; config?: string; receipt?: string }
    const wanted = { config, exclusive: false, fencing: kind === 'quarantine-set' }
    return withNode(context, wanted, async (node) => {
      const result = await node.quarantine({ kind, workspace, reason })
      const { receipt: _token, ...plain } = result
      if (receipt !== undefined) writeReceipt(context, receipt, result)
      return {
        json: { state: done, ...plain },
        text: facts([
          ['workspace', workspace],
          ['state', stateOf(done, result)],
          ...(result.generation > 0 ? ([['generation', String(result.generation)]] as const) : []),
          ...(result.attached ? ([['fence read back after', `${result.elapsedMs} ms`]] as const) : []),
        ]),
        ...(result.damage === undefined
          ? {}
          : { remarks: `${context.paint('yellow', 'warning')}: ${result.damage}; the kernel was asked instead\n` }),
      }
    })
  },
})

/** The fence stands either way: a receipt that is missing or cannot be written is an error of its own. */
function writeReceipt({ host }: Context, file: string, { workspace, receipt }: Quarantined): void {
  if (receipt === undefined) throw cliFault('CLI_NO_RECEIPT', { workspace })
  writeFile(host, file, receipt)
}

function stateOf(done: string, { attached, changed }: Quarantined): string {
  if (!attached) return `${done} on record; nothing here carries it now, and it is in force when something does`
  return changed ? done : `${done} already; the fence was set again and read back`
}

export const quarantineSet = declared(
  'quarantine-set',
  'set',
  'drop all traffic of a workspace until it is lifted',
  'quarantined',
)
export const quarantineLift = declared('quarantine-lift', 'lift', 'let a workspace out of quarantine', 'lifted')
