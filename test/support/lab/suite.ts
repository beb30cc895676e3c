// Suites that need the laboratory: where it cannot be built, one skipped test says why, and the rest of the run goes on.

import { describe, it } from 'vitest'
import { canBuild } from './namespaces.js'

const able = await canBuild()

/** `describe` for suites in namespaces. */
export function labSuite(name: string, body: () => void): void {
  if (able === true) describe(name, body)
  else it(`${name} needs network namespaces`, (context) => context.skip(able))
}
