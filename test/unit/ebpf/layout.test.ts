// The layout that C and the agent share, compared through what the C compiler says of every struct; and the constants that
// stand in both languages.

import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { EBPF_FAULTS } from '../../../src/backends/ebpf/errors.js'
import { lastUseful } from '../../../src/backends/ebpf/fence.js'
import * as layout from '../../../src/backends/ebpf/layout.js'
import { Native, nativePath } from '../../../src/backends/ebpf/native.js'
import { CONTROL_PLANE_PORTS, DNS_PORTS } from '../../../src/base/reserved.js'
import { DROP_REASONS } from '../../../src/plan/state.js'
import { repositoryPath } from '../../support/lab/repository.js'

const source = (name: string): string => readFileSync(repositoryPath('src/native/bpf', name), 'utf8')
const built = existsSync(nativePath('libsluice_ebpf.so'))

describe('layout', () => {
  it('is what the C compiler made', (context) => {
    if (!built) context.skip('make native has not been run')
    const lines = Native.open().text('reading the layout', 'layout', 65_536).trim().split('\n')
    const said = new Map(lines.map((line) => line.trim().split(' ')).map(([name, ...rest]) => [name, rest] as const))
    for (const [name, { size, fields }] of Object.entries(layout.STRUCTS)) {
      const [length, ...places] = said.get(name) ?? []
      expect(Number(length), name).toBe(size)
      expect(
        Object.fromEntries(places.map((place) => place.split('=')).map(([field, at]) => [field, Number(at)])),
      ).toEqual(fields)
      said.delete(name)
    }
    const constants = Object.fromEntries([...said].map(([name, [value]]) => [name, Number(value)]))
    expect(constants).toEqual({
      FENCE_LAYOUT: layout.FENCE_LAYOUT,
      FENCE_TENANTS: layout.MAX_TENANTS,
      FENCE_CLAUSES: layout.LEARNED_CLAUSES,
      FENCE_DROPS: DROP_REASONS.length,
      FENCE_COUNTS: DROP_REASONS.length + layout.COUNTS_AFTER_REASONS.length,
      FENCE_FLOWS_LEAST: layout.FLOWS.least,
      FENCE_FLOWS_MOST: layout.FLOWS.most,
    })
  })

  it('numbers reasons and refusals as C does', () => {
    const header = source('fence.h')
    const members = (name: string): string[] => {
      const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(header)?.[1] ?? ''
      return [...body.replace(/\/\*.*?\*\//gs, '').matchAll(/FENCE_(\w+)/g)].map((match) => match[1] as string)
    }
    const dashed = (list: readonly string[]): string[] =>
      list.map((name) =>
        name
          .toLowerCase()
          .replace(/_/g, '-')
          .replace(/-destination$|-of-flow$/, ''),
      )
    expect(dashed(members('fence_drop').slice(0, -1))).toEqual([...DROP_REASONS])
    expect(dashed(members('fence_allow'))).toEqual([...layout.ALLOW_REASONS])
    expect(dashed(members('fence_refusal'))).toEqual([...layout.REFUSALS])
    expect(members('fence_kind').map((name) => name.replace('KIND_', '').toLowerCase())).toEqual(
      Object.keys(layout.KIND),
    )
  })

  it('knows the same ports by number', () => {
    const body = /missing_grant\(.*?\n\}/s.exec(source('fence_judge.h'))?.[0] ?? ''
    const ports = [...body.matchAll(/port == (\d+)/g)].map((match) => Number(match[1]))
    expect(ports).toEqual([...DNS_PORTS, ...CONTROL_PLANE_PORTS])
  })
})

describe('a refusal of the verifier', () => {
  it('reaches the user as its last useful line', () => {
    const log = `libbpf: prog 'fence_from': BPF program load failed: Permission denied
libbpf: prog 'fence_from': -- BEGIN PROG LOAD LOG --
0: (bf) r6 = r1
; if (p->kind == KIND_ARP)
12: (71) r1 = *(u8 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 0
-- END PROG LOAD LOG --
libbpf: failed to load program 'fence_from'
libbpf: failed to load object 'fence.bpf.o'`
    expect(lastUseful(log)).toBe("R0 invalid mem access 'map_value_or_null'")
    expect(EBPF_FAULTS.EBPF_LOAD_REFUSED.say({ errno: 'EACCES', last: lastUseful(log), log })).toBe(
      "the kernel refused the fence program (EACCES): R0 invalid mem access 'map_value_or_null'",
    )
  })

  it('says what the library says when the verifier said nothing', () => {
    expect(lastUseful("libbpf: map 'ranges': failed to create: Operation not permitted(-1)\n")).toBe(
      "map 'ranges': failed to create: Operation not permitted(-1)",
    )
    expect(lastUseful('')).toBe('no reason given')
  })
})
