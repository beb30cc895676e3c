// `sluice bundle push`: puts a bundle, a freshness statement or new roots on a channel of a source. The channel is the one
// that the release names. What is pushed is not judged; whoever pulls it does that.

import { inspectBundle } from '../../bundle/inspect.js'
import { readRelease } from '../../bundle/publish.js'
import { rootVersionOf } from '../../bundle/publish-root.js'
import { cliFault } from '../errors.js'
import { readFile } from '../files.js'
import { collect, type Declared } from '../frame.js'
import type { Pushed } from '../host.js'
import { facts } from '../print.js'
import { withSource, withSourceOptions } from '../source.js'

interface PushOptions {
  readonly to: string
  readonly channel?: string
  readonly freshness?: string
  readonly root?: readonly string[]
}

export const bundlePush: Declared = {
  usage: 'push [bundle]',
  summary: 'put a bundle, a freshness statement or new roots on a channel',
  examples: [
    'sluice bundle push my-bundle --to oci://registry.example/fleet/policies',
    'sluice bundle push --freshness stable.freshness.jws.json --channel stable --to git+https://git.example/policies.git',
  ],
  declare: (command) =>
    withSourceOptions(
      command
        .requiredOption('--to <source>', 'a folder, git+https://, git+ssh://, git+file:// or oci://')
        .option('--channel <name>', 'needed without a bundle; otherwise the release says it')
        .option('--freshness <file>', 'a signed freshness statement')
        .option('--root <file...>', 'signed roots that follow the current one', collect),
    ),
  run: async (context, [path], options) => {
    const { host } = context
    const { to, channel: named, freshness, root = [] } = options as unknown as PushOptions
    const bundle = path === undefined ? undefined : await host.readBundle(path)
    const channel = named ?? (bundle?.release ? readRelease(bundle.release).channel : undefined)
    if (channel === undefined) throw cliFault('CLI_PUSH_TERMS', undefined)
    const roots = root.map((file) => {
      const statement = readFile(host, file, 'root')
      return { version: rootVersionOf(statement), statement }
    })
    const parcel: Pushed = {
      roots,
      ...(bundle ? { bundle } : {}),
      ...(freshness === undefined ? {} : { freshness: readFile(host, freshness, 'freshness statement') }),
    }
    const name = await withSource(context, to, options, async (source) => {
      await source.push(channel, parcel)
      return source.name
    })
    const digest = bundle && inspectBundle(bundle).digest
    return {
      json: { source: name, channel, digest: digest ?? null, roots: roots.map(({ version }) => version) },
      text: `published\n${facts([
        ['source', name],
        ['channel', channel],
        ...(digest ? ([['bundle', digest]] as const) : []),
        ...(freshness === undefined ? [] : ([['freshness', freshness]] as const)),
        ...roots.map(({ version }) => ['root', String(version)] as const),
      ])}`,
    }
  },
}
