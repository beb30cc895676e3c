// The backend doca-flow on the software BlueField, always marked emulated: its speed says nothing about a card. The card's uplink and
// the workspace's representor are the node's ends of the two cables, so that for one visit the node routes nothing: the server's end
// takes the gateway's place behind the card, and the Arm's own netdevice answers for the gateway. `lift` puts everything back.

import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { loadBackend } from '../../backends/registry.js'
import type { Ground } from '../ground.js'
import { SERVER, type Setting, sliceOf, slotOf } from '../setting.js'
import type { Variant } from './variant.js'

const LIBRARY = fileURLToPath(new URL('../../../build/doca/libdoca_emulator.so', import.meta.url))
const DEADLINE_MS = 86_400_000
/** One uplink and one representor, by the cables that they are on (doca-shims/README.md). */
const TOPOLOGY = 'dev 0000:03:00.0 p0 out0\nrep 0000:03:00.0 pf0vf0 ws0 ws0'
const ARM = 'pf0vf0'
const OWN_MAC = '02:00:00:00:0b:01'

const run = (file: string, ...words: string[]): string => execFileSync(file, words, { encoding: 'utf8' })
const ip = (...words: string[]): string => run('ip', ...words)
const ends = () => {
  const { addresses, gateway, mac } = slotOf(0)
  return (['ipv4', 'ipv6'] as const).map((family, i) => ({
    ...SERVER[family],
    own: addresses[i] ?? '',
    gateway: gateway.addresses[i] ?? '',
    host: family === 'ipv4' ? 32 : 128,
    mac,
    more: family === 'ipv4' ? [] : ['nodad'],
  }))
}

export function emulated(ground: Ground | undefined, stateDirectory: string, nowMs: () => number): Variant {
  let generation = 0
  return {
    name: 'doca-flow',
    say: 'Sluice, backend doca-flow on the software BlueField',
    role: 'fence',
    emulated: true,
    absent: () => Promise.resolve(existsSync(LIBRARY) ? undefined : 'the software BlueField is not built: make shims'),
    put: async (setting: Setting) => {
      if (!ground || setting.workspaces > 1) throw new TypeError('the software BlueField has one cable to workspaces')
      process.env.DOCA_EMULATOR = TOPOLOGY
      recable(ground)
      const backend = await loadBackend('doca-flow')
      const driver = await backend.open({ attachInterfaces: [], stateDirectory })
      const lift = async (): Promise<void> => {
        await driver.close()
        restore(ground)
      }
      try {
        const slice = sliceOf(setting, 'doca-flow', ++generation, nowMs() + DEADLINE_MS)
        const workspaces = slice.workspaces.map((one) => ({
          ...one,
          slot: { ...one.slot, kind: 'representor' as const, interface: ARM, vuid: 'ws0' },
        }))
        const began = performance.now()
        await driver.commit(await driver.stage(backend.lower({ ...slice, workspaces })))
        const stageMs = performance.now() - began
        ip('link', 'set', ARM, 'address', slotOf(0).gateway.mac, 'addrgenmode', 'none', 'up')
        for (const { gateway, prefix, more } of ends())
          ip('address', 'replace', `${gateway}/${prefix}`, 'dev', ARM, ...more)
        return { stageMs, commands: ['backend doca-flow, in this process: lower, stage, commit'], lift }
      } catch (error) {
        await lift()
        throw error
      }
    },
  }
}

/** What comes in by a cable is the card's; the node takes none of it. */
const forward = (on: boolean): void => {
  for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
    writeFileSync(`/proc/sys/net/${path}`, on ? '1' : '0')
}

function recable({ server }: Ground): void {
  const inside = (...words: string[]): void => {
    const [file = '', ...rest] = [...server, 'ip', ...words]
    execFileSync(file, rest)
  }
  forward(false)
  for (const name of ['ws0', 'out0']) {
    // Link-local addresses stay: the node asks for its neighbours by them afterwards.
    ip('address', 'flush', 'dev', name, 'scope', 'global')
    ip('link', 'set', name, 'arp', 'off')
  }
  inside('link', 'set', 'out1', 'address', slotOf(0).gateway.mac)
  for (const { own, host, mac, address } of ends()) {
    inside('route', 'replace', `${own}/${host}`, 'dev', 'out1', 'src', address)
    inside('neigh', 'replace', own, 'lladdr', mac, 'dev', 'out1', 'nud', 'permanent')
  }
}

function restore({ server }: Ground): void {
  const inside = (...words: string[]): void => {
    const [file = '', ...rest] = [...server, 'ip', ...words]
    execFileSync(file, rest)
  }
  // The netdevice outlives its card, and would answer for the gateway.
  if (existsSync(`/proc/sys/net/ipv4/conf/${ARM}`)) {
    ip('address', 'flush', 'dev', ARM)
    ip('link', 'set', ARM, 'down')
  }
  // The emulated card keeps its cables closed when its agent is gone; this node needs them again.
  for (const [, table = ''] of run('nft', 'list', 'tables', 'netdev').matchAll(/doca_emulator_(\d+)/g))
    run('nft', 'delete', 'table', 'netdev', `doca_emulator_${table}`)
  // Neighbours go with the address.
  inside('link', 'set', 'out1', 'address', OWN_MAC)
  for (const name of ['ws0', 'out0']) ip('link', 'set', name, 'arp', 'on')
  for (const { own, host, address, gateway, router, prefix, beyond, more } of ends()) {
    inside('route', 'delete', `${own}/${host}`, 'dev', 'out1')
    ip('address', 'replace', `${gateway}/${prefix}`, 'dev', 'ws0', ...more)
    ip('address', 'replace', `${router}/${prefix}`, 'dev', 'out0', ...more)
    ip('route', 'replace', beyond, 'via', address)
  }
  forward(true)
}
