// Debian's cloud kernel for a guest, for what the kernel under the tests refuses: BPF LSM, fentry, modules such as
// cls_flower. Fetched from the Debian archive by apt, unpacked below build/ and kept; it is never installed on this machine.
//
// Gives the kernel image and, for names of modules, the files to load in order, dependencies first.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { repositoryPath } from '../lab/repository.js'

const META_PACKAGE = 'linux-image-cloud-amd64'
const CACHE = repositoryPath('build/guest')

export interface GuestKernel {
  /** `6.1.0-56-cloud-amd64`. */
  readonly release: string
  readonly image: string
  /** Where its modules lie on this machine. */
  readonly modules: string
}

/** The newest kernel that apt knows. Throws when apt knows none. */
export function guestKernel(): GuestKernel {
  const name = run('apt-cache', ['depends', META_PACKAGE]).match(/Depends: (linux-image-\S+)/)?.[1]
  if (name === undefined) throw new Error(`apt knows no ${META_PACKAGE}; run apt-get update`)
  const release = name.slice('linux-image-'.length)
  const directory = join(CACHE, name)
  if (!existsSync(directory)) fetch(name, directory)
  return {
    release,
    image: join(directory, 'boot', `vmlinuz-${release}`),
    modules: join(directory, 'lib/modules', release),
  }
}

/** Unpacked beside its place and renamed, so that what is at its place is whole. */
function fetch(name: string, directory: string): void {
  mkdirSync(CACHE, { recursive: true })
  const beside = mkdtempSync(join(CACHE, 'fetch-'))
  try {
    // As root without the sandbox user: that user cannot write here.
    run('apt-get', ['download', '-o', 'APT::Sandbox::User=root', name], beside)
    const archive = readdirSync(beside).find((file) => file.endsWith('.deb'))
    if (archive === undefined) throw new Error(`apt-get download ${name} left no package`)
    run('dpkg-deb', ['-x', join(beside, archive), join(beside, 'tree')])
    renameSync(join(beside, 'tree'), directory)
  } finally {
    rmSync(beside, { recursive: true, force: true })
  }
}

/** Paths of the modules, those that they need before them. Throws for a name that the kernel has no file for. */
export function moduleFiles(kernel: GuestKernel, names: readonly string[]): readonly string[] {
  const all = new Map<string, string>()
  for (const file of readdirSync(join(kernel.modules, 'kernel'), { recursive: true, encoding: 'utf8' }))
    if (file.endsWith('.ko')) all.set(plain(basename(file, '.ko')), join(kernel.modules, 'kernel', file))
  const out: string[] = []
  const add = (name: string): void => {
    const file = all.get(plain(name))
    if (file === undefined) throw new Error(`${kernel.release} has no module ${name}`)
    if (out.includes(file)) return
    const needs = run('modinfo', ['-F', 'depends', file]).trim()
    for (const needed of needs === '' ? [] : needs.split(',')) add(needed)
    out.push(file)
  }
  for (const name of names) add(name)
  return out
}

/** The kernel holds `-` and `_` in a module's name for the same. */
const plain = (name: string): string => name.replaceAll('-', '_')

const run = (command: string, args: readonly string[], cwd?: string): string =>
  execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
