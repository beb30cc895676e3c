// Reads what a report carries in itself: the plotting library with its licence from node_modules, and the script of the page as it
// was compiled. Both are of this installation; a script that could end the element that it stands in is refused.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Comparison } from './compare.js'
import { buildReport } from './report/build.js'
import { buildComparison } from './report/comparison.js'
import { type Assets, renderReport } from './report/page.js'
import type { Results } from './results.js'

const require = createRequire(import.meta.url)

/** Run from its sources, as by a test, the page's script is where a build puts it. */
const compiled = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/bench/page/draw.js' : 'page/draw.js',
  import.meta.url,
)

function script(text: string, name: string): string {
  const body = text.replace(/^\/\/# sourceMappingURL=.*$/gm, '').trim()
  if (/<\/script|<!--/i.test(body)) throw new TypeError(`${name} cannot stand inside a page`)
  return `\n${body}\n`
}

/** Throws what reading gives when a file is not there: an installation that is not whole. */
export function readAssets(): Assets {
  const folder = dirname(require.resolve('uplot/package.json'))
  const text = (path: string) => readFileSync(join(folder, path), 'utf8')
  const { name, version } = JSON.parse(text('package.json')) as { name: string; version: string }
  return {
    library: script(text('dist/uPlot.iife.min.js'), name),
    libraryStyle: text('dist/uPlot.min.css').trim(),
    libraryName: `${name} ${version}`,
    licence: text('LICENSE').trim(),
    draw: script(readFileSync(compiled, 'utf8'), 'draw.js'),
  }
}

/** The whole file: the doors for whoever has results, or two of them compared, and wants the page. */
export const reportHtml = (results: Results): string => renderReport(buildReport(results), readAssets())

export const comparisonHtml = (before: Results, after: Results, comparison: Comparison): string =>
  renderReport(buildComparison(before, after, comparison), readAssets())
