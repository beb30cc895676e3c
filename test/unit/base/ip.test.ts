// Addresses, prefixes, ports, MACs and the reserved table.

import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatIp, formatPrefix, linkLocalOf, parseIp, parsePrefix } from '../../../src/base/ip.js'
import { isGroupMac, macBytes, parseMac } from '../../../src/base/mac.js'
import { formatPorts, mergePorts, parsePorts } from '../../../src/base/ports.js'
import { addressClass, NEVER, prefixClass, RESERVED, reservedRow } from '../../../src/base/reserved.js'

describe('addresses', () => {
  it.each([
    ['1.2.3.4', '1.2.3.4'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['64:ff9b::93.184.216.34', '64:ff9b::5db8:d822'],
  ])('%s is %s', (text, canonical) => {
    const ip = parseIp(text)
    expect(ip && formatIp(ip)).toBe(canonical)
  })

  it.each([
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4 ',
    '',
    'localhost',
    '1:2:3:4:5:6:7',
    '1::2::3',
    ':::',
    '12345::',
    'fe80::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
    '1:2:3:4:5:6:7:8:9',
    '::1:2:3:4:5:6:7:8',
    '0x1.2.3.4',
    '1.2.3.-4',
    '1..2.3',
    '1.2.3.',
    '00.2.3.4',
    '1.2.3.4\n',
    '1:2:3:4:5:6:7:8::',
    '1:2:3:4:5:6:7:1.2.3.4',
    '1:2:3:4:5:6:7:8.',
    '::12345',
    '1:2:3:4:5:6:7:',
    ':1:2:3:4:5:6:7',
  ])('%j is not an address', (text) => {
    expect(parseIp(text)).toBeUndefined()
  })

  it('every value has one text', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => {
        expect(parseIp(formatIp({ family: 6, value }))).toEqual({ family: 6, value })
      }),
    )
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }), (value) => {
        expect(parseIp(formatIp({ family: 4, value }))).toEqual({ family: 4, value })
      }),
    )
  })

  it('is what others take for one, and means the same', () => {
    const group = fc.nat(65_535).map((value) => value.toString(16))
    const part = fc.oneof(
      fc.constantFrom('::', ':', '.', '0', '00', 'ffff', 'G', '12345', '255', '256', '1.2.3.4', ' '),
      group,
    )
    const octets = fc.array(fc.nat(260), { minLength: 3, maxLength: 5 }).map((each) => each.join('.'))
    const groups = fc.array(group, { maxLength: 8 }).map((each) => each.join(':'))
    const end = fc.oneof(
      groups,
      fc.tuple(groups, octets).map((each) => each.join(':')),
      octets,
    )
    let taken = 0
    const text = fc.oneof(
      fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.tuple(groups, fc.constantFrom('::', '::', ':'), end).map((parts) => parts.join('')),
      end,
    )
    fc.assert(
      fc.property(text, (one) => {
        const ip = parseIp(one)
        expect(ip?.family ?? 0).toBe(isIP(one))
        if (!ip) return
        taken++
        expect(formatIp(ip)).toBe(
          new URL(`http://${ip.family === 6 ? `[${one}]` : one}`).hostname.replace(/[[\]]/g, ''),
        )
      }),
      { numRuns: 5_000 },
    )
    expect(taken).toBeGreaterThan(100)
  })

  it.each([
    ['10.0.0.0/8', '10.0.0.0/8', true],
    ['10.0.0.1/8', '10.0.0.0/8', false],
    ['10.0.0.1', '10.0.0.1/32', true],
    ['2001:db8::/32', '2001:db8::/32', true],
    ['0.0.0.0/0', '0.0.0.0/0', true],
  ])('prefix %s', (text, canonical, exact) => {
    const read = parsePrefix(text)
    expect(read && [formatPrefix(read.prefix), read.exact]).toEqual([canonical, exact])
  })

  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08', '::/129', '/8', '10.0.0.0/8/8', '10.0.0.0/-1'])(
    '%j is not a prefix',
    (text) => {
      expect(parsePrefix(text)).toBeUndefined()
    },
  )

  it('link-local of a MAC', () => {
    expect(formatIp(linkLocalOf('02:00:00:00:09:02'))).toBe('fe80::ff:fe00:902')
    expect(formatIp(linkLocalOf('00:11:22:33:44:55'))).toBe('fe80::211:22ff:fe33:4455')
  })
})

describe('ports and MACs', () => {
  it.each([
    ['443', '443'],
    ['1-65535', '1-65535'],
    ['80-80', '80'],
  ])('%s is %s', (text, printed) => {
    const range = parsePorts(text)
    expect(range && formatPorts(range)).toBe(printed)
  })
  it.each(['0', '65536', '10-9', '1-', '-1', '08', 'https', '1 - 2', '0-10'])('%j is not a range', (text) => {
    expect(parsePorts(text)).toBeUndefined()
  })
  it('merges what overlaps or touches', () => {
    expect(
      mergePorts([
        { from: 10, to: 20 },
        { from: 1, to: 2 },
        { from: 21, to: 30 },
        { from: 15, to: 16 },
        { from: 40, to: 40 },
      ]).map(formatPorts),
    ).toEqual(['1-2', '10-30', '40'])
  })
  it('MACs', () => {
    expect(parseMac('02:AB:00:00:09:02')).toBe('02:ab:00:00:09:02')
    expect(parseMac('02-ab-00-00-09-02')).toBeUndefined()
    expect(parseMac('2:ab:00:00:09:02')).toBeUndefined()
    expect(isGroupMac('01:00:5e:00:00:01')).toBe(true)
    expect(isGroupMac('02:00:00:00:00:01')).toBe(false)
    expect([...macBytes('02:ab:00:00:09:ff')]).toEqual([2, 0xab, 0, 0, 9, 255])
  })
})

describe('reserved ranges', () => {
  it.each([
    ['93.184.216.34', 'public'],
    ['10.0.0.1', 'reserved'],
    ['100.64.0.1', 'reserved'],
    ['100.100.100.200', 'never'],
    ['100.100.100.201', 'reserved'],
    ['169.254.169.254', 'never'],
    ['168.63.129.16', 'never'],
    ['168.63.129.17', 'public'],
    ['192.0.0.192', 'never'],
    ['192.0.0.191', 'reserved'],
    ['0.1.2.3', 'never'],
    ['224.0.0.1', 'never'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'never'],
    ['223.255.255.255', 'public'],
    ['::', 'never'],
    ['::1', 'never'],
    ['::2', 'reserved'],
    ['::ffff:1.2.3.4', 'never'],
    ['::1.2.3.4', 'reserved'],
    ['64:ff9b::1', 'reserved'],
    ['2001::1', 'reserved'],
    ['2001:1::1', 'public'],
    ['2002::1', 'reserved'],
    ['fc00::1', 'reserved'],
    ['fd00:ec2::254', 'never'],
    ['fe80::1', 'never'],
    ['fec0::1', 'reserved'],
    ['ff02::1', 'never'],
    ['2606:4700::1', 'public'],
    ['3fff::1', 'reserved'],
    ['5f00::1', 'reserved'],
  ])('%s is %s', (text, expected) => {
    const ip = parseIp(text)
    expect(ip && addressClass(ip)).toBe(expected)
  })

  it.each([
    ['0.0.0.0/0', 'public'],
    ['10.0.0.0/8', 'opens'],
    ['10.5.0.0/16', 'opens'],
    ['8.0.0.0/6', 'public'],
    ['127.0.0.0/8', 'never'],
    ['169.254.169.254/32', 'never'],
    ['fd00::/16', 'opens'],
    ['::/0', 'public'],
  ])('prefix %s %s', (text, expected) => {
    const read = parsePrefix(text)
    expect(read && prefixClass(read.prefix)).toBe(expected)
  })

  it('both tables are read, and say why', () => {
    expect(NEVER.length + RESERVED.length).toBeGreaterThan(35)
    const ip = parseIp('169.254.169.254')
    expect(ip && reservedRow(ip)?.why).toBe('link-local and cloud metadata')
  })
})
