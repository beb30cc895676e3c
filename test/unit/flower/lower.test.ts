// What becomes of grants as filters: blocks of ports, what reserved ranges keep out and in which order, which chains there are,
// and the whole of one small program as text.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lower } from '../../../src/backends/tc-flower/lower.js'
import { portBlocks } from '../../../src/backends/tc-flower/ports.js'
import { type FlowerWorkspace, PRIORITY, SIXTH } from '../../../src/backends/tc-flower/program.js'
import { render } from '../../../src/backends/tc-flower/render.js'
import { formatPrefix } from '../../../src/base/ip.js'
import { sliceFor } from '../../../src/plan/codec.js'
import type { Plan } from '../../../src/plan/model.js'
import { egress, ingress, planOf } from '../../support/plans.js'

const programOf = (plan: Plan) => lower({ ...sliceFor(plan, 'memory', 7), workspaces: plan.workspaces })
const only = (plan: Plan): FlowerWorkspace => {
  const [at] = programOf(plan).workspaces
  if (!at) throw new Error('no workspace')
  return at
}
const chain = (at: FlowerWorkspace, side: 'from' | 'to', name: string) =>
  at[side].find((one) => one.name === `${side} ${name}`)?.filters ?? []
/** What is let out, as `45.76.0.0/16 6 80/0xfff0`. */
const out = (at: FlowerWorkspace): string[] =>
  chain(at, 'from', 'grants')
    .filter(({ action }) => action.kind === 'out')
    .map(
      ({ match }) =>
        `${match.destination ? formatPrefix(match.destination) : ''} ${match.protocol} ${match.destinationPort ? `${match.destinationPort.value}/0x${match.destinationPort.mask.toString(16)}` : 'any'}`,
    )

describe('tc-flower: blocks of ports', () => {
  it('are as large as they are aligned, and hold every port of the range once', () => {
    expect(portBlocks({ from: 443, to: 443 })).toEqual([{ value: 443, mask: 0xffff }])
    expect(portBlocks({ from: 8000, to: 8100 })).toEqual([
      { value: 8000, mask: 0xffc0 },
      { value: 8064, mask: 0xffe0 },
      { value: 8096, mask: 0xfffc },
      { value: 8100, mask: 0xffff },
    ])
  })
  it('hold exactly the ports of any range', () => {
    for (const [from, to] of [
      [1, 65_535],
      [0, 1],
      [1, 52],
      [54, 852],
      [32_767, 32_769],
      [65_535, 65_535],
    ] as const) {
      const blocks = portBlocks({ from, to })
      expect(blocks.length).toBeLessThanOrEqual(30)
      for (let port = 0; port <= 65_535; port++) {
        const held = blocks.filter((block) => block && (port & block.mask) === block.value).length
        if (held !== (port >= from && port <= to ? 1 : 0)) throw new Error(`${port} of ${from}-${to}: ${held} blocks`)
      }
    }
  })
  it('are no condition when every port is granted', () => {
    expect(portBlocks({ from: 0, to: 65_535 })).toEqual([undefined])
  })
})

describe('tc-flower: grants', () => {
  it('stand before nothing where no reserved range is reached', () => {
    const at = only(planOf([egress('web', ['93.184.216.34'], 'tcp', ['443'])]))
    expect(chain(at, 'from', 'grants').map(({ priority }) => priority)).toEqual([PRIORITY.granted])
  })
  it('keep out what nothing opens, let in what is opened, keep out the rest of it, in this order', () => {
    const at = only(
      planOf([egress('any', ['0.0.0.0/0'], 'tcp', ['443']), egress('lan', ['10.50.0.0/24'], 'tcp', ['22'])]),
    )
    const filters = chain(at, 'from', 'grants')
    const order = filters.map(({ priority }) => priority)
    expect(order).toEqual([...order].sort((a, b) => a - b))
    const reasons = filters.flatMap(({ action }) => (action.kind === 'drop' ? [action.reason] : []))
    expect(reasons.filter((reason) => reason === 'never')).toHaveLength(8)
    expect(reasons.filter((reason) => reason === 'reserved')).toHaveLength(14)
    const metadata = filters.find(
      ({ match }) => match.destination && formatPrefix(match.destination) === '169.254.0.0/16',
    )
    expect(metadata).toMatchObject({ priority: PRIORITY.never, action: { kind: 'drop', reason: 'never' } })
  })
  it('are one filter where two meet, of the narrower one', () => {
    const at = only(
      planOf([egress('a', ['45.76.0.0/16'], 'tcp', ['80-81']), egress('b', ['45.76.0.0/16'], 'tcp', ['80'])]),
    )
    expect(out(at)).toEqual(['45.76.0.0/16 6 80/0xffff', '45.76.0.0/16 6 80/0xfffe'])
    const twice = only(
      planOf([egress('a', ['45.76.0.0/16'], 'tcp', ['80-81']), egress('b', ['45.76.0.0/16'], 'tcp', ['80-83'])]),
    )
    expect(out(twice)).toEqual(['45.76.0.0/16 6 80/0xfffe', '45.76.0.0/16 6 80/0xfffc'])
  })
  it('of IPv6 lie at priorities of their own', () => {
    const at = only(planOf([egress('six', ['2a05:9:9::/48', '45.76.0.0/16'], 'udp', ['514'])]))
    expect(chain(at, 'from', 'grants').map(({ priority }) => priority)).toEqual([
      PRIORITY.granted,
      PRIORITY.granted + SIXTH,
    ])
  })
})

describe('tc-flower: chains', () => {
  it('are as many as there is something to ask', () => {
    const names = (plan: Plan) => {
      const at = only(plan)
      return [...at.from, ...at.to].map(({ name }) => name)
    }
    expect(names(planOf([]))).toEqual(['from sources', 'from grants', 'to destinations', 'to grants'])
    expect(names(planOf([egress('web', ['93.184.216.34'], 'tcp', ['443'])]))).toContain('to answers')
    expect(names(planOf([ingress('ssh', ['45.76.10.0/24'], 'tcp', ['22'])]))).toContain('from answers')
  })
  it('only ever lead to higher ones, and without a grant lead nowhere', () => {
    const at = only(
      planOf([
        egress('web', ['0.0.0.0/0', '::/0'], 'tcp', ['1-65535']),
        ingress('ping', ['0.0.0.0/0'], 'icmp-echo', []),
      ]),
    )
    for (const { number, filters } of [...at.from, ...at.to])
      for (const { action } of filters) if (action.kind === 'goto') expect(action.chain).toBeGreaterThan(number)
    const closed = only(planOf([]))
    const leads = [...closed.from, ...closed.to].flatMap(({ filters }) =>
      filters.filter(({ action }) => action.kind === 'goto' || action.kind === 'out'),
    )
    expect(leads).toEqual([])
  })
  it('of one priority are of one ethertype, as the kernel demands', () => {
    const at = only(
      planOf([egress('web', ['0.0.0.0/0', '::/0'], 'tcp', ['443']), ingress('i', ['10.60.0.1/32'], 'udp', ['53'])]),
    )
    const kinds = new Map<string, Set<string | undefined>>()
    for (const one of [...at.from, ...at.to, at.own])
      for (const { priority, match } of one.filters) {
        const key = `${one.name} ${priority}`
        kinds.set(key, (kinds.get(key) ?? new Set()).add(match.etherType))
      }
    for (const [key, types] of kinds) expect([key, types.size]).toEqual([key, 1])
  })
})

it('tc-flower: a small program as text', () => {
  const plan = planOf([
    egress('web', ['93.184.216.34', '2a05:9:9::/48'], 'tcp', ['443', '8000-8100']),
    egress('lan', ['10.50.0.0/24'], 'udp', ['514']),
    ingress('ssh', ['45.76.10.0/24'], 'tcp', ['22']),
    egress('ping', ['93.184.216.34'], 'icmp-echo'),
  ])
  const file = join(import.meta.dirname, 'expected/program.txt')
  const text = render(programOf(plan))
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, text)
  expect(text).toBe(readFileSync(file, 'utf8'))
})
