// The checked tree of a SandboxPolicy -> its model. Runs only on documents without errors, so nothing is judged here; values
// are put into their canonical form once: lower-case names, canonical prefixes, sorted lists without duplicates.

import { comparePrefix, familyBits, formatPrefix } from '../../base/ip.js'
import { parseAllowedIp } from '../allowed-ips.js'
import type { Findings } from '../findings.js'
import { type Host, isBlockedHost } from '../host-pattern.js'
import type { Located } from '../shape.js'
import type { EndpointView } from './endpoint-checks.js'
import { excludesAddress } from './host-checks.js'
import { CREDENTIAL_KEYS, L7_KEYS, type SandboxEndpoint, type SandboxHost, type SandboxPolicy } from './model.js'
import type { RuleView } from './parse.js'
import { requestTerms } from './requests.js'
import type { DocumentFound } from './schema.js'

export function build(
  file: string,
  read: DocumentFound,
  rules: readonly RuleView[],
  findings: Findings,
): SandboxPolicy {
  const { filesystem_policy: files, landlock, process, network_middlewares: middlewares } = read.of
  return {
    file,
    rules: rules.map(({ key, at, found, endpoints }) => ({
      key,
      name: found.of.name === undefined || found.of.name === '' ? key : found.of.name,
      origin: findings.origin(at),
      endpoints: endpoints.map((view) => buildEndpoint(view, findings)),
      binaries: sorted((found.of.binaries ?? []).map((binary) => binary.of.path ?? '')),
    })),
    middlewares: (middlewares ?? []).map(({ key, at }) => ({ key, origin: findings.origin(at) })),
    ...(files && {
      filesystem: {
        origin: findings.origin(read.spot('filesystem_policy')),
        includeWorkdir: files.of.include_workdir ?? false,
        readOnly: values(files.of.read_only),
        readWrite: values(files.of.read_write),
      },
    }),
    ...(landlock && {
      landlock: {
        origin: findings.origin(read.spot('landlock')),
        compatibility: landlock.of.compatibility === 'hard_requirement' ? 'hard_requirement' : 'best_effort',
      },
    }),
    ...(process && {
      process: {
        origin: findings.origin(read.spot('process')),
        ...(process.of.run_as_user && { user: process.of.run_as_user.value }),
        ...(process.of.run_as_group && { group: process.of.run_as_group.value }),
      },
    }),
  }
}

function buildEndpoint(view: EndpointView, findings: Findings): SandboxEndpoint {
  const { of, found } = view
  const allowed = (of.allowed_ips ?? []).flatMap(({ value }) => parseAllowedIp(value) ?? [])
  const prefixes = [...allowed].sort((a, b) => comparePrefix(a.prefix, b.prefix)).map((entry) => entry.text)
  const requests = requestTerms(view)
  const truthy = (value: unknown): boolean => value !== undefined && value !== false && value !== ''
  return {
    origin: findings.origin(found.at),
    host: buildHost(view.host),
    ports: [...new Set(view.ports)].sort((a, b) => a - b),
    ...(allowed.length > 0 && { allowedIps: [...new Set(prefixes)] }),
    protocol: view.protocol,
    tls: truthy(of.tls) && of.tls !== 'skip',
    l7: L7_KEYS.filter((key) => truthy(of[key])),
    credentials: CREDENTIAL_KEYS.filter((key) => truthy(of[key])),
    blocked:
      isBlockedHost(view.host) ||
      allowed.some((entry) => entry.blocked !== undefined) ||
      (view.host.kind === 'address' && excludesAddress(of.allowed_ips, view.host.ip)),
    ...(requests && { requests }),
  }
}

function buildHost(host: Host): SandboxHost {
  if (host.kind === 'address')
    return { kind: 'address', prefix: formatPrefix({ ...host.ip, length: familyBits(host.ip.family) }) }
  return host.kind === 'name' || host.kind === 'wildcard' ? { kind: host.kind, name: host.name } : { kind: 'any' }
}

const sorted = (texts: readonly string[]): string[] => [...new Set(texts)].sort()
const values = (entries: readonly Located<string>[] | undefined): string[] =>
  sorted((entries ?? []).map(({ value }) => value))
