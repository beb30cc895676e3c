// What a row of the attack matrix is, and the moves that several attacks share.

import { utf8 } from '../../src/base/bytes.js'
import type { Fleet } from '../support/fleet.js'
import { type TarEntry, tgz } from '../unit/bundle/tarball.js'
import { serveOctets } from './forge.js'

export type Attack = (fleet: Fleet) => Promise<unknown> | unknown
export interface Row {
  readonly freshness?: boolean
  /** Variant, expected code, attack. */
  readonly variants: readonly (readonly [name: string, code: string, attack: Attack])[]
}

export const HOUR = 3_600_000
/** Signs what lies in `bundle` as revision 8 and serves it. */
export const next = async (fleet: Fleet, revision: bigint | number = 8n, keys?: readonly string[], more?: string) => {
  await fleet.sign('bundle', revision, keys, more)
  await fleet.publish('bundle')
}
export const edit = (fleet: Fleet, script: string) => fleet.operator.shell(`sed -i '${script}' bundle/fence.yaml`)
export const archive = (entry: TarEntry | readonly TarEntry[], end?: Uint8Array) => (fleet: Fleet) =>
  serveOctets(fleet, tgz([...('name' in entry ? [entry] : entry)], end))
export const member: TarEntry = { name: 'a.yaml', content: utf8('a') }
export const manifestEntry: TarEntry = { name: 'bundle.yaml', content: utf8('x') }
/** Signs revision 8 of a policy that holds this line. */
export const policy = (line: string) => async (fleet: Fleet) => {
  fleet.write('bundle/fence.yaml', `${fleet.read('bundle/fence.yaml').toString('utf8')}${line}\n`)
  await next(fleet)
}
