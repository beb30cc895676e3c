// nftables beside the eBPF bench, in the same namespace and on the same interfaces: our driver with synthetic plans, a ruleset as
// an expert would write it by hand for the same grants, packets blasted from the workspace's side, and what the kernel's
// memory says. Needs root and a build.

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { lower as lowerEbpf } from '../../dist/backends/ebpf/lower.js'
import { nftablesBackend } from '../../dist/backends/nftables/index.js'
import { NftContext } from '../../dist/backends/nftables/libnftables.js'
import { scratchFolder } from '../scratch/folder.mjs'
import { compiled } from './compiled.mjs'
import { address, slice } from './fence.mjs'

const run = (file, ...args) => execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/** Nanoseconds a packet, sent by the process whose namespace `pid` names: UDP to `grants` addresses in turn. */
export function blast(pid, grants, packets, anew = true) {
  // Every flow is a new one, and none finds the table full.
  if (anew) run('conntrack', '-F')
  const argv = ['-t', String(pid), '-n', compiled('blast'), 'bench1', String(grants), String(packets)]
  const { status, stdout, stderr } = spawnSync('nsenter', argv, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`blast: ${stderr}`)
  return Number(stdout)
}

/** What an expert writes for these grants: flows first, one set, the rest refused. */
export function handWritten(count) {
  const elements = (protocol) => Array.from({ length: count }, (_, n) => `${address(n)} . ${protocol} . 443`).join(', ')
  return `add table inet hand
add set inet hand grants { type ipv4_addr . inet_proto . inet_service; }
add element inet hand grants { ${elements(6)} }
add element inet hand grants { ${elements(17)} }
add chain inet hand forward { type filter hook forward priority 0; policy accept; }
add rule inet hand forward ct state established,related accept
add rule inet hand forward iifname bench0 ip saddr 10.9.0.2 ip daddr . meta l4proto . th dport @grants accept
add rule inet hand forward iifname bench0 reject with icmpx type admin-prohibited
add rule inet hand forward oifname bench0 drop
`
}

/** Both protocols for each address, since streams are TCP and blasts UDP. */
function plan(generation, count, clauses) {
  const made = slice(generation, count, 'exact', clauses)
  for (const workspace of made.workspaces) {
    const udp = workspace.network.egress.map((one) => ({ ...one, id: one.id.replace('tcp', 'udp'), protocol: 'udp' }))
    workspace.network.egress.push(...udp)
    workspace.network.names = clauses.map((clause) => ({ clause, pattern: 'api.example', ports: [], within: [] }))
  }
  return made
}

/** One plan for either fence. */
export const program = (generation, count, clauses = []) => nftablesBackend.lower(plan(generation, count, clauses))
export const ebpfProgram = (generation, count) => lowerEbpf(plan(generation, count, []))

export async function openNftables() {
  const folder = scratchFolder()
  const driver = await nftablesBackend.open({ attachInterfaces: [], stateDirectory: folder.path })
  const writer = new NftContext()
  return {
    driver,
    async hand(count) {
      await writer.run(handWritten(count))
      return () => writer.run('delete table inet hand\n')
    },
    /** The fence's base chains as they are, by themselves: what its hooks cost before a rule is read. */
    hollow() {
      const { nftables } = JSON.parse(run('nft', '-j', 'list', 'chains'))
      const chains = nftables.flatMap(({ chain }) => (chain?.table === 'sluice' && chain.hook ? [chain] : []))
      const families = [...new Set(chains.map(({ family }) => family))]
      const lines = chains.map(({ family, name, type, hook, prio }) => {
        // The listing names no device, and there is only one.
        const device = family === 'netdev' ? ' device "bench0"' : ''
        return `add chain ${family} hollow ${name} { type ${type} hook ${hook}${device} priority ${prio}; policy accept; }`
      })
      return {
        load: () => writer.run(`${[...families.map((one) => `add table ${one} hollow`), ...lines].join('\n')}\n`),
        unload: () => writer.run(families.map((one) => `delete table ${one} hollow\n`).join('')),
      }
    },
    async close() {
      await driver.uninstall()
      await driver.close()
      await writer.close()
      folder.remove()
    },
  }
}

/** Kernel memory in megabytes: slabs, per-CPU areas and vmalloc; other programs move it too. */
export function kernelMegabytes() {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const kb = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return (kb('Slab') + kb('Percpu') + kb('VmallocUsed')) / 1024
}
