// The fence with nobody behind it, laid before the network is up: the constant chains, the interfaces of the record as attached
// and none of them alive, the patterns, and the deny floor on every interface. There is no generation in it, so whoever looks
// finds nothing live, and the first commit puts the plan in its place.

import type { Floor } from '../backend.js'
import { nftablesFault } from './errors.js'
import { closedScript } from './flag.js'
import { readRuleset } from './ruleset.js'
import { reasonOf, type Session } from './session.js'
import { readStanding } from './standing.js'

/** Throws NFT_COMMIT, NFT_READ_BACK, NFT_FLOOR. */
export async function floor(session: Session): Promise<Floor> {
  const standing = await readStanding(session)
  if (standing) return { laid: false, say: `generation ${standing.generation} is live` }
  const slots = session.live?.workspaces ?? []
  // First what needs no table: it guards while these are written.
  session.floor.guard(slots)
  try {
    await session.writer.run(closedScript(session, []))
  } catch (error) {
    throw nftablesFault('NFT_COMMIT', { generation: 0, why: reasonOf(error) }, { cause: error })
  }
  const objects = await readRuleset('inet')
  if (!objects.some(({ chain }) => chain?.name === 'hook_forward'))
    throw nftablesFault('NFT_READ_BACK', { wanted: 'a hook for what is forwarded', found: 'none' })
  const patterns = session.options.attachInterfaces.join(', ') || 'none'
  return { laid: true, say: `${slots.length} slot(s) of the record closed, and interfaces named ${patterns}` }
}
