// The guest in which bpf-lsm is shown: Debian's cloud kernel with BPF among its security modules, this build of the agent, and the programs
// that try ways round it. Takes the players and gives, for each, what it printed: one line of JSON.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type GuestResult, runInGuest } from '../guest/guest.js'
import { repositoryPath } from '../lab/repository.js'

/** Players that need the whole agent, with everything that it uses. */
const WHOLE: readonly string[] = ['agent-player']
const FOLDER = 'test/support/exec'

/** A program of this folder, compiled once into build/test. */
function program(source: string, name: string, ...words: readonly string[]): string {
  const folder = repositoryPath(FOLDER)
  const to = repositoryPath(`build/test/${name}`)
  const sources = readdirSync(folder).filter((file) => file === source || file.endsWith('.h'))
  const newest = Math.max(...sources.map((file) => statSync(join(folder, file)).mtimeMs))
  if (existsSync(to) && statSync(to).mtimeMs >= newest) return to
  mkdirSync(repositoryPath('build/test'), { recursive: true })
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-exec-'))
  const fresh = join(scratch, name)
  execFileSync('cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-pthread', ...words, '-o', fresh, join(folder, source)])
  execFileSync('cp', [fresh, `${to}.${process.pid}`])
  renameSync(`${to}.${process.pid}`, to)
  rmSync(scratch, { recursive: true })
  return to
}

/** Players are files of this folder; each with its words. One after the other in one guest. */
export async function play(
  players: readonly (readonly [name: string, ...words: readonly (string | number)[]])[],
  timeoutMs: number,
  // biome-ignore lint/suspicious/noExplicitAny: one line of JSON each, each part looked into by the test that asked for it.
): Promise<readonly any[]> {
  const module = (name: string) => ({
    from: repositoryPath(`node_modules/${name}`),
    to: `/opt/sluice/node_modules/${name}`,
  })
  const native = (name: string) => ({
    from: repositoryPath(`build/native/${name}`),
    to: `/opt/sluice/build/native/${name}`,
  })
  const whole = players.some(([name]) => WHOLE.includes(name))
  const at = (name: string, from: string) => ({ from, to: `/opt/${name}` })
  const result = await runInGuest({
    command: players.map(([name, ...words]) => `${process.execPath} /opt/${name}.mjs ${words.join(' ')}`).join(' && '),
    kernelWords: ['lsm=landlock,bpf'],
    modules: ['overlay', 'binfmt_misc', 'loop'],
    programs: [
      process.execPath,
      repositoryPath('build/native/libsluice_ebpf.so'),
      ...['/usr/sbin/mke2fs', '/usr/bin/chattr'],
    ],
    files: [
      { from: repositoryPath('dist'), to: '/opt/sluice/dist' },
      { from: repositoryPath('package.json'), to: '/opt/sluice/package.json' },
      ...['libsluice_ebpf.so', 'guard.bpf.o', 'guard_files.bpf.o'].map(native),
      ...(whole ? closure() : ['koffi', '@koromix', '@noble/hashes']).map(module),
      ...[...players.map(([name]) => name), 'file-ground'].map((name) =>
        at(`${name}.mjs`, repositoryPath(`${FOLDER}/${name}.mjs`)),
      ),
      ...['escapes', 'file-escapes', 'file-held', 'file-ears', 'file-operations', 'hand-over'].map((name) =>
        at(name, program(`${name}.c`, name, '-static')),
      ),
      at('ok', program('marker.c', 'marker-ok', '-static', '-DNAME="ok"')),
      at('evil', program('marker.c', 'marker-evil', '-static', '-DNAME="evil"')),
      at('evil-dynamic', program('marker.c', 'marker-evil-dynamic', '-DNAME="evil"')),
    ],
    memoryMiB: whole ? 2048 : 1536,
    timeoutMs,
  })
  return linesOf(result, players.length)
}

/** Folders below node_modules of what the agent uses, with what that uses. */
function closure(): readonly string[] {
  const found = new Set<string>(['@koromix'])
  const read = (folder: string, own = (name: string) => existsSync(join(folder, 'node_modules', name))): void => {
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      readonly dependencies?: Readonly<Record<string, string>>
    }
    for (const name of Object.keys(dependencies)) {
      // What has a copy of its own comes with whoever has it.
      if (found.has(name) || own(name)) continue
      found.add(name)
      read(repositoryPath(`node_modules/${name}`))
    }
  }
  read(repositoryPath('.'), () => false)
  return [...found]
}

function linesOf({ code, output, console: kernel }: GuestResult, count: number): readonly unknown[] {
  const lines = output.split('\n').filter((one) => one.startsWith('{'))
  if (code !== 0 || lines.length !== count)
    throw new Error(`exit ${code}\n${output.slice(-4_000)}\n${kernel.slice(-1_500)}`)
  return lines.map((line) => JSON.parse(line) as unknown)
}
