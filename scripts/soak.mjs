// The entry of the soak: compiles scripts/soak (with what it uses of the tests' laboratory) into build/soak and runs it in
// this process. `node scripts/soak.mjs MINUTES`; expects dist/ and build/native/ to be built. Exit 1 when anything was wrong.

import { spawnSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'

const compiled = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'scripts/soak/tsconfig.json'], {
  stdio: 'inherit',
})
if (compiled.status !== 0) process.exit(compiled.status ?? 1)
// The version is read from beside the sources.
copyFileSync('package.json', 'build/soak/package.json')
await import('../build/soak/scripts/soak/main.js')
