// The product's TypeScript as plain JavaScript under build/harness, for processes that run inside a namespace and cannot be
// vitest's own. Types are checked elsewhere; here each file is only translated, when its source is newer.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { repositoryPath } from '../lab/repository.js'

const FOLDERS = ['src/base', 'src/policy', 'src/plan', 'src/backends', 'test/support/nftables']
const OUT = 'build/harness'

/** Translates what changed. Gives the path of one file of it: `test/support/nftables/child.js`. */
export function compiled(file: string): string {
  for (const folder of FOLDERS) translateFolder(folder)
  return repositoryPath(OUT, file)
}

function translateFolder(folder: string): void {
  for (const entry of readdirSync(repositoryPath(folder), { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) translateFolder(path)
    else if (entry.name.endsWith('.ts')) translateFile(path)
  }
}

function translateFile(path: string): void {
  const source = repositoryPath(path)
  const target = repositoryPath(OUT, path.replace(/\.ts$/, '.js'))
  if (existsSync(target) && statSync(target).mtimeMs >= statSync(source).mtimeMs) return
  const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      inlineSourceMap: true,
    },
    fileName: path,
  })
  mkdirSync(dirname(target), { recursive: true })
  const fresh = `${target}.${process.pid}`
  writeFileSync(fresh, outputText)
  renameSync(fresh, target)
}
