// One folder of policies/ as data: its documents, its inventory, its packets. Also the golden files of a folder, compared or,
// with UPDATE_GOLDEN=1, written.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryPath } from '../support/lab/repository.js'

export const POLICIES = repositoryPath('policies')

export const policyFolders = (): string[] =>
  readdirSync(POLICIES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()

/** What a line of `packets` expects: who allows it (`*`: anybody), or why it is denied. */
export interface PacketLine {
  readonly line: number
  readonly question: string
  readonly expect: { readonly kind: 'allow' | 'deny'; readonly by: string }
}

export interface PolicyFolder {
  readonly name: string
  /** Bundle members by path: every YAML document but the inventory. */
  readonly members: ReadonlyMap<string, Uint8Array>
  readonly inventory: Uint8Array
  readonly why: string
  readonly packets: readonly PacketLine[]
}

export function readPolicyFolder(name: string): PolicyFolder {
  const folder = join(POLICIES, name)
  const members = readdirSync(folder)
    .filter((file) => file.endsWith('.yaml') && file !== 'inventory.yaml')
    .sort()
    .map((file) => [file, new Uint8Array(readFileSync(join(folder, file)))] as const)
  return {
    name,
    members: new Map(members),
    inventory: new Uint8Array(readFileSync(join(folder, 'inventory.yaml'))),
    why: readFileSync(join(folder, 'why.md'), 'utf8'),
    packets: readPackets(readFileSync(join(folder, 'packets'), 'utf8'), `${name}/packets`),
  }
}

/** `QUESTION => allow NAME` or `QUESTION => deny REASON`, one a line; blank lines and lines that begin with # are skipped. */
function readPackets(text: string, file: string): PacketLine[] {
  return text.split('\n').flatMap((raw, i) => {
    if (raw.trim() === '' || raw.startsWith('#')) return []
    const match = /^(.+?) => (allow|deny) (\S+)$/.exec(raw)
    if (!match) throw new Error(`${file}:${i + 1}: not "QUESTION => allow NAME" or "QUESTION => deny REASON": ${raw}`)
    const [, question = '', kind, by = ''] = match
    return [{ line: i + 1, question, expect: { kind: kind === 'allow' ? 'allow' : 'deny', by } }]
  })
}

const updating = process.env.UPDATE_GOLDEN === '1'

/** The text of a golden file. With UPDATE_GOLDEN=1 it is first made to be `found`; a missing file is an error. */
export function golden(folder: string, file: string, found: string): string {
  const path = join(POLICIES, folder, 'expected', file)
  if (updating) {
    mkdirSync(join(POLICIES, folder, 'expected'), { recursive: true })
    writeFileSync(path, found)
  }
  if (!existsSync(path))
    throw new Error(`policies/${folder}/expected/${file} is missing; UPDATE_GOLDEN=1 writes it for review`)
  return readFileSync(path, 'utf8')
}
