// The one door to YAML: YAML 1.2 core schema, one document, read into a small tree in which every key and value knows its
// line and column. Anchors, aliases, tags, merge keys, directives, duplicate keys, keys that are not strings and a second
// document are errors. Depth, node and scalar limits are enforced on the token stream, before any object exists.
//
// The tokenizer and composer are the `yaml` package; what is ours is what we refuse (bundle-trust sheet section 9).

import { Composer, CST, type Document, isMap, isPair, isScalar, isSeq, Lexer, LineCounter, Parser } from 'yaml'
import { decodeUtf8 } from './bytes.js'
import { LIMITS } from './limits.js'
import type { Note } from './note.js'
import { quote } from './quote.js'

export interface Place {
  readonly line: number
  readonly column: number
}
export interface YamlScalar extends Place {
  readonly kind: 'scalar'
  readonly type: 'string' | 'int' | 'float' | 'bool' | 'null'
  /** The value; integers are bigints, so that a u64 is never rounded. */
  readonly value: string | bigint | number | boolean | null
  /** The text as written, for messages and for numbers read digit by digit. */
  readonly source: string
}
export interface YamlEntry {
  readonly key: string
  readonly at: Place
  readonly value: YamlNode
}
export interface YamlMap extends Place {
  readonly kind: 'map'
  readonly entries: readonly YamlEntry[]
}
export interface YamlSeq extends Place {
  readonly kind: 'seq'
  readonly items: readonly YamlNode[]
}
export type YamlNode = YamlScalar | YamlMap | YamlSeq

export interface YamlLimits {
  readonly bytes: number
  readonly nodes: number
}
export interface YamlResult {
  /** Present exactly when there are no error notes. */
  readonly root?: YamlNode
  /** The tree when repeated keys are the only errors, so that a reader can report the rest of its findings with them. */
  readonly repeated?: YamlNode
  readonly notes: readonly Note[]
}

/** Reads one YAML document. All findings at once, in document order; never throws for any input. */
export function readYaml(bytes: Uint8Array, file: string, limits: YamlLimits): YamlResult {
  if (bytes.length > limits.bytes)
    return refuse(file, 'too-large', `the document has ${bytes.length} bytes; the limit is ${limits.bytes}`)
  const text = decodeUtf8(bytes)
  if (text === undefined || text.includes('\0'))
    return refuse(
      file,
      'not-utf8',
      'the document is not plain UTF-8 (a BOM, NUL or broken sequence counts); save it as UTF-8',
    )
  const lines = new LineCounter()
  const tokens: CST.Token[] = []
  const gate = new Gate(limits.nodes)
  const parser = new Parser(lines.addNewLine)
  lines.addNewLine(0)
  const tagOffsets: number[] = []
  for (const lexeme of new Lexer().lex(text)) {
    const problem = gate.admit(lexeme)
    if (problem !== undefined) return refuse(file, problem.code, problem.say)
    if (CST.tokenType(lexeme) === 'tag') tagOffsets.push(parser.offset)
    for (const token of parser.next(lexeme)) tokens.push(token)
  }
  for (const token of parser.end()) tokens.push(token)
  const reading = new Reading(file, lines)
  for (const offset of tagOffsets) reading.error('yaml-tag', offset, '', 'tags (!, !!str) are not accepted; remove it')
  const documents = [
    ...new Composer({
      version: '1.2',
      schema: 'core',
      intAsBigInt: true,
      uniqueKeys: false,
      merge: false,
      prettyErrors: false,
    }).compose(tokens, true, text.length),
  ]
  const root = reading.document(documents)
  const notes = reading.notes
  const errors = notes.filter((note) => note.severity === 'error')
  if (!root || errors.some((note) => note.code !== 'duplicate-key')) return { notes }
  return errors.length === 0 ? { root, notes } : { repeated: root, notes }
}

const refuse = (file: string, code: string, say: string): YamlResult => ({
  notes: [{ code, severity: 'error', file, line: 0, column: 0, path: '', say }],
})

/** Tokens that begin a node; `scalar` is the mark that the lexer puts before a plain or block scalar's text. */
const NODE_TOKENS: ReadonlySet<string> = new Set([
  'scalar',
  'single-quoted-scalar',
  'double-quoted-scalar',
  'block-scalar-header',
  'alias',
  'flow-map-start',
  'flow-seq-start',
  'seq-item-ind',
])

/** Counts nodes and depth as tokens are lexed, before the composer allocates anything. */
class Gate {
  private nodes = 0
  private flow = 0
  private indents: number[] = []
  private column = 0
  private lineStart = true

  constructor(private readonly maxNodes: number) {}

  admit(lexeme: string): { code: string; say: string } | undefined {
    const type = CST.tokenType(lexeme)
    if (type === 'newline') {
      this.lineStart = true
      this.column = 0
    } else if (type === 'space') {
      this.column += lexeme.length
    } else {
      const blockIndicator = type === 'seq-item-ind' || type === 'map-value-ind' || type === 'explicit-key-ind'
      if (this.flow === 0 && (this.lineStart || blockIndicator)) {
        while (this.indents.length > 0 && (this.indents.at(-1) ?? 0) >= this.column && this.lineStart)
          this.indents.pop()
        if (this.indents.at(-1) !== this.column) this.indents.push(this.column)
      }
      this.lineStart = false
      this.column += lexeme.length
      if (type === 'flow-map-start' || type === 'flow-seq-start') this.flow++
      if (type === 'flow-map-end' || type === 'flow-seq-end') this.flow = Math.max(0, this.flow - 1)
      if (type !== null && NODE_TOKENS.has(type)) this.nodes++
    }
    if (lexeme.length > LIMITS.scalarBytes)
      return { code: 'scalar-too-long', say: `a scalar has more than ${LIMITS.scalarBytes} characters` }
    if (this.nodes > this.maxNodes)
      return { code: 'too-many-nodes', say: `the document has more than ${this.maxNodes} nodes` }
    // Every block level costs at most two indents: its key column and the column of a `- ` or `: ` on the same line.
    if (this.flow > LIMITS.documentDepth || this.indents.length > 2 * LIMITS.documentDepth + 2)
      return { code: 'too-deep', say: `the document nests deeper than ${LIMITS.documentDepth} levels` }
    return undefined
  }
}

const TYPES = { string: 'string', bigint: 'int', number: 'float', boolean: 'bool' } as const

class Reading {
  readonly notes: Note[] = []

  constructor(
    private readonly file: string,
    private readonly lines: LineCounter,
  ) {}

  private place(offset: number): Place {
    const { line, col } = this.lines.linePos(offset)
    return { line, column: col }
  }

  error(code: string, offset: number, path: string, say: string): void {
    this.notes.push({ code, severity: 'error', file: this.file, ...this.place(offset), path, say })
  }

  document(documents: readonly Document.Parsed[]): YamlNode | undefined {
    const [first, second] = documents
    if (!first?.contents) {
      for (const problem of first?.errors ?? [])
        this.error('yaml-syntax', problem.pos[0], '', sentence(problem.message))
      if (this.notes.length === 0) this.error('empty-document', 0, '', 'the document is empty; a mapping is expected')
      return undefined
    }
    for (const document of documents)
      for (const problem of [...document.errors, ...document.warnings].filter(
        (one) => one.code !== 'TAG_RESOLVE_FAILED',
      ))
        this.error('yaml-syntax', problem.pos[0], '', sentence(problem.message))
    if (first.directives.yaml.explicit || Object.keys(first.directives.tags).length > 1)
      this.error('yaml-directive', 0, '', 'YAML directives (%YAML, %TAG) are not accepted; remove the line')
    if (second)
      this.error('several-documents', second.range[0], '', 'the file holds more than one YAML document; split it')
    if (documents.some((document) => document.errors.length > 0)) return undefined
    return this.node(first.contents, '', 0)
  }

  private node(node: unknown, path: string, depth: number): YamlNode | undefined {
    const range = (node as { range?: readonly [number, number, number] | null } | null)?.range
    const offset = range?.[0] ?? 0
    if (depth > LIMITS.documentDepth) {
      this.error('too-deep', offset, path, `nested deeper than ${LIMITS.documentDepth} levels`)
      return undefined
    }
    if (isMap(node) || isSeq(node) || isScalar(node)) {
      if (node.anchor !== undefined)
        this.error('yaml-anchor', offset, path, 'anchors and aliases are not accepted; write the value out')
    }
    if (isScalar(node)) return this.scalar(node.value, node.source ?? '', offset, path)
    if (isSeq(node)) {
      const items: YamlNode[] = []
      for (const [i, item] of node.items.entries()) {
        const read = this.node(item, `${path}[${i}]`, depth + 1)
        if (read) items.push(read)
      }
      return { kind: 'seq', items, ...this.place(offset) }
    }
    if (isMap(node)) return this.map(node.items, offset, path, depth)
    this.error('yaml-alias', offset, path, 'anchors and aliases are not accepted; write the value out')
    return undefined
  }

  private scalar(value: unknown, source: string, offset: number, path: string): YamlNode | undefined {
    if (value === null) return { kind: 'scalar', type: 'null', value: null, source, ...this.place(offset) }
    const type = TYPES[typeof value as keyof typeof TYPES]
    if (type === undefined || (typeof value === 'number' && !Number.isFinite(value))) {
      this.error('bad-scalar', offset, path, `${quote(source)} is not a value that is accepted here`)
      return undefined
    }
    return { kind: 'scalar', type, value: value as YamlScalar['value'], source, ...this.place(offset) }
  }

  private map(items: readonly unknown[], offset: number, path: string, depth: number): YamlNode {
    const entries: YamlEntry[] = []
    const seen = new Map<string, Place>()
    for (const item of items) {
      if (!isPair(item)) continue
      const keyOffset = (item.key as { range?: readonly [number, number, number] | null } | null)?.range?.[0] ?? offset
      const key = isScalar(item.key) ? item.key.value : undefined
      if (typeof key !== 'string') {
        this.error('bad-key', keyOffset, path, 'keys must be strings; put quotes around it')
        continue
      }
      const here = joinPath(path, key)
      const at = this.place(keyOffset)
      if (isScalar(item.key)) this.node(item.key, here, depth + 1)
      if (key === '<<') this.error('yaml-merge', keyOffset, here, 'merge keys are not accepted; write the members out')
      const earlier = seen.get(key)
      if (earlier)
        this.error(
          'duplicate-key',
          keyOffset,
          here,
          `the key ${quote(key)} stands at line ${earlier.line} already; keep one of them`,
        )
      seen.set(key, at)
      const value =
        item.value === null
          ? ({ kind: 'scalar', type: 'null', value: null, source: '', ...at } satisfies YamlScalar)
          : this.node(item.value, here, depth + 1)
      if (value) entries.push({ key, at, value })
    }
    return { kind: 'map', entries, ...this.place(offset) }
  }
}

/** `a.b[0].c`; a key that is not a plain word is quoted: `network_policies."a b"`. */
export function joinPath(path: string, key: string): string {
  const shown = /^[A-Za-z_][\w-]*$/.test(key) ? key : quote(key)
  return path === '' ? shown : `${path}.${shown}`
}

const sentence = (message: string): string =>
  message.replace(/\s*at line \d+, column \d+:?[\s\S]*$/, '').replaceAll('\n', ' ')
