// The laboratory with a card in its middle: the enforcement node becomes a DPU. Its interfaces are the cables of the software
// BlueField, which forwards between them; the Arm keeps the card's own netdevices (pf0vf0, p0), which outlive whoever has the
// card as representors do, and an out-of-band link for what it asks for itself. `build/doca` has to be built.

import { UPLINK, type WorkspaceEnd, WS, WS2 } from './addresses.js'
import type { Lab } from './lab.js'
import { repositoryPath } from './repository.js'

const PCI = '0000:03:00.0'
const WIRE = 'p0'
const OOB = 'oob0'
/** Representor, VUID and cable of each workspace. */
export const FUNCTIONS = [
  { representor: 'pf0vf0', vuid: 'LABVF0', end: WS },
  { representor: 'pf0vf1', vuid: 'LABVF1', end: WS2 },
] as const

const TOPOLOGY = [
  `dev ${PCI} ${WIRE} ${UPLINK.node.interface}`,
  ...FUNCTIONS.map(({ representor, vuid, end }) => `rep ${PCI} ${representor} ${vuid} ${end.slot}`),
].join('; ')

/** For every process that is started from now on: the card that it finds. */
export function plugIn(): void {
  process.env.DOCA_EMULATOR = TOPOLOGY
}
export function unplug(): void {
  delete process.env.DOCA_EMULATOR
}

/** Needs the lab as it was built. Until somebody has the card, its cables lead nowhere. */
export async function insertCard(lab: Lab): Promise<void> {
  const inside = async (role: 'node' | 'out', lines: readonly string[]): Promise<void> => {
    const { status, stderr } = await lab.exec(role, ['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` })
    if (status !== 0) throw new Error(`ip in ${lab.namespace(role)}: ${stderr}`)
  }
  const cables = [UPLINK.node.interface, ...FUNCTIONS.map(({ end }) => end.slot)]
  // The Arm forwards nothing: the card does.
  const still = 'echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding'
  await lab.exec('node', ['sh', '-c', still])
  await inside('node', [
    ...cables.flatMap((cable) => [`address flush dev ${cable}`, `link set ${cable} addrgenmode none arp off`]),
    `tuntap add ${WIRE} mode tap`,
    `link set ${WIRE} addrgenmode none up`,
    ...FUNCTIONS.flatMap(({ representor, end }) => gatewayLines(representor, end)),
    `link add ${OOB} type veth peer name ${OOB} netns ${lab.namespace('out')}`,
    `link set ${OOB} up`,
    `address add ${UPLINK.node.v4}/30 dev ${OOB}`,
  ])
  // What a router behind the card knows: it is the workspace's gateway, and the workspace is on its cable.
  const { interface: wire } = UPLINK.out
  await inside('out', [
    `address flush dev ${wire} scope global`,
    // One segment a frame, so that what is sent and what arrives can be compared frame by frame.
    `link set ${wire} address ${WS.gatewayMac} gso_max_segs 1`,
    `link set ${OOB} up`,
    `address add ${UPLINK.out.v4}/30 dev ${OOB}`,
    ...[`${WS.v4}/32`, `${WS.v6}/128`].map((address) => `route add ${address} dev ${wire}`),
    ...[WS.v4, WS.v6].map((address) => `neigh replace ${address} lladdr ${WS.mac} dev ${wire} nud permanent`),
  ])
}

/** The card's reset button: everything on it is gone, under whoever has it. */
export async function resetCard(lab: Lab): Promise<void> {
  const { status, stderr } = await lab.exec('node', [repositoryPath('build/doca/doca-card'), PCI, 'reset'])
  if (status !== 0) throw new Error(stderr)
}

/** The Arm's own netdevice of a function is what the workspace knows as its gateway. */
const gatewayLines = (representor: string, end: WorkspaceEnd): string[] => [
  `tuntap add ${representor} mode tap`,
  `link set ${representor} address ${end.gatewayMac} addrgenmode none up`,
  `address add ${end.gateway4}/30 dev ${representor}`,
  `address add ${end.gateway6}/64 dev ${representor} nodad`,
]
