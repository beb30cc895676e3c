// network_middlewares: what each configuration may say, and that no fail_closed one selects an endpoint whose stream it could
// never read (sheet section 5).

import { parseIp } from '../../base/ip.js'
import { quote } from '../../base/quote.js'
import type { Findings } from '../findings.js'
import { foldName, hostMatches, hostsOverlap } from '../host-pattern.js'
import type { Named } from '../shape.js'
import type { EndpointView } from './endpoint-checks.js'
import type { MiddlewareFound } from './schema.js'

const MAX_CONFIGS = 10
const MAX_PATTERNS = 32
const BUILT_IN_PREFIX = 'openshell/'

export function checkMiddlewares(
  entries: readonly Named<MiddlewareFound>[],
  endpoints: readonly EndpointView[],
  findings: Findings,
): void {
  const orders = new Map<number, string>()
  for (const [i, { key, at, value }] of entries.entries()) {
    if (i === MAX_CONFIGS)
      findings.note('middleware-limit', at, `${entries.length} middlewares; the limit is ${MAX_CONFIGS}`)
    const unreadOrder = value.has('order') && value.of.order === undefined
    const order = value.of.order ?? 0
    const earlier = orders.get(order)
    if (!unreadOrder && earlier !== undefined)
      findings.note(
        'middleware-order',
        value.spot('order'),
        `${quote(key)} and ${quote(earlier)} both have order ${order}; give each its own`,
      )
    else if (!unreadOrder) orders.set(order, key)
    checkSelector(value, findings)
    checkBuiltIn(value, findings)
    checkTlsSkip(key, value, endpoints, findings)
  }
}

function checkSelector(value: MiddlewareFound, findings: Findings): void {
  const selector = value.of.endpoints
  if (value.has('endpoints') && !selector) return
  const include = selector?.of.include ?? []
  const exclude = selector?.of.exclude ?? []
  if (include.length === 0 && !(selector?.has('include') === true && selector.of.include === undefined))
    findings.note(
      'middleware-selector',
      selector?.at ?? value.at,
      'a middleware needs endpoints.include with at least one host pattern',
    )
  if (include.length + exclude.length > MAX_PATTERNS)
    findings.note(
      'middleware-selector',
      selector?.at ?? value.at,
      `${include.length + exclude.length} host patterns; the limit is ${MAX_PATTERNS}`,
    )
  for (const { value: pattern, at } of [...include, ...exclude])
    if (!isPattern(pattern))
      findings.note(
        'middleware-pattern',
        at,
        `${quote(pattern)} is not a host pattern (labels of letters, digits, - _ and *)`,
      )
}

const isPattern = (text: string): boolean =>
  parseIp(text) !== undefined ||
  (text.length <= 253 && text.split('.').every((label) => /^[A-Za-z0-9_*-]{1,63}$/.test(label)))

/** Other names are services outside the product; their configuration is theirs to judge. */
function checkBuiltIn(value: MiddlewareFound, findings: Findings): void {
  const name = value.of.middleware ?? ''
  if (!name.startsWith(BUILT_IN_PREFIX)) return
  if (name !== `${BUILT_IN_PREFIX}regex`) {
    findings.note(
      'middleware-unknown',
      value.spot('middleware'),
      `no built-in is called ${quote(name)}; there is ${BUILT_IN_PREFIX}regex`,
    )
    return
  }
  const config = value.of.config
  if (config === undefined) return
  if (config.kind !== 'map') {
    findings.note('middleware-config', value.spot('config'), 'config is a mapping')
    return
  }
  for (const entry of config.entries) {
    const at = { ...entry.at, path: `${value.spot('config').path}.${entry.key}` }
    const isRedact = entry.value.kind === 'scalar' && entry.value.value === 'redact'
    if (entry.key !== 'mode') findings.note('middleware-config', at, `${name} takes mode only, not ${quote(entry.key)}`)
    else if (!isRedact) findings.note('middleware-config', at, `${name} takes mode: redact and no other`)
  }
}

function checkTlsSkip(
  key: string,
  value: MiddlewareFound,
  endpoints: readonly EndpointView[],
  findings: Findings,
): void {
  if (value.of.on_error === 'fail_open') return
  const include = (value.of.endpoints?.of.include ?? []).map((pattern) => foldName(pattern.value))
  const exclude = (value.of.endpoints?.of.exclude ?? []).map((pattern) => foldName(pattern.value))
  for (const endpoint of endpoints) {
    if (endpoint.of.tls !== 'skip' || endpoint.host.kind === 'bad') continue
    const host = foldName(endpoint.of.host ?? '')
    const spared =
      endpoint.host.kind !== 'wildcard' && host !== '' && exclude.some((pattern) => hostMatches(pattern, host))
    if (!spared && include.some((pattern) => hostsOverlap(pattern, host)))
      findings.note(
        'middleware-tls-skip',
        endpoint.found.spot('tls'),
        `the fail_closed middleware ${quote(key)} selects this host, but tls: skip keeps it from reading the stream; exclude the host or set on_error: fail_open`,
      )
  }
}
