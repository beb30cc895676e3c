// The files of DOCA Argus, followed: whole lines once each, through rotation by rename, truncation, torn lines, and an end of the agent at
// any moment; and what the driver makes of them.

import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { ActivityBatch } from '../../../src/backends/backend.js'
import { argusCapabilities } from '../../../src/backends/doca-argus/capabilities.js'
import { ArgusDriver } from '../../../src/backends/doca-argus/driver.js'
import { ArgusFiles } from '../../../src/backends/doca-argus/follow.js'
import { docaArgusBackend } from '../../../src/backends/doca-argus/index.js'
import { lower } from '../../../src/backends/doca-argus/lower.js'
import { ArgusRecord, CONFIGURATION } from '../../../src/backends/doca-argus/record.js'
import { digestOfText } from '../../../src/base/digest.js'
import type { PlanSlice } from '../../../src/plan/model.js'
import { MAX_LINE } from '../../../src/process/argus.js'
import { planOf, SOURCE } from '../../support/plans.js'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
function scratch(): { logs: string; log: string; state: string } {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-argus-'))
  folders.push(folder)
  const logs = join(folder, 'reports')
  mkdirSync(join(logs, 'host-0'), { recursive: true })
  return { logs, log: join(logs, 'host-0', 'doca_argus_log.log'), state: join(folder, 'state') }
}
const all = (files: ArgusFiles): string[] => {
  const out: string[] = []
  for (;;) {
    const { lines, more } = files.look()
    out.push(...lines)
    if (!more) return out
  }
}

describe('following files', () => {
  it('leaves what was there before it was asked, and gives whole lines once', () => {
    const { logs, log } = scratch()
    writeFileSync(log, 'old\n')
    const files = new ArgusFiles(logs, undefined)
    expect(all(files)).toEqual([])
    appendFileSync(log, 'one\n\ntw')
    expect(all(files)).toEqual(['one'])
    appendFileSync(log, 'o\nthree\n')
    expect(all(files)).toEqual(['two', 'three'])
    expect(all(files)).toEqual([])
    writeFileSync(join(logs, 'other.log'), 'not ours\n')
    writeFileSync(join(logs, 'doca_argus_log_2.log'), 'new file\n')
    expect(all(files)).toEqual(['new file'])
  })
  it('reads a renamed file to its end, and the one in its place from its beginning', () => {
    const { logs, log } = scratch()
    writeFileSync(log, '')
    const files = new ArgusFiles(logs, undefined)
    appendFileSync(log, 'a\nb')
    expect(all(files)).toEqual(['a'])
    appendFileSync(log, '\nc\n')
    renameSync(log, `${log}.1`)
    writeFileSync(log, 'd\n')
    expect(all(files).sort()).toEqual(['b', 'c', 'd'])
    unlinkSync(`${log}.1`)
    appendFileSync(log, 'e\n')
    expect(all(files)).toEqual(['e'])
    for (let look = 0; look < 8; look++) files.look()
    expect(files.held()).toHaveLength(1)
  })
  it('goes on where it was with a file that was out of sight for a look', () => {
    const { logs, log } = scratch()
    const files = new ArgusFiles(logs, new Map())
    writeFileSync(log, 'a\n')
    expect(all(files)).toEqual(['a'])
    renameSync(log, `${log}.being-rotated`)
    expect(all(files)).toEqual([])
    renameSync(`${log}.being-rotated`, `${log}.1`)
    appendFileSync(`${log}.1`, 'b\n')
    expect(all(files)).toEqual(['b'])
  })
  it('passes nothing over in a file that was begun anew within a line that was too long', () => {
    const { logs, log } = scratch()
    const files = new ArgusFiles(logs, new Map())
    writeFileSync(log, 'y'.repeat(2 * MAX_LINE))
    expect(files.look().lines).toEqual([])
    truncateSync(log, 0)
    appendFileSync(log, 'first\nsecond\n')
    expect(files.look()).toEqual({ lines: ['first', 'second'], long: 0, more: false })
  })
  it('goes on where it was, and begins anew what shrank or was written over', () => {
    const { logs, log } = scratch()
    writeFileSync(log, '')
    const files = new ArgusFiles(logs, undefined)
    appendFileSync(log, 'first line\nsecond line\n')
    expect(all(files)).toEqual(['first line', 'second line'])
    appendFileSync(log, 'third\n')
    const held = new Map(files.held().map((one) => [one.file, one]))
    expect(all(new ArgusFiles(logs, held))).toEqual(['third'])
    truncateSync(log, 0)
    appendFileSync(log, 'x\n')
    expect(all(new ArgusFiles(logs, held))).toEqual(['x'])
    truncateSync(log, 0)
    appendFileSync(log, 'another content that is as long as what was there\n')
    expect(all(new ArgusFiles(logs, held))).toEqual(['another content that is as long as what was there'])
  })
  it('passes over a line that is too long, counts it, and bounds a look', () => {
    const { logs, log } = scratch()
    const files = new ArgusFiles(logs, new Map())
    writeFileSync(log, `${'x'.repeat(MAX_LINE + 1)}\nafter\n`)
    expect(files.look()).toEqual({ lines: ['after'], long: 1, more: false })
    appendFileSync(log, 'y'.repeat(3 * MAX_LINE))
    expect(files.look()).toEqual({ lines: [], long: 0, more: false })
    appendFileSync(log, 'y\nafter that\n')
    expect(files.look()).toEqual({ lines: ['after that'], long: 1, more: false })
    const many = `${'z'.repeat(999)}\n`.repeat(6_000)
    appendFileSync(log, many)
    expect(files.look().more).toBe(true)
    expect(all(files).length).toBeGreaterThan(1_500)
    expect(files.look().lines).toEqual([])
  })
  it('waits for a folder that is not there yet', () => {
    const { logs } = scratch()
    const files = new ArgusFiles(join(logs, 'later'), new Map())
    expect(files.look()).toEqual({ lines: [], long: 0, more: false })
  })
})

const never = (error: unknown): void => {
  throw error
}
const WORKSPACE = 'spiffe://example.org/workspace/dev/ws0'
function slice(generation: number): PlanSlice {
  const [entry] = planOf([]).workspaces
  if (!entry) throw new Error('no workspace')
  const process = { detects: { backend: 'doca-argus', domain: 'host' } } as const
  const slot = { ...entry.slot, kind: 'representor' as const, vuid: 'MT2306XZ00ABMLNXS0D0F0VF3' }
  return { generation, planDigest: digestOfText('plan'), source: SOURCE, workspaces: [{ ...entry, slot, process }] }
}
const line = (name: string, more: object = {}): string =>
  `${JSON.stringify({
    workload_information: { unique_identifier: 'MT2306XZ00ABMLNXS0D0F0VF3' },
    activity_data: { name },
    ...more,
  })}\n`

describe('the driver', () => {
  it('makes live what was staged, keeps flags beside it, and tells another process the same', async () => {
    const { logs, state } = scratch()
    const options = { attachInterfaces: [], stateDirectory: state, argus: { records: logs } }
    const driver = await docaArgusBackend.open(options)
    expect(argusCapabilities(await driver.probe())).toMatchObject({
      usable: true,
      slots: [],
      process: { exec: 'detects' },
    })
    expect((await driver.observe()).live).toBeNull()
    const staged = await driver.stage(docaArgusBackend.lower(slice(4)))
    expect((await driver.observe()).live).toBeNull()
    await driver.commit(staged)
    await driver.flag(WORKSPACE, 'quarantined', true)
    await driver.flag('spiffe://example.org/later', 'suspended', true)
    await driver.flag(WORKSPACE, 'quarantined', true)
    const other = await docaArgusBackend.open(options)
    expect((await other.observe()).live).toEqual({
      generation: 4,
      planDigest: digestOfText('plan'),
      workspaces: [WORKSPACE],
      quarantined: [WORKSPACE],
      suspended: ['spiffe://example.org/later'],
      learned: [],
    })
    await expect(driver.commit(staged)).rejects.toMatchObject({ code: 'ARGUS_STALE_STAGE' })
    expect(await driver.uninstall()).toHaveLength(1)
    expect((await other.observe()).live).toBeNull()
  })
  it('says what it lacks', async () => {
    const { logs, state } = scratch()
    const of = async (argus?: { records: string }) =>
      argusCapabilities(
        await new ArgusDriver({ attachInterfaces: [], stateDirectory: state, ...(argus ? { argus } : {}) }).probe(),
      )
    expect(await of()).toMatchObject({ usable: false, why: 'records: agent.yaml has no section doca_argus' })
    expect(await of({ records: join(logs, 'no') })).toMatchObject({
      usable: false,
      why: expect.stringMatching(/: ENOENT$/),
    })
  })
  it('writes a configuration that looks at the machines of the plan, with every detector on', async () => {
    const { logs, state } = scratch()
    const driver = new ArgusDriver({ attachInterfaces: [], stateDirectory: state, argus: { records: logs } })
    await driver.commit(await driver.stage(lower(slice(1))))
    expect(readFileSync(join(state, CONFIGURATION), 'utf8').split('\n').slice(1)).toEqual([
      'apsh_config:',
      '  auto_scan: false',
      '  systems:',
      '    ws-mt2306xz00abmlnxs0d0f0vf3:',
      '      dma_device_name: "mlx5_0"',
      '      representor_id: "MT2306XZ00ABMLNXS0D0F0VF3"',
      'shell_command:',
      '  disable_scan: false',
      'shell_history_cleared:',
      '  disable_scan: false',
      'shell_history_disabled:',
      '  disable_scan: false',
      '',
    ])
    expect(docaArgusBackend.render(lower({ ...slice(1), workspaces: [] }))).toContain('nobody is watched')
  })
  it('delivers what it can bind, once, counts the rest, and delivers again what was not taken', async () => {
    const { logs, log, state } = scratch()
    writeFileSync(log, line('reverse shell detected', { message_id: 'before' }))
    const options = { attachInterfaces: [], stateDirectory: state, argus: { records: logs } }
    const driver = new ArgusDriver(options)
    await driver.commit(await driver.stage(lower(slice(1))))
    const batches: ActivityBatch[] = []
    const gather = (wanted: number) => (batch: ActivityBatch) => {
      batches.push(batch)
      if (batches.flatMap(({ activities }) => activities).length >= wanted) arrived?.()
      return Promise.resolve()
    }
    let arrived: (() => void) | undefined
    const there = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const stop = await driver.activities(gather(2), never)
    appendFileSync(
      log,
      [
        line('Reverse Shell Detected', { message_id: 'a' }),
        line('Reverse Shell Detected', { message_id: 'a' }),
        '{"torn": \n',
        line('process created', { workload_information: { unique_identifier: 'somebody else' } }),
        line('a later kind', { message_id: 'b' }),
      ].join(''),
    )
    await there
    await stop()
    const activities = batches.flatMap((batch) => batch.activities)
    expect(
      activities.map(({ workspace, boundBy, record }) => [workspace, boundBy, record.id, record.activity]),
    ).toEqual([
      [WORKSPACE, 'identifier', 'a', 'reverse-shell'],
      [WORKSPACE, 'identifier', 'b', 'other'],
    ])
    expect(batches.reduce((sum, { lost }) => sum + lost, 0)).toBe(1)
    expect((await driver.observe()).drops).toEqual({
      'argus-twice': 1n,
      'argus-not-json': 1n,
      'argus-unbound': 1n,
      'argus-unknown': 1n,
    })
    // Whoever fails to take a batch is given it again by the next process.
    appendFileSync(log, line('shell history cleared', { message_id: 'c' }))
    const refused = new ArgusDriver(options)
    const failure = await new Promise((resolve) => {
      void refused.activities(() => Promise.reject(new TypeError('not now')), resolve)
    })
    expect(failure).toEqual(new TypeError('not now'))
    const again: ActivityBatch[] = []
    await new Promise<void>((resolve, reject) => {
      const running = new ArgusDriver(options).activities((batch) => {
        again.push(batch)
        void running.then((end) => end()).then(resolve, reject)
        return Promise.resolve()
      }, never)
    })
    expect(again.flatMap((batch) => batch.activities.map(({ record }) => record.id))).toEqual(['c'])
  })
  it('takes records that were torn for none', () => {
    const { state } = scratch()
    mkdirSync(state, { recursive: true })
    for (const name of ['live.json', 'flags.json', 'read.json'])
      writeFileSync(join(state, name), '{"generation": 1, "pos')
    const record = new ArgusRecord(state)
    expect([record.live(), record.flags(), record.positions()]).toEqual([
      undefined,
      { quarantined: [], suspended: [] },
      undefined,
    ])
  })
})
