// Where the fence hangs, by the kernel's own handles: the tables, the base chains with the hooks that they own, and for each
// workspace its link-layer chain and the chains and sets that the verdict map sends it to. Read from the ruleset, never from
// the record, so that it agrees with `nft -a list ruleset`.

import type { Anchor, AnchorHook, AnchorObject } from '../backend.js'
import { nftablesFault } from './errors.js'
import type { NftObject } from './libnftables.js'
import { listLinks } from './native.js'
import { elementsOf } from './readback.js'
import { TABLE } from './scaffold.js'
import { linkChain, TABLE_FAMILIES } from './script.js'
import { reasonOf, type Session } from './session.js'
import { readPlaces } from './standing.js'

/** Nothing where nothing is live. Throws NFT_READ. */
export async function inspect(session: Session): Promise<readonly Anchor[]> {
  try {
    return await look(session)
  } catch (error) {
    throw nftablesFault('NFT_READ', { what: 'the ruleset', why: reasonOf(error) }, { cause: error })
  }
}

async function look(session: Session): Promise<readonly Anchor[]> {
  const { reader } = session
  const found: NftObject[] = []
  for (const family of TABLE_FAMILIES) found.push(...(await reader.structure(family)))
  if (!found.some(({ table }) => table?.family === 'inet')) return []
  const [gen] = elementsOf(await reader.list(`list set inet ${TABLE} gen`))
  if (!gen) return []
  const leads = elementsOf(await reader.list(`list map inet ${TABLE} from_ws`))
  const links = listLinks()
  const tables = found.flatMap(({ table }): AnchorObject[] =>
    table ? [{ kind: 'table', name: `${table.family} ${table.name}`, id: String(table.handle) }] : [],
  )
  const named = (name: string): string =>
    session.live?.workspaces.find((one) => one.interface === name)?.workspace ?? ''
  return (await readPlaces(session)).map(({ workspace, interface: name }): Anchor => {
    const index = links.find((link) => link.name === name)?.index
    const hooks = found.flatMap(({ chain }): AnchorHook[] => {
      if (chain?.hook === undefined) return []
      // A base chain of netdev is one interface's; the others judge by name whatever passes.
      const own = chain.family === 'netdev' && chain.name === linkChain(name)
      if (chain.family === 'netdev' && !own) return []
      const on = own ? `${name}#${index ?? 0}` : '*'
      const owner = {
        kind: 'chain',
        name: `${chain.family} ${chain.table} ${chain.name}`,
        handle: chain.handle,
      } as const
      return [{ hook: `${chain.family}/${chain.hook}`, on, owner }]
    })
    const prefix = /^goto (w\d+_g[^_]+_)from$/.exec(leads.find(({ key }) => key === name)?.value ?? '')?.[1]
    const own = found.flatMap(({ chain, set }): AnchorObject[] => {
      const object = chain ?? set
      if (!object || prefix === undefined || !object.name.startsWith(prefix)) return []
      const kind = chain ? 'chain' : 'set'
      return [{ kind, name: `${object.family} ${object.table} ${object.name}`, id: String(object.handle) }]
    })
    return {
      // The kernel keeps 127 octets of a name; the record knows all of it.
      workspace: named(name) || workspace,
      emulated: false,
      generation: Number(gen.key),
      hooks,
      objects: [...tables, ...own],
    }
  })
}
