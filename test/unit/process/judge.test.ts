// The evaluator: records against a slice, with clause and reaction; and which workspace a record is about.

import { describe, expect, it } from 'vitest'
import { digestOfText } from '../../../src/base/digest.js'
import type { ProcessSlice } from '../../../src/plan/model.js'
import { type ActivityRecord, isMemoryOnly, isShell, type ProcessDetails } from '../../../src/process/activity.js'
import { bindWorkload } from '../../../src/process/binding.js'
import { judgeActivity, SUSPICIONS } from '../../../src/process/judge.js'
import { ENTRY } from '../../support/plans.js'

const [EXEC, ACTS, USERS] = [digestOfText('exec'), digestOfText('activities'), digestOfText('users')]
const PINNED = digestOfText('node')
const SLICE: ProcessSlice = {
  exec: {
    clause: EXEC,
    reaction: 'kill',
    allow: [{ path: '/usr/bin/bash' }, { path: '/usr/bin/node', digest: PINNED }],
  },
  users: { clause: USERS, uids: [1000] },
  activities: {
    clause: ACTS,
    reaction: 'quarantine',
    kinds: ['memory-only', 'reverse-shell', 'shell', 'shell-history'],
  },
}
const { exec: _, ...OPEN } = SLICE

const workload = { macs: [], addresses: [] }
const start = (
  path: string,
  more: Partial<ActivityRecord> = {},
  process: Partial<ProcessDetails> = {},
): ActivityRecord => ({
  activity: 'process-started',
  said: 'process created',
  workload,
  process: { pid: 7, path, uid: 1000, ...process },
  ...more,
})
const did = (activity: ActivityRecord['activity']): ActivityRecord => ({ activity, said: activity, workload })
const of = (slice: ProcessSlice | undefined, record: ActivityRecord) => {
  const found = judgeActivity(slice, record)
  return found && [found.kind, found.clause, found.reaction]
}

describe('judgeActivity', () => {
  it('finds nothing in what is allowed, and nothing at all where no clause speaks', () => {
    expect(of(SLICE, start('/usr/bin/bash'))).toBeUndefined()
    expect(of(SLICE, start('/usr/bin/node', {}, { digest: PINNED }))).toBeUndefined()
    expect(of(undefined, start('/tmp/evil'))).toBeUndefined()
    expect(of({}, did('reverse-shell'))).toBeUndefined()
    expect(of(SLICE, did('connection'))).toBeUndefined()
    expect(of(SLICE, did('other'))).toBeUndefined()
  })
  it('suspects what is not listed, with the reaction of that clause', () => {
    expect(of(SLICE, start('/tmp/evil'))).toEqual(['unlisted', EXEC, 'kill'])
    expect(of(SLICE, start('/usr/bin/node', {}, { digest: digestOfText('x') }))).toEqual(['digest', EXEC, 'kill'])
    expect(of(SLICE, start('/memfd:x (deleted)'))).toEqual(['memory-only', EXEC, 'kill'])
    expect(of(OPEN, start('/usr/bin/x (deleted)'))).toEqual(['memory-only', ACTS, 'quarantine'])
  })
  it('only tells of a content that nobody looked at, unless it was refused for it', () => {
    expect(of(SLICE, start('/usr/bin/node'))).toEqual(['digest-unknown', EXEC, 'observe'])
    expect(of(SLICE, start('/usr/bin/node', { refused: 'digest-unknown' }))).toEqual(['digest-unknown', EXEC, 'kill'])
  })
  it('tells of what the kernel refused although a file of that name is listed', () => {
    expect(of(SLICE, start('/usr/bin/bash', { refused: 'unlisted' }))).toEqual(['unlisted', EXEC, 'kill'])
    expect(of(OPEN, start('/usr/bin/node', { refused: 'unlisted' }))).toBeUndefined()
  })
  it.each(['quarantined', 'suspended'])('only tells of what was refused because the workspace is %s', (refused) => {
    expect(of(SLICE, start('/usr/bin/bash', { refused }))).toEqual([refused, EXEC, 'observe'])
    expect(of(SLICE, start('/tmp/evil', { refused }))).toEqual([refused, EXEC, 'observe'])
    expect(of(SLICE, start('/memfd:x (deleted)', { refused }))).toEqual([refused, EXEC, 'observe'])
    expect(of(OPEN, start('/usr/bin/zsh', { refused }))).toBeUndefined()
  })
  it('suspects a listed shell that talks over the network', () => {
    expect(of(SLICE, start('/usr/bin/bash', { remote: true }))).toEqual(['reverse-shell', ACTS, 'quarantine'])
    expect(of(SLICE, start('/usr/bin/node', { remote: true }, { digest: PINNED }))).toBeUndefined()
    expect(of(SLICE, did('reverse-shell'))).toEqual(['reverse-shell', ACTS, 'quarantine'])
  })
  it('suspects shells, histories and users where a clause asks for it', () => {
    expect(of(OPEN, start('/usr/bin/zsh'))).toEqual(['shell', ACTS, 'quarantine'])
    expect(of(OPEN, did('shell-history-cleared'))).toEqual(['shell-history', ACTS, 'quarantine'])
    expect(of(OPEN, did('shell-history-disabled'))).toEqual(['shell-history', ACTS, 'quarantine'])
    expect(of(SLICE, start('/usr/bin/bash', {}, { uid: 0 }))).toEqual(['user', USERS, 'observe'])
    expect(of({ exec: SLICE.exec as never }, start('/usr/bin/bash', { remote: true }))).toBeUndefined()
    expect(of({ activities: { ...OPEN.activities, kinds: [] } as never }, did('reverse-shell'))).toBeUndefined()
  })
  it('says nothing of a record without a program', () => {
    expect(of(SLICE, { ...did('process-started') })).toBeUndefined()
    expect(of(SLICE, start(''))).toBeUndefined()
  })
  it('knows shells and programs without a file by their paths', () => {
    expect(['/bin/sh', 'bash', '/x/zsh'].map(isShell)).toEqual([true, true, true])
    expect(['/bin/shx', '/sh/x', ''].map(isShell)).toEqual([false, false, false])
    expect(['/memfd:a', '/tmp/a (deleted)', '/tmp/a', '/memfd'].map(isMemoryOnly)).toEqual([true, true, false, false])
  })
  it('says something of every suspicion', () => {
    for (const [kind, text] of Object.entries(SUSPICIONS)) {
      expect(text.title.length, kind).toBeGreaterThan(10)
      if ('technique' in text) expect(text.technique.technique.uid).toMatch(/^T\d{4}$/)
    }
  })
})

describe('bindWorkload', () => {
  const { workspace, slot } = ENTRY
  const other = { workspace: 'spiffe://example.org/workspace/dev/other', slot: { ...slot, mac: '02:00:00:00:0a:02' } }
  const identifiers = new Map([['vm-7', workspace]])
  const at = (more: Partial<ActivityRecord['workload']>) =>
    bindWorkload({ ...workload, ...more }, identifiers, [ENTRY, other])

  it('binds by the name that the fence gave', () => {
    expect(at({ id: 'vm-7', macs: [other.slot.mac], addresses: ['10.9.0.2'] })).toEqual({ workspace, by: 'identifier' })
  })
  it('binds by MAC and address together, and by neither alone', () => {
    expect(at({ id: 'x', macs: [slot.mac], addresses: ['10.9.0.2'] })).toEqual({ workspace, by: 'interfaces' })
    expect(at({ macs: [slot.mac] })).toBeUndefined()
    expect(at({ addresses: ['10.9.0.2'] })).toBeUndefined()
    expect(at({ id: 'vm-8' })).toBeUndefined()
  })
  it('binds to nobody where two fit', () => {
    expect(at({ macs: [slot.mac, other.slot.mac], addresses: ['10.9.0.2'] })).toBeUndefined()
  })
})
