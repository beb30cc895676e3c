// `sluice bundle pack`: a bundle directory as one `.tgz`, the same octets for the same bundle. What is packed is not judged;
// `bundle verify` does that, for directories and archives alike.

import { digestOf } from '../../base/digest.js'
import { writeFile } from '../files.js'
import type { Declared } from '../frame.js'

export const bundlePack: Declared = {
  usage: 'pack <directory>',
  summary: 'write a bundle directory as one .tgz',
  examples: ['sluice bundle pack my-bundle --out my-bundle.tgz'],
  declare: (command) => command.requiredOption('--out <file>', 'the archive to write'),
  run: async ({ host }, [directory = ''], options) => {
    const { out } = options as { out: string }
    const bytes = await host.packBundle(await host.readBundle(directory))
    writeFile(host, out, bytes)
    const digest = digestOf(bytes)
    return {
      json: { file: out, bytes: bytes.length, digest },
      text: `wrote ${out}: ${bytes.length} octets, ${digest}\n`,
    }
  },
}
