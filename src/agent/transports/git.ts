// The Git transport: a channel is a branch, and below it the bundle's files, so that a review shows what changes:
//
//   bundle/bundle.yaml  bundle/release.jws.json  bundle/...   freshness.jws.json   roots/VERSION.jws.json
//
// Only the named ref is fetched, one commit deep, into a bare repository that is thrown away; blobs are read by id after
// their sizes are known. Symbolic links, submodules and executables below bundle/ are refused; other files are not looked at.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LIMITS } from '../../base/limits.js'
import { type BundleBytes, MANIFEST_FILE, RELEASE_FILE } from '../../bundle/model.js'
import { transportFault } from './errors.js'
import { type Git, type GitScheme, type GitTerms, withGit } from './git-run.js'
import {
  channelSegment,
  FRESHNESS_FILE,
  ROOT_STATEMENT_BYTES,
  ROOTS_FOLDER,
  rootFile,
  rootVersionsAfter,
} from './layout.js'
import { Parcel } from './parcel.js'
import { DEADLINES, type Deadlines, type Fetched, type Parcelled, type Transport } from './transport.js'

const BUNDLE_FOLDER = 'bundle'

/** Throws TRANSPORT_SOURCE for an address other than https, ssh or file, or with a password in it. */
export function gitTransport(given: Omit<GitTerms, 'deadlines'> & { readonly deadlines?: Deadlines }): Transport {
  const terms: GitTerms = { ...given, deadlines: given.deadlines ?? DEADLINES }
  const { url } = terms
  const scheme = url.protocol.slice(0, -1)
  const no = (why: string) => transportFault('TRANSPORT_SOURCE', { source: url.href, why })
  if (!isScheme(scheme)) throw no('git is used over https, ssh and file')
  if (url.password !== '' || (scheme !== 'ssh' && url.username !== '')) throw no('it holds a user or a password')
  if (scheme === 'ssh' && terms.ssh === undefined) throw no('ssh needs a key file and a file of known hosts')
  if (/^-/.test(url.host) || /^-/.test(url.username)) throw no('a host or user begins with a dash')
  return {
    name: url.href,
    close: () => undefined,
    fetch: (channel, since) => {
      const ref = refOf(channel)
      return withGit(terms, scheme, async (git): Promise<Fetched> => {
        const head = await headOf(git, url, ref)
        if (head === undefined) throw transportFault('TRANSPORT_NOT_FOUND', { path: `${url.href} ${ref}` })
        const [heldCommit, heldTree] = (since.tag ?? '').split(':')
        if (head === heldCommit) return { kind: 'unchanged', roots: [] }
        await fetchRef(git, url, ref)
        const tree = await treeOf(git, head)
        const entries = await listed(git, head)
        const roots = await laterRoots(git, entries, since.rootVersion)
        const fresh = entries.get(FRESHNESS_FILE)
        const freshness = fresh && (await blob(git, fresh, FRESHNESS_FILE, LIMITS.freshnessBytes))
        const news = { roots, ...(freshness ? { freshness } : {}) }
        if (tree !== undefined && tree === heldTree) return { kind: 'unchanged', ...news }
        return { kind: 'delivered', bundle: await readBundle(git, entries), tag: `${head}:${tree}`, ...news }
      })
    },
    push: (channel, parcel) => {
      const ref = refOf(channel)
      return withGit(terms, scheme, (git, scratch) => publish(git, scratch, url, ref, parcel))
    },
  }
}

const isScheme = (text: string): text is GitScheme => text === 'https' || text === 'ssh' || text === 'file'
const refOf = (channel: string): string => `refs/heads/${channelSegment(channel)}`
const OBJECT_ID = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/

async function headOf(git: Git, url: URL, ref: string): Promise<string | undefined> {
  const { output } = await git.run(['ls-remote', '--quiet', '--refs', '--', url.href, ref])
  for (const line of output.toString('latin1').split('\n')) {
    const [id = '', name] = line.split('\t')
    // The pattern of ls-remote matches the tail of names, too.
    if (name === ref && OBJECT_ID.test(id)) return id
  }
  return undefined
}

const fetchRef = (git: Git, url: URL, ref: string) =>
  git.run([
    'fetch',
    '--quiet',
    '--depth=1',
    '--no-tags',
    '--no-recurse-submodules',
    '--no-auto-maintenance',
    '--',
    url.href,
    `+${ref}:refs/fetched`,
  ])

interface Entry {
  readonly mode: string
  readonly type: string
  readonly id: string
  readonly size: number
}

/** Octets of a listing: every path of a bundle at its longest, and the roots. */
const LISTING_BYTES = (2 * LIMITS.members + LIMITS.rootSteps) * (LIMITS.pathBytes + 128)

/** What lies under the names that matter, by path. Throws TRANSPORT_TOO_LARGE for a tree that goes on and on. */
async function listed(git: Git, commit: string): Promise<ReadonlyMap<string, Entry>> {
  const names = [BUNDLE_FOLDER, FRESHNESS_FILE, ROOTS_FOLDER]
  const line = ['ls-tree', '-r', '-z', '--long', '--full-tree', commit, '--', ...names]
  const { output } = await git.run(line, { maxBytes: LISTING_BYTES })
  const entries = new Map<string, Entry>()
  for (const row of output.toString('utf8').split('\0')) {
    const match = /^(\d{6}) (\w+) ([0-9a-f]+) +(\d+|-)\t([\s\S]+)$/.exec(row)
    if (!match) continue
    const [, mode = '', type = '', id = '', size = '', path = ''] = match
    entries.set(path, { mode, type, id, size: Number(size) })
  }
  return entries
}

async function treeOf(git: Git, commit: string): Promise<string | undefined> {
  const { output } = await git.run(['ls-tree', '--full-tree', commit, '--', BUNDLE_FOLDER])
  return /^040000 tree ([0-9a-f]+)\t/.exec(output.toString('latin1'))?.[1]
}

const KINDS: Readonly<Record<string, string>> = {
  '120000': 'it is a symbolic link',
  '160000': 'it is a submodule',
  '100755': 'it is executable',
}

function requirePlain({ mode }: Entry, path: string): void {
  if (mode !== '100644') throw transportFault('TRANSPORT_ENTRY', { path, why: KINDS[mode] ?? `its mode is ${mode}` })
}

async function blob(git: Git, entry: Entry, path: string, limit: number): Promise<Uint8Array> {
  requirePlain(entry, path)
  if (entry.size > limit) throw transportFault('TRANSPORT_TOO_LARGE', { what: path, limit })
  const { output } = await git.run(['cat-file', 'blob', entry.id], { maxBytes: limit })
  return output
}

async function laterRoots(
  git: Git,
  entries: ReadonlyMap<string, Entry>,
  version: number | undefined,
): Promise<Uint8Array[]> {
  const roots: Uint8Array[] = []
  for (const next of rootVersionsAfter(version)) {
    const path = `${ROOTS_FOLDER}/${rootFile(next)}`
    const entry = entries.get(path)
    if (entry === undefined) break
    roots.push(await blob(git, entry, path, ROOT_STATEMENT_BYTES))
  }
  return roots
}

/** Claims every file with its size first; then all blobs come through one cat-file, in the order in which they were asked. */
async function readBundle(git: Git, entries: ReadonlyMap<string, Entry>): Promise<BundleBytes> {
  const parcel = new Parcel()
  const wanted: { path: string; entry: Entry }[] = []
  for (const [full, entry] of entries) {
    if (!full.startsWith(`${BUNDLE_FOLDER}/`)) continue
    const path = full.slice(BUNDLE_FOLDER.length + 1)
    requirePlain(entry, path)
    parcel.file(path, entry.size)
    wanted.push({ path, entry })
  }
  const input = Buffer.from(wanted.map(({ entry }) => `${entry.id}\n`).join(''))
  const maxBytes = LIMITS.unpackedBytes + 128 * (wanted.length + 1)
  const { output } = await git.run(['cat-file', '--batch'], { input, maxBytes })
  let at = 0
  for (const { path, entry } of wanted) {
    const head = `${entry.id} blob ${entry.size}\n`
    if (output.toString('latin1', at, at + head.length) !== head)
      throw transportFault('TRANSPORT_GIT', { step: 'cat-file', say: `${path} is not the blob that was listed` })
    at += head.length
    parcel.put(path, new Uint8Array(output.subarray(at, at + entry.size)))
    at += entry.size + 1
  }
  return parcel.deliver()
}

/** One commit on top of what is there. Throws TRANSPORT_CONFLICT when somebody else was quicker. */
async function publish(git: Git, scratch: string, url: URL, ref: string, parcel: Parcelled): Promise<void> {
  const parent = await headOf(git, url, ref)
  const environment = { GIT_INDEX_FILE: join(scratch, 'index') }
  if (parent !== undefined) {
    await fetchRef(git, url, ref)
    await git.run(['read-tree', parent], { environment })
  }
  const held = parent === undefined ? new Map<string, Entry>() : await listed(git, parent)
  const rows: string[] = []
  if (parcel.bundle)
    for (const path of held.keys())
      if (path.startsWith(`${BUNDLE_FOLDER}/`)) rows.push(`0 ${'0'.repeat(40)}\t${path}\0`)
  const files = filesOf(parcel)
  const ids = await store(git, scratch, [...files.values()])
  for (const [i, path] of [...files.keys()].entries()) rows.push(`100644 ${ids[i]}\t${path}\0`)
  await git.run(['update-index', '-z', '--index-info'], { environment, input: Buffer.from(rows.join('')) })
  const tree = (await git.run(['write-tree'], { environment })).output.toString('latin1').trim()
  if (parent !== undefined && tree === (await wholeTree(git, parent))) return
  const line = ['commit-tree', tree, ...(parent === undefined ? [] : ['-p', parent]), '-m', subjectOf(parcel)]
  const commit = (await git.run(line, { environment: AUTHOR })).output.toString('latin1').trim()
  const lease = `--force-with-lease=${ref}:${parent ?? ''}`
  const pushed = await git.run(
    ['push', '--quiet', '--porcelain', '--no-verify', lease, '--', url.href, `${commit}:${ref}`],
    { accept: [0, 1] },
  )
  if (pushed.exit !== 0) throw transportFault('TRANSPORT_CONFLICT', { what: `${url.href} ${ref}` })
}

const AUTHOR = {
  GIT_AUTHOR_NAME: 'sluice',
  GIT_AUTHOR_EMAIL: 'sluice@localhost',
  GIT_COMMITTER_NAME: 'sluice',
  GIT_COMMITTER_EMAIL: 'sluice@localhost',
}

const subjectOf = ({ bundle, freshness, roots = [] }: Parcelled): string =>
  [
    ...(bundle ? ['bundle'] : []),
    ...(freshness ? ['freshness'] : []),
    ...roots.map(({ version }) => `root ${version}`),
  ].join(', ')

function filesOf({ bundle, freshness, roots = [] }: Parcelled): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  if (bundle) {
    files.set(`${BUNDLE_FOLDER}/${MANIFEST_FILE}`, bundle.manifest)
    if (bundle.release) files.set(`${BUNDLE_FOLDER}/${RELEASE_FILE}`, bundle.release)
    for (const [path, content] of bundle.members) files.set(`${BUNDLE_FOLDER}/${path}`, content)
  }
  if (freshness) files.set(FRESHNESS_FILE, freshness)
  for (const { version, statement } of roots) files.set(`${ROOTS_FOLDER}/${rootFile(version)}`, statement)
  return files
}

/** Writes the contents as blobs and gives their ids, in order. Numbered files: no name of a member reaches the disk. */
async function store(git: Git, scratch: string, contents: readonly Uint8Array[]): Promise<string[]> {
  const folder = join(scratch, 'blobs')
  mkdirSync(folder)
  for (const [i, content] of contents.entries()) writeFileSync(join(folder, String(i)), content)
  const input = Buffer.from(contents.map((_, i) => `${join(folder, String(i))}\n`).join(''))
  const { output } = await git.run(['hash-object', '-w', '--no-filters', '--stdin-paths'], { input })
  return output.toString('latin1').trim().split('\n')
}

const wholeTree = async (git: Git, commit: string): Promise<string> =>
  (await git.run(['rev-parse', `${commit}^{tree}`])).output.toString('latin1').trim()
