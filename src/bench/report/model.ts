// What a report shows, before it is HTML: a heading, the promises with their verdicts, and one section a question. Everything a
// reader sees as a number is text already, made by the files that build it (build.ts); what a plot needs as numbers it has
// beside that text. Complete, inert and comparable: page.ts and the script in the page have no choices left.

/** How a variant looks, wherever it appears: colour, marker and dash stand in one table each (style.ts, ../page/draw.ts). */
export const LOOKS = [
  'nothing',
  'limit',
  'limit-nft',
  'hand',
  'ipset',
  'nft',
  'ebpf',
  'emulated',
  'card',
  'other',
] as const
export type Look = (typeof LOOKS)[number]

export const VERDICTS = ['met', 'missed', 'slower', 'faster', 'open', 'noisy', 'same', 'absent'] as const
export type VerdictWord = (typeof VERDICTS)[number]

/** An interval against a target: everything divided by the target, above 1 is better than promised. */
export interface Against {
  readonly low: number
  readonly mid: number
  readonly high: number
}

export interface HeadRow {
  readonly what: string
  /** The last column: the target, or what it was before. */
  readonly target: string
  readonly measured: string
  readonly against: Against | null
  readonly verdict: VerdictWord
  /** Why there is no verdict, or what the reader must know about it. */
  readonly remark: string
  /** All that was found, one meaning a line; none where `measured` has it all. */
  readonly rows: readonly string[]
  readonly emulated: boolean
}

export interface Cell {
  readonly text: string
  /** Smaller lines below it: the interval, ratios. */
  readonly asides?: readonly string[]
  /** A list below it, of lines that may be broken. */
  readonly rows?: readonly string[]
  readonly tone?: 'noisy' | 'good' | 'bad'
}

export interface TableView {
  readonly caption: string
  readonly head: readonly string[]
  readonly rows: readonly { readonly look: Look | null; readonly emulated: boolean; readonly cells: readonly Cell[] }[]
}

export interface PlotSeries {
  readonly name: string
  readonly look: Look
  readonly emulated: boolean
  /** One a position of the x axis: the value, or null where there is none. */
  readonly values: readonly (number | null)[]
  readonly low: readonly (number | null)[]
  readonly high: readonly (number | null)[]
  /** What the reader sees at that position: the value with its interval, `too noisy`, or nothing where it was not measured. */
  readonly texts: readonly string[]
  /** Measured, and too noisy for a number: a cross on the axis stands for it. */
  readonly noisy: readonly boolean[]
}

export interface Plot {
  readonly id: string
  readonly x: {
    readonly label: string
    readonly at: readonly number[]
    /** What a position is, in full. */
    readonly names: readonly string[]
    readonly ticks: readonly { readonly at: number; readonly name: string }[]
  }
  readonly y: { readonly label: string; readonly log: boolean }
  /** Points joined by lines; without it each stands for itself. */
  readonly joined: boolean
  /** Markers at the points; curves of many points go without. */
  readonly marked: boolean
  readonly series: readonly PlotSeries[]
  /** Horizontal lines: promises. */
  readonly lines: readonly { readonly name: string; readonly value: number }[]
}

/** Distributions side by side on one logarithmic axis: a row each, drawn as SVG in the page and no script's business. */
export interface Ranges {
  readonly title: string
  readonly note: string
  readonly unit: string
  readonly rows: readonly {
    readonly name: string
    readonly look: Look
    readonly emulated: boolean
    readonly p50: number
    /** null of fewer than a hundred. */
    readonly p99: number | null
    readonly max: number
    readonly text: string
    /** What is promised of the slow end of this one, where something is. */
    readonly promised: number | null
  }[]
}

export interface Section {
  readonly id: string
  readonly question: string
  /** The answer in short, as far as the figures give one: where it was measured, and what each fence leaves. */
  readonly answer: { readonly lead: string; readonly lines: readonly string[] } | null
  /** How to read its plots. */
  readonly note: string
  readonly plots: readonly { readonly title: string; readonly note: string; readonly plot: Plot }[]
  readonly ranges: readonly Ranges[]
  readonly tables: readonly TableView[]
}

export interface Report {
  readonly title: string
  readonly subtitle: string
  /** Things a reader must not miss: emulated, quick, interrupted, noisy. */
  readonly warnings: readonly string[]
  /** The first table: promises with their verdicts, or what changed between two runs. */
  readonly headline: {
    readonly question: string
    readonly caption: string
    readonly head: readonly [string, string, string, string, string]
    readonly rows: readonly HeadRow[]
    /** Where there is no row. */
    readonly none: string
  }
  readonly sections: readonly Section[]
  readonly facts: readonly { readonly title: string; readonly rows: readonly (readonly [string, string])[] }[]
  readonly commands: readonly { readonly what: string; readonly line: string }[]
}
