// The physical limit of each fence: the same hooks with nothing behind them. For eBPF a program that returns at once, attached as the
// fence is; for nftables the fence's own base chains, as they were listed when it stood, without a rule.

import { execFileSync } from 'node:child_process'
import { mkdirSync, unlinkSync } from 'node:fs'
import { load, pinsOf, removePins } from '../../backends/ebpf/fence.js'
import { Native } from '../../backends/ebpf/native.js'
import { slotOf } from '../setting.js'
import type { Variant } from './variant.js'

export const emptyProgram: Variant = {
  name: 'empty',
  say: "an empty BPF program on the fence's own hooks",
  role: 'reference',
  emulated: false,
  absent: () => {
    try {
      Native.open()
      return Promise.resolve(undefined)
    } catch (error) {
      return Promise.resolve(error instanceof Error ? error.message : 'the loader could not be opened')
    }
  },
  put: async ({ workspaces }) => {
    const native = Native.open()
    const pins = `${pinsOf(native)}-empty`
    const links: string[] = []
    let program: number | undefined
    const lift = (): Promise<void> => {
      for (const link of links) unlinkSync(link)
      if (program !== undefined) native.ask('close', program)
      removePins(pins)
      return Promise.resolve()
    }
    try {
      for (const folder of ['maps', 'programs', 'links']) mkdirSync(`${pins}/${folder}`, { recursive: true })
      load(native, 'fence_empty.bpf.o', `${pins}/maps`, `${pins}/programs`, 0)
      program = native.call('opening', 'get', `${pins}/programs/fence_empty`)
      for (let n = 0; n < workspaces; n++) {
        const index = native.call('looking up an interface', 'ifindex', slotOf(n).interface)
        for (const egress of [0, 1]) {
          const link = `${pins}/links/${index}-${egress}`
          native.call('attaching', 'attach', program, index, egress, link, 1)
          links.push(link)
        }
      }
    } catch (error) {
      await lift()
      throw error
    }
    return { lift }
  },
}

interface ListedChain {
  readonly table: string
  readonly family: string
  readonly name: string
  readonly type?: string
  readonly hook?: string
  readonly prio?: number
}

const nft = (words: readonly string[], input = ''): string =>
  execFileSync('nft', words, { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'] })

/** `fence` stands once, to be looked at, before the first visit. */
export function emptyChains(fence: Variant): Variant {
  let script: { readonly load: string; readonly lift: string } | undefined
  return {
    name: 'empty-chains',
    say: "empty chains on the nftables fence's own hooks",
    role: 'reference',
    emulated: false,
    absent: () => fence.absent(),
    put: async () => {
      script ??= await hooksOf(fence)
      const { load: chains, lift } = script
      nft(['-f', '-'], chains)
      return {
        lift: () => {
          nft(['-f', '-'], lift)
          return Promise.resolve()
        },
      }
    },
  }
}

async function hooksOf(fence: Variant): Promise<{ load: string; lift: string }> {
  const placed = await fence.put({ grants: 0, workspaces: 1 })
  let text: string
  try {
    text = nft(['-j', 'list', 'chains'])
  } finally {
    await placed.lift()
  }
  const { nftables } = JSON.parse(text) as { nftables: readonly { readonly chain?: ListedChain }[] }
  const chains = nftables.flatMap(({ chain }) => (chain?.table === 'sluice' && chain.hook !== undefined ? [chain] : []))
  const families = [...new Set(chains.map(({ family }) => family))]
  const lines = chains.map(({ family, name, type, hook, prio }) => {
    // The listing names no device; the first slot is where traffic comes from.
    const device = family === 'netdev' ? ` device "${slotOf(0).interface}"` : ''
    return `add chain ${family} hollow ${name} { type ${type} hook ${hook}${device} priority ${prio}; policy accept; }\n`
  })
  return {
    load: `${families.map((one) => `add table ${one} hollow\n`).join('')}${lines.join('')}`,
    lift: families.map((one) => `delete table ${one} hollow\n`).join(''),
  }
}
