// The first screen of a report: what the run was, what a reader must not miss, and each promise with its verdict, which was decided
// when the run was judged (../promises.ts) and is only shown here.

import type { PromiseJudged, Results } from '../results.js'
import { labelOf } from './figures.js'
import type { Against, HeadRow, Report, VerdictWord } from './model.js'
import { amount, duration, percent, whole } from './number.js'

/** Divided by the target, so that above 1 is better whichever way the unit goes. */
export function againstTarget({ value, target, better }: NonNullable<PromiseJudged['against']>): Against | null {
  if (value.kind === 'none' || !(target > 0)) return null
  const towards = (number: number) => (better === 'higher' ? number / target : target / Math.max(number, target * 1e-6))
  const [low, high] = [towards(value.low), towards(value.high)]
  return { low: Math.min(low, high), mid: towards(value.middle), high: Math.max(low, high) }
}

const WORDS = {
  met: 'met',
  'not-met': 'missed',
  'within-noise': 'open',
  'too-noisy': 'noisy',
  'not-measured': 'absent',
} as const satisfies Record<PromiseJudged['verdict'], VerdictWord>

export function promiseRow(judged: PromiseJudged): HeadRow {
  const { against: behind, rows = [] } = judged
  const verdict = WORDS[judged.verdict]
  const decided = verdict !== 'noisy' && verdict !== 'absent'
  const against = behind === undefined || !decided ? null : againstTarget(behind)
  const said = decided ? judged.figure : ''
  return {
    what: judged.say,
    target: judged.target,
    measured: said,
    against,
    verdict,
    remark: [decided ? '' : judged.figure, verdict === 'open' ? 'the interval has the target inside' : '']
      .filter((part) => part !== '')
      .join('; '),
    rows,
    emulated: judged.emulated,
  }
}

const KINDS = {
  full: 'full run',
  quick: 'quick run',
  only: 'part of a run',
  hosts: 'run between two machines',
} as const satisfies Record<Results['run']['kind'], string>

export function subtitle({ run, machine }: Results): string {
  const commit =
    run.commit === null ? 'no commit' : `commit ${run.commit.slice(0, 12)}${run.dirty ? ' with changes' : ''}`
  return [
    machine.name,
    `${machine.cpus} x ${machine.cpu}`,
    `Linux ${machine.kernel}`,
    `Sluice ${run.version}, ${commit}`,
    `${KINDS[run.kind]} of ${duration(run.tookSeconds)}, ${run.startedAt.replace('T', ' ')}`,
  ].join(' · ')
}

function noisy({ measurements }: Results): string[] {
  const cells = measurements.flatMap(({ cells }) => cells)
  const loud = cells.filter(({ figure }) => figure.kind === 'noisy').length
  return loud === 0
    ? []
    : [`${whole(loud)} of ${whole(cells.length)} figures are too noisy to be given: the tables say which, and why.`]
}

/** What the machine did beside. A run by itself keeps two processors at work, and the load of its last minute says so. */
export function around({ loadBefore, loadAfter, stolen, cpus }: Results['machine']): readonly string[] {
  return [
    ...(loadBefore > cpus / 4
      ? [`machine was busy before it began: ${amount(loadBefore)} of ${cpus} processors were at work`]
      : []),
    ...(loadAfter > cpus * 1.5
      ? [`machine was busy beside it when it ended, with a load of ${amount(loadAfter)} on ${cpus} processors`]
      : []),
    ...(stolen > 0.01 ? [`hypervisor gave ${percent(stolen)} of the processors' time to others`] : []),
  ]
}

export function warnings(results: Results): Report['warnings'] {
  const { run, machine, variants } = results
  const emulated = variants
    .filter(({ emulated, state }) => emulated && state === 'measured')
    .map(({ name }) => labelOf(name))
  return [
    ...(run.complete ? [] : [`This run is not complete: ${run.why ?? 'it was interrupted'}.`]),
    ...(run.dirty ? ['The tree had changes that are in no commit.'] : []),
    ...(run.remarks ?? []).map((remark) => `${remark}.`),
    ...around(machine).map((line) => `The ${line}.`),
    ...variants
      .filter(({ state }) => state === 'refused')
      .map(({ name, why }) => `${labelOf(name)} is left out: ${why ?? 'it does not mean what the policy says'}.`),
    ...(emulated.length === 0
      ? []
      : [`${emulated.join(', ')}: emulated, a program in the place of a card. Its speed says nothing about a card.`]),
    ...noisy(results),
  ]
}

/** In the words of its file: the rule of noise was not asked. */
export const SINGLE = 'What a file of bench/ measured is a single figure, without an interval.'

/** What the mark beside each row is: one sentence for every first table. */
export const MARK = 'better is right of it; the ends are a fifth worse and a quarter better, an arrow is beyond them.'

export const promisesHeadline = (promises: readonly PromiseJudged[]): Report['headline'] => ({
  question: 'Is it within its promises?',
  caption: `The mark is the measured value with its interval, divided by the target (the upright line): ${MARK} ${SINGLE}`,
  head: ['Promise', 'Verdict', 'Measured', 'Against the target', 'Target'],
  rows: promises.map(promiseRow),
  none: 'This run judged no promise.',
})
