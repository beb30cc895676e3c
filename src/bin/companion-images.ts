// The golden images of this host, as companion.yaml names them: their store, and what fills it.

import { readFileSync } from 'node:fs'
import { parseTrustRoot } from '../bundle/root.js'
import type { ImagesFetched } from '../cli/host-companion.js'
import type { CompanionConfig } from '../companion/config.js'
import { ImageStore } from '../companion/image-store.js'
import type { Surroundings } from './node.js'

type Place = Pick<Surroundings, 'nowMs'>

/** The trust root is read each time, so that one that was rotated counts at once. */
export const imagesOf = ({ images }: Pick<CompanionConfig, 'images'>, { nowMs }: Place): ImageStore =>
  new ImageStore({ ...images, nowMs, trust: () => parseTrustRoot(readFileSync(images.trustRoot)) })

/** Throws IMAGE_LIST and BUNDLE_* for the list and its trust root, MACHINE_IMAGE for a file. */
export async function fetchImages(config: CompanionConfig, place: Place, from: string): Promise<ImagesFetched> {
  const store = imagesOf(config, place)
  const fetched = await store.fetch(from)
  const boot = await store.list()
  const profiles = await store.profiles()
  return { directory: config.images.directory, channel: config.images.channel, fetched, boot, profiles }
}
