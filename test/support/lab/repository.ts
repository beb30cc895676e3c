// Paths inside the checkout, wherever the calling file was compiled to: the root is the nearest folder above that holds the
// Makefile.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function findRoot(): string {
  let at = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(at, 'Makefile'))) {
    const up = dirname(at)
    if (up === at) throw new Error('no Makefile above the laboratory')
    at = up
  }
  return at
}

const root = findRoot()

export const repositoryPath = (...parts: readonly string[]): string => join(root, ...parts)
