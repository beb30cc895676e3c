#!/usr/bin/env node
// The program `sluice`: one command line in, text or JSON out, an exit code that says what to do about it.

import { createHash } from 'node:crypto'
import { adoptSha256 } from '../base/digest.js'
import { runCli } from '../cli/main.js'
import { composeHost, processSurface } from './host.js'

adoptSha256((bytes) => createHash('sha256').update(bytes).digest())

// A pipe that closes early (`sluice status | head -1`) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 70)
})

process.exitCode = await runCli(process.argv.slice(2), composeHost(processSurface()))
