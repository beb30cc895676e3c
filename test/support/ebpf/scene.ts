// The laboratory with the eBPF fence in its node: plans over its two workspaces, and a driver that works in the node's namespace.

import { EbpfDriver } from '../../../src/backends/ebpf/driver.js'
import { lower } from '../../../src/backends/ebpf/lower.js'
import { sliceFor } from '../../../src/plan/codec.js'
import type { InventoryEntry } from '../../../src/plan/inventory.js'
import type { FenceService, NameRule, Plan } from '../../../src/plan/model.js'
import type { Clause } from '../../../src/policy/model.js'
import { type WorkspaceEnd, WS as WS_END, WS2 as WS2_END } from '../lab/addresses.js'
import { type Lab, openLab } from '../lab/lab.js'
import { compile, MEMORY, policy } from '../plans.js'
import { enter, remember } from './seclusion.js'

export const ONE = 'spiffe://example.org/workspace/lab/one'
export const TWO = 'spiffe://example.org/workspace/lab/two'

const entry = (workspace: string, end: WorkspaceEnd): InventoryEntry => ({
  workspace,
  slot: {
    kind: 'veth',
    interface: end.slot,
    mac: end.mac,
    addresses: [end.v4, end.v6],
    gateway: { mac: end.gatewayMac, addresses: [end.gateway4, end.gateway6] },
  },
})

export interface Extra {
  readonly names?: readonly NameRule[]
  readonly services?: readonly FenceService[]
  readonly expiresAtMs?: number
}

/** A plan in which both workspaces have these clauses. */
export function labPlan(clauses: readonly Clause[], extra: Extra = {}): Plan {
  const { plan, notes } = compile([policy(clauses, { appliesTo: [ONE, TWO] })], MEMORY, [
    entry(ONE, WS_END),
    entry(TWO, WS2_END),
  ])
  if (!plan) throw new Error(notes.map((note) => note.say).join('\n'))
  return {
    ...plan,
    source: { ...plan.source, expiresAtMs: extra.expiresAtMs ?? plan.source.expiresAtMs },
    workspaces: plan.workspaces.map((at) => ({
      ...at,
      network: { ...at.network, names: extra.names ?? [], services: extra.services ?? [] },
    })),
  }
}

export interface Scene {
  readonly lab: Lab
  driver: EbpfDriver
  apply(plan: Plan): Promise<number>
  /** Ends the agent and starts another. */
  restart(): Promise<void>
  close(): Promise<void>
}

const OPTIONS = { attachInterfaces: ['ws*'], stateDirectory: '' }

export async function openScene(): Promise<Scene> {
  const back = remember()
  const lab = await openLab()
  enter(lab.namespace('node'))
  let generation = 0
  const scene: Scene = {
    lab,
    driver: await EbpfDriver.open(OPTIONS),
    async apply(plan) {
      await scene.driver.commit(await scene.driver.stage(lower(sliceFor(plan, 'memory', ++generation))))
      return generation
    },
    async restart() {
      await scene.driver.close()
      scene.driver = await EbpfDriver.open(OPTIONS)
    },
    async close() {
      await scene.driver.uninstall()
      back()
      await lab.close()
    },
  }
  return scene
}
