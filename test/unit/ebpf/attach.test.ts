// Patterns of interfaces, as in attach.interfaces of agent.yaml.

import { describe, expect, it } from 'vitest'
import { matches } from '../../../src/backends/ebpf/attach.js'

describe('matches', () => {
  it.each([
    ['ws0', ['ws*'], true],
    ['ws', ['ws*'], true],
    ['aws0', ['ws*'], false],
    ['tap7', ['ws*', 'tap7'], true],
    ['tap71', ['tap7'], false],
    ['vm-a-tap', ['vm-*-tap'], true],
    ['vm-tap', ['vm-*-tap'], false],
    ['abcabc', ['a*b*c'], true],
    ['ac', ['a*b*c'], false],
    ['lo', [], false],
    ['anything', ['*'], true],
  ] as const)('%s against %j: %s', (name, patterns, expected) => {
    expect(matches(name, patterns)).toBe(expected)
  })
})
