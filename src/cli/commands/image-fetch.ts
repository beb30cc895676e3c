// `sluice image fetch`: fills the folder of golden images of this host from a folder that a builder published. The list is verified, every
// file is hashed while it is copied, and the list that is held is replaced last: a companion that runs gives the new images out at once.

import { resolve } from 'node:path'
import type { Declared } from '../frame.js'
import { facts } from '../print.js'
import { findCompanion } from './workspace.js'

export const imageFetch: Declared = {
  usage: 'fetch <folder>',
  summary: 'take a signed list of images and their files from a published folder',
  examples: ['sluice image fetch /mnt/images --config /etc/sluice/companion.yaml'],
  declare: (command) => command.option('--config <file>', 'companion.yaml of this host'),
  run: async (context, [folder = ''], options) => {
    const { host, paint } = context
    const { file, bytes } = findCompanion(context, (options as { readonly config?: string }).config)
    const { directory, channel, fetched, boot, profiles } = await host.companion.fetchImages(
      file,
      bytes,
      resolve(host.cwd, folder),
    )
    const named = (images: readonly string[]): string =>
      images.map((image) => `${image} (${profiles.get(image) ?? ''})`).join(', ')
    const kept = fetched.filter((image) => !boot.includes(image))
    return {
      json: { directory, channel, fetched, boot, profiles: Object.fromEntries(profiles) },
      text: facts([
        ['folder', directory],
        ['channel', channel],
        ['may boot', named(boot) || 'none'],
        ...(kept.length > 0 ? ([['may not', named(kept)]] as const) : []),
      ]),
      ...(boot.length === 0
        ? { remarks: `${paint('yellow', 'warning')}: no image of this list may boot here now\n` }
        : {}),
    }
  },
}
