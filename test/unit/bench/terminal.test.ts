// Results as text: aligned, with intervals and ratios, plain without a terminal, and nothing in it that a terminal would obey.

import { describe, expect, it } from 'vitest'
import { type Paint, printResults, progressLine } from '../../../src/bench/terminal.js'
import { HOSTILE, richResults } from '../../support/bench/rich.js'

const plain: Paint = (_, text) => text
const loud: Paint = (ink, text) => `<${ink}>${text}</${ink}>`
const lines = printResults(richResults(), plain).split('\n')
const block = (title: string) => {
  const at = lines.indexOf(title)
  expect(at).toBeGreaterThan(-1)
  return lines.slice(at, lines.indexOf('', at))
}

describe('a measurement', () => {
  it('is a table with units, intervals and shares, numbers to the right', () => {
    expect(block('TCP stream, 1 flow, IPv4, 100,000 grants [Gbit/s]')).toMatchInlineSnapshot(`
      [
        "TCP stream, 1 flow, IPv4, 100,000 grants [Gbit/s]",
        "                               median        interval    of nothing         of empty hook    of by hand  CPU s/Gbit  CPU of nothing",
        "  nothing attached               14.4    14.2 to 14.5                1.005 ±0.009 program  1.156 ±0.010       0.140",
        "  empty program                  14.3    14.1 to 14.4  0.995 ±0.009                        1.150 ±0.010       0.141    1.005 ±0.020",
        "  empty chains                   14.2    14.1 to 14.4  0.985 ±0.009  0.990 ±0.009 program  1.139 ±0.010       0.142    1.015 ±0.020",
        "  nftables by hand               12.4    12.3 to 12.6  0.865 ±0.008   0.878 ±0.008 chains                     0.144    1.026 ±0.021",
        "  iptables and ipset             12.3    12.1 to 12.4  0.850 ±0.008   0.863 ±0.008 chains  0.983 ±0.009       0.151    1.075 ±0.022",
        "  Sluice nftables                13.2    13.0 to 13.3  0.920 ±0.008   0.934 ±0.008 chains  1.064 ±0.010       0.147    1.047 ±0.021",
        "  Sluice eBPF                    14.2    14.1 to 14.4  0.985 ±0.009  0.990 ±0.009 program  1.139 ±0.010       0.141    1.010 ±0.020",
        "  Sluice DOCA Flow (emulated)   0.795  0.786 to 0.803  0.055 ±0.000  0.055 ±0.000 program  0.064 ±0.001        2.33     16.7 ±0.333",
        "  failed: iptables and ipset: largest deviation of a tenth in the worst repetition 8.10 %, limit 5.00 %",
      ]
    `)
  })

  it('says too noisy instead of a number, and which gate failed', () => {
    expect(block('TCP connect, request, close, 1 flow, IPv4, 10,000 grants [connections/s]').join('\n')).toMatch(
      /iptables and ipset {5,}too noisy {2,}\S+ to \S+ {2}/m,
    )
    expect(block('TCP stream, 1 flow, IPv4, 100,000 grants [Gbit/s]').at(-1)).toBe(
      '  failed: iptables and ipset: largest deviation of a tenth in the worst repetition 8.10 %, limit 5.00 %',
    )
  })

  it('has a p50 where something waited, and stays within 150 columns', () => {
    const [, head = ''] = block('TCP connect, request, close, 1 flow, IPv4, 10,000 grants [connections/s]')
    expect(head).toMatch(/ of by hand {2,}CPU s\/1000 {2,}CPU of nothing {2,}p50 us$/)
    const tables = lines.slice(0, lines.indexOf('Promises')).filter((line) => !line.startsWith('note: '))
    expect(Math.max(...tables.map((line) => line.length))).toBeLessThanOrEqual(150)
  })

  it('marks what is emulated wherever its figures are', () => {
    const seen = lines.filter((line) => line.includes('DOCA Flow'))
    expect(seen.length).toBeGreaterThan(20)
    expect(seen.filter((line) => !line.includes('emulated'))).toEqual([])
  })
})

it('ends with the promises and their verdicts', () => {
  expect(lines.slice(lines.indexOf('Promises'))).toMatchInlineSnapshot(`
    [
      "Promises",
      "              promise                                                  measured",
      "met           large packets, 100,000 grants, eBPF of an empty program  1.006 (0.996 to 1.015)",
      "              target >= 0.97",
      "within noise  large packets, 100,000 grants, nftables of empty chains  0.943 (0.933 to 0.954); the interval has the target inside",
      "              target >= 0.95",
      "MISSED        release published to fence read back, 1,000 grants       p99 404 ms (371 to 450)",
      "              target p99 <= 250 ms",
      "met           quarantine to last byte, in process                      p99 0.227 ms",
      "              quarantine: command accepted to last byte; target p99 <= 5 ms",
      "                eBPF, to the last byte: p50 0.101 ms, p99 0.227 ms",
      "                eBPF, answered: p50 28 ms",
      "too noisy     connections a second, 100,000 grants                     the interval is 31 % of the median wide",
      "              target >= 0.90",
      "not measured  DNS mediator added latency                               no time was left",
      "              target p50 <= 0.5 ms",
      "What a file of bench/ measured is a single figure, without an interval.",
      "",
    ]
  `)
})

it('is coloured by the painter alone, and aligned just the same', () => {
  const coloured = printResults(richResults(), loud)
  expect(coloured).toContain('<red>MISSED</red>')
  expect(
    coloured
      .replace(/<\/?(red|green|yellow|dim|bold)>/g, '')
      .split('\n')
      .map((line) => line.trimEnd()),
  ).toEqual(lines.map((line) => line.trimEnd()))
})

it.each(HOSTILE.map((text) => [text]))('shows %j without obeying it', (text) => {
  const printed = printResults(richResults(Array.from({ length: 6 }, () => text)), plain)
  expect(printed).not.toMatch(/[^\P{C}\n]/u)
})

describe('the line of progress', () => {
  const state = { say: 'TCP stream, 8 flows, 1,000 grants', variant: 'ebpf', done: 0.42, leftSeconds: 83 }
  it('says how far it is, what is left and what runs', () => {
    expect(progressLine(state, 120)).toBe(
      '[##########..............]  42 %  1 min 23 s left  TCP stream, 8 flows, 1,000 grants, Sluice eBPF',
    )
  })
  it.each([80, 60, 40, 20])('is never wider than %d', (columns) => {
    expect(progressLine(state, columns).length).toBeLessThanOrEqual(columns)
    expect(progressLine({ ...state, say: 'x'.repeat(300) }, columns).length).toBe(columns)
  })
  it('stays within its bar whatever it is told', () => {
    expect(progressLine({ ...state, done: 7, leftSeconds: -3 }, 60)).toContain(
      '[########################] 100 %  0 s left',
    )
    expect(progressLine({ ...state, done: -1 }, 60)).toContain('[........................]   0 %')
  })
})
