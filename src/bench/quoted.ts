// The figures that a README may quote, as Markdown from the results of one run: of every promise a few words, one short figure and its
// verdict, beneath them the commands that make them again, above them the machine, the commit and the run that they are of. Everything
// else that was found is in the report; a figure of an earlier build, which had all of it in one, is cut, and shows that it is. A run that nobody could repeat, or of a machine that did
// other things as well, says so in its first line: `reservations` gives the reasons, and whoever writes the page decides.

import { shortOf } from './promises.js'
import { around, promiseRow, SINGLE } from './report/headline.js'
import type { PromiseJudged, Results } from './results.js'

export const BEGIN = '<!-- figures:begin -->'
export const END = '<!-- figures:end -->'

const VERDICT = {
  met: '**met**',
  missed: 'missed',
  open: 'within noise',
  noisy: 'too noisy',
  absent: 'not measured',
} as const

/** Why these are no figures to stand by; none where they are. */
export function reservations({ run, machine }: Results): readonly string[] {
  return [
    ...(run.commit === null || run.dirty ? ['the tree had changes that are in no commit'] : []),
    ...(run.complete ? [] : [`the run is not complete: ${run.why ?? 'it was interrupted'}`]),
    ...around(machine).map((line) => `the ${line}`),
    ...(run.kind === 'full' || run.kind === 'quick' ? [] : ['it is a part of a run']),
  ]
}

/** Characters of a cell: what is longer is read by nobody. */
export const MOST = 100

const cut = (text: string): string =>
  text.length <= MOST ? text : `${text.slice(0, MOST - 1).replace(/\s+\S*$/, '')}…`

/** Nothing of a file ends a cell, or begins anything. */
const cell = (text: string): string =>
  text.replace(/[\r\n]+/g, ' ').replace(/[|`<[\]\\]/g, (char) => (char === '<' ? '&lt;' : `&#${char.charCodeAt(0)};`))

function command({ from }: PromiseJudged, { run, benches }: Results): string {
  const [kind, name = ''] = from.split(' ')
  if (kind === 'bench') return benches.find((one) => one.name === name)?.command ?? `node scripts/bench.mjs ${name}`
  if (kind === 'test') return `npx vitest run ${name}`
  return `npx sluice bench${run.kind === 'quick' ? ' --quick' : ''} --only ${name}`
}

/** Everything from BEGIN to END. */
export function quoted(results: Results): string {
  const { run, machine, promises } = results
  const { node } = machine.versions
  const why = reservations(results)
  const made = run.command.replace(/^sluice/, 'npx sluice')
  const rows = promises.map((promise) => {
    const { verdict, measured, remark, emulated, target } = promiseRow(promise)
    const word = (VERDICT as Record<string, string>)[verdict] ?? verdict
    // That the target is within an interval is its verdict.
    const seen = cell(cut(measured === '' ? remark : measured))
    return `| ${cell(cut(shortOf(promise)))}${emulated ? ' (emulated)' : ''} | ${cell(cut(target))} | ${seen} | ${word} |`
  })
  const again = new Map<string, string[]>()
  for (const promise of promises) {
    const by = command(promise, results)
    again.set(by, [...(again.get(by) ?? []), cell(cut(shortOf(promise)))])
  }
  const of = `${machine.cpus} x ${machine.cpu} (${machine.virtual === 'none' ? 'metal' : machine.virtual}), Linux ${machine.kernel}${node === undefined ? '' : `, Node ${node}`}`
  return [
    BEGIN,
    ...(why.length === 0 ? [] : [`**Provisional**: ${cell(why.join('; '))}.`, '']),
    `Measured at commit \`${run.commit ?? 'none'}\` on ${cell(of)}, ${run.startedAt.slice(0, 10)}, by \`${cell(made)}\`:`,
    '',
    '| promise | target | measured | verdict |',
    '|---|---|---|---|',
    ...rows,
    '',
    `${SINGLE} All that a run finds is in its report (\`build/bench/report.html\`). As root, after \`make build native\`, each is made again by`,
    '',
    ...[...again].map(([by, names]) => `- \`${by}\`: ${names.join('; ')}`),
    END,
  ].join('\n')
}
