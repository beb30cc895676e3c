// The machines of this host as the life of workspaces needs them: a name for each incarnation of a workspace, its layer, its tap, and
// the driver that runs it. Nothing is remembered here: what is there is asked of the driver, of the kernel and of the folder of layers.

import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOfText } from '../base/digest.js'
import type { BootImage, MachineDriver, MachineSeen, MachineSpec, SharedVolume } from './drivers/driver.js'
import { OVERHEAD_MIB, OVERHEAD_PIDS } from './drivers/spec.js'
import { ensureTap, listTaps, removeTap, type TapSeen, tapMark } from './drivers/tap.js'
import { lifecycleFault } from './lifecycle/errors.js'
import type { HostSeen, MachinePort } from './lifecycle/ports.js'
import type { WorkspaceRecord } from './lifecycle/record.js'
import { userOf } from './users.js'

/** One slot of the signed inventory, as this host makes it. A representor's VF is bound to vfio-pci by the operator. */
export interface Network {
  readonly name: string
  readonly kind: 'tap' | 'representor'
  readonly interface: string
  /** Of the VF behind a representor. */
  readonly pci?: string
  /** Of the workspace's end. */
  readonly mac: string
  readonly addresses: readonly string[]
  /** What images of this slot were built for, as the signed list says; absent: anything. */
  readonly imageProfile?: string
  readonly gatewayMac: string
  readonly gateways: readonly string[]
}

export interface Volume {
  readonly name: string
  readonly kind: SharedVolume['kind']
  readonly source: string
  readonly readOnly: boolean
}

/** What may boot, by name. */
export interface Images {
  /** The newest approved version, of that profile if one is given: `name@version`. Throws MACHINE_IMAGE when there is none. */
  newest(name: string, profile?: string): Promise<string>
  /** Makes the layer of a machine over that image, where it needs one and it is not there yet. */
  layer(image: string, path: string): Promise<void>
  /** What the machine boots; every file is verified again by the driver. */
  boot(image: string, layer: string, profile?: string): Promise<BootImage>
}

export interface MachineTerms {
  /** Folder of the layers. */
  readonly layers: string
  readonly networks: readonly Network[]
  readonly volumes: readonly Volume[]
  /** Users that machines run as, and where it is written who has which (users.ts). */
  readonly firstUser: number
  readonly usersFile: string
  readonly graceMs: number
}

const LAYER = '.qcow2'
const hashOf = (workspace: string): string => digestOfText(workspace).slice(7, 19)
export const machineId = (workspace: string, incarnation: number): string => `ws-${hashOf(workspace)}-${incarnation}`
const NAME = /^ws-([0-9a-f]{12})-(\d{1,9})$/

/**
 * `known`: workspaces that there are records of, so that what is found by its name alone has one; `living`: those that may still run
 * something, and keep their user. */
export function hostMachines(
  driver: MachineDriver,
  images: Images,
  terms: MachineTerms,
  known: () => readonly string[],
  living: () => readonly string[] = known,
): MachinePort {
  const { layers } = terms
  const networkOf = (record: WorkspaceRecord) => networkNamed(terms, record.profile?.network ?? '')
  const layerOf = (workspace: string, incarnation: number): string =>
    join(layers, `${machineId(workspace, incarnation)}${LAYER}`)
  /** A name that no record has stands for itself: it can be ended, and nothing else. */
  const read = (name: string): { readonly workspace: string; readonly incarnation: number } => {
    const [, hash, number] = NAME.exec(name) ?? []
    const workspace = known().find((one) => hashOf(one) === hash) ?? `machine:${name}`
    return { workspace, incarnation: Number(number ?? 0) }
  }
  const seenOf = ({ id, workspace, state }: MachineSeen) => {
    const named = read(id)
    return { workspace: workspace || named.workspace, incarnation: named.incarnation, state }
  }
  const ownerOf = ({ mark, workspace }: TapSeen): string => known().find((one) => tapMark(one) === mark) ?? workspace
  const listLayers = async (): Promise<readonly string[]> => {
    await mkdir(layers, { recursive: true, mode: 0o700 })
    return (await readdir(layers)).filter((name) => name.endsWith(LAYER)).map((name) => name.slice(0, -LAYER.length))
  }
  const make = async (record: WorkspaceRecord): Promise<void> => {
    const { workspace, incarnation, image } = record
    const network = networkOf(record)
    const boot = await images.boot(image, layerOf(workspace, incarnation), network.imageProfile)
    const seen = (await driver.list()).map((one) => ({ ...one, workspace: seenOf(one).workspace }))
    const user = userOf(workspace, { file: terms.usersFile, first: terms.firstUser }, living(), seen)
    await driver.prepare(specOf(record, boot, network, user, terms))
  }
  // The server of a volume asks for its folder when it begins, and has no answer before the workspace is attached and under its plan.
  const isMadeLate = ({ profile }: WorkspaceRecord): boolean => (profile?.volumes?.length ?? 0) > 0
  return {
    look: async (): Promise<HostSeen> => ({
      machines: (await driver.list()).map(seenOf),
      layers: (await listLayers()).map(read),
      interfaces: (await listTaps()).map((tap) => ({ name: tap.interface, workspace: ownerOf(tap) })),
    }),
    layer: async (record, incarnation) => {
      const { workspace, profile } = record
      const image = await images.newest(profile?.image ?? '', networkOf(record).imageProfile)
      await listLayers()
      await images.layer(image, layerOf(workspace, incarnation))
      return image
    },
    sweep: async (workspace, keep) => {
      for (const name of await listLayers()) {
        const layer = read(name)
        if (layer.workspace === workspace && layer.incarnation !== keep)
          await rm(join(layers, `${name}${LAYER}`), { force: true })
      }
      // Nor may the next of this name read what the machines before it said.
      await driver.forgetWords((id) => {
        const [, hash, incarnation] = NAME.exec(id) ?? []
        return hash === hashOf(workspace) && Number(incarnation) !== keep
      })
    },
    prepare: async (record) => {
      const { workspace } = record
      const network = networkOf(record)
      if (network.kind === 'tap') {
        const { gatewayMac: mac, gateways, addresses } = network
        await ensureTap({ interface: network.interface, workspace, gateway: { mac, addresses: gateways }, addresses })
      }
      if (!isMadeLate(record)) await make(record)
    },
    run: async (record) => {
      if (isMadeLate(record)) await make(record)
      await driver.run(machineId(record.workspace, record.incarnation))
    },
    halt: async ({ workspace, incarnation }) => {
      const id = machineId(workspace, incarnation)
      if (!(await driver.ids()).includes(id)) return
      await driver.stop(id, terms.graceMs)
      await driver.remove(id)
    },
    end: async (workspace) => {
      // By their names: no machine is asked, since one that does not answer would keep another alive.
      const own = (await driver.ids()).filter(
        (id) => NAME.exec(id)?.[1] === hashOf(workspace) || read(id).workspace === workspace,
      )
      await Promise.all(
        own.map(async (id) => {
          await driver.kill(id)
          await driver.remove(id)
        }),
      )
    },
    unplug: async ({ workspace }) => {
      for (const tap of await listTaps()) if (ownerOf(tap) === workspace) await removeTap(tap.interface)
    },
    consoleOf: ({ workspace, incarnation }, maxBytes) => driver.consoleOf(machineId(workspace, incarnation), maxBytes),
  }
}

/** Throws WORKSPACE_PROFILE. */
export function networkNamed({ networks }: Pick<MachineTerms, 'networks'>, name: string): Network {
  const network = networks.find((one) => one.name === name)
  if (!network) throw lifecycleFault('WORKSPACE_PROFILE', { why: `there is no network ${name}` })
  return network
}

function specOf(
  record: WorkspaceRecord,
  boot: BootImage,
  network: Network,
  user: number,
  terms: MachineTerms,
): MachineSpec {
  const { workspace, incarnation, profile } = record
  const { cpus = 1, memoryMiB = 256 } = profile ?? {}
  const { mac, pci } = network
  return {
    id: machineId(workspace, incarnation),
    ...{ workspace, boot, cpus, memoryMiB },
    nic:
      network.kind === 'tap'
        ? { kind: 'tap', interface: network.interface, mac }
        : { kind: 'vfio', pci: pci ?? '', mac },
    volumes: (profile?.volumes ?? []).map((name) => sharedOf(terms.volumes, name)),
    limits: { cpuPercent: cpus * 100, memoryMiB: memoryMiB + 2 * OVERHEAD_MIB, pids: cpus + 2 * OVERHEAD_PIDS },
    user,
  }
}

function sharedOf(volumes: readonly Volume[], name: string): SharedVolume {
  const found = volumes.find((volume) => volume.name === name)
  if (!found) throw lifecycleFault('WORKSPACE_PROFILE', { why: `there is no volume ${name}` })
  const { kind, source, readOnly } = found
  return { tag: name, kind, source, readOnly }
}
