// The thread of compiler.ts: takes one bundle as its data, answers once, and ends. A plan is told by its octets alone, which are
// handed over and not copied.

import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { type Compiled, type Compiling, compileBundle } from '../agent/compile.js'
import { adoptSha256 } from '../base/digest.js'
import { needsOf } from './compiler.js'

export type Answered = Compiled

adoptSha256((bytes) => createHash('sha256').update(bytes).digest())
const given = workerData as Compiling
const made = compileBundle(given, await needsOf(given.needing))
if (made.kind === 'plan') {
  const { plan: _stays, ...told } = made
  parentPort?.postMessage(told satisfies Answered, [told.encoded.buffer as ArrayBuffer])
} else parentPort?.postMessage(made satisfies Answered)
