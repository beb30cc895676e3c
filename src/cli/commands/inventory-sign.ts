// `sluice inventory sign`: signs the list of workspaces and slots of a node. Audience and revision are the document's own,
// so that the statement cannot say something else than the file.

import { readPrivateKey, signerOf } from '../../bundle/key-file.js'
import { coSign, signInventory } from '../../bundle/sign.js'
import { planFault } from '../../plan/errors.js'
import { parseInventory } from '../../plan/parse-inventory.js'
import { readFile, writeFile } from '../files.js'
import { collect, counting, type Declared } from '../frame.js'
import { signatureOf } from '../inventory.js'
import { facts } from '../print.js'

export const inventorySign: Declared = {
  usage: 'sign <file>',
  summary: 'sign an inventory; writes NAME.jws.json beside it',
  examples: ['sluice inventory sign inventory.yaml --key keys/inventory.key'],
  declare: (command) =>
    command
      .requiredOption('--key <key...>', 'private keys of role inventory', collect)
      .option('--epoch <number>', 'epoch of the trust root', counting, 1)
      .option('--add', 'add to the signatures that are there, instead of beginning anew'),
  run: async ({ host, notes, remember }, [file = ''], options) => {
    const { key, epoch, add } = options as { key: readonly string[]; epoch: number; add?: boolean }
    const yaml = readFile(host, file, 'inventory')
    remember(file, yaml)
    const read = parseInventory(yaml, file)
    if (!read.inventory) {
      const errors = read.notes.filter((note) => note.severity === 'error').length
      throw planFault('PLAN_INVENTORY_INVALID', { errors }, { notes: read.notes })
    }
    const { audience, revision } = read.inventory
    const path = signatureOf(file)
    let signed = add ? readFile(host, path, 'signature of the inventory') : undefined
    const signers: string[] = []
    for (const name of key) {
      const signer = signerOf(readPrivateKey(readFile(host, name, 'private key')))
      signers.push(signer.kid)
      signed =
        add && signed
          ? await coSign('inventory', signed, signer)
          : await signInventory(yaml, { audience, epoch, revision: BigInt(revision) }, signer, signed)
    }
    writeFile(host, path, signed ?? new Uint8Array(0), { replace: true })
    return {
      json: { file: path, audience, revision, workspaces: read.inventory.entries.length, signers },
      text: `signed ${file}\n${facts([
        ['signature', path],
        ['audience', audience],
        ['revision', revision],
        ['workspaces', String(read.inventory.entries.length)],
        ['signed by', signers.join(', ')],
      ])}`,
      remarks: notes(read.notes),
    }
  },
}
