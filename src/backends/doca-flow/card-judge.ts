// From what was read of a card to what can be said of it, and whether a fence on it holds: which side we are on, which mode it is
// in, and what the bridge underneath would do with the workspaces' traffic if the agent died. What could not be read is said so
// and counts as no.

import type { TrustDomain } from '../../policy/model.js'
import type { Probe } from '../backend.js'
import type { DevlinkPort, Flow, firmware, hugepages, privilege } from './card-text.js'

/** PCI device ids under vendor 15b3. BlueField-4's is not published. */
export const BLUEFIELDS: Readonly<Record<string, string>> = {
  a2d2: 'BlueField',
  a2d6: 'BlueField-2',
  a2dc: 'BlueField-3',
}

export interface Bridge {
  readonly name: string
  readonly ports: readonly string[]
  /** undefined: they could not be read. */
  readonly flows: readonly Flow[] | undefined
}

/** undefined members: could not be read; their probes say `could not tell`. */
export interface CardSeen {
  /** PCI address and device id of each BlueField function. */
  readonly functions: readonly { readonly address: string; readonly device: string }[]
  /** We are on its Arm. */
  readonly arm: boolean
  readonly cpuModel?: string
  readonly offloadEngine?: string
  readonly privilege?: NonNullable<ReturnType<typeof privilege>>
  readonly firmware?: NonNullable<ReturnType<typeof firmware>>
  readonly eswitch?: string
  /** The release that the platform says it has. */
  readonly release?: string
  readonly doca?: string
  readonly hugepages?: NonNullable<ReturnType<typeof hugepages>>
  readonly ports?: readonly DevlinkPort[]
  /** Name of what an interface is a port of, by interface: `ovs-system` for Open vSwitch. */
  readonly masters: ReadonlyMap<string, string>
  /** undefined: Open vSwitch is not there, or could not be asked. */
  readonly bridges?: readonly Bridge[]
}

/** Free memory in huge pages that DOCA's samples ask for. */
const HUGE_KIB = 1024 * 2048

const yes = (feature: string, why: string): Probe => ({ feature, answer: 'yes', why })
const no = (feature: string, why: string): Probe => ({ feature, answer: 'no', why })
const unknown = (feature: string, why: string): Probe => ({ feature, answer: 'could-not-tell', why })

export const NO_CARD = 'no BlueField: no PCI device 15b3:a2d2, a2d6 or a2dc'

/** Where a fence on this card would stand. Only a card whose host is shut out of it is a domain of its own. */
export const domainOf = ({ arm, privilege: level }: CardSeen): TrustDomain =>
  !arm ? 'host' : level?.level === 'RESTRICTED' ? 'dpu-restricted' : 'dpu-host-trusted'

export function judgeCard(seen: CardSeen): Probe[] {
  const [first] = seen.functions
  if (!first) return [no('card', NO_CARD)]
  const what = `${BLUEFIELDS[first.device] ?? first.device} at ${seen.functions.map(({ address }) => address).join(', ')}`
  if (!seen.arm)
    return [
      no('card', `${what}, seen from the host: the fence stands on its Arm, so run the agent there`),
      ...modeOf(seen),
    ]
  return [
    yes('card', `${what}, seen from its Arm`),
    ...modeOf(seen),
    seen.firmware
      ? yes('firmware', `${seen.firmware.version}${seen.firmware.psid === undefined ? '' : ` (${seen.firmware.psid})`}`)
      : unknown('firmware', 'flint gave no version'),
    seen.doca === undefined
      ? unknown('doca', 'no release file of DOCA under /opt/mellanox/doca')
      : yes('doca', `${seen.doca}${seen.release === undefined ? '' : `, image ${seen.release}`}`),
    hugeOf(seen),
    representorsOf(seen),
    bridgeProbe(seen),
  ]
}

function modeOf({ cpuModel, offloadEngine, privilege: level, eswitch, arm }: CardSeen): Probe[] {
  const mode =
    cpuModel === undefined
      ? unknown('mode', 'mlxconfig did not say INTERNAL_CPU_MODEL')
      : cpuModel !== 'EMBEDDED_CPU'
        ? no('mode', `${cpuModel}: the host has the eSwitch; set INTERNAL_CPU_MODEL=1 and cold-cycle the power`)
        : offloadEngine === 'DISABLED'
          ? no(
              'mode',
              'NIC mode: the Arm is out of the way; set INTERNAL_CPU_OFFLOAD_ENGINE=0 and cold-cycle the power',
            )
          : yes('mode', 'DPU mode: the Arm has the eSwitch')
  const trust =
    level === undefined
      ? unknown('zero-trust', 'mlxprivhost did not say a level: the host counts as able to change the card')
      : level.level === 'RESTRICTED'
        ? yes('zero-trust', `the host is restricted (${level.disabled.join(', ') || 'nothing more is said'})`)
        : no('zero-trust', `the host is ${level.level} and can change the card: evidence says dpu-host-trusted`)
  if (!arm) return [mode, trust]
  const switching =
    eswitch === undefined
      ? unknown('eswitch', 'devlink did not say a mode')
      : eswitch === 'switchdev'
        ? yes('eswitch', 'switchdev')
        : no('eswitch', `${eswitch}: there are no representors without switchdev`)
  return [mode, trust, switching]
}

function hugeOf({ hugepages: huge }: CardSeen): Probe {
  if (!huge) return unknown('hugepages', '/proc/meminfo says nothing of them')
  const say = `${huge.free} free of ${huge.sizeKiB} KiB`
  return huge.free * huge.sizeKiB >= HUGE_KIB
    ? yes('hugepages', say)
    : no('hugepages', `${say}; DOCA's samples ask for 2 GiB`)
}

/** What workspaces sit behind. */
const functionsOf = (ports: readonly DevlinkPort[]): string[] =>
  ports.filter(({ flavour }) => flavour === 'pcivf' || flavour === 'pcisf').map(({ netdev }) => netdev)

function representorsOf({ ports }: CardSeen): Probe {
  if (!ports) return unknown('representors', 'devlink listed no ports')
  const found = functionsOf(ports)
  return found.length === 0
    ? no('representors', 'no virtual or sub-function has one: create them on the host first')
    : yes('representors', found.join(', '))
}

function bridgeProbe(seen: CardSeen): Probe {
  if (!seen.ports || functionsOf(seen.ports).length === 0)
    return unknown('bridge', 'without a list of representors nobody can say what forwards for them')
  const open: string[] = []
  const unsure: string[] = []
  for (const port of functionsOf(seen.ports)) {
    const master = seen.masters.get(port)
    if (master === undefined) continue
    if (master !== 'ovs-system') open.push(`${port} is a port of the Linux bridge ${master}, which forwards by itself`)
    const bridge = seen.bridges?.find(({ ports }) => ports.includes(port))
    if (master === 'ovs-system' && !bridge?.flows) unsure.push(`the flows of ${port}'s bridge could not be read`)
    else if (bridge?.flows) open.push(...passes(bridge, bridge.flows, port))
  }
  if (open.length > 0) return no('bridge', `traffic would pass if the agent died: ${open.join('; ')}`)
  if (unsure.length > 0) return unknown('bridge', unsure.join('; '))
  return yes('bridge', 'nothing underneath forwards for a workspace if the agent dies')
}

/** By what a bridge would forward from or to a workspace's port; empty when it drops. Only the first table is asked: whoever goes on to
 * another one counts as forwarding. */
export function passes(bridge: Bridge, all: readonly Flow[], port: string): string[] {
  const first = all.filter(({ table }) => table === 0)
  const out: string[] = []
  for (const from of new Set([port, ...bridge.ports])) {
    // A number may be any port's: what lets pass may be about this one, what drops need not be.
    const mine = first.filter(({ inPort }) => inPort === undefined || inPort === from || /^\d+$/.test(inPort))
    const closes = ({ narrow, actions, inPort }: Flow): boolean =>
      !narrow && actions === 'drop' && (inPort === undefined || inPort === from)
    const floor = Math.max(-1, ...mine.filter(closes).map(({ priority }) => priority))
    // Equal priorities are undefined in OpenFlow, and so are no protection.
    const through = mine.find(
      ({ actions, priority }) => actions !== 'drop' && priority >= floor && (from === port || reaches(actions, port)),
    )
    if (through)
      out.push(
        `${bridge.name}: priority ${through.priority} from ${through.inPort ?? 'any port'} does ${through.actions}`,
      )
  }
  return [...new Set(out)]
}

/** Ports can be named or numbered; a number may be the workspace's. */
const reaches = (actions: string, port: string): boolean =>
  /NORMAL|FLOOD|ALL|resubmit|goto_table|group|learn|output:\d|output:reg|\bin_port\b|CONTROLLER/i.test(actions) ||
  actions
    .replaceAll('"', '')
    .split(',')
    .some((action) => action === port || action === `output:${port}`)
