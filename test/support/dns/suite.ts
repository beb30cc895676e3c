// Suites that need a real resolver: where unbound or the zone signer is not installed, one skipped test says so.

import { describe, it } from 'vitest'
import { hasUnbound, type Resolver, type ResolverOptions, startResolver } from './resolver.js'

/** `describe` with a way to start the resolver. */
export function resolverSuite(
  name: string,
  body: (start: (options?: ResolverOptions) => Promise<Resolver>) => void,
): void {
  if (hasUnbound()) describe(name, () => body(startResolver))
  else it(`${name} needs unbound`, (context) => context.skip('unbound or ldnsutils is not installed'))
}
