// Public test data that is not part of this repository: schemas, vectors, policies. Each folder is named by an environment
// variable with an absolute path. Where one is unset, the suite that needs it says so and goes on with a skipped test.

import { existsSync } from 'node:fs'
import { test } from 'vitest'

export type SharedFolder = 'SLUICE_OCSF' | 'SLUICE_VECTORS' | 'SLUICE_POLICIES'

/** The folder, or undefined after a skipped test with the reason was declared in the current suite. */
export function sharedFolder(name: SharedFolder): string | undefined {
  const folder = process.env[name]
  if (folder !== undefined && existsSync(folder)) return folder
  const reason = folder === undefined ? `${name} is not set` : `${name} names no folder`
  test(`needs ${name}`, (context) => context.skip(reason))
  return undefined
}
