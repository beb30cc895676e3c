// Every mistake in an inventory has a place and a code, and all of them come at once.

import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/base/bytes.js'
import { parseInventory } from '../../../src/plan/parse-inventory.js'

const GOOD = `apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: node-1
revision: 18446744073709551615
workspaces:
  - id: spiffe://example.org/workspace/dev/ws0
    slot: { kind: veth, interface: ws0 }
    mac: "02:00:00:00:09:02"
    addresses: [10.9.0.2, "fd09:0:0:1:0::2"]
    gateway: { mac: "02:00:00:00:09:01", addresses: [10.9.0.1, "fd09:0:0:1::1"] }
`
const codes = (text: string): string[] =>
  parseInventory(utf8(text), 'inventory.yaml').notes.map(
    (note) => `${note.line}:${note.column} ${note.code} ${note.path}`,
  )

describe('inventory', () => {
  it('reads addresses in one form and the revision digit by digit', () => {
    const { inventory, notes } = parseInventory(utf8(GOOD), 'inventory.yaml')
    expect(notes).toEqual([])
    expect(inventory).toEqual({
      audience: 'node-1',
      revision: '18446744073709551615',
      entries: [
        {
          workspace: 'spiffe://example.org/workspace/dev/ws0',
          slot: {
            kind: 'veth',
            interface: 'ws0',
            mac: '02:00:00:00:09:02',
            addresses: ['10.9.0.2', 'fd09:0:0:1::2'],
            gateway: { mac: '02:00:00:00:09:01', addresses: ['10.9.0.1', 'fd09:0:0:1::1'] },
          },
        },
      ],
    })
  })

  it.each([
    [
      'a misspelt key',
      GOOD.replace('audience:', 'audiance:'),
      ['1:1 missing-key audience', '3:1 unknown-key audiance'],
    ],
    [
      'a revision in quotes is a string of digits, a negative one is nothing',
      GOOD.replace('18446744073709551615', '-1'),
      ['4:11 bad-value revision'],
    ],
    [
      'a name for an address',
      GOOD.replace('10.9.0.2', 'host.example'),
      ['9:17 bad-address workspaces[0].addresses[0]'],
    ],
    [
      'a prefix for an address',
      GOOD.replace('10.9.0.2', '10.9.0.0/24'),
      ['9:17 bad-address workspaces[0].addresses[0]'],
    ],
    ['a group MAC', GOOD.replace('02:00:00:00:09:02', '03:00:00:00:09:02'), ['8:10 bad-mac workspaces[0].mac']],
    ['a bad id', GOOD.replace('spiffe://example.org/workspace', 'https://x'), ['6:9 bad-id workspaces[0].id']],
    [
      'a long interface name',
      GOOD.replace('interface: ws0', 'interface: interface-name-x'),
      ['7:36 bad-value workspaces[0].slot.interface'],
    ],
    ['an unknown slot', GOOD.replace('kind: veth', 'kind: veht'), ['7:11 bad-value workspaces[0].slot.kind']],
    [
      'not a mapping',
      '- a\n',
      [
        '1:1 bad-type ',
        '1:1 missing-key apiVersion',
        '1:1 missing-key kind',
        '1:1 missing-key audience',
        '1:1 missing-key revision',
        '1:1 bad-type workspaces',
      ],
    ],
  ])('%s', (_name, text, expected) => {
    expect(codes(text).sort()).toEqual(expected.sort())
  })

  it('two workspaces share nothing', () => {
    const twice =
      GOOD +
      GOOD.slice(GOOD.indexOf('  - id')).replace('dev/ws0', 'dev/ws1').replace('interface: ws0', 'interface: ws1')
    const notes = parseInventory(utf8(twice), 'inventory.yaml').notes
    expect(notes.map((note) => note.code)).toEqual(['not-distinct', 'not-distinct', 'not-distinct', 'not-distinct'])
    expect(notes[0]?.say).toContain('belongs to workspaces[0] already')
  })

  it('binds a workspace to whoever it belongs to, in the identifiers of security events', () => {
    const bound = `${GOOD}    subjects:
      user: [{format: email, email: Jane@Example.com}, {format: iss_sub, iss: "https://idp.example.com/", sub: jane}]
      session: [{format: opaque, id: s-1}]
`
    const { inventory, notes } = parseInventory(utf8(bound), 'inventory.yaml')
    expect(notes).toEqual([])
    expect(inventory?.entries[0]?.subjects).toEqual({
      user: [
        '{"email":"jane@example.com","format":"email"}',
        '{"format":"iss_sub","iss":"https://idp.example.com/","sub":"jane"}',
      ],
      session: ['{"format":"opaque","id":"s-1"}'],
    })
  })

  it.each([
    ['in a word', 'jane', ['11:15 bad-type workspaces[0].subjects']],
    ['under no member', '{usr: []}', ['11:16 unknown-key workspaces[0].subjects.usr']],
    ['of none', '{user: []}', ['11:22 bad-type workspaces[0].subjects.user']],
    ['of a name alone', '{user: [jane]}', ['11:23 bad-type workspaces[0].subjects.user[0]']],
    [
      'of an unknown format',
      '{user: [{format: mail, mail: j}]}',
      ['11:23 bad-value workspaces[0].subjects.user[0].format'],
    ],
    ['of half a format', '{user: [{format: iss_sub, iss: a}]}', ['11:23 bad-value workspaces[0].subjects.user[0]']],
    [
      'of more than a format',
      '{user: [{format: email, email: a, id: b}]}',
      ['11:23 bad-value workspaces[0].subjects.user[0]'],
    ],
    ['of a number', '{user: [{format: opaque, id: 4711}]}', ['11:23 bad-type workspaces[0].subjects.user[0]']],
  ])('refuses an owner %s', (_name, subjects, expected) => {
    expect(codes(`${GOOD}    subjects: ${subjects}\n`)).toEqual(expected)
  })
})
