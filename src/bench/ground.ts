// The ground that a run measures on: this process's network namespace is the node, with one slot a workspace; a client's namespace has
// the other ends, and a server's namespace stands outside. Both namespaces live in a process that ends with this one's pipe, so that
// nothing is left however the run ends. Must be called in a network namespace of its own (src/bin/bench-worker.ts sees to that).

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { benchFault } from './errors.js'
import { pinned, processors } from './processors.js'
import { CLIENT_PORTS, PORTS, SERVER, slotOf } from './setting.js'

export const GENERATOR = fileURLToPath(new URL('../../build/native/sluice-load', import.meta.url))

export interface Ground {
  /** Words before a command that is to run where the workspaces are, or where the server is. */
  readonly client: readonly string[]
  readonly server: readonly string[]
  /** Words that keep a command on the processor of its side; no part of `client`. */
  readonly onClient: readonly string[]
  /** Whose /proc files are of the server's namespace. */
  readonly serverPid: number
  /** Interface of the first workspace's own end. */
  readonly interface: string
  /** Makes so many slots; those that were there before and are too many go. */
  slots(workspaces: number): void
  close(): Promise<void>
}

const HTTP = `
const page = Buffer.alloc(1024, 'x')
require('http').createServer((_, answer) => answer.end(page)).listen(${PORTS.http}, '::')`

const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' })
const end = (n: number): string => `w${n}`

export async function openGround(): Promise<Ground> {
  const children: ChildProcess[] = []
  const pair = processors()
  const [onClient, onServer] = [pinned(pair?.client), pinned(pair?.server)]
  const holder = (...words: string[]): ChildProcess => {
    const child = spawn('unshare', ['-n', ...words], { stdio: ['pipe', 'pipe', 'inherit'] })
    children.push(child)
    return child
  }
  // `cat` says back what it is told: then its namespace is there.
  const client = holder('cat')
  client.stdin?.write('there\n')
  const server = holder(...onServer, GENERATOR, 'serve', '::', String(PORTS.echo))
  const [clientPid, serverPid] = await Promise.all([spoke(client), spoke(server)])
  // Neither is told when its standard input ends, so both end with this process.
  const beside = (...words: string[]): ChildProcess => {
    const ending = ['setpriv', '--pdeathsig', 'KILL', ...onServer, ...words]
    const child = spawn('nsenter', ['-t', String(serverPid), '-n', '--', ...ending], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    // Where iperf3 is missing, its first client says so.
    child.once('error', () => undefined)
    child.stdout.resume()
    children.push(child)
    return child
  }
  const within = (pid: number): string[] => ['nsenter', '-t', String(pid), '-n', '--']
  const inside = (pid: number, ...words: string[]): void => {
    execFileSync('nsenter', ['-t', String(pid), '-n', '--', ...words])
  }
  // Nobody else is there to have an address, or to be asked for a router.
  for (const name of ['accept_dad', 'router_solicitations']) {
    const path = `/proc/sys/net/ipv6/conf/default/${name}`
    writeFileSync(path, '0')
    for (const pid of [clientPid, serverPid]) inside(pid, 'sh', '-c', `echo 0 > ${path}`)
  }
  forward()
  outside(serverPid, inside)
  beside('iperf3', '-s', '-p', String(PORTS.iperf))
  beside(process.execPath, '-e', HTTP)
  // Whoever is not there yet does not answer either, and a variant that lets everything through would pass for one that does not.
  await spoke(beside(GENERATOR, 'serve', '::', String(PORTS.denied)))
  let have = 0
  const slots = (workspaces: number): void => {
    for (; have < workspaces; have++) addSlot(have, clientPid, inside)
    for (; have > workspaces; have--) ip('link', 'delete', slotOf(have - 1).interface)
  }
  slots(1)
  return {
    client: within(clientPid),
    server: within(serverPid),
    onClient,
    serverPid,
    interface: end(0),
    slots,
    close: async () => {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        const gone = once(child, 'exit')
        if (child.stdin) child.stdin.end()
        else child.kill('SIGKILL')
        await gone
      }
    },
  }
}

/** Its number, once it has said a line. Throws BENCH_GROUND. */
async function spoke(child: ChildProcess): Promise<number> {
  const { stdout, pid } = child
  if (!stdout || pid === undefined) throw benchFault('BENCH_GROUND', { why: 'a namespace could not be made' })
  const lines = createInterface({ input: stdout })
  const heard = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => undefined)])
  lines.close()
  stdout.resume()
  if (heard === undefined) throw benchFault('BENCH_GROUND', { why: 'the process of a namespace ended' })
  return pid
}

function outside(pid: number, inside: (pid: number, ...words: string[]) => void): void {
  ip('link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'out1')
  ip('link', 'set', 'out1', 'netns', String(pid))
  for (const { address, other, router, prefix, beyond } of Object.values(SERVER)) {
    ip(...own(router, prefix, 'out0'))
    inside(pid, 'ip', ...own(address, prefix, 'out1'))
    // Deprecated, so that answers to datagrams leave from the other one.
    inside(pid, 'ip', ...own(other, prefix, 'out1'), ...(other.includes(':') ? ['preferred_lft', '0'] : []))
    ip('link', 'set', 'out0', 'up')
    inside(pid, 'ip', 'link', 'set', 'out1', 'up')
    inside(pid, 'ip', 'route', 'add', 'default', 'via', router)
    // What is granted beyond the server goes to it, and it drops what is not its own.
    ip('route', 'replace', beyond, 'via', address)
  }
}

/** Words that give an interface an address; IPv6 without asking whether somebody else has it. */
const own = (address: string, prefix: number, name: string): string[] => [
  'address',
  'add',
  `${address}/${prefix}`,
  'dev',
  name,
  ...(address.includes(':') ? ['nodad'] : []),
]

function forward(): void {
  ip('link', 'set', 'lo', 'up')
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
  writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1')
}

function addSlot(n: number, pid: number, inside: (pid: number, ...words: string[]) => void): void {
  const { interface: name, mac, gateway, addresses } = slotOf(n)
  ip('link', 'add', name, 'address', gateway.mac, 'type', 'veth', 'peer', 'name', end(n), 'address', mac)
  ip('link', 'set', end(n), 'netns', String(pid))
  ip('link', 'set', name, 'up')
  inside(pid, 'ip', 'link', 'set', end(n), 'up')
  // Traffic comes from the first; the others stand, with a policy each.
  if (n > 0) return
  const [v4 = '', v6 = ''] = addresses
  const [gateway4 = '', gateway6 = ''] = gateway.addresses
  for (const [inner, router, prefix] of [
    [v4, gateway4, 24],
    [v6, gateway6, 64],
  ] as const) {
    ip(...own(router, prefix, name))
    inside(pid, 'ip', ...own(inner, prefix, end(n)))
    inside(pid, 'ip', 'route', 'add', 'default', 'via', router)
  }
  inside(pid, 'sh', '-c', `echo "${CLIENT_PORTS.from} ${CLIENT_PORTS.to}" > /proc/sys/net/ipv4/ip_local_port_range`)
}
