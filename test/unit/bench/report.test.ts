// What a report says about results, before anybody draws it: verdicts, ratios, noise, emulation, axes, and that no text from
// outside becomes anything but text.

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { compareResults } from '../../../src/bench/compare.js'
import { buildReport } from '../../../src/bench/report/build.js'
import { buildComparison } from '../../../src/bench/report/comparison.js'
import { againstTarget, promiseRow } from '../../../src/bench/report/headline.js'
import { escaped, html, json } from '../../../src/bench/report/html.js'
import type { Plot, Report } from '../../../src/bench/report/model.js'
import { amount, duration, ratio, tick, whole } from '../../../src/bench/report/number.js'
import { type Assets, renderReport } from '../../../src/bench/report/page.js'
import type { Figure, PromiseJudged } from '../../../src/bench/results.js'
import { HOSTILE, richResults, sampleResults } from '../../support/bench/rich.js'

const ASSETS: Assets = {
  library: 'var uPlot=1',
  libraryStyle: '.u{}',
  libraryName: 'lib 1',
  licence: 'Permission is granted <to> all',
  draw: 'draw()',
}
const report = buildReport(richResults())
const plots = (from: Report): Plot[] => from.sections.flatMap(({ plots }) => plots.map(({ plot }) => plot))
const plot = (id: string): Plot => {
  const found = plots(report).find((one) => one.id.startsWith(id))
  if (found === undefined)
    throw new Error(
      `no plot ${id} in ${plots(report)
        .map((one) => one.id)
        .join(' ')}`,
    )
  return found
}
const section = (id: string) => {
  const found = report.sections.find((one) => one.id === id)
  if (found === undefined) throw new Error(`no section ${id}`)
  return found
}

describe('numbers', () => {
  it.each([
    [0, '0'],
    [14.1234, '14.1'],
    [0.000227, '0.000227'],
    [999.6, '1,000'],
    [6722.4, '6,722'],
    [1_234_567, '1,235,000'],
    [-6722.4, '-6,722'],
    [1e-9, '1.00e-9'],
  ])('amount(%d) is %s', (value, text) => expect(amount(value)).toBe(text))
  it.each([
    [0, '0'],
    [10, '10'],
    [12.5, '12.5'],
    [1000, '1k'],
    [1e6, '1M'],
    [2_500_000, '2.5M'],
    [1234, '1,234'],
  ])('tick(%d) is %s', (value, text) => expect(tick(value)).toBe(text))
  it('whole, ratio and duration', () => {
    expect([whole(100_000), ratio(0.97), ratio(12.34)]).toEqual(['100,000', '0.970', '12.3'])
    expect([duration(59.6), duration(171.4), duration(3 * 3600 + 61)]).toEqual(['1 min 0 s', '2 min 51 s', '3 h 1 min'])
  })
})

describe('promises', () => {
  const value = (middle: number, low: number, high: number): Figure => ({
    kind: 'value',
    middle,
    low,
    high,
    spread: 0,
    of: 5,
  })
  const judged = (verdict: PromiseJudged['verdict'], against?: PromiseJudged['against']): PromiseJudged => ({
    id: 'x',
    say: 'x',
    target: 't',
    verdict,
    figure: 'as measured',
    from: 'bench x',
    emulated: false,
    ...(against === undefined ? {} : { against }),
  })

  it('are drawn so that better is always above one', () => {
    expect(againstTarget({ value: value(0.95, 0.9, 1), target: 0.95, better: 'higher' })).toEqual({
      low: 0.9 / 0.95,
      mid: 1,
      high: 1 / 0.95,
    })
    expect(againstTarget({ value: value(100, 50, 400), target: 200, better: 'lower' })).toEqual({
      low: 0.5,
      mid: 2,
      high: 4,
    })
    expect(againstTarget({ value: { kind: 'none', why: 'x' }, target: 1, better: 'lower' })).toBeNull()
  })

  it.each([
    ['met', value(0.99, 0.98, 1), 'met', ''],
    ['not-met', value(0.9, 0.89, 0.91), 'missed', ''],
    ['not-met', { kind: 'noisy', why: 'w', middle: 0.5, low: 0.3, high: 0.7 }, 'missed', ''],
    ['within-noise', value(0.96, 0.94, 0.98), 'open', 'the interval has the target inside'],
  ] as const)('%s with %j is %s', (verdict, seen, word, remark) => {
    const row = promiseRow(judged(verdict, { value: seen, target: 0.97, better: 'higher' }))
    expect([row.verdict, row.remark, row.measured]).toEqual([word, remark, 'as measured'])
    expect(row.against?.mid).toBeCloseTo((seen.kind === 'none' ? Number.NaN : seen.middle) / 0.97)
  })

  it('gives no number for what is too noisy or was not measured, but the reason', () => {
    const noisy: Figure = { kind: 'noisy', why: 'w', middle: 1, low: 0.5, high: 2 }
    expect(promiseRow(judged('too-noisy', { value: noisy, target: 1, better: 'higher' }))).toMatchObject({
      verdict: 'noisy',
      measured: '',
      remark: 'as measured',
      against: null,
    })
    expect(promiseRow(judged('not-measured'))).toMatchObject({
      verdict: 'absent',
      measured: '',
      remark: 'as measured',
    })
  })
})

describe('plots', () => {
  it('put grants on a logarithmic axis, with none a decade before the fewest', () => {
    const { x, series } = plot('plot-stream-tcp-stream-grants-ipv4-1')
    expect(x.at).toEqual([0, 1, 3, 4, 5, 6])
    expect(x.ticks.map(({ name }) => name)).toEqual(['0', '10', '1k', '10k', '100k', '1M'])
    expect(x.names[4]).toBe('100,000 grants')
    expect(series).toHaveLength(8)
  })

  it('have an interval at every value, and neither where it was too noisy', () => {
    const seen = plot('plot-crr-tcp-crr-grants').series.find(({ look }) => look === 'ipset')
    expect(seen?.noisy).toEqual([false, false, false, true, false, false])
    expect([seen?.values[3], seen?.low[3], seen?.high[3], seen?.texts[3]]).toEqual([null, null, null, 'too noisy'])
    for (const { series } of plots(report))
      for (const { values, low, high } of series)
        values.forEach((value, i) => {
          if (value !== null && low[i] !== null)
            expect((low[i] as number) <= value && value <= (high[i] as number)).toBe(true)
        })
  })

  it('mark what is emulated, in every plot and table where its figures appear, and nothing else', () => {
    for (const { series } of plots(report))
      for (const one of series) expect([one.name, one.emulated]).toEqual([one.name, one.look === 'emulated'])
    const rows = report.sections
      .flatMap(({ tables }) => tables.flatMap(({ rows }) => rows))
      .filter(({ look }) => look !== null)
    expect(rows.length).toBeGreaterThan(50)
    for (const row of rows) expect(row.emulated).toBe(row.look === 'emulated')
    expect(report.warnings.join('\n')).toContain('Sluice DOCA Flow: emulated, a program in the place of a card.')
  })

  it('give each nine of a percentile the same room, and the slowest the last place', () => {
    const { x, y, marked, series } = plot('plot-crr-latency')
    expect(x.ticks.map(({ name }) => name)).toEqual(['50 %', '90 %', '99 %', '99.9 %', '99.99 %', 'max'])
    const at = Object.fromEntries(x.ticks.map(({ name, at }) => [name, at]))
    expect((at['99.9 %'] ?? 0) - (at['99 %'] ?? 0)).toBeCloseTo((at['99 %'] ?? 0) - (at['90 %'] ?? 0))
    expect([y.log, marked, x.at.at(-1) === Math.max(...x.at)]).toEqual([true, true, true])
    expect(series[0]?.texts.slice(1, 4)).toEqual(['203 us', '450 us (444 to 454)', '1,378 us'])
  })

  it('say when a histogram was not corrected for coordinated omission', () => {
    const results = richResults()
    const uncorrected = {
      ...results,
      measurements: results.measurements.map((one) => ({
        ...one,
        cells: one.cells.map((cell) =>
          cell.latency ? { ...cell, latency: { ...cell.latency, corrected: false } } : cell,
        ),
      })),
    }
    const notes = (from: Report) => from.sections.flatMap(({ plots }) => plots.map(({ note }) => note)).join('\n')
    expect(notes(report)).not.toContain('NOT corrected')
    expect(notes(buildReport(uncorrected))).toContain(
      'NOT corrected for coordinated omission: the true tail is longer.',
    )
  })

  it('show the physical limit and say which line it is', () => {
    const [first] = section('stream').plots
    expect(first?.plot.series.filter(({ look }) => look.startsWith('limit')).map(({ name }) => name)).toEqual([
      'empty program',
      'empty chains',
    ])
    expect(section('stream').note).toContain('Dashed grey: the physical limit')
  })

  it('have ids that are unique', () => {
    const ids = [...plots(report).map(({ id }) => id), ...report.sections.map(({ id }) => id)]
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([])
  })
})

describe('sections', () => {
  it('answer with what the fences leave at the most grants, and with nothing emulated', () => {
    const { answer } = section('stream')
    expect(answer?.lead).toBe('TCP stream, 1 flow, IPv4, 1,000,000 grants:')
    expect(answer?.lines).toHaveLength(2)
    expect(answer?.lines[1]).toMatch(/^Sluice eBPF: 14\.2 Gbit\/s, 0\.989 \(0\.980 to 0\.996\) of empty program, /)
  })

  it('stand for every question that was measured, and for no other', () => {
    const ids = report.sections.map(({ id }) => id)
    expect(ids).toEqual([
      'stream',
      'udp',
      'packets',
      'crr',
      'rr',
      'flows',
      'cost',
      'memory',
      'stage',
      'change',
      'areas',
    ])
    expect(buildReport({ ...sampleResults(), measurements: [], benches: [] }).sections).toEqual([])
  })

  it('name a gate of RFC 9411 that did not pass, in the cell', () => {
    const cells = section('stream').tables[0]?.rows.find(({ look }) => look === 'ipset')?.cells
    expect(cells?.[5]).toMatchObject({ tone: 'bad' })
    expect(cells?.[5]?.asides).toContain('largest deviation of a tenth in the worst repetition 8.10 %, limit 5.00 %')
    expect(cells?.[4]?.tone).toBeUndefined()
  })

  it('have all that a bench found, a line each, beside its promise and among its figures', () => {
    const row = report.headline.rows.find(({ what }) => what.startsWith('quarantine'))
    expect([row?.measured, row?.rows]).toEqual([
      'p99 0.227 ms',
      ['eBPF, to the last byte: p50 0.101 ms, p99 0.227 ms', 'eBPF, answered: p50 28 ms'],
    ])
    const said = section('change').tables[0]?.rows.find(({ cells }) => cells[0]?.text.startsWith('quarantine'))
    expect(said?.cells[2]?.rows).toEqual([
      'ebpf, 1,000 flows: p50 0.101 ms, p99 0.227 ms',
      'nftables, 1,000 flows: p50 1.1 ms, p99 9.2 ms',
    ])
    const page = renderReport(report, ASSETS)
    expect(page).toContain(
      '<details class="more"><summary>all of it</summary><ul class="rows"><li>eBPF, to the last byte: p50 0.101 ms, p99 0.227 ms</li>',
    )
    expect(page).toContain('<ul class="rows"><li>ebpf, 1,000 flows: p50 0.101 ms, p99 0.227 ms</li>')
  })

  it('draw the distributions of changes, each beside its own limit alone', () => {
    const [ranges] = section('change').ranges
    expect(ranges?.rows.map(({ name, look, promised }) => [name, look, promised])).toEqual([
      ['agent: ebpf, 10 grants', 'ebpf', null],
      ['agent: ebpf, 1,000 grants', 'ebpf', 250],
      ['agent: nftables, 1,000 grants', 'nft', 250],
      ['quarantine: ebpf, 1,000 flows', 'ebpf', 5],
      ['quarantine: nftables, 1,000 flows', 'nft', 5],
    ])
  })
})

describe('warnings', () => {
  it('tell of everything that a reader must not miss', () => {
    const base = richResults()
    const { warnings } = buildReport({
      ...base,
      run: {
        ...base.run,
        complete: false,
        why: 'it was interrupted after 40 s',
        dirty: true,
        remarks: ['HTTP was not measured: autocannon is not installed', 'tcp-crr of ebpf failed at least once: ended'],
      },
      machine: { ...base.machine, loadBefore: 7.5, stolen: 0.043 },
    })
    expect(warnings).toEqual([
      'This run is not complete: it was interrupted after 40 s.',
      'The tree had changes that are in no commit.',
      'HTTP was not measured: autocannon is not installed.',
      'tcp-crr of ebpf failed at least once: ended.',
      'The machine was busy before it began: 7.50 of 2 processors were at work.',
      "The hypervisor gave 4.30 % of the processors' time to others.",
      'xdp is left out: it let 198.18.0.9:25 through.',
      'Sluice DOCA Flow: emulated, a program in the place of a card. Its speed says nothing about a card.',
      '1 of 496 figures are too noisy to be given: the tables say which, and why.',
    ])
  })
})

describe('two runs side by side', () => {
  const before = richResults()
  /** The same run with the repetitions of one variant in one question times a factor. */
  const changed = (variant: string, question: string, factor: number) => ({
    ...before,
    measurements: before.measurements.map((one) => ({
      ...one,
      cells: one.cells.map((cell) =>
        cell.variant !== variant || one.question !== question
          ? cell
          : { ...cell, repetitions: cell.repetitions.map((seen) => ({ ...seen, value: seen.value * factor })) },
      ),
    })),
  })
  const compared = (after: typeof before) => buildComparison(before, after, compareResults(before, after))

  it('say that nothing changed, and of what, where nothing did', () => {
    const { title, headline, sections, warnings } = compared(before)
    expect(title).toMatch(/^Nothing got slower; 0 of \d+ too noisy to tell$/)
    expect(headline.rows).toEqual([])
    expect(renderReport(compared(before), ASSETS)).toContain('Nothing changed beyond noise, and nothing was too noisy')
    expect(sections[0]?.tables[0]?.rows.length).toBeGreaterThan(300)
    expect(warnings.filter((line) => !line.startsWith('Both: '))).toEqual([])
  })

  it('show a tenth less as slower, left of the line, with both values', () => {
    const { title, headline } = compared(changed('ebpf', 'tcp-crr', 0.9))
    expect(title).toMatch(/^7 slower; 0 of \d+ too noisy to tell$/)
    // Six alone, and all of them together.
    expect(headline.rows).toHaveLength(7)
    const row = headline.rows.find(({ what }) => what.includes('100,000 grants'))
    expect(row).toMatchObject({
      what: 'Sluice eBPF: TCP connect, request, close, 1 flow, IPv4, 100,000 grants',
      verdict: 'slower',
      remark: 'share of nothing attached',
      target: '0.992',
    })
    expect(row?.measured).toMatch(/^0\.892, -10\.0 % \(-1\d\.\d % to -\d+\.\d %\)$/)
    expect(row?.against?.mid).toBeCloseTo(0.9)
  })

  it('show a load that takes longer left of the line, too, and what is not ours as such', () => {
    const slow = compared(changed('nftables', 'stage', 1.5)).headline.rows
    expect(slow.map(({ verdict, against }) => [verdict, (against?.mid ?? 2) < 1])).toEqual(
      Array.from({ length: 6 }, () => ['slower', true]),
    )
    const peer = compared(changed('hand', 'packets', 0.8))
    expect(peer.title).toMatch(/^Nothing got slower; /)
    expect(peer.headline.rows.map(({ remark }) => remark).sort()).toEqual([
      'rates together, share of nothing attached; not ours',
      ...Array.from({ length: 6 }, () => 'share of nothing attached; not ours'),
    ])
  })

  it('put the worst first', () => {
    const after = changed('nftables', 'stage', 1.5)
    const both = {
      ...after,
      measurements: after.measurements.map((one, i) =>
        one.question === 'packets' ? (changed('ebpf', 'packets', 0.5).measurements[i] ?? one) : one,
      ),
    }
    const rows = compared(both).headline.rows
    expect(rows.map(({ against }) => Math.round((against?.mid ?? 0) * 10))).toEqual([
      5, 5, 5, 5, 5, 5, 5, 7, 7, 7, 7, 7, 7,
    ])
  })
})

describe('HTML', () => {
  it('escapes what is put into it, in text and in attributes', () => {
    expect(html`<b title="${'"><i>'}">${'<&\'">'}</b>`.text).toBe(
      '<b title="&quot;&gt;&lt;i&gt;">&lt;&amp;&#39;&quot;&gt;</b>',
    )
    expect(escaped('a\u202eb\u0000c\ud800')).toBe('a\\u{202e}b\\u{0}c\\u{d800}')
    expect(html`${null}${[html`<i>`, html`</i>`]}${7}`.text).toBe('<i></i>7')
  })

  it('puts data into a script that cannot end it', () => {
    const value = { a: '</script><!--', b: '\u2028&' }
    const { text } = json(value)
    expect(text).not.toMatch(/[<>&\u2028]/)
    expect(JSON.parse(text)).toEqual(value)
  })

  it('is the same for the same results, and names each script and the style sheet by its digest', () => {
    const page = renderReport(report, ASSETS)
    expect(renderReport(buildReport(richResults()), ASSETS)).toBe(page)
    const source = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]?.replaceAll('&#39;', "'")
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? ''
    expect(policy).toBe(
      `default-src 'none'; script-src ${source(ASSETS.library)} ${source(ASSETS.draw)}; style-src ${source(style)}; img-src data:; base-uri 'none'; form-action 'none'`,
    )
    expect(page).toContain('Permission is granted &lt;to&gt; all')
  })

  it.each(HOSTILE.map((text) => [text]))('keeps %j text wherever it comes in', (text) => {
    const page = renderReport(buildReport(richResults(Array.from({ length: 6 }, () => text))), ASSETS)
    const clean = renderReport(buildReport(richResults(Array.from({ length: 6 }, () => 'x'))), ASSETS)
    const tags = (from: string) => from.match(/<\/?[a-z!][^\s>]*/gi) ?? []
    expect(tags(page)).toEqual(tags(clean))
    expect(page.split(escaped(text)).length).toBeGreaterThan(6)
    expect(page).not.toMatch(/https?:\/\//)
  })
})
