// The limits of the upstream client for tests: those of the product, with the time of a machine that does eight things at once.

import { UPSTREAM_LIMITS as PRODUCT, type UpstreamLimits } from '../../../src/dns/upstream/client.js'

export { CACHE_LIMITS } from '../../../src/dns/upstream/cache.js'

export const UPSTREAM_LIMITS: UpstreamLimits = { ...PRODUCT, tryMs: 10_000, totalMs: 30_000 }
