// `sluice init`: everything that a first try needs, in one directory: configuration, trust root, development keys, a signed
// inventory and a signed sample bundle. The keys lie in files on this machine, so they are for development; the output says
// so. Nothing that is there is written over.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { utf8 } from '../../base/bytes.js'
import { generateKey, type KeyPair, signerOf, writePrivateKey } from '../../bundle/key-file.js'
import { MANIFEST_FILE, RELEASE_FILE } from '../../bundle/model.js'
import { rootDocument } from '../../bundle/root.js'
import { makeManifest, makeRelease, signInventory, signManifest, signRelease } from '../../bundle/sign.js'
import type { BackendName } from '../../plan/model.js'
import { cliFault } from '../errors.js'
import { writeFile } from '../files.js'
import { type Context, collect, collectBackends, type Declared } from '../frame.js'
import { configTemplate, fenceSample, inventoryTemplate, SANDBOX_SAMPLE } from '../templates.js'

const DAY_MS = 86_400_000
const ROOT_DAYS = 365
const BUNDLE_DAYS = 30
const KEY_ROLES = ['author', 'release', 'inventory'] as const
const EPOCH = 1

interface InitOptions {
  readonly node: string
  readonly audience: string
  readonly channel: string
  readonly backend?: readonly BackendName[]
  readonly interface?: readonly string[]
}

export const initCommand: Declared = {
  usage: 'init <directory>',
  summary: 'write a configuration, development keys, a signed inventory and a signed sample bundle',
  examples: ['sluice init demo --interface ws0 --interface ws1'],
  declare: (command) =>
    command
      .option('--node <uri>', 'SPIFFE URI of this node', 'spiffe://fleet.example/node/dev')
      .option('--audience <name>', 'whom bundles must name', 'fleet.example/dev')
      .option('--channel <name>', 'the channel to follow', 'stable')
      .option('--backend <name...>', 'backends by preference; nftables when left out', collectBackends)
      .option('--interface <name...>', 'the interfaces of the workspaces; ws0 when left out', collect),
  run: async (context, [directory = ''], options) => {
    const wanted = options as unknown as InitOptions
    const { host } = context
    const interfaces = wanted.interface ?? ['ws0']
    const files = await documents(context, wanted, interfaces)
    for (const path of files.keys())
      if (existsSync(resolve(host.cwd, directory, path)))
        throw cliFault('CLI_FILE_EXISTS', { path: `${directory}/${path}` })
    const config = host.configure(`${directory}/agent.yaml`, utf8(String(files.get('agent.yaml'))))
    await host.createState(config)
    for (const [path, content] of files)
      writeFile(host, `${directory}/${path}`, content, path.endsWith('.key') ? { mode: 0o600 } : {})
    const written = [...files.keys()].map((path) => `${directory}/${path}`)
    return {
      json: { directory, files: written, state: config.stateDirectory },
      text: [
        ...written.map((path) => `wrote ${path}\n`),
        'the keys lie on this machine: they are for development, not for a fleet\n',
        `next: sluice plan ${directory}/bundle --inventory ${directory}/inventory.yaml --config ${directory}/agent.yaml\n`,
        `      sluice apply ${directory}/bundle --inventory ${directory}/inventory.yaml --config ${directory}/agent.yaml\n`,
      ].join(''),
    }
  },
}

/** Every file by its path below the directory. */
async function documents(
  context: Context,
  wanted: InitOptions,
  interfaces: readonly string[],
): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const { host } = context
  const { audience, channel } = wanted
  const nowMs = host.nowMs()
  const [author, release, inventory] = KEY_ROLES.map((role) =>
    generateKey({ role, kid: `dev-${role}` }, host.random),
  ) as [KeyPair, KeyPair, KeyPair]
  const keys = [author, release, inventory]
  const root = rootDocument({
    version: 1,
    epoch: EPOCH,
    expiresAtMs: nowMs + ROOT_DAYS * DAY_MS,
    keys: new Map(keys.map((pair) => [pair.kid, { kid: pair.kid, role: pair.role, key: pair.public }])),
    thresholds: new Map(KEY_ROLES.map((role) => [role, 1])),
    revoked: [],
  })
  const slots = interfaces.map((name, i) => ({
    workspace: `spiffe://fleet.example/ws/${name}`,
    interface: name,
    number: i + 1,
  }))
  const listed = utf8(inventoryTemplate(audience, slots))
  const terms = { notBeforeMs: nowMs, expiresAtMs: nowMs + BUNDLE_DAYS * DAY_MS, policyRevision: 1n }
  const members = new Map([
    ['fence.yaml', utf8(fenceSample(slots.map((slot) => slot.workspace)))],
    ['sandbox.yaml', utf8(SANDBOX_SAMPLE)],
  ])
  const manifest = await signManifest(makeManifest({ id: 'sample', ...terms }, members), signerOf(author))
  const released = makeRelease(manifest, members, { ...terms, epoch: EPOCH, channel, audience: [audience] })
  return new Map<string, string | Uint8Array>([
    ['agent.yaml', configTemplate({ ...wanted, backends: wanted.backend ?? ['nftables'], interfaces })],
    ['root.json', `${JSON.stringify(root, undefined, 2)}\n`],
    ...keys.map((pair): [string, string] => [`keys/${pair.role}.key`, writePrivateKey(pair)]),
    ['inventory.yaml', listed],
    ['inventory.jws.json', await signInventory(listed, { audience, epoch: EPOCH, revision: 1n }, signerOf(inventory))],
    ...[...members].map(([path, bytes]): [string, Uint8Array] => [`bundle/${path}`, bytes]),
    [`bundle/${MANIFEST_FILE}`, manifest],
    [`bundle/${RELEASE_FILE}`, await signRelease(released, signerOf(release))],
  ])
}
