// `sluice doctor`: what this machine can enforce. Every probe of every backend answers yes, no or could not tell, each with
// what was tried; `could not tell` is never counted as yes.

import { REGISTERED_BACKENDS } from '../../backends/registry.js'
import { formatInstant } from '../../bundle/instant.js'
import type { Answer, Probe } from '../../plan/capabilities.js'
import type { Declared } from '../frame.js'
import type { FloorSeen } from '../host.js'
import { configure } from '../node.js'
import type { Ink, Paint } from '../print.js'
import { facts, table } from '../print.js'

const WORDS = { yes: 'yes', no: 'no', 'could-not-tell': 'could not tell' } as const satisfies Record<Answer, string>
const INKS = { yes: 'green', no: 'red', 'could-not-tell': 'yellow' } as const satisfies Record<Answer, Ink>

export const doctor: Declared = {
  usage: 'doctor',
  summary: 'say what this machine can enforce, and why not',
  examples: ['sluice doctor', 'sluice doctor --json', 'sluice doctor --config /etc/sluice/agent.yaml'],
  declare: (command) => command.option('--config <file>', 'agent.yaml of this node: says of its deny floor too'),
  run: async (context, _positional, options) => {
    const { host, paint } = context
    const { config } = options as { config?: string }
    const floor = config === undefined ? undefined : host.seeFloor(await configure(context, config))
    const surveyed = await host.survey(REGISTERED_BACKENDS)
    const text = surveyed
      .map(({ backend, capabilities, probes }) => {
        const usable = capabilities.usable ? paint('green', 'usable') : paint('red', 'not usable')
        return `${paint('bold', backend)}: ${usable} (${capabilities.trustDomain}): ${capabilities.why}\n${listed(probes, paint)}`
      })
      .join('\n')
    const card = host.lookForCard()
    const found = card.found
      ? `${paint('bold', 'BlueField')} (${card.trustDomain})\n${listed(card.probes, paint)}`
      : card.probes.map(({ why }) => `${why}\n`).join('')
    const said = floor
      ? `\n${facts([
          ['deny floor', floorSay(floor)],
          ['its unit', unitSay(floor)],
        ])}`
      : ''
    return { json: { backends: surveyed, card, ...(floor ? { floor } : {}) }, text: `${text}\n${found}${said}` }
  },
}

/** Probes as an indented table; nothing for none. */
function listed(probes: readonly Probe[], paint: Paint): string {
  if (probes.length === 0) return ''
  const rows = probes.map((probe) => [probe.feature, WORDS[probe.answer], probe.why])
  const inked = table(['feature', 'answer', 'why'], rows).replace(
    / {2}(yes|no|could not tell)(?= {2})/g,
    (cell, word: string) => {
      const answer = (Object.keys(WORDS) as Answer[]).find((key) => WORDS[key] === word)
      return answer ? cell.replace(word, paint(INKS[answer], word)) : cell
    },
  )
  return inked.replace(/^(?=.)/gm, '  ')
}

function floorSay({ laid, thisBoot }: FloorSeen): string {
  if (!laid) return 'never laid: a reboot leaves the slots open until the agent runs'
  const lines = laid.lines.map(({ backend, state, say }) => `${backend} ${state} (${say})`).join('; ')
  const when = thisBoot ? 'at this boot' : 'at an earlier boot, and not at this one'
  return `${when}, ${formatInstant(laid.atMs)}: ${lines}`
}

const unitSay = ({ unit, enabled }: FloorSeen): string =>
  enabled ? 'installed, and started before the network' : unit ? 'installed, and not enabled' : 'not installed'
