// A program in C from this folder, compiled when it is missing or older than its source.

import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'

/** The path of the program. */
export function compiled(name) {
  const source = new URL(`./${name}.c`, import.meta.url).pathname
  const program = new URL(`../../build/test/${name}`, import.meta.url).pathname
  mkdirSync(new URL('../../build/test', import.meta.url), { recursive: true })
  try {
    if (statSync(program).mtimeMs >= statSync(source).mtimeMs) return program
  } catch {
    // Not there yet: it is compiled below.
  }
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return program
}
