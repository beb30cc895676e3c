// Three bundles that must not get in: one octet changed after signing, an older revision, keys that nobody trusts. Each is
// refused with its code, and what is live stays: the same generation and digest, read back, and a granted probe still works.

import { OUT } from '../../test/support/lab/addresses.js'
import type { Lab } from '../../test/support/lab/lab.js'
import { type Product, textAt } from './product.js'
import type { Row } from './report.js'
import type { Terms } from './terms.js'
import { FENCE, SANDBOX, type Workshop } from './workshop.js'

export interface Applying {
  readonly lab: Lab
  readonly product: Product
  readonly workshop: Workshop
  readonly terms: Terms
  /** `sluice agent` runs; commands go to its socket. */
  readonly agentRuns: boolean
}

export const apply = (product: Product, bundle: string) =>
  product.try(...['apply', bundle, '--inventory', 'inventory.yaml', '--config', 'agent.yaml'])

/** Generation and digest of what is live, read back. */
export async function liveMark(product: Product): Promise<string> {
  const { json } = await product.run('status', '--config', 'agent.yaml')
  return `${textAt(json, 'state')} ${textAt(json, 'live', 'generation')} ${textAt(json, 'live', 'planDigest')}`
}

const GROUP = 'bundles that must not get in'

async function mustNotEnter(scene: Applying, probe: string, bundle: string, code: string): Promise<Row> {
  const before = await liveMark(scene.product)
  const answer = await apply(scene.product, bundle)
  const found = textAt(answer.json, 'error', 'code')
  const untouched = (await liveMark(scene.product)) === before && before.startsWith('active ')
  const granted = await scene.lab.ws.tcp({ host: OUT.git, port: 22, say: 'hello' })
  const kept = untouched && granted.outcome === 'connected'
  const observed = answer.exit === 0 ? 'applied' : kept ? 'refused, live untouched' : 'refused, live changed'
  return {
    group: GROUP,
    probe,
    expected: 'refused, live untouched',
    observed,
    clause: found === '' ? `exit ${answer.exit}` : found,
    ok: observed === 'refused, live untouched' && answer.exit === 2 && found === code,
  }
}

/** Needs revision 1 live, signed in the folder `revision-1`. */
export async function refusals(scene: Applying): Promise<Row[]> {
  const { workshop } = scene
  workshop.copy('revision-1', 'flipped')
  // One octet inside a grant: port 443 becomes 442.
  workshop.edit(`flipped/${SANDBOX}`, (text) => text.replace('port: 443', 'port: 442'))
  const rows = [await mustNotEnter(scene, 'one byte flipped in a member', 'flipped', 'BUNDLE_MEMBER_DIGEST')]
  workshop.copy('revision-1', 'flipped-manifest')
  workshop.edit('flipped-manifest/bundle.yaml', (text) => text.replace('demo', 'dema'))
  rows.push(await mustNotEnter(scene, 'one byte flipped in the manifest', 'flipped-manifest', 'BUNDLE_SIGNATURE'))
  workshop.copy('revision-1', 'older')
  workshop.edit(`older/${FENCE}`, (text) => text.replace('ports: [5000]', 'ports: [5000, 5001]'))
  await workshop.sign('older', 9)
  rows.push(await mustNotEnter(scene, 'an older revision', 'older', 'BUNDLE_COUNTER_REGRESSION'))
  workshop.copy('revision-1', 'stranger')
  await workshop.strangers()
  await workshop.sign('stranger', 11, 'strangers')
  rows.push(await mustNotEnter(scene, 'an unknown signer', 'stranger', 'BUNDLE_SIGNER_UNKNOWN'))
  return rows
}
