// The little of the browser, and of uPlot (MIT, github.com/leeoniya/uPlot), that draw.ts uses, as types. They stand here instead
// of the DOM library of TypeScript, which would make `document` and `fetch` known to every file of the project.

export interface Canvas {
  fillStyle: string
  strokeStyle: string
  lineWidth: number
  lineJoin: string
  font: string
  textAlign: string
  save(): void
  restore(): void
  beginPath(): void
  closePath(): void
  moveTo(x: number, y: number): void
  lineTo(x: number, y: number): void
  arc(x: number, y: number, radius: number, from: number, to: number): void
  rect(x: number, y: number, width: number, height: number): void
  clip(): void
  fill(): void
  stroke(): void
  fillText(text: string, x: number, y: number): void
  setLineDash(lengths: number[]): void
}

export interface Element {
  className: string
  textContent: string | null
  hidden: boolean
  tabIndex: number
  readonly clientWidth: number
  readonly offsetWidth: number
  readonly offsetTop: number
  readonly style: { left: string; top: string }
  append(child: Element): void
  before(sibling: Element): void
  querySelectorAll(selector: string): Iterable<Element>
  getAttribute(name: string): string | null
  setAttribute(name: string, value: string): void
  removeAttribute(name: string): void
  addEventListener(name: string, listener: (event: { readonly key: string; preventDefault(): void }) => void): void
}

export interface Page {
  readonly documentElement: Element
  createElement(tag: string): Element
  getElementById(id: string): Element | null
  querySelectorAll(selector: string): Iterable<Element>
}

export interface Window {
  getComputedStyle(element: Element): { getPropertyValue(name: string): string }
  matchMedia(query: string): {
    addEventListener(name: 'change', listener: (event: { readonly matches: boolean }) => void): void
  }
  addEventListener(name: string, listener: () => void): void
  readonly ResizeObserver: new (changed: () => void) => { observe(element: Element): void }
}

/** A plot of uPlot: positions are CSS pixels inside the plotting area, or canvas pixels when asked for. */
export interface Chart {
  readonly ctx: Canvas
  readonly bbox: { readonly left: number; readonly top: number; readonly width: number; readonly height: number }
  readonly cursor: { readonly idx?: number | null; readonly left?: number }
  valToPos(value: number, scale: 'x' | 'y', canvas?: boolean): number
  destroy(): void
}

export interface ChartOptions {
  readonly width: number
  readonly height: number
  readonly padding: readonly number[]
  readonly legend: object
  readonly cursor: object
  readonly scales: object
  readonly axes: readonly object[]
  readonly series: readonly object[]
  readonly hooks: { readonly draw: ((chart: Chart) => void)[]; readonly setCursor: ((chart: Chart) => void)[] }
}
