// Makes and removes the four namespaces of the laboratory: two workspaces, the enforcement node, the outside world, joined
// by veth pairs. Names carry the process id (`slu-PID-node`), so that leftovers of a run that was killed can be told from a
// run that lives, and are collected at the next start. Addresses are static: no router advertisements, no duplicate address
// detection, no reverse-path filter, so that whatever is dropped on the way, the fence dropped it.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isV6, OUT, UPLINK, type WorkspaceEnd, WS, WS2 } from './addresses.js'
import { command, must } from './command.js'

export const ROLES = ['ws', 'ws2', 'node', 'out'] as const
export type Role = (typeof ROLES)[number]

export const namespaceOf = (role: Role, pid = process.pid): string => `slu-${pid}-${role}`

const OWN_NAME = /^slu-(\d+)-(?:ws|ws2|node|out)$/
const NAMESPACES = '/run/netns'
/** `ip netns exec` mounts these files over those of /etc, so that each workspace has its own hosts file. */
const ETC = '/etc/netns'

/** Settings of a namespace as `path below /proc/sys, value`. */
const settings = (role: Role): string[] => [
  'net/ipv6/conf/all/accept_ra 0',
  'net/ipv6/conf/default/accept_ra 0',
  'net/ipv6/conf/default/accept_dad 0',
  'net/ipv6/conf/default/dad_transmits 0',
  'net/ipv6/conf/default/router_solicitations 0',
  'net/ipv4/conf/all/rp_filter 0',
  'net/ipv4/conf/default/rp_filter 0',
  'net/ipv4/conf/all/send_redirects 0',
  'net/ipv4/conf/default/send_redirects 0',
  // Servers that answer thousands of probes a second must not be slowed by the kernel's manners towards strangers.
  'net/ipv4/icmp_ratelimit 0',
  'net/ipv6/icmp/ratelimit 0',
  ...(role === 'node' ? ['net/ipv4/ip_forward 1', 'net/ipv6/conf/all/forwarding 1'] : []),
]

/** A gateway that does not answer must look silent to a probe, not unreachable by the probe's own kernel after 3 s. */
const patience = (end: WorkspaceEnd): string[] =>
  ['ipv4', 'ipv6'].map((family) => `net/${family}/neigh/${end.inside}/mcast_solicit 30`)

const writeSettings = (role: Role, lines: readonly string[]): Promise<string> =>
  must(
    [
      'ip',
      'netns',
      'exec',
      namespaceOf(role),
      'sh',
      '-ec',
      'while read path value; do echo "$value" >"/proc/sys/$path"; done',
    ],
    { input: `${lines.join('\n')}\n` },
  )

const joinWorkspace = (role: 'ws' | 'ws2', end: WorkspaceEnd, pid: number): string[] => [
  `link add ${end.slot} netns ${namespaceOf('node', pid)} address ${end.gatewayMac} type veth peer name ${end.inside} netns ${namespaceOf(role, pid)} address ${end.mac}`,
]

const nodeLines = (end: WorkspaceEnd): string[] => [
  `link set ${end.slot} up`,
  `address add ${end.gateway4}/30 dev ${end.slot}`,
  `address add ${end.gateway6}/64 dev ${end.slot} nodad`,
]

const workspaceLines = (end: WorkspaceEnd): string[] => [
  'link set lo up',
  `link set ${end.inside} up`,
  `address add ${end.v4}/30 dev ${end.inside}`,
  `address add ${end.v6}/64 dev ${end.inside} nodad`,
  `route add default via ${end.gateway4}`,
  `route add ::/0 via ${end.gateway6}`,
]

const outLines = (): string[] => [
  'link set lo up',
  `link set ${UPLINK.out.interface} up`,
  `address add ${UPLINK.out.v4}/30 dev ${UPLINK.out.interface}`,
  `address add ${UPLINK.out.v6}/64 dev ${UPLINK.out.interface} nodad`,
  ...Object.values(OUT).map((address) =>
    isV6(address) ? `address add ${address}/128 dev lo nodad` : `address add ${address}/32 dev lo`,
  ),
  `route add default via ${UPLINK.node.v4} dev ${UPLINK.out.interface}`,
  `route add ::/0 via ${UPLINK.node.v6} dev ${UPLINK.out.interface}`,
]

/** Builds everything. Leftovers of dead runs are taken away first; a run of this process that still stands is an error. */
export async function buildNamespaces(): Promise<void> {
  const pid = process.pid
  collectLeftovers()
  for (const role of ROLES) await must(['ip', 'netns', 'add', namespaceOf(role, pid)])
  for (const role of ROLES) await writeSettings(role, settings(role))
  const batch = (lines: readonly string[], role?: Role): Promise<string> =>
    must(['ip', ...(role ? ['-n', namespaceOf(role, pid)] : []), '-batch', '-'], { input: `${lines.join('\n')}\n` })
  await batch([
    ...joinWorkspace('ws', WS, pid),
    ...joinWorkspace('ws2', WS2, pid),
    `link add ${UPLINK.node.interface} netns ${namespaceOf('node', pid)} address ${UPLINK.node.mac} type veth peer name ${UPLINK.out.interface} netns ${namespaceOf('out', pid)} address ${UPLINK.out.mac}`,
  ])
  await batch(
    [
      'link set lo up',
      ...nodeLines(WS),
      ...nodeLines(WS2),
      `link set ${UPLINK.node.interface} up`,
      `address add ${UPLINK.node.v4}/30 dev ${UPLINK.node.interface}`,
      `address add ${UPLINK.node.v6}/64 dev ${UPLINK.node.interface} nodad`,
      `route add default via ${UPLINK.out.v4}`,
      `route add ::/0 via ${UPLINK.out.v6}`,
    ],
    'node',
  )
  await batch(workspaceLines(WS), 'ws')
  await batch(workspaceLines(WS2), 'ws2')
  await batch(outLines(), 'out')
  await writeSettings('ws', patience(WS))
  await writeSettings('ws2', patience(WS2))
  writeHosts('ws', {})
  writeHosts('ws2', {})
}

/**
 * Gives a workspace its own /etc/hosts and a resolver that is not there: names are pinned, nothing else resolves. The files
 * are mounted when a process enters the namespace; rewriting them later shows, because it is in place.
 */
export function writeHosts(role: 'ws' | 'ws2', names: Readonly<Record<string, readonly string[]>>): void {
  const directory = `${ETC}/${namespaceOf(role)}`
  mkdirSync(directory, { recursive: true })
  const lines = Object.entries(names).flatMap(([name, addresses]) => addresses.map((address) => `${address} ${name}`))
  writeFileSync(`${directory}/hosts`, `127.0.0.1 localhost\n${lines.join('\n')}\n`)
  writeFileSync(`${directory}/resolv.conf`, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n')
}

/** Removes the namespaces of one run and what still runs in them. Synchronous, so that it can run while exiting. */
export function removeNamespaces(pid = process.pid): void {
  for (const role of ROLES) {
    const name = namespaceOf(role, pid)
    if (existsSync(`${NAMESPACES}/${name}`)) {
      endProcessesOf(name)
      quietly('ip', ['netns', 'delete', name])
    }
    rmSync(`${ETC}/${name}`, { recursive: true, force: true })
  }
  // Only goes when empty, which is how it was found if the laboratory made it.
  quietly('rmdir', ['--ignore-fail-on-non-empty', ETC])
}

function endProcessesOf(namespace: string): void {
  for (const pid of quietly('ip', ['netns', 'pids', namespace]).split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It ended between the listing and now, which is what was wanted.
    }
  }
}

function quietly(file: string, argv: readonly string[]): string {
  try {
    return execFileSync(file, argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    // Taking away goes as far as it can: what is not there any more needs no taking away, and the test of leftovers looks.
    return ''
  }
}

const alive = (pid: number): boolean => {
  try {
    // A zombie holds nothing, and its namespaces are leftovers.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    // No such file: no such process.
    return false
  }
}

/** Takes away what runs that were killed left behind. Gives the process ids of those runs. */
export function collectLeftovers(): number[] {
  const names = [NAMESPACES, ETC].flatMap((directory) => (existsSync(directory) ? readdirSync(directory) : []))
  const pids = new Set(names.map((name) => Number(OWN_NAME.exec(name)?.[1] ?? 0)))
  const dead = [...pids].filter((pid) => pid !== 0 && !alive(pid))
  for (const pid of dead) removeNamespaces(pid)
  return dead
}

/** True when this process may build namespaces at all; otherwise why not. */
export async function canBuild(): Promise<true | string> {
  if (process.getuid?.() !== 0) return 'needs root, to make network namespaces'
  const probe = await command(['ip', 'netns', 'list']).catch((error: Error) => ({ status: 1, stderr: error.message }))
  return probe.status === 0 ? true : `ip netns does not work here: ${probe.stderr.trim()}`
}
