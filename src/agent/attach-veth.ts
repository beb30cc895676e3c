// The veth pair of a workspace: the node's end with the inventory's name and gateway, the other in the workspace's network
// namespace as eth0 with the inventory's MAC and addresses, all static. The node's end is made down and stays down until
// `raise`. It carries a mark (its alias), so that nothing that others made is ever taken away.

import { execFile } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { promisify } from 'node:util'
import type { WorkspacePlan } from '../plan/model.js'
import { agentFault } from './errors.js'

const INSIDE = 'eth0'
const MARK = 'sluice: made for a workspace'
const OWN_NETNS = '/proc/self/ns/net'
const RUN_MS = 10_000

const run = promisify(execFile)
const ip = async (...words: readonly string[]): Promise<void> => {
  await run('ip', words, { timeout: RUN_MS })
}
const bits = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`
const nodad = (address: string): string[] => (address.includes(':') ? ['nodad'] : [])
const marked = (name: string): boolean => {
  const path = `/sys/class/net/${name}/ifalias`
  return existsSync(path) && readFileSync(path, 'utf8').trim() === MARK
}

/** Makes the pair; the node's end is down. Throws AGENT_SLOT_TAKEN, AGENT_SLOT_ABSENT for a namespace that is none. */
export async function makePair({ slot }: WorkspacePlan, netns: string): Promise<void> {
  const name = slot.interface
  requireOther(netns)
  if (marked(name)) await removeMade(name)
  if (existsSync(`/sys/class/net/${name}`)) throw agentFault('AGENT_SLOT_TAKEN', { slot: name })
  const outer = ['link', 'add', name, 'address', slot.gateway.mac]
  await ip(...outer, 'type', 'veth', 'peer', 'name', INSIDE, 'netns', netns, 'address', slot.mac)
  await ip('link', 'set', name, 'alias', MARK)
  const inside = (...words: readonly string[]) =>
    run('nsenter', [`--net=${netns}`, 'ip', ...words], { timeout: RUN_MS })
  await inside('link', 'set', 'lo', 'up')
  for (const address of slot.addresses) await inside('address', 'add', bits(address), 'dev', INSIDE, ...nodad(address))
  await inside('link', 'set', INSIDE, 'up')
  for (const gateway of slot.gateway.addresses) {
    await inside('route', 'add', bits(gateway), 'dev', INSIDE)
    await inside('route', 'add', 'default', 'via', gateway, 'dev', INSIDE)
  }
}

/** Brings the node's end up, with the gateway's addresses and the way to the workspace. */
export async function raise({ slot }: WorkspacePlan): Promise<void> {
  const name = slot.interface
  for (const address of slot.gateway.addresses)
    await ip('address', 'add', bits(address), 'dev', name, ...nodad(address))
  await ip('link', 'set', name, 'up')
  for (const address of slot.addresses) await ip('route', 'replace', bits(address), 'dev', name)
}

/** Takes away a pair that `makePair` made; the other end goes with it. What others made stays. */
export async function removeMade(name: string): Promise<void> {
  if (marked(name)) await ip('link', 'delete', name)
}

/** The agent's own namespace would put the workspace's end beside the fence instead of behind it. */
function requireOther(netns: string): void {
  if (!existsSync(netns)) throw agentFault('AGENT_SLOT_ABSENT', { slot: `network namespace ${netns}` })
  const [own, other] = [statSync(OWN_NETNS), statSync(netns)]
  if (own.ino === other.ino && own.dev === other.dev) throw agentFault('AGENT_SLOT_TAKEN', { slot: netns })
}
