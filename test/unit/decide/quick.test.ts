// The two short ways through a decision: a host with one endpoint and nothing beside it, and paths without anything to look at. Each
// must answer as the long way does: the same questions beside a wildcard that grants nothing of them, and every octet by itself.

import { describe, expect, it } from 'vitest'
import { decide } from '../../../src/decide/decide.js'
import type { Action } from '../../../src/decide/model.js'
import { readHost } from '../../../src/decide/program.js'
import { programOf } from '../../support/decide/program.js'
import { WS } from '../../support/plans.js'

const ENDPOINTS = `
network_policies:
  api:
    endpoints:
      - {host: api.example.com, port: 443, protocol: rest, enforcement: enforce, rules: [{allow: {method: GET, path: "/v1/**"}}]}
    binaries: [{path: /usr/bin/curl}]
  pinned:
    endpoints: [{host: db.example.com, port: 5432, allowed_ips: ["93.184.216.0/24"]}]
    binaries: [{path: /usr/bin/psql}]
`
/** Matches neither host, stands at both ports: the list of wide endpoints is not empty. */
const BESIDE = `
  beside:
    endpoints:
      - {host: "*.other.example.org", port: 443}
      - {host: "*.other.example.org", port: 5432}
    binaries: [{path: /usr/bin/other}]
`
const alone = programOf({ sandbox: ENDPOINTS })
const beside = programOf({ sandbox: ENDPOINTS + BESIDE })

const request = (path: string, more: object = {}): Action => ({
  kind: 'request',
  host: 'api.example.com',
  port: 443,
  method: 'GET',
  path,
  ...more,
})
const connect = (more: object = {}): Action => ({
  kind: 'connect',
  host: 'db.example.com',
  port: 5432,
  protocol: 'tcp',
  ...more,
})
const answer = (program: typeof alone, action: Action, executable: string | undefined) => {
  const asking = { workspace: WS, quarantined: false, suspended: false }
  const { clause: _clause, ...decision } = decide(
    program,
    executable === undefined ? asking : { ...asking, executable },
    action,
    0,
  )
  return decision
}

describe('one endpoint alone answers as it does beside others', () => {
  const actions: Action[] = [
    request('/v1/a'),
    request('/v2/a'),
    request('/v1/a', { method: 'POST' }),
    request('/v1/a', { host: 'API.example.com.' }),
    request('/v1/a', { host: 'else.example.com' }),
    request('/v1/a', { port: 80 }),
    connect(),
    connect({ address: '93.184.216.34' }),
    connect({ address: '93.184.217.34' }),
    connect({ address: '10.0.0.1' }),
    connect({ address: '127.0.0.1' }),
    connect({ protocol: 'udp' }),
    connect({ host: 'cafe.example.com' }),
  ]
  const programs = ['/usr/bin/curl', '/usr/bin/psql', '/usr/bin/wget', undefined]

  it('to every question', () => {
    const seen = new Set<string>()
    for (const action of actions)
      for (const executable of programs) {
        const one = answer(alone, action, executable)
        expect([action, executable, one]).toEqual([action, executable, answer(beside, action, executable)])
        seen.add(`${one.decision} ${one.reason}`)
      }
    expect([...seen].sort()).toEqual([
      'allow grant',
      'allow rule',
      'deny address-not-granted',
      'deny binary',
      'deny never-address',
      'deny no-grant',
      'deny no-request-rule',
      'deny reserved',
    ])
  })
})

describe('a path', () => {
  const reason = (path: string) => answer(alone, request(path), '/usr/bin/curl').reason

  it('is refused for exactly the octets that would be read differently elsewhere', () => {
    const refused = Array.from({ length: 256 }, (_, code) => code).filter(
      (code) => reason(`/v1/a${String.fromCharCode(code)}b`) === 'malformed',
    )
    const controls = Array.from({ length: 0x21 }, (_, code) => code)
    expect(refused).toEqual([...controls, 0x23, 0x3b, 0x3f, 0x5c, 0x7f])
  })

  it.each([
    ['/v1/100%25', 'rule'],
    ['/v1/a%2Eb', 'malformed'],
    ['/v1/a%5cb', 'malformed'],
    ['/v1/...', 'rule'],
    ['/v1/..', 'malformed'],
    ['/v1/../x', 'malformed'],
    ['/v1/./x', 'malformed'],
    ['/v1//x', 'malformed'],
    ['v1/x', 'malformed'],
    ['', 'malformed'],
  ])('%s is %s', (path, said) => expect(reason(path)).toBe(said))
})

it('a host is an address whatever its last character is', () => {
  for (const host of ['93.184.216.34', '::1', 'fe80::a', 'FE80::F', '2001:db8::'])
    expect([host, readHost(host).ip !== undefined]).toEqual([host, true])
  for (const host of ['cafe', 'dead.beef', 'a.example', 'x.', '', '1.2.3.4.example'])
    expect([host, readHost(host).ip]).toEqual([host, undefined])
})
