// The validator itself: minimal valid events of every class that we know give no finding, and each mutation gives exactly
// its rule. A validator that passes everything would make every test of the emitter worthless.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Finding, type Schema, validateOcsf } from '../support/ocsf-validator.js'
import { sharedFolder } from '../support/shared-data.js'

// biome-ignore lint/suspicious/noExplicitAny: the mutations break events on purpose, member by member.
type Loose = any

const valid: Loose[] = readFileSync(join(import.meta.dirname, 'ocsf-valid.ndjson'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))

const of = (classUid: number): Loose => structuredClone(valid.find((event) => event.class_uid === classUid))
const denial = (): Loose => structuredClone(valid[1])

const error = (code: string, path: string): Finding => ({ level: 'error', code, path })
const warning = (code: string, path: string): Finding => ({ level: 'warning', code, path })

type Mutation = readonly [name: string, event: Loose, mutate: (event: Loose) => void, findings: readonly Finding[]]

const MUTATIONS: readonly Mutation[] = [
  [
    'profile host dropped',
    of(4001),
    (e) => (e.metadata.profiles = ['security_control']),
    [error('attribute_unknown', 'device')],
  ],
  [
    'device without type_id',
    of(4001),
    (e) => delete e.device.type_id,
    [error('attribute_required_missing', 'device.type_id')],
  ],
  [
    'no endpoint at all',
    denial(),
    (e) => {
      delete e.src_endpoint
      delete e.dst_endpoint
    },
    [error('constraint_failed', '')],
  ],
  ['type_uid of another activity', of(4001), (e) => (e.type_uid = 400105), [error('type_uid_incorrect', 'type_uid')]],
  ['container at the top', of(4001), (e) => (e.container = { uid: 'c' }), [error('attribute_unknown', 'container')]],
  ['unknown action', of(4001), (e) => (e.action_id = 5), [error('attribute_enum_value_unknown', 'action_id')]],
  ['wrong caption', denial(), (e) => (e.action = 'Deny'), [warning('attribute_enum_sibling_incorrect', 'action')]],
  ['right caption', denial(), (e) => (e.action = 'Denied'), []],
  [
    'Other by its own caption',
    denial(),
    (e) => {
      e.action_id = 99
      e.action = 'Other'
    },
    [warning('attribute_enum_sibling_suspicious_other', 'action')],
  ],
  [
    'port 70000',
    denial(),
    (e) => (e.dst_endpoint.port = 70000),
    [error('attribute_value_exceeds_range', 'dst_endpoint.port')],
  ],
  ['time as a string', of(4001), (e) => (e.time = String(e.time)), [error('attribute_wrong_type', 'time')]],
  ['privileges and group', of(3003), (e) => (e.group = { name: 'g' }), [error('constraint_failed', '')]],
  [
    'rule with only a type',
    denial(),
    (e) => (e.firewall_rule = { type: 'nftables' }),
    [error('constraint_failed', 'firewall_rule')],
  ],
  [
    'is_src_dst_assignment_known on DNS',
    of(4003),
    (e) => (e.is_src_dst_assignment_known = true),
    [error('attribute_unknown', 'is_src_dst_assignment_known')],
  ],
  [
    'answer without rdata',
    of(4003),
    (e) => (e.answers = [{ ttl: 30 }]),
    [error('attribute_required_missing', 'answers[0].rdata')],
  ],
  [
    'profile of no schema',
    of(4001),
    (e) => e.metadata.profiles.push('ai_agents'),
    [error('profile_unknown', 'metadata.profiles[2]')],
  ],
  ['class 4099', of(4001), (e) => (e.class_uid = 4099), [error('class_uid_unknown', 'class_uid')]],
  ['class missing', of(4001), (e) => delete e.class_uid, [error('attribute_required_missing', 'class_uid')]],
  ['duration 1.5', of(4001), (e) => (e.duration = 1.5), [error('attribute_wrong_type', 'duration')]],
  ['null', of(4001), (e) => (e.count = null), [error('attribute_wrong_type', 'count')]],
  [
    'address that is no address',
    denial(),
    (e) => (e.dst_endpoint.ip = 'example'),
    [warning('attribute_value_regex_not_matched', 'dst_endpoint.ip')],
  ],
  [
    'address of 41 characters',
    denial(),
    (e) => (e.dst_endpoint.ip = `10.0.0.1${' '.repeat(33)}`),
    [error('attribute_value_exceeds_max_len', 'dst_endpoint.ip')],
  ],
  ['array where one is meant', of(4001), (e) => (e.device = [e.device]), [error('attribute_wrong_type', 'device')]],
  ['one where an array is meant', of(2004), (e) => (e.evidences = {}), [error('attribute_wrong_type', 'evidences')]],
  [
    'array captions that do not line up',
    of(4003),
    (e) => (e.answers = [{ rdata: '10.0.0.1', flag_ids: [1], flags: [] }]),
    [error('attribute_enum_array_sibling_missing', 'answers[0].flags')],
  ],
  [
    'a key of the prototype',
    of(4001),
    (e) => Object.defineProperty(e, 'constructor', { value: 1, enumerable: true }),
    [error('attribute_unknown', 'constructor')],
  ],
  [
    'observable of nothing',
    of(4001),
    (e) => (e.observables = [{ name: 'dst_endpoint.nothing', type_id: 2, value: 'x' }]),
    [error('observable_name_invalid_reference', 'observables[0].name')],
  ],
  ['older version', of(4001), (e) => (e.metadata.version = '1.7.0'), [warning('version_earlier', 'metadata.version')]],
  [
    'newer version',
    of(4001),
    (e) => (e.metadata.version = '1.9.0'),
    [error('version_incompatible_later', 'metadata.version')],
  ],
  [
    'pre-release version',
    of(4001),
    (e) => (e.metadata.version = '1.8.0-dev'),
    [error('version_incompatible_prerelease', 'metadata.version')],
  ],
]

describe('OCSF validator', () => {
  const folder = sharedFolder('SLUICE_OCSF')
  if (folder === undefined) return
  const schema = JSON.parse(readFileSync(join(folder, 'ocsf-1.8.0-trimmed.json'), 'utf8')) as Schema

  test('knows twelve minimal events of eleven classes', () => {
    expect(valid.length).toBe(12)
    expect(new Set(valid.map((event) => event.class_uid)).size).toBe(11)
  })

  test.each(valid.map((event) => [event.type_uid, event.metadata.sequence, event]))(
    'type %i, sequence %i: valid without a warning',
    (_type, _sequence, event) => {
      expect(validateOcsf(schema, event)).toEqual([])
    },
  )

  test.each(MUTATIONS.map(([name, event, mutate, findings]) => ({ name, event, mutate, findings })))(
    '$name',
    ({ event, mutate, findings }) => {
      mutate(event)
      expect(validateOcsf(schema, event)).toEqual(findings)
    },
  )
})
