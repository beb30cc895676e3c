// Stage and discard: everything of a generation that can fail, under names that nothing reaches yet, in pieces. The fence goes on
// judging by the old generation; a failure takes the pieces away again.

import type { Staged } from '../backend.js'
import { nftablesFault } from './errors.js'
import { addKeys, packTuples, tuplesLoaded } from './kernel-set.js'
import type { NftObject } from './libnftables.js'
import { listLinks } from './native.js'
import type { NftProgram } from './program.js'
import { readRuleset } from './ruleset.js'
import { TABLE } from './scaffold.js'
import { dropChain, dropSet, loadPieces, scaffoldScript } from './script.js'
import { reasonOf, type Session } from './session.js'
import { readStanding } from './standing.js'

/** Throws NFT_STALE, NFT_BRIDGED, NFT_STAGE. */
export async function stage(session: Session, program: NftProgram): Promise<Staged> {
  const live = session.live?.generation ?? (await readStanding(session))?.generation ?? 0
  if (program.generation < live) throw nftablesFault('NFT_STALE', { generation: program.generation, live })
  refuseBridged(program)
  const tag = tagOf(++session.loads)
  try {
    await load(session, program, tag)
  } catch (error) {
    await removeObjects(session, (name) => name.includes(`_g${program.generation}${tag}_`))
    throw nftablesFault('NFT_STAGE', { generation: program.generation, why: reasonOf(error) }, { cause: error })
  }
  const before = session.staged.get(program.generation)
  session.staged.set(program.generation, { program, tag })
  if (before) await removeObjects(session, (name) => name.includes(`_g${program.generation}${before.tag}_`))
  return { generation: program.generation, planDigest: program.planDigest }
}

/** Tried without asking first whether the scaffold is there: listing a ruleset costs more than loading a small plan. */
async function load(session: Session, program: NftProgram, tag: string): Promise<void> {
  const run = async (): Promise<void> => {
    const packed = new Map<readonly string[], Uint8Array[]>()
    for (const piece of loadPieces(program, tag))
      if ('script' in piece) await session.writer.run(piece.script)
      else {
        const keys = packTuples(piece.elements)
        await addKeys(piece.set, keys, piece.elements.length)
        const held = packed.get(piece.of)
        if (held) held.push(keys)
        else packed.set(piece.of, [keys])
        session.sizes.set(piece.set, (session.sizes.get(piece.set) ?? 0) + piece.elements.length)
      }
    for (const [elements, keys] of packed) tuplesLoaded(elements, keys)
  }
  try {
    await run()
  } catch (error) {
    if (await hasHooks()) throw error
    await session.writer.run(scaffoldScript(session.options.attachInterfaces))
    await run()
  }
}

/** Letters only, so that it cannot run into the generation's digits. */
function tagOf(load: number): string {
  let text = ''
  for (let n = load; n > 0; n = Math.floor((n - 1) / 26)) text = String.fromCharCode(97 + ((n - 1) % 26)) + text
  return `${processTag()}${text}`
}

/** Another process may have staged the same generation and died: its leftovers have other names. */
const processTag = (): string => [...process.pid.toString(10)].map((digit) => 'abcdefghij'[Number(digit)]).join('')

/** Frames between two ports of one bridge never reach the inet hooks. */
function refuseBridged(program: NftProgram): void {
  const links = listLinks()
  for (const { interface: name } of program.workspaces) {
    const link = links.find((candidate) => candidate.name === name)
    if (link && link.master !== 0) {
      const master = links.find(({ index }) => index === link.master)?.name ?? `interface ${link.master}`
      throw nftablesFault('NFT_BRIDGED', { interface: name, master })
    }
  }
}

/** Our base chains are there: the scaffold is in use, and only a commit may touch it. */
async function hasHooks(): Promise<boolean> {
  return (await readRuleset('inet')).some(({ chain }) => chain?.name === 'hook_forward')
}

export async function discard(session: Session, staged: Staged): Promise<void> {
  const held = session.staged.get(staged.generation)
  if (!held) return
  session.staged.delete(staged.generation)
  await removeObjects(session, (name) => name.includes(`_g${staged.generation}${held.tag}_`))
}

/** Objects of one workspace and generation refer only to one another and to the scaffold. */
const prefixOf = (name: string): string => /^w\d+_g\d+[a-z]*_/.exec(name)?.[0] ?? ''
const PREFIXES_A_PIECE = 16

/**
 * Removes workspace objects that `unwanted` names: a workspace's chains, then the sets that they used, a few at a time. `known`:
 * a listing that holds them all.
 */
export async function removeObjects(
  session: Session,
  unwanted: (name: string) => boolean,
  known?: readonly NftObject[],
): Promise<void> {
  const objects = known ?? (await readRuleset('inet'))
  const names = (list: readonly (string | undefined)[]): string[] =>
    list.filter((name) => name !== undefined && prefixOf(name) !== '' && unwanted(name)) as string[]
  const chains = names(objects.map(({ chain }) => chain?.name))
  const sets = names(objects.map(({ set }) => set?.name))
  const prefixes = [...new Set([...chains, ...sets].map(prefixOf))]
  for (let at = 0; at < prefixes.length; at += PREFIXES_A_PIECE) {
    const piece = new Set(prefixes.slice(at, at + PREFIXES_A_PIECE))
    const inPiece = (name: string): boolean => piece.has(prefixOf(name))
    const mine = chains.filter(inPiece)
    await session.writer.run(
      mine.map((name) => `flush chain inet ${TABLE} ${name}\n`).join('') +
        mine.map((name) => dropChain('inet', name)).join('') +
        sets
          .filter(inPiece)
          .map((name) => dropSet('inet', name))
          .join(''),
    )
  }
}
