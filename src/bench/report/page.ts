// A report as one HTML file that needs nothing else: no network, no second file. Its content security policy names the two scripts
// and the style sheet by their digests, so that a browser runs nothing else even if a text from outside were to escape its place
// (W3C CSP Level 3). Without scripts the tables say everything; the plots are drawn by ../page/draw.ts.

import { base64, utf8 } from '../../base/bytes.js'
import { sha256 } from '../../base/digest.js'
import { emulatedBadge, type Html, html, json, verbatim } from './html.js'
import { intervalMark } from './interval.js'
import {
  type Cell,
  type HeadRow,
  type Report,
  type Section,
  type TableView,
  VERDICTS,
  type VerdictWord,
} from './model.js'
import { rangesFigure } from './ranges.js'
import { STYLE } from './style.js'

/** Texts of this project and of the plotting library, read by ../assets.ts. */
export interface Assets {
  readonly library: string
  readonly libraryStyle: string
  readonly libraryName: string
  /** Kept in the page, as the licence asks. */
  readonly licence: string
  readonly draw: string
}

const WORDS = {
  met: { sign: '✓', word: 'met', tone: 'good' },
  missed: { sign: '✗', word: 'missed', tone: 'bad' },
  slower: { sign: '✗', word: 'slower', tone: 'bad' },
  faster: { sign: '✓', word: 'faster', tone: 'good' },
  same: { sign: '=', word: 'the same', tone: 'none' },
  open: { sign: '≈', word: 'within noise', tone: 'warn' },
  noisy: { sign: '~', word: 'too noisy', tone: 'warn' },
  absent: { sign: '–', word: 'not measured', tone: 'none' },
} as const satisfies Record<VerdictWord, { sign: string; word: string; tone: string }>

function tally(rows: readonly HeadRow[]): Html {
  const count = (verdict: VerdictWord) => rows.filter((row) => row.verdict === verdict).length
  return html`<ul class="tally">${VERDICTS.filter((verdict) => count(verdict) > 0).map(
    (verdict) => html`<li class="${WORDS[verdict].tone}"><b>${count(verdict)}</b>${WORDS[verdict].word}</li>`,
  )}</ul>`
}

const list = (rows: readonly string[]): Html | null =>
  rows.length === 0 ? null : html`<ul class="rows">${rows.map((row) => html`<li>${row}</li>`)}</ul>`

const folded = (rows: readonly string[]): Html | null =>
  rows.length === 0 ? null : html`<details class="more"><summary>all of it</summary>${list(rows)}</details>`

function headline({ question, caption, head, rows, none }: Report['headline']): Html {
  const line = (row: HeadRow) => {
    const { sign, word, tone } = WORDS[row.verdict]
    const remark = row.remark === '' ? null : html`<span class="aside">${row.remark}</span>`
    return html`<tr class="${tone}"><th scope="row">${row.what}${emulatedBadge(row.emulated)}</th>
<td><span class="word" data-sign="${sign}">${word}</span></td>
<td class="num">${row.measured}${remark}${folded(row.rows)}</td>
<td class="mark">${row.against === null ? null : intervalMark(row.against)}</td>
<td class="num target" data-name="${head[4]}">${row.target}</td></tr>
`
  }
  const table = html`<div class="scroll"><table class="promises">
<caption>${caption}</caption>
<thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map(line)}</tbody></table></div>`
  return html`<section aria-labelledby="promises"><h2 id="promises">${question}</h2>
${tally(rows)}
${rows.length === 0 ? html`<p>${none}</p>` : table}</section>`
}

function cell({ text, asides = [], rows = [], tone }: Cell): Html {
  const below = html`${asides.map((aside) => html`<span class="aside">${aside}</span>`)}${list(rows)}`
  return tone === undefined ? html`<td>${text}${below}</td>` : html`<td class="tone ${tone}">${text}${below}</td>`
}

function table({ caption, head, rows }: TableView): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table><caption>${caption}</caption>
<thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map(({ look, emulated, cells: [first, ...rest] }) => {
    const name =
      look === null ? html`${first?.text ?? ''}` : html`<span class="look look-${look}">${first?.text ?? ''}</span>`
    return html`<tr><th scope="row">${name}${emulatedBadge(emulated)}</th>${rest.map(cell)}</tr>
`
  })}</tbody></table></div>`
}

function section({ id, question, answer, note, plots, ranges, tables }: Section): Html {
  const figures = plots.map(
    ({ title, note, plot }) =>
      html`<figure id="${plot.id}" data-title="${title}"><figcaption><h3>${title}</h3><p class="note">${note}</p></figcaption></figure>`,
  )
  const rows = tables.reduce((sum, { rows }) => sum + rows.length, 0)
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${question}</h2>
${answer === null ? null : html`<p class="lead">${answer.lead}</p><ul class="answer">${answer.lines.map((line) => html`<li>${line}</li>`)}</ul>`}
${figures.length === 0 ? null : html`<p class="note">${note}</p><div class="plots">${figures}</div>`}
${ranges.map(rangesFigure)}
${tables.length === 0 ? null : html`<details${figures.length + ranges.length === 0 && rows <= 24 ? verbatim(' open') : null}><summary>Figures as a table</summary>${tables.map(table)}</details>`}
</section>
`
}

const source = (text: string): string => `'sha256-${base64(sha256(utf8(text)))}'`

/** The whole file. The same report and assets give the same text. */
export function renderReport(report: Report, assets: Assets): string {
  const style = `${assets.libraryStyle}\n${STYLE}`
  const policy = [
    "default-src 'none'",
    `script-src ${source(assets.library)} ${source(assets.draw)}`,
    `style-src ${source(style)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const plots = report.sections.flatMap(({ plots }) => plots.map(({ plot }) => plot))
  const links = [
    ...report.sections.map(({ id, question }) => ({ id, name: question })),
    { id: 'run', name: 'Machine and run' },
  ]
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${report.title}</title>
<link rel="icon" href="data:,">
<style>${verbatim(style)}</style>
</head>
<body>
<a class="skip" href="#promises">${report.headline.question}</a>
<header><h1>${report.title}</h1><p class="sub">${report.subtitle}</p>
${report.warnings.length === 0 ? null : html`<ul class="warnings">${report.warnings.map((line) => html`<li>${line}</li>`)}</ul>`}
<nav aria-label="Sections"><ul>${links.map(({ id, name }) => html`<li><a href="#${id}">${name}</a></li>`)}</ul></nav>
</header>
<main>
${headline(report.headline)}
<noscript><p class="note">The plots need scripts. All of their figures stand in the tables.</p></noscript>
${report.sections.map(section)}
<section aria-labelledby="run"><h2 id="run">Machine and run</h2>
${report.facts.map(
  ({ title, rows }) =>
    html`<h3>${title}</h3><dl>${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`,
)}
<details><summary>Exact commands</summary>${report.commands.map(({ what, line }) => html`<h3>${what}</h3><pre>${line}</pre>`)}</details>
</section>
</main>
<footer><details><summary>Plots by ${assets.libraryName}</summary><pre>${assets.licence}</pre></details></footer>
<script type="application/json" id="plots">${json(plots)}</script>
<script>${verbatim(assets.library)}</script>
<script type="module">${verbatim(assets.draw)}</script>
</body>
</html>
`.text
}
