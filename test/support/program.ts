// The program itself, for processes that run inside a namespace: dist/ and the native parts, made when a source is newer than
// they are. `make test` has built both before the suites begin.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryPath } from './lab/repository.js'

const newest = (folder: string): number =>
  Math.max(
    0,
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs),
  )

export function buildProgram(): void {
  const program = repositoryPath('dist/bin/sluice.js')
  // Its status is about types, which are checked elsewhere; what can be translated is written all the same.
  if (!existsSync(program) || statSync(program).mtimeMs < newest(repositoryPath('src')))
    spawnSync(process.execPath, [repositoryPath('node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
      cwd: repositoryPath('.'),
      stdio: 'ignore',
    })
  for (const makefile of ['src/native/Makefile', 'src/native/ebpf/Makefile', 'src/native/vault/Makefile'])
    execFileSync('make', ['-s', '-f', makefile], { cwd: repositoryPath('.'), stdio: 'pipe' })
}
