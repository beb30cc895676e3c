// When a running agent acts: every event against the clock, and the properties that keep it from sleeping or spinning.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decidePulse, firstPulse, idleMs, PULSE, type Pulse, type PulseEvent } from '../../../src/agent/loop-decide.js'

const T = PULSE
const at = (pulse: Pulse, event: PulseEvent, nowMs: number) => decidePulse(pulse, event, nowMs)
const time: PulseEvent = { kind: 'time' }
const changed: PulseEvent = { kind: 'changed' }
const swept = (finding: 'nothing-held' | 'as-planned' | 'absent' | 'drifted'): PulseEvent => ({
  kind: 'swept',
  finding,
})

describe('time', () => {
  it('tends and sweeps at once after the start, and each again when it is due', () => {
    const first = at(firstPulse(100), time, 100)
    expect(first.acts).toEqual(['tend', 'sweep'])
    expect(at(first.pulse, time, 100 + T.tendMs - 1).acts).toEqual([])
    expect(idleMs(first.pulse, 100)).toBe(T.tendMs)
    const second = at(first.pulse, time, 100 + T.tendMs)
    expect(second.acts).toEqual(['tend'])
    expect(at(second.pulse, time, 100 + T.sweepMs).acts).toEqual(['tend', 'sweep'])
  })
  it('does once what was missed many times', () => {
    const { pulse } = at(firstPulse(0), time, 0)
    const late = at(pulse, time, 1_000_000)
    expect(late.acts).toEqual(['tend', 'sweep', 'beat'])
    expect(idleMs(late.pulse, 1_000_000)).toBe(T.tendMs)
  })
})

describe('a change that the kernel announces', () => {
  it('brings the sweep forward, and a flood of them brings one', () => {
    let { pulse } = at(firstPulse(0), time, 0)
    for (let ms = 1; ms <= 10; ms++) pulse = at(pulse, changed, ms).pulse
    expect(pulse.sweepAtMs).toBe(1 + T.settleMs)
    expect(at(pulse, time, 1 + T.settleMs).acts).toEqual(['sweep'])
  })
  it('does not get round the pause after a failed repair', () => {
    const { pulse } = at(firstPulse(0), { kind: 'repair-failed' }, 1_000)
    expect(at(pulse, changed, 1_001).pulse.sweepAtMs).toBe(1_000 + T.retryMs)
  })
})

describe('what a sweep found', () => {
  it.each(['as-planned', 'nothing-held'] as const)('%s: nothing is done, and failures are forgotten', (finding) => {
    const failed = at(firstPulse(0), { kind: 'sweep-failed' }, 0).pulse
    expect(at(failed, swept(finding), 500)).toEqual({
      pulse: { ...failed, failures: 0, notBeforeMs: 0 },
      acts: [],
    })
  })
  it.each(['drifted', 'absent'] as const)('%s: it is repaired at once, and looked at again soon', (finding) => {
    const { pulse, acts } = at(firstPulse(0), swept(finding), 10)
    expect(acts).toEqual(['repair'])
    expect(at({ ...pulse, sweepAtMs: 5_000 }, { kind: 'repaired' }, 20).pulse.sweepAtMs).toBe(20 + T.settleMs)
  })
  it('repairs that fail are tried at growing distances, up to the longest', () => {
    let pulse = firstPulse(0)
    const waits: number[] = []
    for (let i = 0; i < 12; i++) {
      const nowMs = pulse.notBeforeMs
      pulse = at(pulse, { kind: 'repair-failed' }, nowMs).pulse
      waits.push(pulse.notBeforeMs - nowMs)
      expect(at(pulse, swept('drifted'), pulse.notBeforeMs - 1).acts).toEqual([])
      expect(at(pulse, swept('drifted'), pulse.notBeforeMs).acts).toEqual(['repair'])
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000])
  })
})

const anyEvent: fc.Arbitrary<PulseEvent> = fc.oneof(
  fc.constantFrom<PulseEvent>(time, changed, { kind: 'sweep-failed' }, { kind: 'repaired' }, { kind: 'repair-failed' }),
  fc.constantFrom('nothing-held' as const, 'as-planned' as const, 'absent' as const, 'drifted' as const).map(swept),
)

it('whatever happens, the next look is never further away than the longest wait, and time alone never repairs', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyEvent, fc.nat(20_000))), (history) => {
      let pulse = firstPulse(0)
      let nowMs = 0
      for (const [event, ms] of history) {
        nowMs += ms
        const decided = at(pulse, event, nowMs)
        pulse = decided.pulse
        if (event.kind !== 'swept') expect(decided.acts).not.toContain('repair')
        expect(pulse.sweepAtMs - nowMs).toBeLessThanOrEqual(Math.max(T.sweepMs, T.longestMs))
        expect(pulse.tendAtMs - nowMs).toBeLessThanOrEqual(T.tendMs)
      }
    }),
  )
})
