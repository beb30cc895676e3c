// Results of a run to the report about it. Pure, and the only door of this folder together with page.ts: what a reader sees is
// decided here, how it looks there.

import type { Machine, Results, Run } from '../results.js'
import { benchSections } from './benches.js'
import { promisesHeadline, subtitle, warnings } from './headline.js'
import type { Report } from './model.js'
import { duration, percent, whole } from './number.js'
import { measuredSections } from './questions.js'

export const machineFacts = (machine: Machine): (readonly [string, string])[] => [
  ['name', machine.name],
  ['processors', `${machine.cpus} x ${machine.cpu} (${machine.architecture})`],
  ['memory', `${whole(machine.memoryMiB)} MiB`],
  ['kernel', machine.kernel],
  ['virtual machine', machine.virtual],
  ['processors at work before, load after', `${machine.loadBefore}, ${machine.loadAfter}`],
  ['given to others', percent(machine.stolen)],
  ...Object.entries(machine.versions),
]

export const runFacts = (run: Run): (readonly [string, string])[] => [
  ['command', run.command],
  ['version', run.version],
  ['commit', `${run.commit ?? 'none'}${run.dirty ? ', with changes' : ''}`],
  ['began', run.startedAt],
  ['took', `${duration(run.tookSeconds)} of ${duration(run.budgetSeconds)}`],
  ['seed', String(run.seed)],
  ['intervals', `${percent(run.confidence)} confidence, by bootstrap`],
]

const STATES = { measured: 'measured', refused: 'left out', absent: 'not on this machine' } as const

export function buildReport(results: Results): Report {
  const { run, machine, policy, variants, measurements, benches, promises } = results
  return {
    title: 'What the fence costs',
    subtitle: subtitle(results),
    warnings: warnings(results),
    headline: promisesHeadline(promises),
    sections: [...measuredSections(results), ...benchSections(results)],
    facts: [
      { title: 'Machine', rows: machineFacts(machine) },
      { title: 'Run', rows: runFacts(run) },
      {
        title: 'Variants',
        rows: variants.map(({ name, say, state, why }) => [
          name,
          state === 'measured' ? say : `${say}; ${STATES[state]}${why === undefined ? '' : `: ${why}`}`,
        ]),
      },
      {
        title: `Policy: ${policy.say}`,
        rows: policy.digests.map(({ grants, workspaces, digest }) => [
          `${whole(grants)} grants${workspaces === 1 ? '' : `, ${whole(workspaces)} workspaces`}`,
          digest,
        ]),
      },
    ],
    commands: [
      { what: 'The run', line: run.command },
      ...(policy.hand === undefined ? [] : [{ what: 'hand.nft, for 10 grants', line: policy.hand }]),
      ...measurements.map(({ id, commands }) => ({ what: id, line: commands.join('\n') })),
      ...benches.map(({ promise, command }) => ({ what: promise, line: command })),
    ],
  }
}
