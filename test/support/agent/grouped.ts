// A node whose one workspace is a cgroup: an agent with the backends that this kernel has for it, and programs that are run there.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cgroupRoot } from '../../../src/backends/tracing/cgroups.js'
import { RunningAgent, type Slotted } from './running.js'

export const GROUPED = 'spiffe://fleet.example/ws/grouped'

/** Why there can be none here; undefined when there can. */
export const noGroups: string | undefined =
  cgroupRoot() === undefined
    ? 'no unified cgroup hierarchy is mounted'
    : process.getuid?.() !== 0
      ? 'needs root'
      : undefined

export interface Grouped {
  readonly agent: RunningAgent
  /** Runs words in the cgroup; each stands for itself. */
  readonly run: (...words: readonly string[]) => {
    readonly status: number | null
    readonly stdout: string
    readonly stderr: string
  }
  /** The file that whoever joins writes to. */
  readonly joinBy: string
  readonly close: () => Promise<void>
}

/** `backends` after ebpf, which fences the traffic. `extra` is more of the inventory's entry. */
export async function openGrouped(backends: readonly string[], extra = ''): Promise<Grouped> {
  const name = `sluice-grouped-${process.pid}`
  const folder = join(cgroupRoot() ?? '', name)
  mkdirSync(folder, { recursive: true })
  execFileSync('ip', ['netns', 'add', name])
  const agent = await RunningAgent.prepare(`/run/netns/${name}`, [PLACE], '', 'ebpf')
  const edit = (text: string): string =>
    text
      .replace(/^backends:.*$/m, `backends: [${['ebpf', ...backends].join(', ')}]`)
      .replace(/^attach_interfaces:.*$/m, 'attach_interfaces: ["none-such*"]')
  writeFileSync(agent.path('agent.yaml'), edit(readFileSync(agent.path('agent.yaml'), 'utf8')))
  agent.write('inventory.yaml', inventoryOf(name) + extra)
  await agent.must('inventory sign inventory.yaml --key keys/inventory.key')
  const joinBy = join(folder, 'cgroup.procs')
  return {
    ...{ agent, joinBy },
    run: (...words) =>
      spawnSync('/bin/sh', ['-c', `echo 0 >${joinBy} && exec "$0" "$@"`, ...words], { encoding: 'utf8' }),
    close: async () => {
      // What runs keeps its fence: it ends first.
      await agent.kill()
      const { exit, stderr } = await agent.ask('uninstall', '--yes', '--config', 'agent.yaml')
      await agent.close()
      if (exit !== 0) throw new Error(`uninstall: exit ${exit}: ${stderr}`)
      execFileSync('ip', ['netns', 'del', name])
      // Whoever was still there is ended, or the folder could not go.
      if (existsSync(join(folder, 'cgroup.kill'))) writeFileSync(join(folder, 'cgroup.kill'), '1')
      for (let look = 0; look < 200 && existsSync(folder); look++) {
        if (/^populated 0$/m.test(readFileSync(join(folder, 'cgroup.events'), 'utf8'))) rmdirSync(folder)
        else await new Promise((done) => setTimeout(done, 20))
      }
    },
  }
}

/** What a first inventory needs; the one that follows has the cgroup. */
const PLACE: Slotted = {
  ...{ workspace: GROUPED, slot: 'none-such', mac: '02:00:00:00:00:07', gatewayMac: '02:00:00:00:00:08' },
  ...{ addresses: ['45.76.0.7'], gateways: ['45.76.0.8'] },
}

const inventoryOf = (group: string): string => `apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: fleet.example/dev
revision: 3
workspaces:
  - id: ${GROUPED}
    slot: {kind: cgroup, interface: ${group}}
    mac: "02:00:00:00:00:07"
    addresses: ["45.76.0.7"]
    gateway: {mac: "02:00:00:00:00:08", addresses: ["45.76.0.8"]}
`
