// The machines of a host over a driver that stands in: what ends a machine waits for no machine that does not answer.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { MachineDriver } from '../../../src/companion/drivers/driver.js'
import type { WorkspaceRecord } from '../../../src/companion/lifecycle/record.js'
import { hostMachines, type Images, machineId } from '../../../src/companion/machines.js'

const [ONE, TWO] = ['spiffe://fleet.example/ws/one', 'spiffe://fleet.example/ws/two']
const TERMS = {
  layers: '/nowhere',
  usersFile: '/nowhere/users.json',
  networks: [],
  volumes: [],
  firstUser: 63_000,
  graceMs: 1,
}

function machines(ids: readonly string[]) {
  const done: string[] = []
  const driver = {
    ids: () => Promise.resolve(ids),
    list: () => new Promise(() => undefined),
    stop: (id: string) => Promise.resolve(done.push(`stop ${id}`)),
    kill: (id: string) => Promise.resolve(done.push(`kill ${id}`)),
    remove: (id: string) => Promise.resolve(done.push(`remove ${id}`)),
  } as unknown as MachineDriver
  return { done, port: hostMachines(driver, {} as Images, TERMS, () => [ONE, TWO]) }
}

it('ends and halts without asking any machine', async () => {
  const [own, older, other] = [machineId(ONE, 2), machineId(ONE, 1), machineId(TWO, 1)]
  const { done, port } = machines([older, own, other])
  await port.end(ONE)
  expect([...done].sort()).toEqual([`kill ${older}`, `kill ${own}`, `remove ${older}`, `remove ${own}`])
  done.length = 0
  await port.halt({ workspace: TWO, incarnation: 1 } as WorkspaceRecord)
  await port.halt({ workspace: TWO, incarnation: 2 } as WorkspaceRecord)
  expect(done).toEqual([`stop ${other}`, `remove ${other}`])
})

it('lets nobody read what earlier machines of a workspace said, nor those of one that was deleted', async () => {
  const layers = mkdtempSync(join(tmpdir(), 'sluice-layers-'))
  try {
    const said = [machineId(ONE, 1), machineId(ONE, 2), machineId(TWO, 1), 'left-over']
    const forgotten: string[] = []
    const forgetWords = (isPast: (id: string) => boolean) =>
      Promise.resolve(void forgotten.push(...said.filter(isPast)))
    const driver = { forgetWords } as unknown as MachineDriver
    const port = hostMachines(driver, {} as Images, { ...TERMS, layers }, () => [ONE, TWO])
    await port.sweep(ONE, 2)
    expect(forgotten.splice(0)).toEqual([machineId(ONE, 1)])
    await port.sweep(ONE, null)
    expect(forgotten).toEqual([machineId(ONE, 1), machineId(ONE, 2)])
  } finally {
    rmSync(layers, { recursive: true, force: true })
  }
})

it('ends a machine of which nothing is known, by the name that it is listed with', async () => {
  const { done, port } = machines(['left-over'])
  await port.end('machine:left-over')
  expect(done).toEqual(['kill left-over', 'remove left-over'])
})

it('bakes and boots only what its network takes', async () => {
  const asked: unknown[] = []
  const images = {
    newest: (...words: unknown[]) => Promise.resolve(void asked.push(words)).then(() => 'base@2'),
    layer: () => Promise.resolve(),
    boot: (_image: string, _layer: string, profile?: string) => Promise.reject(new Error(`boots ${profile ?? 'any'}`)),
  } as unknown as Images
  const layers = mkdtempSync(join(tmpdir(), 'sluice-layers-'))
  try {
    const slot = {
      kind: 'representor',
      interface: 'none0',
      mac: '',
      addresses: [],
      gatewayMac: '',
      gateways: [],
    } as const
    const networks = [
      { ...slot, name: 'vf0', imageProfile: 'gpu' },
      { ...slot, name: 'vf1' },
    ]
    const port = hostMachines({} as MachineDriver, images, { ...TERMS, layers, networks }, () => [ONE])
    const record = (network: string) =>
      ({ workspace: ONE, incarnation: 1, image: 'base@2', profile: { image: 'base', network } }) as WorkspaceRecord
    await port.layer(record('vf0'), 1)
    await port.layer(record('vf1'), 1)
    expect(asked).toEqual([
      ['base', 'gpu'],
      ['base', undefined],
    ])
    await expect(port.prepare(record('vf0'))).rejects.toThrow('boots gpu')
    await expect(port.prepare(record('vf1'))).rejects.toThrow('boots any')
  } finally {
    rmSync(layers, { recursive: true, force: true })
  }
})
