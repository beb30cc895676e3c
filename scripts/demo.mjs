// The entry of `make demo`: compiles scripts/demo (with what it uses of the laboratory) into build/demo, then runs it in this
// process, so that Ctrl-C reaches the demo itself. Expects dist/ and build/native/ to be built.

import { spawnSync } from 'node:child_process'

const compiled = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'scripts/demo/tsconfig.json'], {
  stdio: 'inherit',
})
if (compiled.status !== 0) process.exit(compiled.status ?? 1)
await import('../build/demo/scripts/demo/main.js')
