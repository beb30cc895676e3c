// Users of machines: a workspace keeps its number whatever is listed around it, a number is nobody else's while a machine has it, and what
// was written badly gives none.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MachineDriver, MachineSpec } from '../../../src/companion/drivers/driver.js'
import type { WorkspaceRecord } from '../../../src/companion/lifecycle/record.js'
import { hostMachines, type Images, type Network } from '../../../src/companion/machines.js'
import { type MachineUser, userOf } from '../../../src/companion/users.js'

const [ONE, TWO, THREE] = ['one', 'two', 'three'].map((name) => `spiffe://fleet.example/ws/${name}`) as [
  string,
  string,
  string,
]
const KNOWN = [ONE, TWO, THREE]
let directory: string
let file: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-users-'))
  file = join(directory, 'state', 'users.json')
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})
const user = (workspace: string, machines: readonly MachineUser[] = [], known: readonly string[] = KNOWN): number =>
  userOf(workspace, { file, first: 63_000, passwd: join(directory, 'passwd') }, known, machines)

describe('the user of a workspace', () => {
  it('is its own, stays, and is on the disk', () => {
    expect([user(ONE), user(TWO), user(ONE), user(TWO)]).toEqual([63_000, 63_001, 63_000, 63_001])
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      format: 'sluice-machine-users/1',
      users: { [ONE]: 63_000, [TWO]: 63_001 },
    })
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('is never that of a machine that is there, whoever made it', () => {
    expect(user(ONE, [{ workspace: 'machine:left-over', user: 63_000 }])).toBe(63_001)
    expect(() => user(ONE, [{ workspace: TWO, user: 63_001 }])).toThrow(
      expect.objectContaining({
        code: 'MACHINE_USER',
        message: `${ONE} runs as user 63001, which a machine of ${TWO} has now`,
      }),
    )
  })

  it('is that of its own machine, where an earlier release had none on record', () => {
    expect(user(TWO, [{ workspace: TWO, user: 63_007 }])).toBe(63_007)
    expect(user(TWO)).toBe(63_007)
  })

  it('is given again when its workspace and its machines are gone, and not before', () => {
    expect(user(ONE)).toBe(63_000)
    expect(user(TWO, [{ workspace: ONE, user: 63_000 }], [TWO])).toBe(63_001)
    expect(user(THREE, [], [TWO, THREE])).toBe(63_000)
    expect(user(ONE)).toBe(63_002)
  })

  it('is nobody’s of this host, nor anybody’s, and one of so many', () => {
    const passwd = join(directory, 'passwd')
    writeFileSync(passwd, 'root:x:0:0::/root:/bin/sh\nlibvirt-qemu:x:65533:64055::/:/bin/false\n')
    const near = (workspace: string, machines: readonly MachineUser[] = []) =>
      userOf(workspace, { file, first: 65_532, passwd }, KNOWN, machines)
    expect([near(ONE), near(TWO)]).toEqual([65_532, 65_536])
    const all = Array.from({ length: 4_096 }, (_one, i) => ({ workspace: `machine:${i}`, user: 65_532 + i }))
    expect(() => near(THREE, all)).toThrow(
      expect.objectContaining({
        code: 'MACHINE_USERS',
        message: `the users of machines cannot be read from ${file}: none of the 4096 numbers from 65532 on is free`,
      }),
    )
  })

  it.each([
    ['{"format":"sluice-machine-users/2","users":{}}', 'it is not sluice-machine-users/1'],
    ['{"format":"sluice-machine-users/1","users":{"a":0}}', 'it has what is no number, or one twice'],
    ['{"format":"sluice-machine-users/1","users":{"a":5,"b":5}}', 'it has what is no number, or one twice'],
    ['{', /at line 1/],
  ])('is nobody’s where what is on the disk is not what was written: %s', (text, why) => {
    user(ONE)
    writeFileSync(file, text)
    expect(() => user(ONE)).toThrow(expect.objectContaining({ code: 'MACHINE_USERS' }))
    expect(() => user(ONE)).toThrow(why)
    expect(readFileSync(file, 'utf8')).toBe(text)
  })
})

it('is the same one when a network is listed before its own', async () => {
  const network = (name: string): Network => ({
    ...{ name, kind: 'representor', interface: name, pci: '0000:03:00.2', mac: '02:00:00:00:00:02' },
    ...{ addresses: [], gatewayMac: '', gateways: [] },
  })
  const prepared: MachineSpec[] = []
  const driver = {
    list: () => Promise.resolve([]),
    prepare: (spec: MachineSpec) => Promise.resolve(prepared.push(spec)),
  } as unknown as MachineDriver
  const images = { boot: () => Promise.resolve({ image: 'tiny@1' }) } as unknown as Images
  const start = (workspace: string, on: string, networks: readonly Network[]) =>
    hostMachines(
      driver,
      images,
      { layers: directory, usersFile: file, networks, volumes: [], firstUser: 63_000, graceMs: 1 },
      () => KNOWN,
    ).prepare({ workspace, incarnation: 1, profile: { network: on } } as unknown as WorkspaceRecord)
  await start(ONE, 'b', [network('b')])
  await start(TWO, 'a', [network('a'), network('b')])
  await start(ONE, 'b', [network('a'), network('b')])
  expect(prepared.map(({ workspace, user }) => [workspace, user])).toEqual([
    [ONE, 63_000],
    [TWO, 63_001],
    [ONE, 63_000],
  ])
})

it('is given when the machine is made: one with volumes in `run`, since its servers ask for their folders at once', async () => {
  const asked: string[] = []
  const driver = {
    list: () => Promise.resolve([]),
    prepare: ({ volumes }: MachineSpec) => Promise.resolve(asked.push(`prepare ${volumes.length}`)),
    run: () => Promise.resolve(asked.push('run')),
  } as unknown as MachineDriver
  const images = { boot: () => Promise.resolve({ image: 'tiny@1' }) } as unknown as Images
  const network: Network = {
    ...{ name: 'a', kind: 'representor', interface: 'a', pci: '0000:03:00.2', mac: '02:00:00:00:00:02' },
    ...{ addresses: [], gatewayMac: '', gateways: [] },
  }
  const volume = { name: 'home', kind: 'virtiofs', source: '/run/view/home', readOnly: false } as const
  const terms = {
    layers: directory,
    usersFile: file,
    networks: [network],
    volumes: [volume],
    firstUser: 63_000,
    graceMs: 1,
  }
  const machines = hostMachines(driver, images, terms, () => KNOWN)
  const record = (workspace: string, volumes: readonly string[]) =>
    ({ workspace, incarnation: 1, profile: { network: 'a', volumes } }) as unknown as WorkspaceRecord
  for (const one of [record(ONE, []), record(TWO, ['home'])]) {
    await machines.prepare(one)
    asked.push('attach')
    await machines.run(one)
  }
  expect(asked).toEqual(['prepare 0', 'attach', 'run', 'attach', 'prepare 1', 'run'])
})
