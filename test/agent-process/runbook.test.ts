// Every block of deploy/RUNBOOK.md, in its order, on one real node: the exit code that it must have, the phrase that it shows, and
// before its part what the part is about is made to happen. Paths of a real machine are those of the laboratory's directory,
// `systemctl` and `journalctl` are ten lines of shell that start, stop and show this agent; nothing else is changed in a command.

import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FailingNft, failingNft } from '../support/agent/failing-nft.js'
import { PROGRAM, RunningAgent, until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'
import { jwksOf, makeDesk } from '../support/revocation/transmitter.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const BOTH = [ID, ID2]
const PATIENT = 180_000

const STREAM = `revocation:
  streams:
    - name: idp
      kind: poll
      url: https://127.0.0.1:9/poll
      issuer: https://idp.example.com/
      audience: ["https://sluice.example/ssf"]
      keys: idp.jwks.json
      silence_seconds: 2
`

interface Block {
  readonly part: string
  readonly number: number
  readonly script: string
  readonly exit: number
  readonly shows?: string
  readonly until?: string
}

const PAGE = readFileSync(repositoryPath('deploy/RUNBOOK.md'), 'utf8')

/** The fenced blocks of the page with the part that they stand in; the one marked `vars` is set before each. */
function blocksOf(page: string): { readonly vars: string; readonly blocks: readonly Block[] } {
  const blocks: Block[] = []
  let vars = ''
  let part = 'A healthy node'
  for (const [, heading, info = '', script = ''] of page.matchAll(/^## (.+)$|^```(.*)\n([\s\S]*?)^```$/gm)) {
    if (heading !== undefined) part = heading
    else if (info === 'sh vars') vars = script
    else {
      const mark = /^sh exit=(\d+)(?: (shows|until)="([^"]+)")?$/.exec(info)
      if (!mark) throw new TypeError(`a block of "${part}" is marked ${info}`)
      const [, exit, kind, phrase] = mark
      blocks.push({ part, number: blocks.length + 1, script, exit: Number(exit), ...(kind ? { [kind]: phrase } : {}) })
    }
  }
  return { vars, blocks }
}
const { vars, blocks } = blocksOf(PAGE)

describe('the runbook', () => {
  it('has a block for each part, and says in each what is seen, done and verified', () => {
    const parts = PAGE.split(/^## /m).slice(1)
    expect(parts.length).toBeGreaterThanOrEqual(14)
    for (const text of parts) {
      const [title = ''] = text.split('\n')
      expect([title, text.includes('```sh exit=')]).toEqual([title, true])
      expect([title, /\*\*(Symptom|Forward|Sinks)\.\*\*/.test(text)]).toEqual([title, true])
      expect([title, text.includes('**Verify.**')]).toEqual([title, true])
      expect([title, /\*\*(Undo|Back)\.\*\*/.test(text)]).toEqual([title, true])
    }
  })

  it('names faults that exist', () => {
    const known = readFileSync(repositoryPath('src/ERRORS.md'), 'utf8')
    const named = [...PAGE.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, code = '']) => code)
    expect(named.length).toBeGreaterThan(3)
    for (const code of named) expect([code, known.includes(`| \`${code}\` |`)]).toEqual([code, true])
  })
})

labSuite('the commands of the runbook', () => {
  let lab: Lab
  let agent: RunningAgent
  let nftables: FailingNft
  const nft = (...words: string[]) => lab.exec('node', ['nft', ...words])

  /** A real machine's paths as the laboratory has them. */
  const placed = (script: string): string =>
    script
      .replaceAll('/etc/sluice', agent.operator.directory)
      .replaceAll('/srv/publish', agent.operator.directory)
      .replaceAll('/var/lib/sluice', agent.path('state'))
      .replaceAll('/var/log/sluice', agent.path('log'))
      .replaceAll('/var/lib/', `${agent.operator.directory}/`)
  const run = async (script: string) => {
    const { status, stdout, stderr } = await lab.exec(
      'node',
      // Its input is a socket: a bash that nothing but a daemon began would take that for a login and read the machine's bashrc.
      ['bash', '--norc', '-uc', placed(`set -e -o pipefail\n${vars}${script}`)],
      {
        env: { ...process.env, PATH: `${agent.path('bin')}:${process.env.PATH}` },
      },
    )
    return { exit: status, said: `${stdout}${stderr}` }
  }
  /** A restarted agent that has not yet said what is live holds what was: the traffic is what tells. */
  const reaches = (outcome: string) =>
    until(`the workspace's traffic to be ${outcome}`, async () => (await reach(lab)) === outcome)
  const shell = (line: string) => {
    const { exit, error } = agent.operator.shell(line)
    if (exit !== 0) throw new Error(`${line}: ${error}`)
  }

  beforeAll(async () => {
    lab = await openLab()
    const more = 'http: 127.0.0.1:9465\nattach_required: false\n'
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, more)
    nftables = failingNft(agent.operator.directory)
    await keys(agent)
    mkdirSync(agent.path('log'))
    const yaml = readFileSync(agent.path('agent.yaml'), 'utf8')
    agent.write('agent.yaml', yaml.replace(/^events_file:.*$/m, 'events_file: log/events.ndjson'))
    mkdirSync(agent.path('bin'))
    const executable = (name: string, text: string): void => {
      writeFileSync(agent.path(`bin/${name}`), `#!/bin/bash\n${text}`, { mode: 0o755 })
    }
    executable('sluice', `exec ${process.execPath} ${PROGRAM} "$@"\n`)
    const environment = Object.entries(nftables.environment)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')
    executable(
      'systemctl',
      `cd ${agent.operator.directory}
stop() { [ -s pid ] && kill "$(cat pid)" 2>/dev/null; while [ -s pid ] && kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.1; done; rm -f pid; }
start() { ${environment} setsid ${process.execPath} ${PROGRAM} agent --config agent.yaml --json </dev/null >>journal 2>&1 & echo $! >pid; }
case "$1" in stop) stop ;; start) start ;; restart) stop; start ;; esac
`,
    )
    executable('journalctl', `tail -n 40 ${agent.path('journal')}\n`)
    await agent.publish(10, [OUT.git], BOTH)
    expect((await run('systemctl start sluice-agent')).exit).toBe(0)
  })
  afterAll(async () => {
    if (agent) await run('systemctl stop sluice-agent')
    await agent?.close()
    await lab?.close()
  })

  /** What makes a part necessary, before its first block; and after a block, by its number in the part. */
  const before: Readonly<Record<string, () => unknown>> = {
    'readyz is red, or drift': () => nft('flush', 'ruleset'),
    'A backend or the DPU does not answer': () => nftables.fail(),
    'A bundle is refused': async () => {
      await agent.publish(11, [OUT.git], BOTH, {
        tamper: (directory) => appendFileSync(`${directory}/fence.yaml`, '# more\n'),
      })
      shell("sed -i '$d' next/fence.yaml")
    },
    'The bundle runs out, or the channel is silent': () => shell('mv pub gone && mkdir pub'),
    // Nobody answers there.
    'A stream of security events is silent': async () => {
      agent.write('idp.jwks.json', jwksOf(await makeDesk()))
      appendFileSync(agent.path('agent.yaml'), STREAM)
      await run('systemctl restart sluice-agent')
      await reaches('timeout')
    },
    'The journal does not verify': async () => {
      await run('systemctl stop sluice-agent')
      shell('sed -i \'2s/"severity_id":[0-9]/"severity_id":9/\' log/events.ndjson')
    },
    'The agent does not start': async () => {
      await run('systemctl stop sluice-agent')
      shell("sed -i 's/^channel:/chanel:/' agent.yaml")
    },
    'Restore a node from nothing': () => shell('echo damaged >state/state.json'),
  }
  /** After block n of a part, counted from 1. */
  const after: Readonly<Record<string, Readonly<Record<number, () => unknown>>>> = {
    'A backend or the DPU does not answer': { 3: () => nftables.mend() },
    'The bundle runs out, or the channel is silent': { 4: () => shell('rm -r pub && mv gone pub') },
    'A stream of security events is silent': {
      4: async () => {
        await reaches('connected')
        shell("sed -i 's/silence_seconds: 2/silence_seconds: 86400/' agent.yaml")
        await run('systemctl restart sluice-agent')
      },
      7: async () => {
        await reaches('connected')
        shell("sed -i '/^revocation:/,$d' agent.yaml")
        await run('systemctl restart sluice-agent')
        await until('the agent', async () => (await run('curl -s $HEALTH/metrics')).said.includes('sluice_journal'))
      },
    },
    'A workspace is compromised': {
      1: async () => expect(await reach(lab)).toBe('timeout'),
      7: () => reaches('connected'),
    },
    'Break-glass': { 2: async () => expect(await reach(lab)).toBe('timeout') },
    'Roll the agent forward and back': { 4: async () => expect(await reach(lab, OUT.registry)).toBe('reset') },
  }

  const parts = [...new Set(blocks.map(({ part }) => part))]
  for (const part of parts)
    it(part, { timeout: PATIENT }, async () => {
      await before[part]?.()
      for (const [i, block] of blocks.filter((one) => one.part === part).entries()) {
        const looked = block.until
        if (looked === undefined) check(block, await run(block.script))
        else {
          let last = { exit: null as number | null, said: '' }
          await until(`"${looked}" of ${block.script}`, async () => {
            last = await run(block.script)
            return last.said.includes(looked) && last.exit === block.exit
          }).catch((error: unknown) => {
            const journal = readFileSync(agent.path('journal'), 'utf8').split('\n').slice(-12).join('\n')
            throw new Error(
              `${error instanceof Error ? error.message : ''}: exit ${last.exit}: ${last.said}\n${journal}`,
            )
          })
        }
        await after[part]?.[i + 1]?.()
      }
    })
  it('left the fence as it was', async () => {
    await reaches('connected')
    expect(await reach(lab, OUT.registry)).toBe('reset')
  })
})

function check({ script, exit, shows }: Block, ran: { readonly exit: number | null; readonly said: string }): void {
  expect(`${script}: ${ran.exit}\n${ran.said}`).toContain(`${script}: ${exit}\n`)
  if (shows !== undefined) expect(ran.said).toContain(shows)
}

/** Keys of the roles that development has none of, in the trust root and beside the others. */
async function keys(agent: RunningAgent): Promise<void> {
  const root = JSON.parse(readFileSync(agent.path('root.json'), 'utf8'))
  for (const role of ['root', 'breakglass']) {
    await agent.must(`bundle keygen --role ${role} --kid ${role} --out keys`)
    Object.assign(root.keys, JSON.parse(readFileSync(agent.path(`keys/${role}.pub.json`), 'utf8')))
    root.roles[role] = { threshold: 1 }
  }
  agent.write('root.json', JSON.stringify(root))
}
