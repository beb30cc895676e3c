// `sluice receipt verify`: whether a receipt of a quarantine or a lift is signed by an agent that somebody trusts, and what it
// says. Needs no node and no network.

import { decodeUtf8 } from '../../base/bytes.js'
import { formatInstant } from '../../bundle/instant.js'
import { readFile } from '../files.js'
import type { Declared } from '../frame.js'
import { facts } from '../print.js'

export const receiptVerify: Declared = {
  usage: 'verify <receipt>',
  summary: 'check the signed receipt of a quarantine or a lift',
  examples: ['sluice receipt verify receipt.jws --trust root.json'],
  declare: (command) =>
    command.requiredOption('--trust <file>', 'trust root with keys of role agent, or the agent.pub.json of the node'),
  run: async ({ host }, [file = ''], options) => {
    const { trust } = options as { trust: string }
    const keys = { file: trust, bytes: readFile(host, trust, 'trust root') }
    const receipt = await host.witness.verifyReceipt(decodeUtf8(readFile(host, file, 'receipt')) ?? '', keys)
    const { askedAtMs, fencedAtMs, elapsedMs, quietFromMs, flowsCut, lastByteAtMs, unknown } = receipt
    const notKnown = (why: string | undefined): string => `not known: ${why ?? ''}`
    return {
      json: { ...receipt },
      text: facts([
        ['node', receipt.node],
        ['workspace', receipt.workspace],
        ['action', receipt.action],
        ['by', receipt.by],
        ['reason', receipt.reason],
        ['asked at', formatInstant(askedAtMs)],
        ['fence read back at', `${formatInstant(fencedAtMs)}, after ${elapsedMs} ms`],
        ['no packet since', quietFromMs === null ? 'not measured' : formatInstant(quietFromMs)],
        ['flows cut', flowsCut === undefined ? notKnown(unknown.flowsCut) : String(flowsCut)],
        [
          'last byte of them',
          lastByteAtMs === undefined ? notKnown(unknown.lastByteAtMs) : formatInstant(lastByteAtMs),
        ],
        ['generation', String(receipt.generation)],
        ...(receipt.volumes ?? []).map(
          ({ name, denied, openFiles, lasting = 0, left }) =>
            [
              `volume ${name}`,
              `${denied ? 'refuses everything' : 'serves'}, ${openFiles === undefined ? 'but for what was mapped before' : `${openFiles} files open`}${lasting > 0 ? `, ${lasting} of them until they are closed` : ''}${left ? '; files that an earlier mount handed over may be open still, and are refused nothing' : ''}`,
            ] as const,
        ),
        ['backends', receipt.backends.join(', ') || 'none: on record only'],
      ]),
    }
  },
}
