// What the kernel says of the fence of each slot, by nft itself and not by anything of ours: which taps are attached under the number that
// they have now, which are held back, and which have a hook of their own that drops what no rule lets pass.

import type { Lab } from '../lab/lab.js'

export interface LiveFence {
  /** Taps that are attached: the pair of number and name is in the set, and neither of the sets that hold a slot back has the name. */
  readonly open: readonly string[]
  readonly quarantined: readonly string[]
  /** Taps whose link-layer hook drops by default; nft does not say the device of a hook in JSON, and it is in the name. */
  readonly hooked: readonly string[]
  /** Every packet of a slot passes the rules that begin with its refusal. */
  readonly denies: boolean
}

interface Listed {
  readonly set?: { readonly family: string; readonly name: string; readonly elem?: readonly unknown[] }
  readonly chain?: { readonly family: string; readonly name: string; readonly hook?: string; readonly policy?: string }
  readonly rule?: { readonly family: string; readonly chain: string; readonly expr: readonly unknown[] }
}

export async function liveFence(lab: Lab): Promise<LiveFence> {
  const { stdout: text } = await lab.exec('node', ['nft', '-j', 'list', 'ruleset'])
  const all = (JSON.parse(text) as { readonly nftables: readonly Listed[] }).nftables
  const { stdout: links } = await lab.exec('node', ['ip', '-j', 'link', 'show'])
  const indexes = new Map(
    (JSON.parse(links) as readonly { readonly ifname: string; readonly ifindex: number }[]).map(
      ({ ifname, ifindex }) => [ifname, ifindex],
    ),
  )
  const elements = (name: string, family = 'inet'): readonly unknown[] =>
    all.find(({ set }) => set?.family === family && set.name === name)?.set?.elem?.map(plain) ?? []
  const held = new Set([...elements('quarantined'), ...elements('suspended'), ...elements('suspended', 'netdev')])
  const open = elements('pairs').flatMap((pair) => {
    // nft says the name that the number has now, where it has one.
    const [index, name] = (pair as { readonly concat: readonly [number | string, string] }).concat
    return !held.has(name) && (index === name || Number(index) === indexes.get(name)) ? [name] : []
  })
  const hooked = all.flatMap(({ chain }) =>
    chain?.family === 'netdev' && chain.hook === 'ingress' && chain.policy === 'drop'
      ? [chain.name.replace(/^l2_/, '')]
      : [],
  )
  const jumps = (chain: string, target: string): boolean =>
    all.some(
      ({ rule }) => rule?.family === 'inet' && rule.chain === chain && JSON.stringify(rule.expr).includes(target),
    )
  return {
    open: open.sort(),
    quarantined: elements('quarantined').map(String).sort(),
    hooked: hooked.sort(),
    denies:
      jumps('hook_prerouting', '"raw_rules"') &&
      jumps('raw_rules', '"f_not_attached"') &&
      jumps('hook_forward', '"forward_rules"') &&
      jumps('forward_rules', '"t_not_attached"') &&
      jumps('f_no_grant', '"c_no_grant"'),
  }
}

/** An element without its comment and its times. */
function plain(element: unknown): unknown {
  const { elem } = (typeof element === 'object' ? element : {}) as { readonly elem?: { readonly val: unknown } }
  return elem ? elem.val : element
}
