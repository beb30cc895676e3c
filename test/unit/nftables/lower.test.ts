// A plan as a program: which objects a grant becomes, what is not made, and what is refused. The text is nft's own, so the
// kernel suites judge what it means; here it is what must be there, and what must never be.

import { describe, expect, it } from 'vitest'
import type { Probed } from '../../../src/backends/backend.js'
import { capabilities, FEATURES } from '../../../src/backends/nftables/capabilities.js'
import { nftablesBackend } from '../../../src/backends/nftables/index.js'
import { packTuples } from '../../../src/backends/nftables/kernel-set.js'
import { commentOf, lower } from '../../../src/backends/nftables/lower.js'
import { markOf } from '../../../src/backends/nftables/mark.js'
import { durationOf, loadPieces, PIECE_ELEMENTS, switchScript } from '../../../src/backends/nftables/script.js'
import { clauseOf, ID, nameRule, sliceOf } from '../../support/nftables/slices.js'

const names = (program: ReturnType<typeof lower>): string[] => program.workspaces[0]?.sets.map(({ name }) => name) ?? []
const rules = (program: ReturnType<typeof lower>, chain: string): readonly string[] =>
  program.workspaces[0]?.chains.find(({ name }) => name === chain)?.rules ?? []

describe('lower', () => {
  it('makes nothing for a workspace without grants but the chains that refuse', () => {
    const program = lower(sliceOf(7, {}))
    expect(names(program)).toEqual([])
    expect(program.workspaces[0]?.chains.map(({ name }) => name)).toEqual([
      'from',
      'from_ports',
      'from_r',
      'to',
      'to_r',
      'nd',
    ])
    expect(rules(program, 'from').at(-1)).toBe('goto echo_none')
    expect(rules(program, 'from_ports').at(-1)).toBe('goto refuse_from')
    expect(rules(program, 'to').at(-1)).toBe('goto t_no_flow')
    expect(rules(program, 'from_r')).toEqual(['goto f_no_grant'])
  })

  it('puts exact grants, ranges, opened ranges, echo, ingress and clauses into sets of their own', () => {
    const program = lower(
      sliceOf(7, {
        egress: [
          'tcp 45.76.10.10 443',
          'tcp 2a05:9:9::10 443',
          'tcp 0.0.0.0/0 80-90',
          'tcp 45.76.0.0/16 85',
          'tcp 10.50.0.0/24 5432',
          'tcp 10.50.0.1 5432',
          'icmp-echo 8.8.8.8',
          'icmp-echo 10.0.0.0/8',
        ],
        ingress: ['tcp 10.60.0.1 22', 'tcp 10.60.0.0/16 22', 'icmp-echo 10.60.0.1'],
        names: ['a.example'],
      }),
    )
    const held = Object.fromEntries(program.workspaces[0]?.sets.map(({ name, elements }) => [name, elements]) ?? [])
    expect(held).toEqual({
      x4: ['10.50.0.1 . tcp . 5432', '45.76.10.10 . tcp . 443'],
      r4_0: ['0.0.0.0/0 . tcp . 80-90'],
      r4_1: ['45.76.0.0/16 . tcp . 85'],
      x6: ['2a05:9:9::10 . tcp . 443'],
      or4_0: ['10.50.0.0/24 . tcp . 5432'],
      er4_0: ['8.8.8.8'],
      pr4_0: ['10.0.0.0/8'],
      ix4: ['10.60.0.1 . tcp . 22'],
      ir4_0: ['10.60.0.0/16 . tcp . 22'],
      jr4_0: ['10.60.0.1'],
      c: [`0x${markOf(clauseOf('a.example')).toString(16)}`],
    })
    expect(program.workspaces[0]?.sets.find(({ name }) => name === 'r4_1')?.grants).toEqual([
      'egress/tcp/45.76.0.0/16/85',
    ])
  })

  it('asks the exact set before the reserved ranges, and the ranges after them', () => {
    const from = rules(lower(sliceOf(7, { egress: ['tcp 10.50.0.1 5432', 'tcp 0.0.0.0/0 80-90'] })), 'from_ports')
    const at = (part: string): number => from.findIndex((rule) => rule.includes(part))
    expect(at('@%x4')).toBeLessThan(at('@never4'))
    expect(at('@never4')).toBeLessThan(at('@reserved4'))
    expect(at('@reserved4')).toBeLessThan(at('@%r4_0'))
    expect(from.find((rule) => rule.startsWith('ip daddr @reserved4'))).toBe('ip daddr @reserved4 goto f_reserved')
  })

  it('does not let a host grant open a reserved address that the plan does not open', () => {
    const slice = sliceOf(7, { egress: ['tcp 10.50.0.1 5432'] })
    const closed = structuredClone(slice) as unknown as { workspaces: { network: { egress: { opens: boolean }[] } }[] }
    for (const grant of closed.workspaces[0]?.network.egress ?? []) grant.opens = false
    expect(names(lower(closed as never))).toEqual([])
  })

  it('says who is attached, where, until when', () => {
    const program = lower(sliceOf(7, {}, { onExpiry: 'hold' }, 1_000_000))
    expect(program.shared.attached).toEqual([
      '"ws0" comment "spiffe://example.org/workspace/ws0"',
      '"ws1" comment "spiffe://example.org/workspace/ws1"',
    ])
    expect(program.shared.slot6).toContain('"ws0" . 02:00:00:00:09:02 . fe80::ff:fe00:902')
    expect(program.shared.dst6).not.toContain('"ws0" . fe80::ff:fe00:902')
    expect(program.arp).toContain('"ws0" . 02:00:00:00:09:02 . 02:00:00:00:09:02 . 0.0.0.0 . 10.9.0.2')
    expect(program.workspaces.map(({ deadlineMs }) => deadlineMs)).toEqual([1_000_000, null])
    const script = switchScript(program, 'b', 400_000)
    expect(script).toContain('add element inet sluice live { "ws0" timeout 0d600s0ms, "ws1" }\n')
    expect(switchScript(program, 'b', 1_000_000)).toContain('add element inet sluice live { "ws1" }\n')
    expect(script).toContain('add element inet sluice from_ws { "ws0" : goto w0_g7b_from, "ws1" : goto w1_g7b_from }\n')
    expect(script).toContain(`add element inet sluice gen { 7 comment "${program.planDigest}" }\n`)
  })

  it('keeps comments of long and strange workspace ids within what an element holds', () => {
    expect(commentOf('spiffe://a"b\\c\n')).toBe('spiffe://a_b_c_')
    expect(commentOf(`spiffe://${'x'.repeat(200)}/end`)).toHaveLength(127)
    expect(commentOf(`spiffe://${'x'.repeat(200)}/end`)).toMatch(/x\/end$/)
  })

  it('refuses an interface that is none, and two clauses of one mark', () => {
    const slice = sliceOf(7, {})
    const bad = structuredClone(slice) as unknown as { workspaces: { slot: { interface: string } }[] }
    for (const workspace of bad.workspaces) workspace.slot.interface = 'ws0"; flush ruleset'
    expect(() => lower(bad as never)).toThrow(expect.objectContaining({ code: 'NFT_INTERFACE_NAME' }))
    const [a, b] = [`sha256:abcdef01${'0'.repeat(56)}`, `sha256:abcdef01${'1'.repeat(56)}`] as const
    const twins = structuredClone(slice) as unknown as { workspaces: { network: { names: unknown[] } }[] }
    twins.workspaces[0]?.network.names.push(
      { ...nameRule('a.example'), clause: a },
      { ...nameRule('b.example'), clause: b },
    )
    expect(() => lower(twins as never)).toThrow(
      expect.objectContaining({ code: 'NFT_MARK_COLLISION', message: expect.stringContaining(`${a}, ${b}`) }),
    )
  })

  it('never gives a clause the mark of static flows', () => {
    expect(markOf(`sha256:00000000${'f'.repeat(56)}`)).toBe(1)
    expect(markOf(`sha256:ffffffff${'0'.repeat(56)}`)).toBe(0xffffffff)
  })
})

describe('scripts', () => {
  it('loads in pieces, so that a flag never waits behind a long transaction', () => {
    const egress = Array.from({ length: 5_500 }, (_, i) => `tcp 52.0.${i >> 8}.${i & 255} 443`)
    const pieces = [...loadPieces(lower(sliceOf(7, { egress })), '')]
    const keys = pieces.flatMap((piece) => ('set' in piece ? [piece] : []))
    expect(keys.length).toBe(11)
    for (const { set, elements } of keys) {
      expect(elements.length).toBeLessThanOrEqual(PIECE_ELEMENTS)
      expect(set).toMatch(/^w0_g7_x4$/)
    }
    expect(keys.flatMap(({ elements }) => elements)).toHaveLength(5_500)
    // Nothing that judges packets now is touched, and a set is there before its keys.
    const [first] = pieces
    const text = pieces.map((piece) => ('script' in piece ? piece.script : '')).join('')
    expect(first).toMatchObject({ script: expect.stringContaining('add set inet sluice w0_g7_x4 ') })
    expect(text).not.toMatch(/(?:element|set|map|chain) inet sluice (?!w\d+_g7_)/)
  })

  it('loads a few elements as text, which can be read', () => {
    const [piece, ...rest] = loadPieces(lower(sliceOf(7, { egress: ['tcp 52.0.0.1 443'] })), '')
    expect(rest).toEqual([])
    expect(piece).toMatchObject({ script: expect.stringContaining('w0_g7_x4 { 52.0.0.1 . 6 . 443 }') })
  })

  it('packs keys as the kernel keeps them', () => {
    expect([...packTuples(['52.0.1.2 . tcp . 443', '9.9.9.9 . udp . 53'])]).toEqual([
      ...[52, 0, 1, 2, 6, 0, 0, 0, 1, 187, 0, 0],
      ...[9, 9, 9, 9, 17, 0, 0, 0, 0, 53, 0, 0],
    ])
    expect([...packTuples(['2600::1 . tcp . 8443'])]).toEqual([
      0x26,
      0,
      ...Array(13).fill(0),
      1,
      6,
      0,
      0,
      0,
      32,
      251,
      0,
      0,
    ])
  })

  it.each([
    [1, '0d0s1ms'],
    [0, '0d0s1ms'],
    [-5, '0d0s1ms'],
    [1500.9, '0d1s500ms'],
    [86_400_000, '1d0s0ms'],
    [9e18, '36500d0s0ms'],
  ])('writes %d ms as nft reads it', (ms, text) => {
    expect(durationOf(ms)).toBe(text)
  })
})

describe('render', () => {
  it('shows sets with their grants, chains and the switch', () => {
    const text = nftablesBackend.render(nftablesBackend.lower(sliceOf(7, { egress: ['tcp 45.76.10.10 443'] })))
    expect(text.split('\n').slice(0, 8)).toEqual([
      '# generation 7',
      expect.stringMatching(/^# plan sha256:[0-9a-f]{64}$/),
      'table inet sluice {',
      `  # ${ID} on ws0, suspended at 2100-01-01T00:00:00.000Z`,
      '  set w0_g7_x4 { type ipv4_addr . inet_proto . inet_service; counter',
      '    45.76.10.10 . tcp . 443 # egress/tcp/45.76.10.10/32/443',
      '  }',
      '  chain w0_g7_from {',
    ])
    expect(text).toContain('    "ws0" : goto w0_g7_from\n')
    expect(text).not.toContain('%')
  })
})

describe('capabilities', () => {
  const probed = (no: readonly string[]): Probed => ({
    backend: 'nftables',
    trustDomain: 'host',
    probes: FEATURES.map((feature) => ({
      feature,
      answer: no.includes(feature) ? 'could-not-tell' : 'yes',
      why: `${feature} was tried`,
    })),
  })

  it('is usable when everything answered yes, and not for one feature less', () => {
    expect(capabilities(probed([]))).toMatchObject({
      usable: true,
      flowState: 'conntrack',
      deadline: 'element-timeout',
    })
    for (const feature of FEATURES)
      expect(capabilities(probed([feature]))).toMatchObject({ usable: false, why: `${feature}: ${feature} was tried` })
    expect(capabilities({ ...probed([]), probes: [] })).toMatchObject({ usable: false })
  })
})
