// The table of the life of a workspace, row by row: every state with every operation, what each order of steps promises, and that no
// way out of it leaves a machine that could run without a fence.

import { describe, expect, it } from 'vitest'
import {
  CHANGES,
  LIFECYCLE,
  preempts,
  STATES,
  STEPS,
  type Step,
  wayOf,
} from '../../../src/companion/lifecycle/operations.js'

const ways = STATES.flatMap((state) =>
  CHANGES.flatMap((change) => {
    const way = wayOf(state, change)
    return typeof way === 'string' ? [] : [{ state, change, way: way }]
  }),
)
const inOrder = (steps: readonly Step[], ...wanted: readonly Step[]): boolean => {
  const places = wanted.map((step) => steps.lastIndexOf(step))
  return places.every((place, i) => place >= 0 && (i === 0 || place > (places[i - 1] ?? -1)))
}

it('says for every state and operation where it leads, or why it may not be', () => {
  const said = Object.fromEntries(
    STATES.map((state) => [
      state,
      CHANGES.map((change) => {
        const way = wayOf(state, change)
        return `${change}: ${typeof way === 'string' ? way : `${way.to} by ${way.steps.join(' ') || 'nothing'}`}`
      }),
    ]),
  )
  const up = 'released prepare attach policy evidence run'
  const kill = 'fence end sessions detach unplug'
  const revoke = 'fence sessions halt detach unplug'
  expect(said).toEqual({
    absent: [
      'create: stopped by layer',
      ...['start: unknown', 'stop: unknown', 'rebake: unknown', 'revoke: unknown'],
      `kill: absent by ${kill}`,
      'delete: unknown',
      'reclaim: absent by end detach unplug',
    ],
    stopped: [
      'create: exists',
      `start: running by ${up}`,
      'stop: stopped by nothing',
      'rebake: stopped by renew sweep',
      `revoke: revoked by ${revoke}`,
      `kill: killed by ${kill}`,
      'delete: absent by end detach unplug erase',
      'reclaim: stopped by end detach unplug',
    ],
    running: [
      'create: exists',
      'start: running by nothing',
      'stop: stopped by halt detach unplug',
      `rebake: running by halt detach unplug renew sweep ${up}`,
      `revoke: revoked by ${revoke}`,
      `kill: killed by ${kill}`,
      'delete: runs',
      'reclaim: stopped by end detach unplug',
    ],
    revoked: [
      'create: exists',
      `start: running by ${up}`,
      'stop: revoked by nothing',
      'rebake: taken-away',
      `revoke: revoked by ${revoke}`,
      `kill: killed by ${kill}`,
      'delete: absent by end detach unplug erase',
      'reclaim: revoked by end detach unplug',
    ],
    killed: [
      'create: exists',
      `start: running by ${up}`,
      'stop: killed by nothing',
      'rebake: taken-away',
      `revoke: killed by ${revoke}`,
      `kill: killed by ${kill}`,
      'delete: absent by end detach unplug erase',
      'reclaim: killed by end detach unplug',
    ],
  })
})

describe('every way', () => {
  it.each(ways)('$state: $change has known steps', ({ way }) => {
    for (const step of [...way.steps, ...(way.undo?.steps ?? [])]) expect(STEPS).toHaveProperty(step)
  })

  it('that lets CPUs run has attached, judged and proved the slot first, and is taken back machine first', () => {
    const running = ways.filter(({ way }) => way.steps.includes('run'))
    expect(running.map(({ state, change }) => `${state} ${change}`)).toEqual([
      'stopped start',
      'running rebake',
      'revoked start',
      'killed start',
    ])
    for (const { way } of running) {
      expect(inOrder(way.steps, 'released', 'prepare', 'attach', 'policy', 'evidence', 'run')).toBe(true)
      expect(way.steps.at(-1)).toBe('run')
      expect(inOrder(way.undo?.steps ?? [], 'end', 'detach', 'unplug')).toBe(true)
      expect(way.undo?.to).not.toBe('running')
    }
  })

  it('that gives a slot back has ended the machine first', () => {
    for (const { way } of ways)
      if (way.steps.includes('detach'))
        expect(inOrder(way.steps, 'end', 'detach') || inOrder(way.steps, 'halt', 'detach')).toBe(true)
  })

  it('that takes authority away fences before anything else, and gives nothing up half way', () => {
    for (const { change, way } of ways.filter(({ change }) => preempts(change))) {
      expect([change, way.steps[0], way.undo]).toEqual([change, 'fence', undefined])
      expect(way.steps).toContain('sessions')
      expect(inOrder(way.steps, 'fence', change === 'kill' ? 'end' : 'halt')).toBe(true)
    }
  })

  it('that only stops a machine never fences: a stop is no quarantine', () => {
    for (const { change, way } of ways)
      if (change === 'stop' || change === 'rebake') expect(way.steps).not.toContain('fence')
  })
})

it('never refuses a kill', () => {
  for (const state of STATES) expect(typeof LIFECYCLE[state].kill).toBe('object')
})
