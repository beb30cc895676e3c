// The slot of a node (../agent/node.mjs) as a workspace's side that can be sent from and a way out behind the fence: the addresses are
// those that sluice-load writes into its frames, so that what is refused is refused for want of a grant and for nothing else.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const PROGRAM = new URL('../../dist/bin/sluice.js', import.meta.url).pathname
const GENERATOR = new URL('../../build/native/sluice-load', import.meta.url).pathname
const GATEWAY = { mac: '02:00:00:00:09:01', address: '10.9.0.1' }
const SEEN_MS = 10_000
const OWN = { mac: '02:00:00:00:09:02', address: '10.9.0.2' }

/** Gives the node's slot to a workspace in a namespace of its own, which ends with this process; before the agent begins. */
export async function prepare(node) {
  const path = node.path('inventory.yaml')
  const listed = readFileSync(path, 'utf8')
    .replace(/mac: "[^"]*:02"/, `mac: "${OWN.mac}"`)
    .replace(/mac: "[^"]*:01"/, `mac: "${GATEWAY.mac}"`)
    .replace(/10\.9\.\d+\.2/, OWN.address)
    .replace(/10\.9\.\d+\.1/, GATEWAY.address)
  writeFileSync(path, listed)
  const sign = ['inventory', 'sign', 'inventory.yaml', '--key', 'keys/inventory.key']
  execFileSync(process.execPath, [PROGRAM, ...sign], { cwd: node.directory, stdio: 'ignore' })
  const ip = (...words) => execFileSync('ip', ['-n', node.namespace, ...words])
  const holder = spawn('unshare', ['-n', 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  holder.stdin.write('there\n')
  await once(createInterface({ input: holder.stdout }), 'line')
  node.workspace = holder
  const inside = ['nsenter', '-t', String(holder.pid), '-n', '--']
  const within = (...words) => execFileSync(inside[0], [...inside.slice(1), ...words])
  // What hosts say of themselves in IPv6 would be refused, too, and nobody sent it.
  const quiet = 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'
  within('sh', '-c', quiet)
  const [shell, ...rest] = node.within(['sh', '-c', `${quiet}; echo 1 > /proc/sys/net/ipv4/ip_forward`])
  execFileSync(shell, rest)
  ip('link', 'set', 'peer0', 'netns', String(holder.pid))
  within('ip', 'link', 'set', 'peer0', 'address', OWN.mac)
  within('ip', 'address', 'add', `${OWN.address}/24`, 'dev', 'peer0')
  within('ip', 'link', 'set', 'peer0', 'up')
  ip('link', 'set', 'ws0', 'address', GATEWAY.mac)
  ip('address', 'add', `${GATEWAY.address}/24`, 'dev', 'ws0')
  // Nobody is behind it, and whatever the fence let through is counted on the way there, once: without ARP, whose questions the kernel
  // repeats for seconds.
  ip('link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'out1', 'netns', String(holder.pid))
  within('ip', 'link', 'set', 'out1', 'up')
  ip('link', 'set', 'out0', 'arp', 'off', 'up')
  ip('route', 'add', '45.0.0.0/8', 'dev', 'out0')
  // There is no fence yet, so that one passes; otherwise nothing would ever be seen to.
  await send(node, 1, 1)
  for (const until = performance.now() + SEEN_MS; escaped(node) === 0; ) {
    if (performance.now() > until) throw new Error('a packet that nothing stops does not come through')
    await sleep(SEEN_MS / 100)
  }
}

/** Sends so many datagrams to so many addresses in turn; gives nanoseconds a packet. */
export async function send(node, addresses, packets) {
  const words = ['packets', 'peer0', 4, addresses, addresses, 0, packets].map(String)
  const child = spawn('nsenter', ['-t', String(node.workspace.pid), '-n', '--', GENERATOR, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return JSON.parse(line).nanoseconds
}

/** Packets that left the node by the way out. */
export function escaped(node) {
  const [program, ...words] = node.within(['cat', '/sys/class/net/out0/statistics/tx_packets'])
  return Number(execFileSync(program, words, { encoding: 'utf8' }))
}

/** What the fence itself has counted as refused for want of a grant, read back from the kernel. */
export function refused(node) {
  const [program, ...words] = node.within([process.execPath, PROGRAM, 'status', '--config', 'agent.yaml', '--json'])
  const status = JSON.parse(execFileSync(program, words, { cwd: node.directory, encoding: 'utf8' }))
  return Number(status.drops['no-grant'] ?? 0)
}

/** Of the trail on disk: events about refused packets, the packets that they stand for, those that were told as kept back, and
 * events that the journal itself lost. */
export function trail(node) {
  const seen = { events: 0, told: 0, keptBack: 0, journalLost: 0 }
  for (const line of readFileSync(node.path('events.ndjson'), 'utf8').split('\n')) {
    if (!line.includes('"status_code"')) continue
    const event = JSON.parse(line)
    if (event.status_code === 'no-grant') {
      seen.events++
      seen.told += event.count ?? 1
    } else if (event.status_code === 'unreported') seen.keptBack += event.unmapped.lost
    else if (event.status_code === 'unwritten') seen.journalLost += event.unmapped.lost
  }
  return seen
}
