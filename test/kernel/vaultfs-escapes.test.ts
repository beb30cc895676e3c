// A workspace that is root in its own user, mount and process namespace, and has nothing but the volume, tries what is publicly
// known to lead out of such a place (test/support/vault/escapes.py). None succeeds. At least fifty are in the trail of the
// authorizer; three more can be in no trail of a file system, because the kernel refuses them before it asks one.

import { spawn } from 'node:child_process'
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FileDenied } from '../../src/backends/backend.js'
import { repositoryPath } from '../support/lab/repository.js'
import { cannotServe, type Served, serve } from '../support/vault/served.js'

interface Attempt {
  readonly name: string
  readonly technique: string
  readonly got?: string
  readonly error?: string
  readonly refused: readonly FileDenied[]
}

/** Refused by the kernel, which asks no file system: two for a capability over the node's own file systems, and one for what the
 * descriptor was opened for. */
const BY_THE_KERNEL = ['by handle', 'a device of the disk', 'shared memory of a file for reading']

/** $1 the volume's mount, $2 an empty directory, $3 the program. Ends in a root of its own without the node's. */
const ENTER = `
set -e
mount -t tmpfs tmpfs "$2"
mkdir "$2"/usr "$2"/vol "$2"/proc "$2"/tmp "$2"/old
for link in bin lib lib64; do if [ -e /usr/$link ]; then ln -s usr/$link "$2"/$link; fi; done
mount --rbind /usr "$2"/usr
mount --bind "$1" "$2"/vol
mount -t proc proc "$2"/proc
cp "$3" "$2"/tmp/attempts.py
cd "$2"
pivot_root . old
umount -l /old
exec /usr/bin/python3 /tmp/attempts.py
`

describe.skipIf(cannotServe).each([
  ['until-revoked', {}],
  ['until-closed', { openFiles: 'until-closed' }],
] as const)('a workspace that wants out (%s)', (_, terms) => {
  let at: Served
  let before: string
  const attempts: Attempt[] = []

  beforeAll(async () => {
    const rules = ['read-only /project', 'read-write /project/out', 'deny /secret', 'deny /project/out/cache/keys']
    at = await serve(rules, terms)
    const { source, directory } = at
    for (const path of ['project/out/cache/keys', 'project/mounted', 'project-private', 'secret', 'outside'])
      mkdirSync(join(source, path), { recursive: true })
    for (const path of ['secret', 'project-private', 'project/out/cache/keys'])
      writeFileSync(join(source, path, 'key'), 'SECRET\n', { mode: 0o755 })
    writeFileSync(join(source, 'project/main.c'), 'int main;\n')
    writeFileSync(join(source, 'project/linked'), 'linked\n')
    linkSync(join(source, 'project/linked'), join(source, 'project/out/linked'))
    const other = join(directory, 'mounted')
    mkdirSync(other)
    writeFileSync(join(other, 'key'), 'SECRET\n')
    await run('mount', ['--bind', other, join(source, 'project/mounted')])
    before = tree(source)
    const inside = join(directory, 'inside')
    mkdirSync(inside)
    const program = repositoryPath('test/support/vault/escapes.py')
    const child = spawn(
      'unshare',
      [
        '--user',
        '--map-root-user',
        '--mount',
        '--pid',
        '--fork',
        '--kill-child',
        'bash',
        '-c',
        ENTER,
        '-',
        at.mount,
        inside,
        program,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env.PATH } },
    )
    for await (const line of createInterface({ input: child.stdout })) {
      attempts.push({ ...(JSON.parse(line) as Omit<Attempt, 'refused'>), refused: await at.refused() })
      child.stdin.write('\n')
    }
  }, 120_000)

  afterAll(async () => {
    await run('umount', ['-l', join(at.source, 'project/mounted')])
    await at.close()
  })

  it('tries fifty ways that the volume can see, and three that it cannot', () => {
    expect(attempts.length - BY_THE_KERNEL.length).toBeGreaterThanOrEqual(50)
    expect(new Set(attempts.map(({ name }) => name)).size).toBe(attempts.length)
  })

  it('gets nothing by any of them', () => {
    expect(
      attempts.filter(({ error }) => !['EACCES', 'EROFS', 'EPERM', 'ENOTTY'].includes(error ?? '')).map(summary),
    ).toEqual([])
  })

  it('leaves nothing changed that it may not change', () => {
    expect(tree(at.source)).toBe(before)
  })

  it('is seen at each of them', () => {
    const unseen = attempts.filter(({ refused }) => refused.length === 0).map(({ name }) => name)
    expect(unseen).toEqual(BY_THE_KERNEL)
    for (const { refused, name } of attempts)
      for (const one of refused) expect(one, name).toMatchObject({ volume: 'work', uid: 0, generation: 1 })
  })
})

const summary = ({ name, got, error }: Attempt): string => `${name}: ${error ?? got}`

/** Everything outside of what may be written, with its content and metadata. Links are what they are, and not followed. */
function tree(root: string, below = ''): string {
  return readdirSync(join(root, below))
    .sort()
    .map((name) => join(below, name))
    .filter((path) => !path.startsWith('project/out/') || /^project\/out\/(cache|linked)/.test(path))
    .map((path) => {
      const found = lstatSync(join(root, path))
      const content = found.isFile() ? `${found.mtimeMs} ${readFileSync(join(root, path), 'utf8')}` : ''
      return `${path} ${found.mode} ${found.uid} ${found.ino} ${content}\n${found.isDirectory() ? tree(root, path) : ''}`
    })
    .join('')
}

const run = (command: string, words: readonly string[]): Promise<void> =>
  new Promise((done, failed) => {
    spawn(command, words, { stdio: 'inherit' }).once('exit', (code) =>
      code === 0 ? done() : failed(new Error(`${command} ended with ${code}`)),
    )
  })
