// The report in a real browser, without a network: nothing is complained of or asked for, every plot is drawn, both schemes have
// contrast, a telephone's width is enough, keys and prints work. SLUICE_SCREENSHOTS names a folder for pictures to look at.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { reportHtml } from '../../src/bench/assets.js'
import { HOSTILE, richResults } from '../support/bench/rich.js'
import { Browser, type Tab } from '../support/browser/chromium.js'

const folder = mkdtempSync(join(tmpdir(), 'sluice-report-'))
const file = join(folder, 'report.html')
const pictures = process.env.SLUICE_SCREENSHOTS
const WIDE = { width: 1280, height: 900 }

let browser: Browser
let tab: Tab

beforeAll(async () => {
  writeFileSync(file, reportHtml(richResults()))
  browser = new Browser()
  tab = await browser.open(file, { ...WIDE, scheme: 'light' })
}, 240_000)

afterAll(async () => {
  await browser?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Of each plot: its size, and how many pixels have the colour of each of its series, within a little for antialiasing. */
const DRAWN = `[...document.querySelectorAll('.plots figure')].map((figure) => {
  const canvas = figure.querySelector('canvas')
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  const style = getComputedStyle(document.documentElement)
  const series = JSON.parse(document.getElementById('plots').textContent).find(({ id }) => id === figure.id).series
  return {
    id: figure.id,
    width: canvas.clientWidth,
    height: canvas.clientHeight,
    series: series.map(({ name, look }) => {
      const hex = style.getPropertyValue('--look-' + look).trim()
      const ink = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16))
      let seen = 0
      for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 128 && ink.every((part, j) => Math.abs(data[i + j] - part) < 24)) seen++
      return { name, seen }
    }),
  }
})`
type Drawn = { id: string; width: number; height: number; series: { name: string; seen: number }[] }[]

/** Every text that can be seen and the ratio of its contrast (WCAG 2.2, 1.4.3), and of each colour of a variant with the page. */
const CONTRAST = `(() => {
  const parse = (text) => (text.match(/[0-9.]+/g) ?? []).map(Number)
  const light = ([r, g, b]) => {
    const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
  }
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05)
  const paper = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor)
      if (colour.length === 3 || colour[3] === 1) return colour
    }
    return [255, 255, 255]
  }
  const texts = []
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent.trim()).join('')
    if (own === '' || element.closest('script,style,noscript') || element.getClientRects().length === 0) continue
    const style = getComputedStyle(element)
    const ink = element instanceof SVGElement ? style.fill : style.color
    texts.push({ text: own.slice(0, 40), ratio: ratio(parse(ink), paper(element)) })
  }
  const probe = document.body.appendChild(document.createElement('i'))
  const looks = [...document.styleSheets[0].cssRules].map(({ selectorText }) => selectorText).filter((s) => /^\\.look-[a-z-]+$/.test(s ?? ''))
  const colours = looks.map((selector) => {
    probe.style.color = 'var(--' + selector.slice(1) + ')'
    return { text: selector, ratio: ratio(parse(getComputedStyle(probe).color), paper(document.body)) }
  })
  probe.remove()
  return { texts, colours, paper: light(paper(document.body)) }
})()`
type Contrast = Record<'texts' | 'colours', { text: string; ratio: number }[]> & { paper: number }

const OVERFLOW = `({
  page: document.documentElement.scrollWidth,
  window: innerWidth,
  wide: [...document.querySelectorAll('body *')]
    .filter((element) => !element.closest('.scroll,.skip,.promises thead') && element.getClientRects().length > 0 && element.getBoundingClientRect().right > innerWidth + 0.5)
    .map((element) => element.tagName + '.' + element.className),
})`

/** Presses the name of what is emulated in every key. */
const EMULATED = `for (const one of document.querySelectorAll('.key .look-emulated')) one.click()`
const OPEN = `document.querySelectorAll('details[open]').length`

async function picture(name: string): Promise<void> {
  if (pictures !== undefined) await tab.picture(join(pictures, `${name}.png`))
}

// A machine with a load of thirty draws slowly.
describe('a report in a browser', { timeout: 240_000 }, () => {
  it('asks for nothing but itself, and there is nothing on the console', async () => {
    expect(tab.requests.filter((url) => !url.startsWith('data:'))).toEqual([pathToFileURL(file).href])
    expect(tab.complaints).toEqual([])
    expect(await tab.evaluate('document.title')).toBe('What the fence costs')
  })

  it.each(['light', 'dark'] as const)('draws every series of every plot, in %s', async (scheme) => {
    await tab.look({ ...WIDE, scheme })
    await picture(scheme)
    // What is emulated is drawn when it is asked for.
    const emulated = (drawn: Drawn) => drawn.flatMap(({ series }) => series.filter(({ name }) => name.includes('DOCA')))
    const without = emulated(await tab.evaluate<Drawn>(DRAWN))
    await tab.evaluate(EMULATED)
    const drawn = await tab.evaluate<Drawn>(DRAWN)
    expect(drawn.length).toBeGreaterThan(12)
    for (const { id, width, height, series } of drawn) {
      expect([id, width > 300, height > 200]).toEqual([id, true, true])
      for (const { name, seen } of series) expect([id, name, seen > 40]).toEqual([id, name, true])
    }
    expect(emulated(drawn).filter(({ seen }, i) => seen < (without[i]?.seen ?? 0) + 40)).toEqual([])
    await tab.evaluate(EMULATED)
  })

  it('draws the distributions as shapes with a size', async () => {
    const bars = await tab.evaluate<number[]>(
      `[...document.querySelectorAll('.ranges .bulk')].map((bar) => bar.getBoundingClientRect().width)`,
    )
    expect(bars.length).toBe(5)
    expect(bars.filter((width) => width < 2)).toEqual([])
  })

  it.each(['light', 'dark'] as const)('has contrast, in %s', async (scheme) => {
    await tab.look({ ...WIDE, scheme })
    await tab.evaluate(`for (const one of document.querySelectorAll('details')) one.open = true`)
    const { texts, colours, paper } = await tab.evaluate<Contrast>(CONTRAST)
    expect([texts.length > 500, colours.length]).toEqual([true, 10])
    expect(texts.filter(({ ratio }) => ratio < 4.5)).toEqual([])
    expect(colours.filter(({ ratio }) => ratio < 3)).toEqual([])
    expect(scheme === 'light' ? paper > 0.9 : paper < 0.05).toBe(true)
    await tab.evaluate(`for (const one of document.querySelectorAll('details')) one.open = false`)
  })

  it('fits a width of 380 pixels, with the tables open, and draws there too', async () => {
    await tab.look({ width: 380, height: 800, scheme: 'light' })
    await picture('narrow')
    await tab.evaluate(`for (const one of document.querySelectorAll('details')) one.open = true`)
    expect(await tab.evaluate(OVERFLOW)).toEqual({ page: 380, window: 380, wide: [] })
    const drawn = await tab.evaluate<Drawn>(DRAWN)
    expect(drawn.filter(({ width }) => width > 380 || width < 300)).toEqual([])
    expect(
      drawn.flatMap(({ series }) => series.filter(({ name, seen }) => seen <= 20 && !name.includes('DOCA'))),
    ).toEqual([])
    await tab.evaluate(`for (const one of document.querySelectorAll('details')) one.open = false`)
  })

  it.each([400, 800, 1_200])('fits %d pixels whatever a bench says of its figure', async (width) => {
    const wordy = join(folder, `wordy-${width}.html`)
    const { promises, ...rest } = richResults()
    // As long as the longest that a file of bench/ says, and a word that cannot be broken.
    const figure = `${'of 1,234,567 sent 1,200 are in 325 events and 1,233,367 are counted as kept back; '.repeat(4)}${'x'.repeat(90)}`
    writeFileSync(
      wordy,
      reportHtml({ ...rest, promises: promises.map((one) => ({ ...one, figure, rows: [figure, 'x: 1'] })) }),
    )
    const page = await browser.open(wordy, { width, height: 900, scheme: width === 800 ? 'dark' : 'light' })
    if (pictures !== undefined) await page.picture(join(pictures, `wordy-${width}.png`))
    await page.evaluate(`for (const one of document.querySelectorAll('.promises details')) one.open = true`)
    expect(await page.evaluate(OVERFLOW)).toEqual({ page: width, window: width, wide: [] })
    expect(
      await page.evaluate(`(() => {
        const { scrollWidth, clientWidth } = document.querySelector('.promises').parentElement
        return scrollWidth <= clientWidth
      })()`),
    ).toBe(true)
    await page.close()
  })

  it('reads its values with arrow keys and with a pointer', async () => {
    await tab.look({ ...WIDE, scheme: 'light' })
    const tip = `document.querySelector('.plots figure .tip')`
    await tab.evaluate(`document.querySelector('.plots figure .area').focus()`)
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowRight']) await tab.key(key)
    expect(await tab.evaluate(`[...${tip}.children].map((row) => row.textContent)`)).toEqual(
      expect.arrayContaining([
        '1,000 grants',
        expect.stringMatching(/^Sluice eBPF14\.\d Gbit\/s \(14\.\d to 14\.\d\)$/),
      ]),
    )
    await tab.key('Escape')
    expect(await tab.evaluate(`${tip}.hidden`)).toBe(true)
    const box = await tab.evaluate<{ x: number; y: number; width: number; height: number }>(
      `(() => { const over = document.querySelector('.plots figure .u-over'); over.scrollIntoView(); return over.getBoundingClientRect().toJSON() })()`,
    )
    await tab.pointer(box.x + box.width * 0.97, box.y + box.height / 2)
    expect(await tab.evaluate(`${tip}.firstChild.textContent`)).toBe('1,000,000 grants')
    await tab.pointer(5, 5)
    expect(await tab.evaluate(`${tip}.hidden`)).toBe(true)
  })

  it('leaves out a series whose name is pressed, and draws it again', async () => {
    const pixels = async () => (await tab.evaluate<Drawn>(DRAWN))[0]?.series.map(({ seen }) => seen > 40)
    const press = `document.querySelector('.key .look-ebpf').click()`
    const at = (await tab.evaluate<Drawn>(DRAWN))[0]?.series.findIndex(({ name }) => name === 'Sluice eBPF') ?? -1
    const all = await pixels()
    await tab.evaluate(press)
    expect(await tab.evaluate(`document.querySelector('.key .look-ebpf').getAttribute('aria-pressed')`)).toBe('false')
    const without = await pixels()
    expect(without?.map((seen, i) => seen === (i !== at))).toEqual(all)
    await tab.evaluate(press)
    expect(await pixels()).toEqual(all)
  })

  it('prints in black on white, tables open, plots within the page', async () => {
    await tab.look({ width: 760, height: 1000, scheme: 'dark', media: 'print' })
    const { paper } = await tab.evaluate<Contrast>(CONTRAST)
    expect(paper).toBe(1)
    expect((await tab.evaluate<Drawn>(DRAWN)).filter(({ width }) => width > 760)).toEqual([])
    await tab.evaluate(
      `window.opened = 0; window.addEventListener('beforeprint', () => { window.opened = document.querySelectorAll('details[open]').length })`,
    )
    const pdf = await tab.pdf()
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-')
    expect(await tab.evaluate('window.opened')).toBe(await tab.evaluate(`document.querySelectorAll('details').length`))
    // The browser tells of the end of printing when it likes.
    await vi.waitFor(async () => expect(await tab.evaluate(OPEN)).toBe(0), { timeout: 30_000, interval: 50 })
  })

  it('says everything in tables where scripts are off', async () => {
    const bare = await browser.open(file, { ...WIDE, scheme: 'light' }, false)
    const text = await bare.evaluate<string>('document.body.innerText')
    expect(text).toContain('The plots need scripts. All of their figures stand in the tables.')
    expect(await bare.evaluate(`document.querySelectorAll('canvas').length`)).toBe(0)
    expect(await bare.evaluate(`document.querySelectorAll('tbody tr').length`)).toBeGreaterThan(100)
    await bare.close()
  })

  it('runs nothing that a machine, a variant or a bench says of itself', async () => {
    // Every text somewhere, each in two places; test/unit/bench/report.test.ts has each of them everywhere.
    for (const [i, texts] of [HOSTILE, [...HOSTILE].reverse()].entries()) {
      const hostile = join(folder, `hostile-${i}.html`)
      writeFileSync(hostile, reportHtml(richResults(texts)))
      const page = await browser.open(hostile, { ...WIDE, scheme: 'light' })
      expect(await page.evaluate('typeof window.hacked')).toBe('undefined')
      expect([page.complaints, page.requests.filter((url) => !url.startsWith('data:')).length]).toEqual([[], 1])
      expect(await page.evaluate<number>(`document.querySelectorAll('canvas').length`)).toBeGreaterThan(12)
      await page.close()
    }
  })

  it('would not run a script that had come in all the same', async () => {
    const planted = join(folder, 'planted.html')
    writeFileSync(planted, reportHtml(richResults()).replace('<main>', '<main><script>window.hacked=1</script>'))
    const page = await browser.open(planted, { ...WIDE, scheme: 'light' })
    expect(await page.evaluate('typeof window.hacked')).toBe('undefined')
    expect(page.complaints.join('\n')).toContain('Content Security Policy')
    await page.close()
  })
})
