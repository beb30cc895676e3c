// `exec-sensor` on this machine's kernel: real programs in a cgroup, told with their files, users, arguments and what stands at their
// standard input, and judged; programs outside are not told. The sensor outlives its agent, and leaves nothing behind.

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ActivityBatch } from '../../src/backends/backend.js'
import { sensorCapabilities } from '../../src/backends/exec-sensor/capabilities.js'
import { SensorDriver } from '../../src/backends/exec-sensor/driver.js'
import { lower } from '../../src/backends/exec-sensor/lower.js'
import { cgroupRoot } from '../../src/backends/tracing/cgroups.js'
import { digestOfText } from '../../src/base/digest.js'
import type { PlanSlice, ProcessSlice } from '../../src/plan/model.js'
import { judgeActivity } from '../../src/process/judge.js'
import { until } from '../support/agent/running.js'
import { planOf, SOURCE } from '../support/plans.js'

const root = cgroupRoot()
const GROUP = `sluice-sensor-${process.pid}`
const PINS = ['/sys/fs/bpf/sluice/sensor-1', '/run/sluice/bpf/sluice/sensor-1']
const SHELL = realpathSync('/bin/sh')
const PYTHON = realpathSync('/usr/bin/python3')
const TRUE = realpathSync('/bin/true')
const CAT = realpathSync('/bin/cat')
const CLAUSE = digestOfText('exec')
const PINNED = `sha256:${createHash('sha256').update(readFileSync(CAT)).digest('hex')}` as const

const PROCESS: ProcessSlice = {
  detects: { backend: 'exec-sensor', domain: 'host' },
  exec: {
    clause: CLAUSE,
    reaction: 'observe',
    allow: [{ path: SHELL }, { path: PYTHON }, { path: CAT, digest: PINNED }],
  },
  activities: { clause: digestOfText('acts'), reaction: 'kill', kinds: ['memory-only', 'reverse-shell'] },
}
function slice(generation: number): PlanSlice {
  const [entry] = planOf([]).workspaces
  if (!entry) throw new Error('no workspace')
  const slot = { ...entry.slot, kind: 'cgroup' as const, interface: GROUP }
  return {
    generation,
    planDigest: digestOfText('plan'),
    source: SOURCE,
    workspaces: [{ ...entry, slot, process: PROCESS }],
  }
}

describe('exec-sensor', () => {
  if (root === undefined || process.getuid?.() !== 0) {
    it('needs root and a unified cgroup hierarchy', (context) => context.skip('there is none here'))
    return
  }
  const state = mkdtempSync(join(tmpdir(), 'sluice-sensor-'))
  const heard: ActivityBatch['activities'][number][] = []
  let driver = new SensorDriver({ attachInterfaces: [], stateDirectory: state })
  let stop: (() => Promise<void>) | undefined
  let failure: unknown
  const listen = async () => {
    stop = await driver.activities(
      ({ activities }) => {
        heard.push(...activities)
        return Promise.resolve()
      },
      (error) => {
        failure = error
      },
    )
  }
  beforeAll(async () => {
    mkdirSync(join(root, GROUP))
    expect(sensorCapabilities(await driver.probe())).toMatchObject({ usable: true, slots: [] })
    expect((await driver.observe()).live).toBeNull()
    await driver.commit(await driver.stage(lower(slice(3))))
    await listen()
  }, 60_000)
  afterAll(async () => {
    await stop?.()
    await driver.uninstall()
    rmdirSync(join(root, GROUP))
    rmSync(state, { recursive: true, force: true })
  }, 60_000)

  /** Runs a line of Python in the cgroup; what it becomes stands last. */
  const python = (...lines: readonly string[]) =>
    spawnSync(PYTHON, ['-c', [`open('${root}/${GROUP}/cgroup.procs', 'w').write('0')`, ...lines].join('\n')], {
      encoding: 'utf8',
    })
  const find = (matches: (one: ActivityBatch['activities'][number]['record']) => boolean) =>
    until('a program to be told', () => heard.find(({ record }) => matches(record)))
  const suspicion = (record: ActivityBatch['activities'][number]['record']) => judgeActivity(PROCESS, record)?.kind

  it('reads back what is live', async () => {
    const { live, drift } = await driver.observe()
    expect(live).toMatchObject({ generation: 3, planDigest: digestOfText('plan'), quarantined: [] })
    expect(drift).toEqual([])
  })
  it('tells of a program with its file, arguments and user, and of its children', async () => {
    python('import os', `os.setuid(1000)`, `os.execv('${SHELL}', ['sh', '-c', 'sleep 0.2; : marker-one'])`)
    const { record, workspace } = await find((one) => one.process?.arguments?.includes('marker-one') ?? false)
    expect(record).toMatchObject({ activity: 'process-started', process: { path: SHELL, uid: 1000 } })
    expect(workspace).toBe(slice(1).workspaces[0]?.workspace)
    expect(Math.abs((record.atMs ?? 0) - Date.now())).toBeLessThan(10_000)
    expect(suspicion(record)).toBeUndefined()
    const child = await find((one) => one.process?.path?.endsWith('/sleep') ?? false)
    expect(child.record.process?.parentPid).toBe(record.process?.pid)
    expect(suspicion(child.record)).toBe('unlisted')
  })
  it('looks into what is pinned, as long as it runs', async () => {
    const move = `open('${root}/${GROUP}/cgroup.procs', 'w').write('0')`
    const child = spawn(PYTHON, ['-c', `import os\n${move}\nos.execv('${CAT}', ['cat', '-', 'marker-two'])`], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const ended = once(child, 'exit')
    const { record } = await find((one) => one.process?.arguments?.includes('marker-two') ?? false).finally(() => {
      child.stdin.end()
      return ended
    })
    expect(record.process).toMatchObject({ path: CAT, digest: PINNED })
    expect(suspicion(record)).toBeUndefined()
  })
  it('knows a program that has no file', async () => {
    python(
      'import os',
      "fd = os.memfd_create('hidden')",
      `os.write(fd, open('${TRUE}', 'rb').read())`,
      "os.execve(fd, ['x', 'marker-three'], {})",
    )
    const { record } = await find((one) => one.process?.arguments?.includes('marker-three') ?? false)
    expect(record.process?.path).toMatch(/ \(deleted\)$/)
    expect(suspicion(record)).toBe('memory-only')
  })
  it('knows a shell whose input is a connection, and who is at the other end', async () => {
    python(
      'import os, socket',
      "server = socket.create_server(('127.0.0.1', 0))",
      'client = socket.create_connection(server.getsockname())',
      'print(server.getsockname()[1], flush=True)',
      'for fd in (0, 1, 2): os.dup2(client.fileno(), fd)',
      `os.execv('${SHELL}', ['sh', '-c', ': marker-four'])`,
    )
    const { record } = await find((one) => one.process?.arguments?.includes('marker-four') ?? false)
    expect(record).toMatchObject({ remote: true, connection: { peer: '127.0.0.1', peerPort: expect.any(Number) } })
    expect(suspicion(record)).toBe('reverse-shell')
  })
  it('tells nothing of programs elsewhere', async () => {
    spawnSync(SHELL, ['-c', ': marker-outside'])
    python(`import os`, `os.execv('${SHELL}', ['sh', '-c', ': marker-after'])`)
    await find((one) => one.process?.arguments?.includes('marker-after') ?? false)
    expect(heard.some(({ record }) => record.process?.arguments?.includes('marker-outside'))).toBe(false)
    expect(failure).toBeUndefined()
    expect((await driver.observe()).drops['exec-unreported']).toBe(0n)
  })
  it('keeps what ran while its agent was dead, and flags', async () => {
    await driver.flag('spiffe://example.org/later', 'quarantined', true)
    await stop?.()
    python('import os', `os.execv('${SHELL}', ['sh', '-c', ': marker-meanwhile'])`)
    driver = new SensorDriver({ attachInterfaces: [], stateDirectory: state })
    expect((await driver.observe()).live).toMatchObject({ generation: 3, quarantined: ['spiffe://example.org/later'] })
    await listen()
    await find((one) => one.process?.arguments?.includes('marker-meanwhile') ?? false)
  })
  it('says where it hangs, by the kernel’s own numbers', async () => {
    const [anchor] = await driver.inspect()
    expect(anchor).toMatchObject({
      ...{ workspace: slice(1).workspaces[0]?.workspace, emulated: false, generation: 3 },
      hooks: [
        {
          hook: 'tracepoint/sched_process_exec',
          on: GROUP,
          owner: { kind: 'program', id: expect.any(Number), tag: expect.stringMatching(/^[0-9a-f]{16}$/) },
        },
      ],
    })
    expect(anchor?.objects.map(({ kind, name }) => `${kind} ${name}`)).toContain('map sensor_tenants')
  })
  it('is replaced by the build that is installed, and tells on', async () => {
    const programs = async () => (await driver.inspect())[0]?.hooks.map(({ owner }) => 'id' in owner && owner.id)
    const before = await programs()
    // Whose it is stands beside the pins: without that it counts as another's.
    for (const folder of PINS) if (existsSync(`${folder}/builds`)) rmSync(`${folder}/builds/sensor`)
    await stop?.()
    await listen()
    expect(await programs()).toHaveLength(1)
    expect(await programs()).not.toEqual(before)
    python('import os', `os.execv('${SHELL}', ['sh', '-c', ': marker-rebuilt'])`)
    await find((one) => one.process?.arguments?.includes('marker-rebuilt') ?? false)
  })
  it('tells on when its pins were taken away under it and it was put back', async () => {
    for (const folder of PINS) rmSync(folder, { recursive: true, force: true })
    expect((await driver.observe()).live).toBeNull()
    await driver.commit(await driver.stage(lower(slice(4))))
    // Another process sees what this one wrote: it is in the maps that hang.
    const other = new SensorDriver({ attachInterfaces: [], stateDirectory: state })
    expect((await other.observe()).live).toMatchObject({ generation: 4 })
    await other.close()
    python('import os', `os.execv('${SHELL}', ['sh', '-c', ': marker-repaired'])`)
    await find((one) => one.process?.arguments?.includes('marker-repaired') ?? false)
    expect(failure).toBeUndefined()
  })
  it('refuses a cgroup that is not there, and a stage that is not the last', async () => {
    const gone = {
      ...slice(4),
      workspaces: slice(4).workspaces.map((at) => ({ ...at, slot: { ...at.slot, interface: 'no/such' } })),
    }
    expect(() => driver.stage(lower(gone))).toThrow(expect.objectContaining({ code: 'SENSOR_SLOT_ABSENT' }))
    await expect(driver.commit({ generation: 9, planDigest: CLAUSE })).rejects.toMatchObject({
      code: 'SENSOR_STALE_STAGE',
    })
  })
})
