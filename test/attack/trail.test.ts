// Every refusal stands in the trail: for each code that the commands of a node can be refused with, a row of the attack matrix
// or one here provokes it, and the last event carries it and is valid OCSF. A new code without a row fails the first test.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { AGENT_FAULTS } from '../../src/agent/errors.js'
import { TRANSPORT_FAULTS } from '../../src/agent/transports/errors.js'
import { utf8 } from '../../src/base/bytes.js'
import type { FaultTable } from '../../src/base/fault.js'
import { BUNDLE_FAULTS } from '../../src/bundle/errors.js'
import { signInventory } from '../../src/bundle/sign.js'
import { PLAN_FAULTS } from '../../src/plan/errors.js'
import { Fleet, WORKSPACE } from '../support/fleet.js'
import { type Schema, validateOcsf } from '../support/ocsf-validator.js'
import { restate } from './forge.js'
import { next } from './row.js'
import { DELIVERY_ROWS } from './rows-delivery.js'
import { PARSING_ROWS } from './rows-parsing.js'
import { TRUST_ROWS } from './rows-trust.js'

const APPLY = 'apply bundle --inventory inventory.yaml'
const PULL = (from: string, more = '') => `bundle pull ${from} --out got.tgz --config agent.yaml ${more}`
const BREAK = 'quarantine breakglass order.jws.json'

interface Row {
  readonly code: string
  /** Makes the cause; the fleet has revision 7 live. */
  readonly cause?: (fleet: Fleet) => unknown
  readonly line: string | ((fleet: Fleet) => string)
}
const lines = (fleet: Fleet, script: string) => fleet.operator.shell(script)
const order = (fleet: Fleet, keys: string, action = 'quarantine', more = '') =>
  fleet.ok(
    `publish breakglass --action ${action} ${more} --workspace ${WORKSPACE} --audience fleet.example/dev --reason leak --key ${keys} --out order.jws.json`,
  )
const answer =
  (status: number, headers: Record<string, string> = {}) =>
  (fleet: Fleet) => {
    fleet.web.answer = (_request, response) => void response.writeHead(status, headers).end()
  }

const ROWS: readonly Row[] = [
  { code: 'TRANSPORT_NOT_FOUND', line: 'apply nowhere --inventory inventory.yaml' },
  { code: 'TRANSPORT_NOT_FOUND', line: (fleet) => PULL(`${fleet.source}`, '--channel none') },
  { code: 'TRANSPORT_KIND', cause: (f) => lines(f, 'mkfifo pipe'), line: 'apply pipe --inventory inventory.yaml' },
  {
    code: 'TRANSPORT_NO_MANIFEST',
    cause: (f) => lines(f, 'mkdir empty'),
    line: 'apply empty --inventory inventory.yaml',
  },
  { code: 'TRANSPORT_SOURCE', line: PULL('ftp://policy.example/x') },
  { code: 'TRANSPORT_SOURCE', line: 'apply ftp://policy.example/x --inventory inventory.yaml' },
  { code: 'TRANSPORT_TLS', line: (fleet) => PULL(fleet.web.url.href) },
  {
    code: 'TRANSPORT_REDIRECT',
    cause: answer(302, { location: 'https://other.example/' }),
    line: (f) => PULL(f.source),
  },
  { code: 'TRANSPORT_DENIED', cause: answer(403), line: (fleet) => PULL(fleet.source) },
  { code: 'TRANSPORT_PROTOCOL', cause: answer(200, { 'content-encoding': 'br' }), line: (fleet) => PULL(fleet.source) },
  {
    code: 'BUNDLE_MEMBER_SIZE',
    cause: async (fleet) => {
      await fleet.sign('bundle', 8)
      lines(fleet, 'echo >> bundle/sandbox.yaml')
    },
    line: 'bundle verify bundle --config agent.yaml',
  },
  { code: 'BUNDLE_INVENTORY_MISMATCH', cause: (f) => lines(f, 'echo >> inventory.yaml'), line: APPLY },
  {
    code: 'BUNDLE_NOT_YET_VALID',
    cause: (f) => next(f, 8n, undefined, '--not-before 2026-06-02T00:00:00Z'),
    line: APPLY,
  },
  { code: 'BUNDLE_TOO_LARGE', cause: (f) => f.write('order.jws.json', utf8(' '.repeat(20_000))), line: BREAK },
  { code: 'BUNDLE_STATEMENT', cause: (f) => f.write('order.jws.json', 'x'), line: BREAK },
  { code: 'BUNDLE_THRESHOLD', cause: (f) => order(f, 'keys/breakglass-1.key'), line: BREAK },
  {
    code: 'BUNDLE_EXPIRED',
    cause: async (fleet) => {
      await order(fleet, 'keys/breakglass-1.key,keys/breakglass-2.key')
      fleet.operator.nowMs += 3_600_000
    },
    line: BREAK,
  },
  {
    code: 'AGENT_NOT_QUARANTINED',
    cause: (f) => order(f, 'keys/breakglass-1.key,keys/breakglass-2.key', 'lift', '--quarantine cmd-0'),
    line: BREAK,
  },
  { code: 'BUNDLE_STATEMENT', cause: (f) => f.write('fresh', 'x'), line: `${APPLY} --freshness fresh` },
  {
    code: 'PLAN_INVENTORY_INVALID',
    cause: async (fleet) => {
      // The signed statement and the document say two revisions.
      const words = { audience: 'fleet.example/dev', epoch: 1, revision: 3n }
      const signed = await signInventory(fleet.read('inventory.yaml'), words, fleet.signer('inventory'))
      fleet.write('inventory.jws.json', signed)
    },
    line: APPLY,
  },
  {
    code: 'BUNDLE_EPOCH',
    cause: async (fleet) => {
      await restate(fleet, { statement: { epoch: 9, policy_revision: '8' } })
    },
    line: (fleet) => `apply ${fleet.source} --inventory inventory.yaml`,
  },
  {
    code: 'BUNDLE_ROOT_VERSION',
    cause: async (fleet) => {
      const keys = '--key keys/root-1.key,keys/root-2.key'
      await fleet.ok(`publish rotate root.json ${keys} --out 2.jws.json`)
      fleet.published.set('roots/2.jws.json', fleet.read('2.jws.json'))
      fleet.published.set('roots/3.jws.json', fleet.read('2.jws.json'))
    },
    line: (fleet) => `apply ${fleet.source} --inventory inventory.yaml`,
  },
  { code: 'AGENT_CONFIG', cause: (f) => lines(f, 'echo surplus: 1 >> agent.yaml'), line: 'status' },
  { code: 'AGENT_CONFIG_READ', cause: (f) => lines(f, 'rm root.json'), line: APPLY },
  { code: 'AGENT_CONFIG_READ', cause: (f) => lines(f, 'rm root.json; mkfifo root.json'), line: APPLY },
  { code: 'BUNDLE_ROOT', cause: (f) => f.write('root.json', '{}'), line: 'status' },
  { code: 'AGENT_STORE_MISSING', cause: (f) => lines(f, 'rm -r state'), line: APPLY },
  { code: 'AGENT_STORE_DAMAGED', cause: (f) => f.write('state/state.json', '{}'), line: 'status' },
  { code: 'AGENT_STORE_EXISTS', line: `${APPLY} --first` },
  { code: 'CLI_FILE_UNREADABLE', line: 'apply bundle --inventory none.yaml' },
  { code: 'CLI_FILE_KIND', cause: (f) => lines(f, 'mkfifo pipe'), line: 'apply bundle --inventory pipe' },
]

/** Codes of the tables that no command of a node can be refused with, and where they belong. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  TRANSPORT_DIGEST: 'an OCI registry: test/transports/docker-registry.test.ts provokes it',
  TRANSPORT_NO_RELEASE: 'an OCI registry: test/transports/docker-registry.test.ts provokes it',
  BUNDLE_TOO_MANY: 'one path with its neighbours: test/unit/bundle/statement.test.ts provokes it',
  BUNDLE_ALGORITHM: 'one path with its neighbours: test/unit/bundle/verify.test.ts provokes it',
  BUNDLE_MEMBER_PATH: 'one path with its neighbours: test/unit/bundle/statement.test.ts provokes it',
  BUNDLE_KEY_DOUBT: 'needs an enterprise PKI: test/unit/cli/certificates.test.ts provokes it',
  BUNDLE_SIGIL_CARRIER: 'one path with its neighbours: test/vectors/yaml-sigil.test.ts provokes it',
  PLAN_FORMAT_UNKNOWN: 'plan files that an operator names',
  PLAN_DIGEST_MISMATCH: 'plan files that an operator names',
  PLAN_QUESTION_INVALID: 'questions of `sluice explain`',
  BUNDLE_KEY: 'making keys',
  BUNDLE_KEY_FILE: 'reading private keys for signing',
  BUNDLE_JWK: 'library use: inside a trust root it is BUNDLE_ROOT',
  BUNDLE_JWS: 'library use: inside a statement it is BUNDLE_STATEMENT',
}

let fleet: Fleet
afterEach(() => fleet?.close())

const schemaFolder = process.env.SLUICE_OCSF
const schema =
  schemaFolder === undefined
    ? undefined
    : (JSON.parse(readFileSync(join(schemaFolder, 'ocsf-1.8.0-trimmed.json'), 'utf8')) as Schema)

describe('a refusal stands in the trail', () => {
  test.each(ROWS)('$code: $line', async ({ code, cause, line }) => {
    fleet = await Fleet.make()
    await fleet.sign('bundle', 7)
    await fleet.publish('bundle')
    expect((await fleet.take()).code).toBe('active')
    await cause?.(fleet)
    const said = await fleet.ask(typeof line === 'string' ? line : line(fleet))
    expect([said.exit === 0, said.json.error?.code ?? said.json.code]).toEqual([false, code])
    const refused = fleet.events().filter((event) => event.status_code === code)
    expect(refused.length).toBeGreaterThan(0)
    if (schema) for (const event of refused) expect(validateOcsf(schema, event)).toEqual([])
  })

  test('the codes of the tables are provoked here or by a row of the matrix, or cannot come to a node', () => {
    const struck = Object.values({ ...TRUST_ROWS, ...DELIVERY_ROWS, ...PARSING_ROWS }).flatMap(({ variants }) =>
      variants.map(([, code]) => code),
    )
    const known = new Set([...struck, ...ROWS.map(({ code }) => code), ...Object.keys(ELSEWHERE)])
    const tables: readonly FaultTable[] = [BUNDLE_FAULTS, TRANSPORT_FAULTS, PLAN_FAULTS]
    const rejects = tables.flatMap((table) => Object.entries(table).filter(([, row]) => row.reaction === 'reject'))
    expect(rejects.map(([code]) => code).filter((code) => !known.has(code))).toEqual([])
    for (const code of ['AGENT_CLOCK_BACK', 'AGENT_CONFIG', 'AGENT_CONFIG_READ', 'AGENT_STORE_MISSING'] as const)
      expect([code, known.has(code), AGENT_FAULTS[code].reaction]).toEqual([code, true, 'reject'])
  })

  test('a channel that offers refused bytes again', async () => {
    fleet = await Fleet.make()
    await fleet.sign('bundle', 7, ['release-1'])
    await fleet.publish('bundle')
    const follow = async () => {
      const stop = new AbortController()
      const line = `follow ${fleet.source} --inventory inventory.yaml --interval 1 --json`
      await fleet.operator.sluice(line, (host) => ({
        ...host,
        interrupted: () => stop.signal,
        follow: (config, request) =>
          host.follow(config, { ...request, tell: (one) => (one.kind === 'failed' ? stop.abort() : undefined) }),
      }))
    }
    await follow()
    expect(fleet.refusals().at(-1)).toBe('BUNDLE_THRESHOLD')
    await follow()
    expect(fleet.refusals().at(-1)).toBe('AGENT_REFUSED_BEFORE')
  })
})
