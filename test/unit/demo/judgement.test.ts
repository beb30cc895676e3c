// What the demo concludes from: rows that differ make it fail and are named, a swallowed segment is found whichever way it went,
// a repeated one is not mistaken for it, and a silence is measured.

import { afterEach, describe, expect, it, vi } from 'vitest'
import { finish, printTable, type Row } from '../../../scripts/demo/report.js'
import { longestGap, segmentOf, swallowed, towards } from '../../../scripts/demo/tcp-flow.js'
import { because, either, expected } from '../../../scripts/demo/terms.js'
import { ipFrame } from '../../support/frames.js'
import type { SeenFrame } from '../../support/lab/wire.js'

const row = (probe: string, ok: boolean): Row => ({
  group: 'granted',
  probe,
  expected: 'allowed',
  observed: ok ? 'allowed' : 'refused',
  clause: 'git_forge',
  ok,
})

const printed: string[] = []
const capture = () =>
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed.push(String(text))
    return true
  })

afterEach(() => {
  vi.restoreAllMocks()
  printed.length = 0
})

describe('report', () => {
  it('ends with exit 0 and the count when all is as expected', () => {
    capture()
    expect(finish([row('one', true), row('two', true)])).toBe(0)
    expect(printed.join('')).toBe('demo: 2 probes, 0 unexpected\n')
  })

  it('names what was unexpected and exits 1', () => {
    capture()
    expect(finish([row('one', true), row('two', false)])).toBe(1)
    expect(printed.join('')).toBe(
      'unexpected: granted: two: expected allowed, observed refused (git_forge)\ndemo: 2 probes, 1 unexpected\n',
    )
  })

  it('marks the row in the table', () => {
    capture()
    printTable([row('one', true), row('two', false)])
    const lines = printed.join('').split('\n')
    expect(lines.find((line) => line.includes('two'))).toMatch(/refused {2,}git_forge {3}UNEXPECTED/)
    expect(lines.find((line) => line.includes('one'))).not.toContain('UNEXPECTED')
  })
})

describe('what a backend declares', () => {
  const exact = { silent: false, stateless: false, denials: 'all' } as const
  const card = { silent: true, stateless: true, denials: 'unallowed' } as const

  it('changes nothing about a backend that declares nothing', () => {
    expect(expected({ expect: 'refused' }, exact)).toEqual({ expect: 'refused', by: '' })
    expect(expected({ expect: 'dropped', stateless: 'allowed' }, exact)).toEqual({ expect: 'dropped', by: '' })
    expect(because('no-grant', either(false, 'reset', 'open', 'refusals: silent'))).toBe('no-grant')
  })

  it('is what a probe is judged by, and stands in its row', () => {
    expect(expected({ expect: 'refused' }, card)).toEqual({ expect: 'dropped', by: 'refusals: silent' })
    expect(expected({ expect: 'dropped', stateless: 'allowed' }, card)).toEqual({
      expect: 'allowed',
      by: 'flowState: none',
    })
    expect(expected({ expect: 'allowed' }, card)).toEqual({ expect: 'allowed', by: '' })
    const notice = either(true, 'reset', 'open', 'refusals: silent')
    expect([notice.expect, because('no-grant', notice)]).toEqual(['open', 'no-grant; refusals: silent'])
  })
})

const data = new Uint8Array(10)
const seen = (way: 'in' | 'out', atMs: number, back = false, flags = 0x18): SeenFrame => {
  const [source, destination] = back ? ['10.9.0.2', '45.76.10.10'] : ['45.76.10.10', '10.9.0.2']
  const [from, to] = back ? [40_000, 443] : [443, 40_000]
  const bytes = ipFrame({ source, destination, payload: { kind: 'tcp', from, to, flags, data } })
  return { atMs, way, length: bytes.length, bytes }
}

describe('one connection on the wire', () => {
  it('reads ends, numbers, payload and resets', () => {
    expect(segmentOf(seen('in', 5, false, 0x14))).toEqual({
      atMs: 5,
      source: '45.76.10.10',
      sourcePort: 443,
      destinationPort: 40_000,
      reset: true,
      sequence: 1000,
      payload: 10,
    })
    expect(segmentOf({ atMs: 1, way: 'in', length: 10, bytes: new Uint8Array(10) })).toBeUndefined()
  })

  it('finds the segment that vanished on the way in, and on the way out', () => {
    expect(swallowed([], [seen('out', 1)], 40_000, 10)).toBe(1)
    expect(swallowed([seen('out', 1, true)], [], 40_000, 10)).toBe(1)
    expect(swallowed([seen('in', 2)], [seen('out', 1)], 40_000, 10)).toBe(0)
  })

  it('counts a repeated segment as there only when each copy arrived', () => {
    const twice = [seen('out', 1), seen('out', 2)]
    expect(swallowed([seen('in', 1), seen('in', 2)], twice, 40_000, 10)).toBe(0)
    expect(swallowed([seen('in', 2)], twice, 40_000, 10)).toBe(1)
  })

  it('leaves alone other connections and what was sent after the end', () => {
    expect(swallowed([], [seen('out', 1)], 40_001, 10)).toBe(0)
    expect(swallowed([], [seen('out', 11)], 40_000, 10)).toBe(0)
  })

  it('measures the longest silence', () => {
    const frames = [seen('in', 1), seen('in', 4), seen('in', 14), seen('in', 15)]
    expect(longestGap(towards(frames, 40_000))).toBe(10)
    expect(longestGap([])).toBe(0)
  })
})
