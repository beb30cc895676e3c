// Code from src/api/*.proto: message codecs (protobufjs, static), their types, and the descriptor that an agent's reflection hands
// out (buf). `--write` replaces what is in src/api/gen; without it the script says what differs, and fails if anything does.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const PROTO = 'src/api/sluice.proto'
/** Served by the companion, and so no part of what an agent says about itself. */
const COMPANION = 'src/api/companion.proto'
const HEAD = '// Generated from src/api/*.proto by `make proto`; not to be edited.\n'

/** buf comes as a package for each processor, without a name in node_modules/.bin. */
const BUF = `node_modules/@bufbuild/buf-linux-${process.arch === 'arm64' ? 'aarch64' : 'x64'}/bin/buf`
const PBJS = 'node_modules/.bin/pbjs'
const PBTS = 'node_modules/.bin/pbts'

function run(program, ...words) {
  const { status, stderr, stdout, error } = spawnSync(join(ROOT, program), words, {
    cwd: ROOT,
    encoding: 'utf8',
  })
  if (status !== 0) throw new TypeError(`${program} ${words.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`)
}

/** File name below src/api/gen to content. */
function generate() {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-proto-'))
  try {
    const code = join(scratch, 'messages.js')
    const types = join(scratch, 'messages.d.ts')
    const options = ['--force-number', '--no-verify', '--no-convert', '--no-delimited', '--no-typeurl', '--no-service']
    run(PBJS, '-t', 'static-module', '-w', 'esm', ...options, '-o', code, PROTO, COMPANION)
    run(PBTS, '--no-comments', '-o', types, code)
    run(PBJS, '-t', 'static-module', '-w', 'esm', '--no-comments', ...options, '-o', code, PROTO, COMPANION)
    const descriptor = join(scratch, 'descriptor.binpb')
    run(BUF, 'build', '--exclude-source-info', '--path', PROTO, '-o', descriptor)
    const base64 = readFileSync(descriptor).toString('base64')
    return {
      'messages.ts': `${HEAD}// @ts-nocheck\n${readFileSync(code, 'utf8')}`,
      'shapes.d.ts': `${HEAD}${readFileSync(types, 'utf8').replace('import Long = require("long");\n', '')}`,
      'descriptor.ts': `${HEAD}\n/** A google.protobuf.FileDescriptorSet, in base64. */\nexport const DESCRIPTOR =\n  '${base64}'\n`,
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

// `lint`: only the linter, with its words.
if (process.argv.includes('lint')) {
  run(BUF, 'lint')
  process.exit(0)
}
const write = process.argv.includes('--write')
const stale = []
for (const [name, content] of Object.entries(generate())) {
  const path = join(ROOT, 'src/api/gen', name)
  let there = ''
  try {
    there = readFileSync(path, 'utf8')
  } catch {
    // Not generated yet: it differs.
  }
  if (there === content) continue
  stale.push(name)
  if (write) writeFileSync(path, content)
}
if (stale.length > 0) console.log(`${write ? 'wrote' : 'differs'}: ${stale.join(', ')}`)
if (stale.length > 0 && !write) process.exitCode = 1
