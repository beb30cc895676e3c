// A node with a real agent in a network namespace of its own, for the files of bench/: an operator's folder made by the command
// line, a published folder as the channel, releases signed in this process. Needs root and a build.

import { execFileSync, spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { folderTransport } from '../../dist/agent/transports/folder.js'
import { utf8 } from '../../dist/base/bytes.js'
import { readPrivateKey, signerOf } from '../../dist/bundle/key-file.js'
import { makeManifest, makeRelease, signManifest, signRelease } from '../../dist/bundle/sign.js'

const PROGRAM = new URL('../../dist/bin/sluice.js', import.meta.url).pathname
const AUDIENCE = 'fleet.example/dev'
const SLOT = 'ws0'

export class Node {
  lines = []
  waiting = []
  revision = 0

  /** Its agent stands when this resolves. `prepare` is given the node before that, when its folder and its slot are there. */
  static async open(backend, more = '', members = undefined, prepare = () => undefined) {
    const node = new Node()
    node.directory = mkdtempSync(join(tmpdir(), 'sluice-bench-agent-'))
    node.members = members
    // Of a run that is stopped in the middle nothing is left either.
    node.clear = () => node.takeAway()
    process.once('exit', node.clear)
    // What has no kernel beneath it needs no namespace, and its API is then where its caller is.
    if (backend !== 'memory') {
      node.namespace = `slb-${process.pid}`
      execFileSync('ip', ['netns', 'add', node.namespace])
      execFileSync('ip', ['-n', node.namespace, 'link', 'add', SLOT, 'type', 'veth', 'peer', 'name', 'peer0'])
      for (const name of ['lo', SLOT, 'peer0']) execFileSync('ip', ['-n', node.namespace, 'link', 'set', name, 'up'])
    }
    const init = ['init', '.', '--backend', backend, '--interface', SLOT]
    execFileSync(process.execPath, [PROGRAM, ...init], { cwd: node.directory, stdio: 'ignore' })
    // Heard, not polled: the interval is longer than the run.
    const source = 'source: {from: pub, inventory: inventory.yaml, interval_seconds: 3600}\n'
    appendFileSync(node.path('agent.yaml'), `${source}${more}`)
    const key = (name) => signerOf(readPrivateKey(readFileSync(node.path(`keys/${name}.key`))))
    node.keys = { author: key('author'), release: key('release') }
    node.channel = folderTransport(node.path('pub'))
    await prepare(node)
    await node.publish(await node.sign([]))
    const [program, ...words] = node.within([process.execPath, PROGRAM, 'agent', '--config', 'agent.yaml', '--json'])
    node.child = spawn(program, words, { cwd: node.directory, stdio: ['ignore', 'ignore', 'pipe'] })
    createInterface({ input: node.child.stderr }).on('line', (line) => node.hear(line))
    node.ended = new Promise((resolve) => node.child.once('close', resolve))
    await node.active(node.revision)
    return node
  }

  /** A command line where the node is. */
  within(words) {
    return this.namespace === undefined ? words : ['ip', 'netns', 'exec', this.namespace, ...words]
  }

  path(name) {
    return join(this.directory, name)
  }

  /** Of the agent. */
  get pid() {
    return this.child.pid
  }

  /** Processor time of the agent so far, all threads; the kernel counts in hundredths of a second. */
  cpuMs() {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  }

  /** A signed release that grants these addresses a port each: as one clause, or `each` as a clause of its own. */
  async sign(addresses, each = false) {
    const policyRevision = BigInt(++this.revision)
    const clauseOf = (name, list) =>
      `  - {name: ${name}, cidrs: [${list.map((one) => `"${one}/32"`).join(', ')}], protocol: tcp, ports: [443]}\n`
    const clauses = each
      ? addresses.map((one, i) => clauseOf(`bench-${i}`, [one])).join('')
      : clauseOf('bench', addresses)
    const fence = `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: {name: bench}
applies_to: {workspaces: ["spiffe://fleet.example/ws/*"]}
${addresses.length === 0 ? '' : `egress:\n${clauses}`}`
    const members = this.members ?? new Map([['fence.yaml', utf8(fence)]])
    const window = { notBeforeMs: Date.now() - 60_000, expiresAtMs: Date.now() + 86_400_000 }
    const manifest = await signManifest(
      makeManifest({ id: 'bench', policyRevision, ...window }, members),
      this.keys.author,
    )
    const terms = { policyRevision, epoch: 1, channel: 'stable', audience: [AUDIENCE], ...window }
    return { manifest, release: await signRelease(makeRelease(manifest, members, terms), this.keys.release), members }
  }

  /** On return the release is in the folder, whole. */
  publish(bundle) {
    return this.channel.push('stable', { bundle })
  }

  /** The moment (performance.now()) at which the agent said that this revision is live and read back. */
  active(revision) {
    return new Promise((resolve, reject) => {
      const wanted = String(revision)
      const found = this.lines.find(({ event, detail }) => event === 'active' && detail.revision === wanted)
      if (found) resolve(found.heardAt)
      else this.waiting.push({ wanted, resolve })
      void this.ended.then(() => reject(new Error(`the agent ended: ${JSON.stringify(this.lines.slice(-3))}`)))
    })
  }

  hear(line) {
    if (!line.startsWith('{')) return
    const heardAt = performance.now()
    const told = { ...JSON.parse(line), heardAt }
    if (told.event === 'source-failed') throw new Error(line)
    this.lines.push(told)
    if (told.event !== 'active') return
    for (const { wanted, resolve } of this.waiting) if (wanted === told.detail.revision) resolve(heardAt)
    this.waiting = this.waiting.filter(({ wanted }) => wanted !== told.detail.revision)
  }

  async close() {
    this.child?.kill('SIGTERM')
    await this.ended
    this.takeAway()
  }

  takeAway() {
    process.off('exit', this.clear)
    // An agent that was just told to end, or that is in the way, does not keep its node.
    if (this.child?.exitCode === null) this.child.kill('SIGKILL')
    const [program, ...words] = this.within([process.execPath, PROGRAM, 'uninstall', '--yes'])
    try {
      execFileSync(program, words, { cwd: this.directory, stdio: 'ignore' })
    } finally {
      // Whatever was there to be uninstalled.
      rmSync(this.directory, { recursive: true })
      if (this.namespace !== undefined) execFileSync('ip', ['netns', 'delete', this.namespace])
    }
  }
}

/** `count` addresses that look public, `shift` of them others than with shift 0. */
export const addresses = (count, shift = 0) =>
  Array.from({ length: count }, (_, i) => i + shift).map((n) => `45.${80 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`)
