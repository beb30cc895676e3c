// The rules of the sources, each a function from a file to the sentences about what is wrong with it. Rules read syntax
// through the TypeScript compiler, never by line, so that comments and strings neither hide nor fake a finding.

import { posix } from 'node:path'
import ts from 'typescript'
import { backendFolder, IMPORT_TABLE, type Layer } from './import-table.js'
import type { File } from './repository.js'

export type Rule = (file: File) => readonly string[]

/** Path below src without the extension: `plan/evaluate`. */
const moduleOf = (path: string): string => path.replace(/^src\//, '').replace(/\.(ts|js)$/, '')
const layerOf = (module: string): Layer | undefined => IMPORT_TABLE.find((layer) => layer.files.test(module))
export const isPure = (file: File): boolean => {
  const module = moduleOf(file.path)
  const pure = layerOf(module)?.pure ?? false
  return pure instanceof RegExp ? pure.test(module) : pure
}

/** Static, type-only and dynamic imports, and re-exports. */
const importsOf = (file: File): string[] =>
  ts.preProcessFile(file.text, true, true).importedFiles.map((i) => i.fileName)

/** The import table of src/README.md. */
export const followsImportTable: Rule = (file) => {
  const module = moduleOf(file.path)
  const layer = layerOf(module)
  if (!layer) return [`${file.path} is in no row of the import table`]
  return importsOf(file)
    .filter((specifier) => !mayImport(module, layer, specifier, isPure(file)))
    .map((specifier) => `${file.path} may not import ${specifier}`)
}

function mayImport(module: string, layer: Layer, specifier: string, pure: boolean): boolean {
  if (specifier.startsWith('node:')) return !pure
  if (!specifier.startsWith('.'))
    return layer.packages.some((name) => specifier === name || specifier.startsWith(`${name}/`))
  const target = moduleOf(posix.join(posix.dirname(`src/${module}`), specifier))
  const other = backendFolder(target)
  const own = backendFolder(module)
  if (own !== undefined && other !== undefined && other !== own) return false
  if (layer.may.some((pattern) => pattern.test(target))) return true
  // Its own row; and what carries out effects may use the pure half of its own backend.
  return layer.files.test(target) || (own !== undefined && other === own && !pure)
}

const IMPURE_GLOBALS = new Set([
  ...['process', 'Buffer', 'fetch', 'crypto', 'performance', 'console', 'require', 'globalThis', 'global'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'],
])

/** Pure files read no clock, chance, environment or machine: such values come in as parameters. */
export const isPureInside: Rule = (file) => {
  if (!isPure(file)) return []
  const findings: string[] = []
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2023, true)
  const say = (node: ts.Node, what: string): void => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart())
    findings.push(`${file.path}:${line + 1} uses ${what}`)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && IMPURE_GLOBALS.has(node.text) && isReference(node) && !isDeclared(node))
      say(node, node.text)
    if (ts.isPropertyAccessExpression(node) && ['Date.now', 'Math.random'].includes(node.getText()))
      say(node, node.getText())
    if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && (node.arguments?.length ?? 0) === 0)
      say(node, 'new Date()')
    ts.forEachChild(node, visit)
  }
  visit(source)
  return findings
}

/** A name that stands for a value, rather than a member, a key, a parameter or a declaration called so. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.initializer === node
  if (ts.isShorthandPropertyAssignment(parent)) return true
  if (ts.isTypeReferenceNode(parent) || ts.isTypeElement(parent) || ts.isClassElement(parent)) return false
  return ts.isExpression(parent) || ts.isStatement(parent) || ts.isTemplateSpan(parent)
}

/** True when a scope around the name declares it: a parameter or a constant called `process` is nobody's environment. */
function isDeclared(node: ts.Identifier): boolean {
  for (let scope: ts.Node | undefined = node.parent; scope; scope = scope.parent) {
    const declarations: ts.NamedDeclaration[] = []
    if (ts.isFunctionLike(scope)) declarations.push(...scope.parameters)
    if (ts.isForOfStatement(scope) && ts.isVariableDeclarationList(scope.initializer))
      declarations.push(...scope.initializer.declarations)
    if (ts.isBlock(scope) || ts.isSourceFile(scope))
      for (const statement of scope.statements)
        if (ts.isVariableStatement(statement)) declarations.push(...statement.declarationList.declarations)
        else if (ts.isFunctionDeclaration(statement)) declarations.push(statement)
    if (declarations.some(({ name }) => name && namesIn(name).includes(node.text))) return true
  }
  return false
}

const namesIn = (name: ts.Node): string[] =>
  ts.isIdentifier(name)
    ? [name.text]
    : ts.isObjectBindingPattern(name) || ts.isArrayBindingPattern(name)
      ? name.elements.flatMap((element) => (ts.isBindingElement(element) ? namesIn(element.name) : []))
      : []

const MAX_LINES = 400
/** Files that are one table, and may be longer: each with what it is a table of. */
export const TABLES: Readonly<Record<string, string>> = {}

/** Aim at 60 to 150 lines; above 400 a file has more than one reason to change. */
export const isShort: Rule = (file) => {
  const lines = file.text.split('\n').length - 1
  if (lines <= MAX_LINES || Object.hasOwn(TABLES, file.path)) return []
  return [`${file.path} has ${lines} lines; the limit is ${MAX_LINES}`]
}

const EMPTY_NAMES = /^(utils?|helpers?|common|misc|managers?|services?|types|functions|stuff)$/

/** What has no name has no place. */
export const isNamed: Rule = ({ path }) =>
  path
    .split('/')
    .map((part) => part.replace(/(\.test|\.d)?\.[a-z]+$/, ''))
    .filter((part) => EMPTY_NAMES.test(part))
    .map((part) => `${path}: the name ${part} says nothing`)

/** Every file says first what it takes, gives and refuses. */
export const hasHeader: Rule = (file) =>
  /^(#!.*\n)?(\/\/ \S|# \S|\/\*)/.test(file.text) ? [] : [`${file.path} does not begin with a comment`]

/** Unfinished work, and tests that run alone. That every skip has a reason is the runner's business (scripts/reporter.mjs). */
export const isFinished: Rule = ({ path, text }) =>
  text
    .split('\n')
    .flatMap((line, i) =>
      UNFINISHED.test(line) ? [`${path}:${i + 1} is unfinished, or runs alone: ${line.trim()}`] : [],
    )

// Written in pieces, so that this file does not find itself.
const UNFINISHED = new RegExp(
  [
    ['TO', 'DO\\b'],
    ['FIX', 'ME\\b'],
    ['\\bX', 'XX\\b'],
    ['\\b(it|test|describe)\\.', '(only|todo|fails)\\b'],
  ]
    .map((parts) => parts.join(''))
    .join('|'),
)

/** Paths of one machine, and hosts of package registries: neither means anything to whoever clones this. */
export const isPortable: Rule = ({ path, text }) =>
  text
    .split('\n')
    .flatMap((line, i) => (LOCAL.test(line) ? [`${path}:${i + 1} names a machine's path or a registry's host`] : []))

const LOCAL = new RegExp(
  [
    `(^|[^\\w./-])/(${['wo' + 'rk', 'ro' + 'ot', 'fa' + 'rm'].join('|')})/`,
    `registry\\.${'npm'}js`,
    `npm${'js'}\\.(org|com)`,
    `(deb|security)\\.${'debian'}\\.org`,
    `pkg-${'npm'}|npm-${'proxy'}`,
  ].join('|'),
)

/** The lockfile names versions and digests, never where a package was fetched from. */
export const hasNoRegistry: Rule = ({ path, text }) => {
  if (path === '.npmrc') return /registry\s*=/.test(text) ? ['.npmrc names a registry'] : []
  if (path !== 'package-lock.json') return []
  const { packages } = JSON.parse(text) as { packages: Record<string, { resolved?: string }> }
  return Object.entries(packages)
    .filter(([, row]) => row.resolved !== undefined && /^https?:/.test(row.resolved))
    .map(([name]) => `package-lock.json: ${name} says where it was fetched from`)
}
