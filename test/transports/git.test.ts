// The Git transport against real repositories: what it brings, what a hostile repository can put there, and that nothing
// of a repository or of the user's configuration is ever run.

import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { gitTransport } from '../../src/agent/transports/git.js'
import { DEADLINES, type Fetched } from '../../src/agent/transports/transport.js'
import { LIMITS } from '../../src/base/limits.js'
import type { BundleBytes } from '../../src/bundle/model.js'
import { makeBundle } from '../unit/bundle/fixture.js'

let scratch: string
let bare: string
let work: string
const SINCE = { rootVersion: 1 }
const QUIET = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@git.example',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@git.example',
  GIT_ALLOW_PROTOCOL: 'file',
}
const git = (...line: string[]) => execFileSync('git', line, { cwd: work, env: QUIET, stdio: 'pipe' }).toString().trim()
const put = (path: string, content: Uint8Array | string) => {
  mkdirSync(dirname(join(work, path)), { recursive: true })
  writeFileSync(join(work, path), content)
}
function putBundle({ manifest, release, members }: BundleBytes) {
  put('bundle/bundle.yaml', manifest)
  if (release) put('bundle/release.jws.json', release)
  for (const [path, content] of members) put(`bundle/${path}`, content)
}
function commit(branch = 'stable') {
  git('add', '--all', '--force')
  git('commit', '--quiet', '--allow-empty', '-m', 'change')
  git('push', '--quiet', bare, `HEAD:refs/heads/${branch}`)
}
const transport = (deadlines = DEADLINES) => gitTransport({ url: pathToFileURL(bare), deadlines })
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail('it was accepted'),
    (error: { code: string; message: string; detail: unknown }) => error,
  )
const contents = (fetched: Fetched) =>
  fetched.kind === 'delivered'
    ? [...fetched.bundle.members].map(([path, bytes]) => [path, Buffer.from(bytes).toString()])
    : []

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'sluice-gittest-'))
  ;[bare, work] = [join(scratch, 'bare.git'), join(scratch, 'work')]
  mkdirSync(work)
  execFileSync('git', ['init', '--quiet', '--bare', bare], { env: QUIET })
  git('init', '--quiet')
})
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

describe('what it brings', () => {
  test('bundle, freshness and later roots; other files and branches are not looked at', async () => {
    const bundle = await makeBundle()
    putBundle(bundle)
    put('README.md', 'for people')
    put('freshness.jws.json', 'fresh')
    put('roots/2.jws.json', 'two')
    put('roots/4.jws.json', 'four')
    commit()
    put('bundle/fence.yaml', 'other content')
    commit('canary')
    const fetched = await transport().fetch('stable', SINCE)
    expect(contents(fetched)).toEqual([...bundle.members].map(([path, bytes]) => [path, Buffer.from(bytes).toString()]))
    expect(fetched.roots.map(String)).toEqual(['two'])
    expect(String(fetched.freshness)).toBe('fresh')
  })

  test('an unchanged branch is not fetched; a new freshness statement does not bring the bundle again', async () => {
    putBundle(await makeBundle())
    commit()
    const first = await transport().fetch('stable', SINCE)
    if (first.kind !== 'delivered') return expect.fail('nothing came')
    expect(await transport().fetch('stable', { ...SINCE, tag: first.tag })).toEqual({ kind: 'unchanged', roots: [] })
    put('freshness.jws.json', 'fresh')
    commit()
    const second = await transport().fetch('stable', { ...SINCE, tag: first.tag })
    expect([second.kind, String(second.freshness)]).toEqual(['unchanged', 'fresh'])
  })

  test('what was pushed comes back, member by member; a second push of the same makes no commit', async () => {
    const bundle = await makeBundle()
    const parcel = { bundle, freshness: Buffer.from('fresh'), roots: [{ version: 2, statement: Buffer.from('two') }] }
    await transport().push('stable', parcel)
    const first = git('ls-remote', bare)
    await transport().push('stable', parcel)
    expect(git('ls-remote', bare)).toBe(first)
    const fetched = await transport().fetch('stable', SINCE)
    expect(fetched.kind === 'delivered' && Buffer.from(fetched.bundle.release ?? [])).toEqual(
      Buffer.from(bundle.release),
    )
    expect(contents(fetched)).toHaveLength(bundle.members.size)
    expect(fetched.roots.map(String)).toEqual(['two'])
  })

  test('a push on top of what is there keeps the rest and drops members that are gone', async () => {
    put('README.md', 'for people')
    put('bundle/old.yaml', 'gone')
    commit()
    const bundle = await makeBundle()
    await transport().push('stable', { bundle })
    const names = execFileSync('git', ['-C', bare, 'ls-tree', '-r', '--name-only', 'stable'], { env: QUIET }).toString()
    expect(names.trim().split('\n')).toEqual([
      'README.md',
      'bundle/bundle.yaml',
      'bundle/fence.yaml',
      'bundle/policies/sandbox.yaml',
      'bundle/release.jws.json',
    ])
    const count = execFileSync('git', ['-C', bare, 'rev-list', '--count', 'stable'], { env: QUIET }).toString()
    expect(count.trim()).toBe('2')
  })
})

describe('what it refuses', () => {
  test('a branch that is not there, also when another one ends like it', async () => {
    putBundle(await makeBundle())
    commit('team/stable')
    commit('refs/heads/stable')
    expect(await refusal(transport().fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_NOT_FOUND' })
  })

  test('a symbolic link below bundle/', async () => {
    putBundle(await makeBundle())
    symlinkSync('/etc/passwd', join(work, 'bundle/passwd'))
    commit()
    expect(await refusal(transport().fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_ENTRY',
      message: '"passwd" cannot be part of a bundle: it is a symbolic link',
    })
  })

  test('a symbolic link in the place of the folder', async () => {
    put('elsewhere/bundle.yaml', 'x')
    symlinkSync('elsewhere', join(work, 'bundle'))
    commit()
    expect(await refusal(transport().fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_NO_MANIFEST' })
  })

  test('a submodule below bundle/, and never asks for it', async () => {
    putBundle(await makeBundle())
    git('add', '--all')
    git('update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},bundle/module`)
    put('.gitmodules', '[submodule "m"]\n\tpath = bundle/module\n\turl = https://evil.example/m\n')
    git('add', '.gitmodules')
    git('commit', '--quiet', '-m', 'module')
    git('push', '--quiet', bare, 'HEAD:refs/heads/stable')
    expect(await refusal(transport().fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_ENTRY',
      message: '"module" cannot be part of a bundle: it is a submodule',
    })
  })

  test('an executable', async () => {
    putBundle(await makeBundle())
    chmodSync(join(work, 'bundle/fence.yaml'), 0o755)
    commit()
    expect(await refusal(transport().fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_ENTRY',
      message: '"fence.yaml" cannot be part of a bundle: it is executable',
    })
  })

  test('a member one octet too long, and takes one at the limit', async () => {
    putBundle(await makeBundle())
    put('bundle/big', Buffer.alloc(LIMITS.memberBytes))
    commit()
    const fetched = await transport().fetch('stable', SINCE)
    expect(fetched.kind === 'delivered' && fetched.bundle.members.get('big')?.length).toBe(LIMITS.memberBytes)
    put('bundle/big', Buffer.alloc(LIMITS.memberBytes + 1))
    commit()
    expect(await refusal(transport().fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_TOO_LARGE',
      detail: { what: 'big', limit: LIMITS.memberBytes },
    })
  })

  test('paths that differ only in case', async () => {
    putBundle(await makeBundle())
    put('bundle/FENCE.yaml', 'x')
    commit()
    expect(await refusal(transport().fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_ENTRY' })
  })

  test('a tree that contains itself many times over', async () => {
    put('leaf', 'x')
    const id = git('hash-object', '-w', 'leaf')
    const tree = (rows: string) =>
      execFileSync('git', ['mktree'], { cwd: work, env: QUIET, input: rows }).toString().trim()
    let at = tree(`100644 blob ${id}\tleaf\n`)
    for (let depth = 0; depth < 9; depth++)
      at = tree(Array.from({ length: 10 }, (_, i) => `040000 tree ${at}\td${i}\n`).join(''))
    const top = tree(`040000 tree ${at}\tbundle\n`)
    const made = git('commit-tree', top, '-m', 'bomb')
    git('push', '--quiet', bare, `${made}:refs/heads/stable`)
    const started = performance.now()
    expect(await refusal(transport().fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_TOO_LARGE' })
    expect(performance.now() - started).toBeLessThan(20_000)
  })

  test('a pack that is larger than a bundle can be', async () => {
    putBundle(await makeBundle())
    put('noise', execFileSync('head', ['-c', String(40 << 20), '/dev/urandom'], { maxBuffer: 64 << 20 }))
    commit()
    expect(await refusal(transport().fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_GIT' })
  })

  test.each([
    'ext::sh -c touch% /tmp/x',
    'http://git.example/x',
    'git://git.example/x',
    'https://user:pw@git.example/x',
    'ssh://-oProxyCommand=x/y',
    'ssh://git@git.example/x',
  ])('the address %s', (address) => {
    expect(() => gitTransport({ url: new URL(address) })).toThrow(expect.objectContaining({ code: 'TRANSPORT_SOURCE' }))
  })

  test('a push over somebody else’s commit', async () => {
    putBundle(await makeBundle())
    commit()
    // The hook of the server answers as a lost race does.
    const hook = join(bare, 'hooks/update')
    mkdirSync(dirname(hook), { recursive: true })
    writeFileSync(hook, '#!/bin/sh\nexit 1\n', { mode: 0o755 })
    expect(await refusal(transport().push('stable', { freshness: Buffer.from('fresh') }))).toMatchObject({
      code: 'TRANSPORT_CONFLICT',
    })
  })
})

describe('what it never runs', () => {
  test('hooks, filters and configuration that a repository or a user brings', async () => {
    const proof = join(scratch, 'proof')
    const script = join(scratch, 'script')
    writeFileSync(script, `#!/bin/sh\ntouch '${proof}'\ncat\n`, { mode: 0o755 })
    putBundle(await makeBundle())
    put('.gitattributes', '* filter=evil diff=evil merge=evil\n')
    put('.lfsconfig', '[lfs]\n\turl = https://evil.example/lfs\n')
    commit()
    const home = join(scratch, 'home')
    mkdirSync(home)
    writeFileSync(
      join(home, '.gitconfig'),
      `[filter "evil"]\n\tsmudge = ${script}\n\tclean = ${script}\n[core]\n\thooksPath = ${scratch}\n\tfsmonitor = ${script}\n[credential]\n\thelper = ${script}\n`,
    )
    for (const name of ['post-checkout', 'reference-transaction', 'pre-push'])
      writeFileSync(join(scratch, name), `#!/bin/sh\ntouch '${proof}'\n`, { mode: 0o755 })
    const before = { ...process.env }
    Object.assign(process.env, { HOME: home, GIT_CONFIG_GLOBAL: join(home, '.gitconfig'), GIT_DIR: scratch })
    try {
      expect((await transport().fetch('stable', SINCE)).kind).toBe('delivered')
      await transport().push('stable', { freshness: Buffer.from('fresh') })
    } finally {
      for (const name of ['HOME', 'GIT_CONFIG_GLOBAL', 'GIT_DIR']) {
        if (before[name] === undefined) delete process.env[name]
        else process.env[name] = before[name]
      }
    }
    expect(existsSync(proof)).toBe(false)
  })

  test('and it leaves nothing behind, not even after a refusal', async () => {
    const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('sluice-git-'))
    const before = left()
    await refusal(transport().fetch('stable', SINCE))
    putBundle(await makeBundle())
    commit()
    await transport().fetch('stable', SINCE)
    expect(left()).toEqual(before)
  })

  test('longer than its time: git and what it started are ended', async () => {
    putBundle(await makeBundle())
    commit()
    const late = transport({ ...DEADLINES, totalMs: 1 })
    expect(await refusal(late.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_DEADLINE',
      detail: { what: 'total', limitMs: 1 },
    })
  })
})
