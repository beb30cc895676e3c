// Filters as the kernel takes them: octets of one message checked against the numbers of the kernel's headers, every rule that is
// written read back as it was, cookies both ways, and where rules lie in software and in hardware.

import { describe, expect, it } from 'vitest'
import {
  type Cookie,
  clauseMark,
  cookieOctets,
  readCookie,
  switchMark,
} from '../../../src/backends/tc-flower/cookie.js'
import { lower } from '../../../src/backends/tc-flower/lower.js'
import {
  chainEnds,
  flagRule,
  lastRule,
  type Ports,
  PRIO,
  rulesOf,
  stationsOf,
  switchRule,
} from '../../../src/backends/tc-flower/place.js'
import { type Rule, readRule, writeRemoval, writeRule } from '../../../src/backends/tc-flower/rule.js'
import { attributesIn, messagesIn, Writer } from '../../../src/backends/tc-flower/wire.js'
import { hex } from '../../../src/base/bytes.js'
import { digestOfText } from '../../../src/base/digest.js'
import { parsePrefix } from '../../../src/base/ip.js'
import { sliceFor } from '../../../src/plan/codec.js'
import { egress, ingress, planOf, WS_MAC } from '../../support/plans.js'

const prefix = (text: string) => {
  const read = parsePrefix(text)?.prefix
  if (!read) throw new Error(text)
  return read
}
const RULE: Rule = {
  ifindex: 7,
  hook: 'ingress',
  chain: 9,
  priority: 13,
  handle: 2,
  match: {
    etherType: 'ip',
    protocol: 6,
    destination: prefix('45.76.0.0/16'),
    destinationPort: { value: 80, mask: 0xfff0 },
  },
  action: { kind: 'redirect', ifindex: 3 },
  place: 'hardware',
  cookie: { kind: 'grant', ordinal: 5 },
}
const written = (rule: Rule): Uint8Array => {
  const writer = new Writer()
  writeRule(writer, rule)
  return writer.bytes()
}
const read = (rule: Rule) => {
  const [message] = messagesIn(written(rule))
  return message && readRule(message.payload)
}

describe('tc-flower: messages', () => {
  it('have the numbers of the kernel', () => {
    const bytes = written(RULE)
    const text = hex(bytes)
    // RTM_NEWTFILTER, NLM_F_REQUEST | ACK | EXCL | CREATE, numbered 1.
    expect(text.slice(8, 24)).toBe('2c00050601000000')
    // tcmsg: interface 7, handle 2, ingress of clsact, priority 13 above the ethertype in network order.
    expect(text.slice(32, 72)).toBe('000000000700000002000000f2ffffff08000d00')
    const options = attributesIn(attributesIn(bytes.subarray(36)).get(2) ?? new Uint8Array())
    expect(hex(options.get(12) ?? new Uint8Array())).toBe('2d4c0000')
    expect(hex(options.get(13) ?? new Uint8Array())).toBe('ffff0000')
    expect(hex(options.get(19) ?? new Uint8Array())).toBe('0050')
    expect(hex(options.get(36) ?? new Uint8Array())).toBe('fff0')
    expect(hex(options.get(22) ?? new Uint8Array())).toBe('02000000')
    const action = attributesIn(attributesIn(options.get(3) ?? new Uint8Array()).get(1) ?? new Uint8Array())
    expect(new TextDecoder().decode(action.get(1))).toBe('mirred\0')
    // TC_ACT_STOLEN, TCA_EGRESS_REDIR, interface 3.
    const parameters = attributesIn(action.get(2) ?? new Uint8Array()).get(2) ?? new Uint8Array()
    expect(hex(parameters)).toBe(`${'00000000'.repeat(2)}04000000${'00000000'.repeat(2)}0100000003000000`)
  })
  it('are read as they were written', () => {
    expect(read(RULE)).toMatchObject({
      chain: 9,
      priority: 13,
      handle: 2,
      etherType: 0x0800,
      cookie: RULE.cookie,
      inHardware: false,
      packets: 0n,
    })
    expect(read(RULE)?.substance).toBe(read({ ...RULE })?.substance)
  })
  it('differ in substance wherever they differ in what they do', () => {
    const others: Rule[] = [
      { ...RULE, match: { ...RULE.match, protocol: 17 } },
      { ...RULE, match: { ...RULE.match, destinationPort: { value: 80, mask: 0xffff } } },
      { ...RULE, match: { ...RULE.match, fragment: false } },
      { ...RULE, action: { kind: 'pass' } },
      { ...RULE, action: { kind: 'redirect', ifindex: 4 } },
      { ...RULE, action: { kind: 'goto', chain: 10 } },
      { ...RULE, place: 'both' },
      { ...RULE, cookie: { kind: 'grant', ordinal: 6 } },
    ]
    const said = [RULE, ...others].map((rule) => read(rule)?.substance)
    expect(new Set(said).size).toBe(said.length)
  })
  it('stand one after another, numbered, in a buffer that grows', () => {
    const writer = new Writer()
    for (let i = 0; i < 300; i++) writeRule(writer, { ...RULE, handle: i + 1 })
    writeRemoval(writer, { ifindex: 7, hook: 'egress', chain: 9, priority: 13, etherType: 'ip' })
    const found = messagesIn(writer.bytes())
    expect(writer.count).toBe(301)
    expect(found).toHaveLength(301)
    expect(found.slice(0, 300).map(({ payload }) => readRule(payload)?.handle)).toEqual(
      Array.from({ length: 300 }, (_, i) => i + 1),
    )
    expect(found[300]?.type).toBe(45)
  })
  it('end where they are cut short', () => {
    const bytes = written(RULE)
    for (let length = 0; length < bytes.length; length++) expect(messagesIn(bytes.subarray(0, length))).toEqual([])
  })
})

describe('tc-flower: cookies', () => {
  const clause = digestOfText('clause')
  const cookies: readonly Cookie[] = [
    { kind: 'switch', generation: 4_000_000_000, digest: switchMark(digestOfText('plan')) },
    { kind: 'flag', quarantined: true, suspended: false },
    { kind: 'flag', quarantined: false, suspended: true },
    { kind: 'drop', reason: 'never' },
    { kind: 'grant', ordinal: 99_999 },
    { kind: 'learned', expiresAtMs: 4_102_444_800_123, clause: clauseMark(clause) },
    { kind: 'plain' },
  ]
  it('say what they were given', () => {
    for (const cookie of cookies) expect(readCookie(cookieOctets(cookie))).toEqual(cookie)
  })
  it('of somebody else are nobody of ours', () => {
    expect(readCookie(undefined)).toBeUndefined()
    expect(readCookie(new Uint8Array(16))).toBeUndefined()
    expect(readCookie(new Uint8Array(4))).toBeUndefined()
    expect(readCookie(cookieOctets({ kind: 'plain' }).map((octet, i) => (i === 2 ? 99 : octet)))).toBeUndefined()
  })
})

describe('tc-flower: places', () => {
  const SOFTWARE: Ports = { slot: 7, number: 0 }
  const HARDWARE: Ports = { slot: 7, uplink: 3, number: 2 }
  const [at] = lower(
    (() => {
      const plan = planOf([
        egress('web', ['93.184.216.34'], 'tcp', ['443']),
        ingress('ssh', ['45.76.0.0/16'], 'tcp', ['22']),
      ])
      return { ...sliceFor(plan, 'memory', 1), workspaces: plan.workspaces }
    })(),
  ).workspaces
  if (!at) throw new Error('no workspace')
  const all = (ports: Ports): Rule[] =>
    stationsOf(ports, WS_MAC).flatMap((station) => [
      lastRule(station, ports),
      switchRule(station, ports, 1, { generation: 1, planDigest: digestOfText('plan') }),
      flagRule(station, ports, { quarantined: true, suspended: false }),
      ...chainEnds(station, ports, 1, []),
      ...rulesOf(at, station, ports, 1),
    ])

  it('in software are the two hooks of the slot, and nothing is offered to hardware', () => {
    const rules = all(SOFTWARE)
    expect(new Set(rules.map(({ ifindex }) => ifindex))).toEqual(new Set([7]))
    expect(new Set(rules.map(({ place }) => place))).toEqual(new Set(['software']))
    expect(rules.some(({ action }) => action.kind === 'redirect')).toBe(false)
  })
  it('in hardware let out by redirection that software never does', () => {
    const rules = all(HARDWARE)
    const out = rules.filter(({ action }) => action.kind === 'redirect')
    expect(out.length).toBeGreaterThan(0)
    expect(new Set(out.map(({ place }) => place))).toEqual(new Set(['hardware']))
    for (const { ifindex, action } of out)
      expect([ifindex, action.kind === 'redirect' && action.ifindex]).toEqual(ifindex === 7 ? [7, 3] : [3, 7])
  })
  it('pick a workspace out of the uplink by its address on the link, and close nothing else there', () => {
    const atUplink = all(HARDWARE).filter(({ ifindex, chain }) => ifindex === 3 && chain === 0)
    expect(atUplink.map(({ priority }) => priority).sort((a, b) => a - b)).toEqual([PRIO.flag, PRIO.switch, PRIO.last])
    for (const { match, handle } of atUplink) expect([match, handle]).toEqual([{ destinationMac: WS_MAC }, 3])
    expect(stationsOf(HARDWARE, '').map(({ side }) => side)).toEqual(['from', 'own'])
  })
  it('never share a chain between workspaces or generations', () => {
    const used = new Set<string>()
    for (const number of [0, 1, 2])
      for (const turn of [0, 1] as const)
        for (const station of stationsOf({ slot: 100 + number, uplink: 3, number }, WS_MAC))
          for (const { ifindex, hook, chain } of chainEnds(station, HARDWARE, turn, [])) {
            const key = `${ifindex} ${hook} ${chain}`
            expect(used.has(key)).toBe(false)
            used.add(key)
          }
  })
  it('end every chain in a refusal', () => {
    for (const ports of [SOFTWARE, HARDWARE])
      for (const station of stationsOf(ports, WS_MAC)) {
        const ends = chainEnds(station, ports, 0, [])
        const rules = rulesOf(at, station, ports, 0)
        for (const { chain, priority, action } of rules) {
          const end = ends.find((one) => one.chain === chain)
          expect(end?.action).toEqual({ kind: 'drop' })
          expect(priority).toBeLessThan(end?.priority ?? 0)
          if (action.kind === 'goto') expect(ends.some((one) => one.chain === action.chain)).toBe(true)
        }
      }
  })
})
