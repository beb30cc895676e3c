// Runs in the reader's browser, inside the report: draws the plots whose data stand in the page, with uPlot. It asks nobody for
// anything. A plot is redrawn when its width, the colour scheme or the medium changes; its values can be read with a pointer or with
// the arrow keys. What it shows stands in the tables below it, too, so that without scripts nothing is lost but the picture.

import type { Look, Plot, PlotSeries } from '../report/model.js'
import type { Canvas, Chart, ChartOptions, Element, Page, Window } from './browser.js'

declare const document: Page
declare const window: Window
declare const uPlot: { new (options: ChartOptions, data: unknown, target: Element): Chart; pxRatio: number }

type Marker = 'disc' | 'ring' | 'square' | 'diamond' | 'up' | 'down' | 'none'
/** Marker and dash say the same as the colour, for eyes and printers that see none. */
const MARKS = {
  nothing: { marker: 'ring', dash: [] },
  limit: { marker: 'none', dash: [2, 3] },
  'limit-nft': { marker: 'none', dash: [8, 3, 2, 3] },
  hand: { marker: 'up', dash: [6, 3] },
  ipset: { marker: 'down', dash: [6, 3] },
  nft: { marker: 'square', dash: [] },
  ebpf: { marker: 'disc', dash: [] },
  emulated: { marker: 'diamond', dash: [1, 4] },
  card: { marker: 'diamond', dash: [] },
  other: { marker: 'disc', dash: [] },
} as const satisfies Record<Look, { marker: Marker; dash: readonly number[] }>

const PRINT_WIDTH = 640
const STEP = 7 // pixels between the points of two series at one position

let printing = false

const colour = (name: string): string => window.getComputedStyle(document.documentElement).getPropertyValue(name).trim()

function make(tag: string, parent: Element, className = '', text = ''): Element {
  const element = document.createElement(tag)
  element.className = className
  element.textContent = text
  parent.append(element)
  return element
}

const SIZES = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
  [1, ''],
] as const

/** 1200 as 1.2k; below one with as many digits as tell two ticks apart. */
export function short(value: number, step: number): string {
  if (value === 0) return '0'
  for (const [unit, name] of SIZES)
    if (Math.abs(value) >= unit) return `${Number((value / unit).toPrecision(4))}${name}`
  const digits = Math.ceil(-Math.log10(step) - 1e-9)
  return value >= 1e-4 ? String(Number(value.toFixed(Math.max(0, Math.min(6, digits + 1))))) : value.toExponential(0)
}

/** The ends of a y axis: all that is drawn, and zero where it is not far away. */
export function range(plot: Plot, shown: (series: PlotSeries) => boolean): [number, number] {
  const seen = plot.series.filter(shown).flatMap(({ values, low, high }) => [...values, ...low, ...high])
  const all = [...seen, ...plot.lines.map(({ value }) => value)].filter(
    (value): value is number => value !== null && (!plot.y.log || value > 0),
  )
  if (all.length === 0) return plot.y.log ? [1, 10] : [0, 1]
  const [low, high] = [Math.min(...all), Math.max(...all)]
  if (plot.y.log) return [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high * 1.05))]
  if (low >= 0 && low <= high * 0.5) return [0, high * 1.06 || 1]
  const pad = Math.max((high - low) * 0.12, Math.abs(high) * 0.01)
  return [low - pad, high + pad]
}

function mark(ctx: Canvas, marker: Marker, x: number, y: number, size: number, paper: string): void {
  ctx.beginPath()
  if (marker === 'disc' || marker === 'ring') ctx.arc(x, y, size, 0, 2 * Math.PI)
  const corners = {
    square: [-1, -1, 1, -1, 1, 1, -1, 1],
    diamond: [0, -1.3, 1.3, 0, 0, 1.3, -1.3, 0],
    up: [0, -1.2, 1.15, 0.9, -1.15, 0.9],
    down: [0, 1.2, 1.15, -0.9, -1.15, -0.9],
  }
  if (marker in corners) {
    const points = corners[marker as keyof typeof corners]
    for (let i = 0; i < points.length; i += 2) {
      const at = [x + (points[i] ?? 0) * size * 0.92, y + (points[i + 1] ?? 0) * size * 0.92] as const
      if (i === 0) ctx.moveTo(...at)
      else ctx.lineTo(...at)
    }
    ctx.closePath()
  }
  if (marker === 'ring') {
    ctx.fillStyle = paper
    ctx.fill()
    ctx.stroke()
  } else if (marker !== 'none') ctx.fill()
}

/** Draws one series: its line, the intervals at its points, the points, and a cross on the axis for what was too noisy. */
function drawSeries(chart: Chart, plot: Plot, series: PlotSeries, shift: number): void {
  const { ctx, bbox } = chart
  const ratio = uPlot.pxRatio
  const ink = colour(`--look-${series.look}`)
  const { marker, dash } = MARKS[series.look]
  const x = (i: number) => chart.valToPos(plot.x.at[i] ?? 0, 'x', true) + shift * ratio
  const y = (value: number) => chart.valToPos(value, 'y', true)
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left - 8 * ratio, bbox.top - 4 * ratio, bbox.width + 16 * ratio, bbox.height + 8 * ratio)
  ctx.clip()
  ctx.strokeStyle = ink
  ctx.fillStyle = ink
  ctx.lineJoin = 'round'
  if (plot.joined) {
    ctx.setLineDash(dash.map((length) => length * ratio))
    ctx.lineWidth = 2 * ratio
    ctx.beginPath()
    let pen = false
    series.values.forEach((value, i) => {
      if (value === null) return
      if (pen) ctx.lineTo(x(i), y(value))
      else ctx.moveTo(x(i), y(value))
      pen = true
    })
    ctx.stroke()
    ctx.setLineDash([])
  }
  ctx.lineWidth = 1.5 * ratio
  series.values.forEach((value, i) => {
    const [low, high] = [series.low[i] ?? null, series.high[i] ?? null]
    if (low !== null && high !== null && (!plot.y.log || low > 0)) {
      const cap = 3.5 * ratio
      ctx.beginPath()
      ctx.moveTo(x(i), y(low))
      ctx.lineTo(x(i), y(high))
      for (const end of [low, high]) {
        ctx.moveTo(x(i) - cap, y(end))
        ctx.lineTo(x(i) + cap, y(end))
      }
      ctx.stroke()
    }
    if (value !== null && plot.marked)
      mark(ctx, marker === 'none' ? 'disc' : marker, x(i), y(value), 4.2 * ratio, colour('--paper'))
    if (series.noisy[i]) {
      const [foot, arm] = [bbox.top + bbox.height - 7 * ratio, 3.5 * ratio]
      ctx.beginPath()
      ctx.moveTo(x(i) - arm, foot - arm)
      ctx.lineTo(x(i) + arm, foot + arm)
      ctx.moveTo(x(i) + arm, foot - arm)
      ctx.lineTo(x(i) - arm, foot + arm)
      ctx.stroke()
    }
  })
  ctx.restore()
}

function drawLines(chart: Chart, plot: Plot): void {
  const { ctx, bbox } = chart
  const ratio = uPlot.pxRatio
  ctx.save()
  ctx.strokeStyle = colour('--promise')
  ctx.fillStyle = colour('--promise')
  ctx.font = `${12 * ratio}px system-ui, sans-serif`
  ctx.lineWidth = 1.5 * ratio
  for (const { name, value } of plot.lines) {
    const y = chart.valToPos(value, 'y', true)
    ctx.setLineDash([8 * ratio, 4 * ratio])
    ctx.beginPath()
    ctx.moveTo(bbox.left, y)
    ctx.lineTo(bbox.left + bbox.width, y)
    ctx.stroke()
    const above = y - bbox.top > 18 * ratio
    ctx.textAlign = 'right'
    ctx.fillText(name, bbox.left + bbox.width - 2 * ratio, above ? y - 5 * ratio : y + 14 * ratio)
  }
  ctx.restore()
}

/** Names that a reader switched off, for all plots of one section. */
interface Key {
  readonly hidden: Set<string>
  readonly draw: (() => void)[]
}

/** One key for the plots of a section: what is pressed off goes from all of them. */
function makeKey(grid: Element, plots: readonly Plot[]): Key {
  const all = [...new Map(plots.flatMap(({ series }) => series.map((one) => [one.name, one] as const))).values()]
  // What is emulated is far below everything else and says nothing about a card: it is there when asked for.
  const key: Key = { hidden: new Set(all.filter(({ emulated }) => emulated).map(({ name }) => name)), draw: [] }
  const place = document.createElement('div')
  place.className = 'key'
  grid.before(place)
  for (const { name, look, emulated } of all) {
    const button = make('button', place, `look look-${look}`, name)
    button.setAttribute('type', 'button')
    button.setAttribute('aria-pressed', String(!key.hidden.has(name)))
    if (emulated) make('span', button, 'emulated', 'emulated')
    button.addEventListener('click', () => {
      if (!key.hidden.delete(name)) key.hidden.add(name)
      button.setAttribute('aria-pressed', String(!key.hidden.has(name)))
      for (const draw of key.draw) draw()
    })
  }
  return key
}

function mount(figure: Element, plot: Plot, key: Key): void {
  const area = make('div', figure, 'area')
  const tip = make('div', figure, 'tip')
  tip.hidden = true
  area.tabIndex = 0
  area.setAttribute('role', 'img')
  area.setAttribute(
    'aria-label',
    `${figure.getAttribute('data-title') ?? ''}. Arrow keys read the values; the table below has them all.`,
  )
  const shown = (series: PlotSeries) => !key.hidden.has(series.name)
  let chart: Chart | null = null
  let at = -1

  function tell(index: number): void {
    at = index
    tip.hidden = index < 0
    if (index < 0 || chart === null) return
    tip.textContent = ''
    make('strong', tip, '', plot.x.names[index] ?? '')
    for (const series of plot.series.filter(shown))
      if (series.texts[index]) {
        const row = make('span', tip, `look look-${series.look}`, series.name)
        make('b', row, '', series.texts[index])
      }
    const left = chart.valToPos(plot.x.at[index] ?? 0, 'x') + chart.bbox.left / uPlot.pxRatio
    const room = figure.clientWidth - tip.offsetWidth
    tip.style.left = `${Math.max(0, Math.min(room, left > figure.clientWidth / 2 ? left - tip.offsetWidth - 14 : left + 14))}px`
    tip.style.top = `${area.offsetTop + 8}px`
  }

  area.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (event.key === 'Escape' || event.key === 'Tab') tell(-1)
    if (step === undefined) return
    event.preventDefault()
    tell(Math.max(0, Math.min(plot.x.at.length - 1, at + step)))
  })
  area.addEventListener('blur', () => tell(-1))
  area.addEventListener('mouseleave', () => tell(-1))

  function draw(): void {
    chart?.destroy()
    chart = null
    tell(-1)
    const width = printing ? PRINT_WIDTH : area.clientWidth
    if (width === 0) return
    const narrow = width < 520
    const [first, last] = [plot.x.at[0] ?? 0, plot.x.at.at(-1) ?? 1]
    const pad = (plot.joined ? 0.06 : 0.15) * (last - first || 8)
    const axis = {
      stroke: colour('--quiet'),
      font: '12px system-ui, sans-serif',
      labelFont: '12px system-ui, sans-serif',
      grid: { stroke: colour('--grid'), width: 1 },
      ticks: { stroke: colour('--grid'), width: 1, size: 4 },
    }
    const visible = plot.series.filter(shown)
    // At a single position there is room to stand apart.
    const apart = plot.x.at.length === 1 ? width * 0.6 : narrow ? 24 : 48
    const step = Math.min(plot.x.at.length === 1 ? 60 : STEP, apart / Math.max(1, visible.length))
    chart = new uPlot(
      {
        width,
        height: narrow ? 260 : 340,
        padding: [14, 14, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false, setScale: false } },
        scales: {
          x: { time: false, range: [first - pad, last + pad] },
          y: { distr: plot.y.log ? 3 : 1, range: range(plot, shown) },
        },
        axes: [
          {
            ...axis,
            label: plot.x.label,
            labelSize: 22,
            size: plot.x.ticks.some(({ name }) => name.includes('\n')) ? 48 : 34,
            grid: { show: false },
            splits: () => plot.x.ticks.map(({ at }) => at),
            values: () => plot.x.ticks.map(({ name }) => name),
          },
          {
            ...axis,
            size: 50,
            label: plot.y.label,
            labelSize: 22,
            values: (_: unknown, ticks: (number | null)[]) =>
              ticks.map((tick, i) =>
                tick === null
                  ? ''
                  : short(tick, plot.y.log ? tick : Math.abs(tick - (ticks[i === 0 ? 1 : i - 1] ?? 0))),
              ),
          },
        ],
        series: [{}, { show: true, paths: () => null, points: { show: false } }],
        hooks: {
          draw: [
            (self) => {
              drawLines(self, plot)
              for (const [i, series] of visible.entries())
                drawSeries(self, plot, series, plot.marked ? (i - (visible.length - 1) / 2) * step : 0)
            },
          ],
          setCursor: [
            (self) => {
              const { idx, left } = self.cursor
              if (left !== undefined && left >= 0 && typeof idx === 'number') tell(idx)
            },
          ],
        },
      },
      [[...plot.x.at], plot.x.at.map(() => null)],
      area,
    )
  }

  let width = 0
  new window.ResizeObserver(() => {
    if (area.clientWidth === width || printing) return
    width = area.clientWidth
    draw()
  }).observe(area)
  for (const query of ['(prefers-color-scheme: dark)', 'print'])
    window.matchMedia(query).addEventListener('change', (event) => {
      if (query === 'print') printing = event.matches
      draw()
    })
  key.draw.push(draw)
  draw()
}

const plots = JSON.parse(document.getElementById('plots')?.textContent ?? '[]') as Plot[]
for (const grid of document.querySelectorAll('.plots')) {
  const figures = [...grid.querySelectorAll('figure')].flatMap((figure) => {
    const plot = plots.find(({ id }) => id === figure.getAttribute('id'))
    return plot === undefined ? [] : [{ figure, plot }]
  })
  const key = makeKey(
    grid,
    figures.map(({ plot }) => plot),
  )
  for (const { figure, plot } of figures) mount(figure, plot, key)
}

// A closed table does not print: all are opened for it, and closed again afterwards.
let opened: Element[] = []
window.addEventListener('beforeprint', () => {
  opened = [...document.querySelectorAll('details:not([open])')]
  for (const details of opened) details.setAttribute('open', '')
})
window.addEventListener('afterprint', () => {
  for (const details of opened) details.removeAttribute('open')
})
