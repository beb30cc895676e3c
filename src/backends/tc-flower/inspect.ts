// Where the fence of one workspace hangs, for evidence: the switch of each hook, asked of the kernel now, and the chains behind it.

import type { WorkspaceId } from '../../plan/model.js'
import type { Anchor } from '../backend.js'
import type { Kernel } from './kernel.js'
import { chainsOf, PRIO } from './place.js'
import { type Post, switchIn } from './post.js'
import type { HeldGeneration } from './record.js'

export function anchorOf(
  kernel: Kernel,
  workspace: WorkspaceId,
  post: Post,
  { turn, generation }: HeldGeneration,
  uplink: string,
): Anchor {
  const nameAt = (ifindex: number): string => (ifindex === post.ports.slot ? post.interface : uplink)
  const hooks = post.stations.flatMap((station) => {
    const found = switchIn(station, kernel.native.list({ ...station, chain: 0 }))
    if (!found) return []
    const handle = `chain 0 priority ${PRIO.switch} handle ${found.handle}`
    const on = `${nameAt(station.ifindex)}#${station.ifindex}`
    return [{ hook: `clsact/${station.hook}`, on, owner: { kind: 'entry', handle } as const }]
  })
  const objects = post.stations.flatMap(({ ifindex, hook, ...rest }) =>
    chainsOf({ ifindex, hook, ...rest }, turn).map((chain) => ({
      kind: 'chain' as const,
      name: `${nameAt(ifindex)} ${hook}`,
      id: String(chain),
    })),
  )
  return { workspace, emulated: false, generation, hooks, objects }
}
