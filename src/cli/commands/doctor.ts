// `sluice doctor`: what this machine can enforce. Every probe of every backend answers yes, no or could not tell, each with
// what was tried; `could not tell` is never counted as yes.

import { REGISTERED_BACKENDS } from '../../backends/registry.js'
import type { Answer } from '../../plan/capabilities.js'
import type { Declared } from '../frame.js'
import type { Ink } from '../print.js'
import { table } from '../print.js'

const WORDS = { yes: 'yes', no: 'no', 'could-not-tell': 'could not tell' } as const satisfies Record<Answer, string>
const INKS = { yes: 'green', no: 'red', 'could-not-tell': 'yellow' } as const satisfies Record<Answer, Ink>

export const doctor: Declared = {
  usage: 'doctor',
  summary: 'say what this machine can enforce, and why not',
  examples: ['sluice doctor', 'sluice doctor --json'],
  run: async ({ host, paint }) => {
    const surveyed = await host.survey(REGISTERED_BACKENDS)
    const text = surveyed
      .map(({ backend, capabilities, probes }) => {
        const usable = capabilities.usable ? paint('green', 'usable') : paint('red', 'not usable')
        const rows = probes.map((probe) => [probe.feature, WORDS[probe.answer], probe.why])
        const listed = rows.length === 0 ? '' : table(['feature', 'answer', 'why'], rows)
        const inked = listed.replace(/ {2}(yes|no|could not tell)(?= {2})/g, (cell, word: string) => {
          const answer = (Object.keys(WORDS) as Answer[]).find((key) => WORDS[key] === word)
          return answer ? cell.replace(word, paint(INKS[answer], word)) : cell
        })
        return `${paint('bold', backend)}: ${usable} (${capabilities.trustDomain}): ${capabilities.why}\n${inked.replace(/^(?=.)/gm, '  ')}`
      })
      .join('\n')
    return { json: { backends: surveyed }, text }
  },
}
