// `sluice bundle pull`: brings what a channel has to this machine: the bundle as a `.tgz`, the freshness statement and later
// roots beside it. Nothing of it is believed: `bundle verify` and `apply` do that. A pull that was cut short goes on where
// it was when the same line is run again.

import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { inspectBundle } from '../../bundle/inspect.js'
import { parseTrustRoot } from '../../bundle/root.js'
import { readFile, writeFile } from '../files.js'
import type { Context, Declared, Options } from '../frame.js'
import { configure, telling } from '../node.js'
import type { Outcome } from '../outcome.js'
import { facts } from '../print.js'
import { withSource, withSourceOptions } from '../source.js'

interface PullOptions {
  readonly channel?: string
  readonly out: string
  readonly root?: string
  readonly config?: string
}

export const bundlePull: Declared = {
  usage: 'pull <source>',
  summary: 'bring the bundle of a channel here, unverified',
  examples: [
    'sluice bundle pull oci://registry.example/fleet/policies --out policy.tgz',
    'sluice bundle pull https://policy.example/published --channel canary --root root.json --out policy.tgz --ca ca.pem',
  ],
  declare: (command) =>
    withSourceOptions(
      command
        .requiredOption('--out <file>', 'the .tgz to write; other files go beside it')
        .option('--channel <name>', "which one; the node's with --config, else stable")
        .option('--root <file>', 'trust root of a node: follows the roots that came, in this file')
        .option('--config <file>', 'agent.yaml of a node: its channel, and its trail is told of a refusal'),
    ),
  run: async (context, [address = ''], options) => {
    const { config: named } = options as unknown as PullOptions
    const config = named === undefined ? undefined : await configure(context, named)
    return telling(context.host, config, () => pull(context, address, options, config?.channel ?? 'stable'))
  },
}

async function pull(context: Context, address: string, options: Options, usual: string): Promise<Outcome> {
  const { host } = context
  const { channel = usual, out, root } = options as unknown as PullOptions
  // Without a root nothing is asked about later ones.
  const since = root === undefined ? {} : { rootVersion: parseTrustRoot(readFile(host, root, 'trust root')).version }
  const partFolder = `${out}.part`
  const pulled = await withSource(context, address, options, (source) => source.fetch(channel, since), partFolder)
  const followed = root !== undefined && pulled.roots.length > 0 ? await host.followRoots(root, pulled.roots) : null
  const freshness = pulled.freshness === undefined ? null : `${out}.freshness.jws.json`
  if (freshness !== null && pulled.freshness) writeFile(host, freshness, pulled.freshness, { replace: true })
  if (pulled.kind === 'unchanged') return { json: { kind: 'unchanged' }, text: 'unchanged\n' }
  const bytes = await host.packBundle(pulled.bundle)
  writeFile(host, out, bytes, { replace: true })
  rmSync(resolve(host.cwd, partFolder), { recursive: true, force: true })
  const { digest, manifest, release } = inspectBundle(pulled.bundle)
  return {
    json: { file: out, bytes: bytes.length, digest: digest ?? null, freshness, root: followed, tag: pulled.tag },
    text: `pulled, not verified yet\n${facts([
      ['file', `${out}, ${bytes.length} octets`],
      ['id', manifest?.id ?? '(cannot be read)'],
      ['revision', release ? String(release.policyRevision) : '(cannot be read)'],
      ['digest', digest ?? '(cannot be read)'],
      ...(freshness === null ? [] : ([['freshness', freshness]] as const)),
      ...(followed === null ? [] : ([['root', `followed to version ${followed}`]] as const)),
    ])}`,
  }
}
