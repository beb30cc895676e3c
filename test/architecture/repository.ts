// The files of the checkout as the rules see them: path from the root, and text. Build output, packages and version control
// are left out, so that the rules hold in any copy of the sources, with or without git.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface File {
  readonly path: string
  readonly text: string
}

export const ROOT = dirname(dirname(import.meta.dirname))
const OUTSIDE = new Set(['node_modules', 'dist', 'build', 'coverage', '.git'])

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory() && !OUTSIDE.has(entry.name)) yield* walk(path)
    else if (entry.isFile()) yield path
  }
}

export const readText = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** Every file of the checkout, sorted by path. */
export const FILES: readonly File[] = [...walk('')].sort().map((path) => ({ path, text: readText(path) }))

/** TypeScript sources of the product: everything below src but what is generated. */
export const SOURCES: readonly File[] = FILES.filter(
  ({ path }) => path.startsWith('src/') && path.endsWith('.ts') && !path.includes('/gen/'),
)
