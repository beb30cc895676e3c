// `sluice bench compare`: what got slower from one run to another, beyond noise. Exit 1 when something of ours did, so that it can
// stand in a pipeline; what one would write by hand and the empty hooks are shown and decide nothing. Two files with next to nothing in
// common are an error, and no proof that nothing did.

import { decodeUtf8 } from '../../base/bytes.js'
import { type Compared, compareResults } from '../../bench/compare.js'
import { benchFault } from '../../bench/errors.js'
import { readResults } from '../../bench/read.js'
import { readFile, writeFile } from '../files.js'
import type { Declared } from '../frame.js'
import { shown, table } from '../print.js'

/** Neither an error nor a refusal: a difference, as diff(1) has it. */
const EXIT_SLOWER = 1
const MOST_BYTES = 64 << 20

export const benchCompare: Declared = {
  usage: 'compare <before> <after>',
  summary:
    'say what got slower from one results.json to another, beyond noise; exit 1 if something did, 2 if they have too little in common',
  examples: ['sluice bench compare main/results.json branch/results.json --report changed.html'],
  declare: (command) => command.option('--report <file>', 'the same as one HTML file'),
  run: (context, [before = '', after = ''], options) => {
    const [old, now] = [before, after].map((path) => {
      const bytes = readFile(context.host, path, 'results', MOST_BYTES)
      return readResults(decodeUtf8(bytes) ?? '', path)
    })
    if (!old || !now) throw new TypeError('two files were read')
    const compared = compareResults(old, now)
    if (compared.apart !== undefined) throw benchFault('BENCH_APART', { before, after, why: compared.apart })
    const { report } = options as { report?: string }
    if (report !== undefined)
      writeFile(context.host, report, context.host.bench.comparison(old, now, compared), { replace: true })
    const { says, rows, remarks, agreeing, ratios, slower } = compared
    const told = rows.filter(
      ({ verdict, suspected }) => verdict === 'slower' || verdict === 'faster' || suspected !== undefined,
    )
    const { paint } = context
    const text = [
      `${paint(slower > 0 ? 'red' : 'green', says)}\n`,
      told.length === 0 ? '' : `\n${table(['', 'change', 'interval', 'of', 'variant', 'where'], told.map(row))}\n`,
      `${rows.length} compared, ours and others; intervals agree in ${agreeing} of ${ratios} ratios\n`,
      ...remarks.map((remark) => `${paint('yellow', 'note')}: ${shown(remark)}\n`),
    ].join('')
    return Promise.resolve({ json: compared, text, ...(slower > 0 ? { exit: EXIT_SLOWER } : {}) })
  },
}

const percent = (share: number): string => `${share >= 0 ? '+' : ''}${(share * 100).toFixed(1)} %`

function row({ verdict: judged, suspected, quotient, what, variant, say, counts, gone }: Compared): string[] {
  const verdict = suspected === undefined ? judged : `suspected ${suspected}`
  const { middle, low, high } = quotient
  const interval = `${percent(low - 1)} to ${percent(high - 1)}`
  // untrusted: why it is gone is text of the file.
  if (gone !== undefined) return [verdict, 'gone', '-', what, variant ?? '-', `${say}: ${shown(gone)}`]
  return [counts ? verdict : `${verdict} (not ours)`, percent(middle - 1), interval, what, variant ?? '-', say]
}
