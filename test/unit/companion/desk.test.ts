// What may be on record at all: a slot and a volume are of one workspace.

import { expect, it } from 'vitest'
import { deskOf, Onlookers } from '../../../src/companion/desk.js'
import type { Told } from '../../../src/companion/lifecycle/lifecycle.js'
import { ask, boot, fresh, profileOf, World, WS } from '../../support/companion/world.js'

const network = (name: string) => ({
  ...({ name, kind: 'tap', interface: name, mac: '02:00:00:00:00:01', addresses: [] } as const),
  ...{ gatewayMac: '02:00:00:00:00:02', gateways: [] },
})
const volume = (name: string) => ({ name, kind: 'virtiofs', source: `/srv/${name}`, readOnly: false }) as const

it('gives no workspace the network or the volume of another, until that one is deleted', async () => {
  const { kills } = await boot(new World())
  const terms = {
    networks: [network('n1'), network('n2')],
    volumes: [volume('home'), volume('tools')],
    streams: () => [],
  }
  const desk = deskOf(kills, terms, new Onlookers())
  const change = (operation: 'create' | 'delete', workspace: string, more: object = {}) =>
    desk.change({ operation, workspace, requestId: fresh(), by: 'user:t', reason: '', ...more }, () => undefined)
  const create = (workspace: string, name: string, volumes: readonly string[]) =>
    change('create', workspace, { profile: profileOf(workspace, { network: name, volumes }) })
  const two = `${WS}2`
  await create(WS, 'n1', ['home'])
  await expect(create(two, 'n1', [])).rejects.toThrow(`the network n1 is that of ${WS}`)
  await expect(create(two, 'n2', ['tools', 'home'])).rejects.toThrow(`the volume home is that of ${WS}`)
  await create(two, 'n2', ['tools'])
  await change('delete', WS)
  await create(`${WS}3`, 'n1', ['home'])
})

it('tells each step of a kill as it is done, and none of whoever is not meant', async () => {
  const at = await boot(new World())
  const onlookers = new Onlookers()
  const tell = (told: Told) => Promise.resolve(onlookers.told(told))
  Object.assign(at.lifecycle.host, { tell })
  const desk = deskOf(at.kills, { networks: [], volumes: [], streams: () => [] }, onlookers)
  await ask(at, 'create', fresh(), WS)
  await ask(at, 'create', fresh(), `${WS}2`)
  const told: string[] = []
  const asked = { requestId: fresh(), by: 'user:t', reason: '', target: { kind: 'workspace', workspace: WS } } as const
  await Promise.all([
    desk.kill(asked, (workspace, { step, outcome }) => told.push(`${workspace} ${step} ${outcome}`)),
    desk.kill({ ...asked, requestId: fresh(), target: { kind: 'workspace', workspace: `${WS}2` } }, () => undefined),
  ])
  expect(told).toEqual(['fence', 'end', 'sessions', 'detach', 'unplug'].map((step) => `${WS} ${step} done`))
})
