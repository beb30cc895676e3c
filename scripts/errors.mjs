// src/ERRORS.md from the tables of codes in dist/: --write writes it, --check says whether it is current (exit 1 if not). The
// tables are the authority; the page is for operators, who search it by code.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { EXIT_CODE } from '../dist/base/fault.js'

const PAGE = new URL('../src/ERRORS.md', import.meta.url)
const dist = new URL('../dist/', import.meta.url)

const rows = []
for (const file of readdirSync(dist, { recursive: true }).sort()) {
  if (!file.endsWith('errors.js')) continue
  const module = await import(new URL(file, dist).href)
  for (const [name, table] of Object.entries(module)) {
    if (!name.endsWith('_FAULTS')) continue
    for (const [code, { reaction, remedy }] of Object.entries(table))
      rows.push(`| \`${code}\` | ${reaction} | ${EXIT_CODE[reaction]} | ${remedy.replaceAll('|', '\\|')} |`)
  }
}

const text = `# Errors

Every code that an operation can end with, what the agent does about it, the exit code of the command line, and the next step.
The codes are stable: scripts may match on them, and nothing matches on the sentences. Written by \`make errors\` from the
tables in the folders' \`errors.ts\`; a test holds it to them.

| reaction | meaning |
|---|---|
| reject | the input is at fault; what is live stays |
| unsupported | the policy is right, this machine cannot enforce it |
| stale | an older generation, or a lost race; look again |
| retry | the world is flaky; the same command may work later |
| bug | an invariant of ours broke; nothing is changed any more |

| code | reaction | exit | what to do |
|---|---|---|---|
${rows.sort().join('\n')}
`

if (process.argv[2] === '--write') {
  writeFileSync(PAGE, text)
} else if (process.argv[2] === '--check') {
  if (readFileSync(PAGE, 'utf8') !== text) {
    console.error('src/ERRORS.md is not what the tables say; run: make errors')
    process.exitCode = 1
  }
} else {
  console.error('usage: node scripts/errors.mjs --write | --check')
  process.exitCode = 64
}
