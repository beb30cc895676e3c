// What comes back from the kernel: elements as nft's JSON has them, live flows, logged packets, the ruleset's structure. All of
// it is read as values here; the kernel suites show that the kernel says the same.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readDenial } from '../../../src/backends/nftables/denials.js'
import { flowJudge, type LiveFlow } from '../../../src/backends/nftables/flows.js'
import { Lane } from '../../../src/backends/nftables/lane.js'
import { lower } from '../../../src/backends/nftables/lower.js'
import { markOf } from '../../../src/backends/nftables/mark.js'
import { ipOf, octetsOf } from '../../../src/backends/nftables/octets.js'
import { readElement } from '../../../src/backends/nftables/readback.js'
import { type LiveRecord, livePattern } from '../../../src/backends/nftables/record.js'
import { isComparable, type KernelObject, structureDigest } from '../../../src/backends/nftables/ruleset.js'
import { formatIp, parseIp } from '../../../src/base/ip.js'
import { ipPacket } from '../../support/frames.js'
import { WS, WS2 } from '../../support/lab/addresses.js'
import { clauseOf, ID, ID2, sliceOf } from '../../support/nftables/slices.js'

describe('elements read back', () => {
  it.each([
    [
      { elem: { val: { concat: ['45.76.10.10', 6, 443] }, counter: { packets: 3, bytes: 180 } } },
      '45.76.10.10 . tcp . 443',
    ],
    [
      { concat: [{ prefix: { addr: '45.76.10.0', len: 24 } }, 'udp', { range: [20, 30] }] },
      '45.76.10.0/24 . udp . 20-30',
    ],
    [{ concat: ['ws0', '45.76.10.10', 17, 53] }, 'ws0 . 45.76.10.10 . udp . 53'],
    ['2a05:9:9:0::10', '2a05:9:9::10'],
    [{ prefix: { addr: '::', len: 0 } }, '::/0'],
    [{ range: ['10.0.0.1', '10.0.0.9'] }, '10.0.0.1-10.0.0.9'],
    [7, '7'],
  ])('%j', (element, key) => {
    expect(readElement(element).key).toBe(key)
  })

  it('keeps counters, comments, expiry and the value of a map', () => {
    expect(
      readElement({ elem: { val: 7, comment: 'sha256:aa', expires: 12, counter: { packets: 3, bytes: 180 } } }),
    ).toEqual({
      key: '7',
      comment: 'sha256:aa',
      expiresS: 12,
      packets: 3n,
      bytes: 180n,
    })
    expect(readElement(['ws0', { goto: { target: 'w0_g1_from' } }])).toMatchObject({
      key: 'ws0',
      value: 'goto w0_g1_from',
    })
  })
})

describe('live flows', () => {
  const program = lower(
    sliceOf(1, {
      egress: [
        'tcp 45.76.10.10 443',
        'tcp 45.77.0.0/16 80-90',
        'tcp 0.0.0.0/0 22',
        'tcp 10.50.0.0/24 5432',
        'icmp-echo 8.8.8.8',
      ],
      ingress: ['tcp 10.60.0.1 2222'],
      names: ['a.example'],
      services: [{ name: 'dns', address: WS.gateway4, protocol: 'udp', port: 53 }],
    }),
  )
  const keep = flowJudge(program.workspaces)
  const flow = (from: string, to: string, protocol: LiveFlow['protocol'], destinationPort: number, mark = 0): boolean =>
    keep({ source: parseIp(from) as never, destination: parseIp(to) as never, protocol, destinationPort, mark })

  it.each([
    ['an exact grant', WS.v4, '45.76.10.10', 'tcp', 443, true],
    ['another port', WS.v4, '45.76.10.10', 'tcp', 444, false],
    ['another protocol', WS.v4, '45.76.10.10', 'udp', 443, false],
    ['a range', WS.v4, '45.77.3.4', 'tcp', 90, true],
    ['beyond a range', WS.v4, '45.77.3.4', 'tcp', 91, false],
    ['the whole internet', WS.v4, '93.184.216.34', 'tcp', 22, true],
    ['a reserved address, not opened', WS.v4, '10.51.0.1', 'tcp', 22, false],
    ['a reserved address, opened', WS.v4, '10.50.0.9', 'tcp', 5432, true],
    ['metadata', WS.v4, '169.254.169.254', 'tcp', 22, false],
    ['echo', WS.v4, '8.8.8.8', 'icmp-echo', 77, true],
    ['echo elsewhere', WS.v4, '8.8.4.4', 'icmp-echo', 77, false],
    ['its resolver', WS.v4, WS.gateway4, 'udp', 53, true],
    ['granted ingress', '10.60.0.1', WS.v4, 'tcp', 2222, true],
    ['other ingress', '10.60.0.2', WS.v4, 'tcp', 2222, false],
    ['the neighbour, who grants nothing', WS.v4, WS2.v4, 'tcp', 22, false],
    ['something else', WS.v4, '45.76.10.10', 'other', 0, false],
    ["other people's", '45.76.9.1', '45.76.9.2', 'tcp', 9, true],
  ] as const)('%s', (_, from, to, protocol, port, kept) => {
    expect(flow(from, to, protocol, port)).toBe(kept)
  })

  it('lives by its clause when it was learnt, and never by that of another workspace', () => {
    const mark = markOf(clauseOf('a.example'))
    expect(flow(WS.v4, '93.184.216.34', 'tcp', 443, mark)).toBe(true)
    expect(flow(WS.v4, '93.184.216.34', 'tcp', 443, mark ^ 1)).toBe(false)
    expect(flow(WS2.v4, '93.184.216.34', 'tcp', 443, mark)).toBe(false)
  })
})

describe('logged packets', () => {
  const live: LiveRecord = {
    generation: 9,
    planDigest: clauseOf('plan'),
    tag: '',
    structure: '',
    elements: {},
    workspaces: [
      { workspace: ID, interface: 'ws0', addresses: [WS.v4, WS.v6], clauses: [] },
      { workspace: ID2, interface: 'ws1', addresses: [WS2.v4], clauses: [] },
    ],
  }
  function record(prefix: string, from: string, to: string, packet: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(208)
    const put = (text: string, at: number): void => bytes.set(new TextEncoder().encode(text), at)
    put(from, 0)
    put(to, 16)
    put(prefix, 32)
    const view = new DataView(bytes.buffer)
    view.setBigUint64(64, 1_700_000_000_123_456_789n, true)
    const data = packet.subarray(0, 128)
    view.setUint16(74, data.length, true)
    bytes.set(data, 80)
    return bytes
  }
  const syn = ipPacket({ source: WS.v4, destination: '93.184.216.34', payload: { kind: 'tcp', from: 40000, to: 443 } })

  it('gives workspace, reason, tuple and time', () => {
    expect(readDenial(record('sluice:no-grant:f', 'ws0', 'up0', syn), live)).toEqual({
      atMs: 1_700_000_000_123,
      workspace: ID,
      direction: 'from',
      reason: 'no-grant',
      protocol: 6,
      source: WS.v4,
      destination: '93.184.216.34',
      sourcePort: 40000,
      destinationPort: 443,
      generation: 9,
    })
  })

  it('finds the workspace by address where the interface says nothing', () => {
    const spoofed = record('sluice:spoof:f', 'up0', '', syn)
    expect(readDenial(spoofed, live)).toMatchObject({ workspace: ID, reason: 'spoof' })
    const towards = ipPacket({ source: '8.8.8.8', destination: WS2.v4, payload: { kind: 'udp', from: 53, to: 9 } })
    expect(readDenial(record('sluice:fragment:t', 'up0', '', towards), live)).toMatchObject({
      workspace: ID2,
      direction: 'to',
      reason: 'fragment',
    })
  })

  it('has no ports for a later fragment', () => {
    const later = ipPacket({
      source: WS.v4,
      destination: '8.8.8.8',
      fragment: { more: false, offset: 64 },
      payload: { kind: 'udp', from: 1, to: 2 },
    })
    const denial = readDenial(record('sluice:fragment:f', 'ws0', '', later), live)
    expect(denial).toMatchObject({ protocol: 17 })
    expect(denial).not.toHaveProperty('destinationPort')
  })

  it('is nothing when it is not ours, not a reason, or of no workspace', () => {
    expect(readDenial(record('other:no-grant:f', 'ws0', '', syn), live)).toBeUndefined()
    expect(readDenial(record('sluice:because:f', 'ws0', '', syn), live)).toBeUndefined()
    expect(readDenial(record('sluice:no-grant:f', 'eth7', '', syn.subarray(0, 12)), live)).toBeUndefined()
    expect(readDenial(record('sluice:no-grant:f', 'ws0', '', syn), null)).toBeUndefined()
  })

  it('never throws, whatever a workspace sends', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 128 }), (packet) => {
        const denial = readDenial(record('sluice:malformed:f', 'ws0', '', packet), live)
        if (denial) expect(parseIp(denial.source)).toBeDefined()
      }),
      { numRuns: 500 },
    )
  })
})

describe('structure', () => {
  const octets = (text: string): Uint8Array => new TextEncoder().encode(text)
  const named = (name: string, handle: number) => ({ family: 'inet', table: 'sluice', name, handle })
  const rule = (chain: string, _handle: number, text: string): KernelObject => ({
    rule: { family: 'inet', table: 'sluice', chain, expr: undefined },
    octets: octets(text),
  })
  const chain = (name: string, handle: number, text = ''): KernelObject => ({
    chain: named(name, handle),
    octets: octets(text),
  })
  const set = (name: string): KernelObject => ({ set: named(name, 0), octets: octets('set') })
  const members = (name: string, text: string): KernelObject => ({ members: { name }, octets: octets(text) })
  const counter: KernelObject = { counter: { ...named('c_spoof', 0), packets: 4, bytes: 9 }, octets: octets('') }
  const live = livePattern(3, 'a')

  it('is the same whatever the handles, the order of chains, the counters and the generations beside it', () => {
    const one = [chain('a', 1), chain('b', 2), rule('a', 3, 'accept'), rule('b', 4, 'drop')]
    const two = [
      chain('b', 7),
      rule('b', 9, 'drop'),
      chain('a', 8),
      rule('a', 10, 'accept'),
      chain('w0_g4a_from', 11),
      chain('w0_g3b_from', 12),
      chain('l2_ws0', 13),
      counter,
      // The set of a rule of another generation.
      rule('w0_g4a_from', 14, 'dport __set7'),
      set('__set7'),
      members('__set7', '53'),
    ]
    expect(structureDigest(two, live)).toBe(structureDigest(one, live))
  })

  it('differs for another rule, another order of rules, a chain more, and a change in the live generation', () => {
    const base = [chain('a', 1), rule('a', 3, 'accept'), rule('a', 4, 'drop'), chain('w0_g3a_from', 5)]
    const digests = [
      base,
      [chain('a', 1), rule('a', 3, 'drop'), rule('a', 4, 'accept'), chain('w0_g3a_from', 5)],
      [...base, chain('evil', 9)],
      [...base, rule('w0_g3a_from', 9, 'accept')],
      base.slice(0, 3),
      [chain('a', 1, 'policy'), ...base.slice(1)],
    ].map((objects) => structureDigest(objects, live))
    expect(new Set(digests).size).toBe(6)
  })

  it('has the members of the sets that its rules were written with', () => {
    const base = [chain('a', 1), rule('a', 3, 'dport __set0 drop'), set('__set0')]
    const digests = [
      [...base, members('__set0', '53, 853')],
      [...base, members('__set0', '53')],
      [...base, members('__set0', '53'), set('__map1'), members('__map1', 'of nobody')],
    ].map((objects) => structureDigest(objects, live))
    expect([digests[0] === digests[1], digests[1] === digests[2]]).toEqual([false, true])
  })

  it('of an earlier release is compared with nothing', () => {
    expect([
      isComparable(structureDigest([], live)),
      isComparable(`sha256:${'a'.repeat(64)}`),
      isComparable(''),
    ]).toEqual([true, false, false])
  })
})

describe('small parts', () => {
  it('addresses survive being octets', () => {
    for (const text of ['0.0.0.0', '45.76.10.10', '255.255.255.255', '::', '2a05:9:9::10', 'fe80::ff:fe00:902']) {
      const ip = parseIp(text)
      expect(formatIp(ipOf(octetsOf(ip), 0, ip?.family ?? 4))).toBe(text)
    }
    expect(octetsOf(undefined)).toHaveLength(0)
  })

  it('a lane runs one job at a time, in order, past a failure', async () => {
    const lane = new Lane()
    const seen: string[] = []
    const job =
      (name: string, fails = false) =>
      async (): Promise<string> => {
        seen.push(`${name} begins`)
        await new Promise((done) => setTimeout(done, 2))
        seen.push(`${name} ends`)
        if (fails) throw new Error(name)
        return name
      }
    const results = await Promise.allSettled([lane.run(job('a')), lane.run(job('b', true)), lane.run(job('c'))])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
    await lane.idle()
  })
})
