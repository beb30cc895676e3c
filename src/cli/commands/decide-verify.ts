// `sluice decide verify`: whether a signed decision is an agent's that somebody trusts, meant for this audience, still holds, and
// answers this question. Needs no node and no network. The exit code is the decision, as with `sluice decide`.

import { decodeUtf8 } from '../../base/bytes.js'
import { formatInstant } from '../../bundle/instant.js'
import { MAX_QUESTION } from '../../decide/read-question.js'
import { cliFault } from '../errors.js'
import { readFile } from '../files.js'
import type { Declared } from '../frame.js'
import { facts } from '../print.js'
import { EXIT_DENIED, printObligation } from './decide.js'

export const decideVerify: Declared = {
  usage: 'verify <decision>',
  summary: 'check a signed decision, offline',
  examples: [
    'sluice decide verify decision.jws --trust root.json --audience fleet.example/gateway --question question.json --nonce 0123456789abcdef0123456789abcdef',
  ],
  declare: (command) =>
    command
      .requiredOption('--trust <file>', 'trust root with keys of role agent, or the agent.pub.json of the node')
      .requiredOption('--audience <name>', 'who you are: a decision for others is refused')
      .option('--question <file>', 'what was asked, as JSON: the answer to another question is refused')
      .option('--nonce <hex>', 'what it was asked with'),
  run: async ({ host, paint }, [file = ''], options) => {
    const { trust, audience, question, nonce } = options as {
      trust: string
      audience: string
      question?: string
      nonce?: string
    }
    const keys = { file: trust, bytes: readFile(host, trust, 'trust root') }
    const token = decodeUtf8(readFile(host, file, 'decision')) ?? ''
    const text = question === undefined ? undefined : decodeUtf8(readFile(host, question, 'question', MAX_QUESTION))
    if (question !== undefined && text === undefined)
      throw cliFault('CLI_DECIDE_QUESTION', { why: `${question} is not UTF-8` })
    const statement = await host.witness.verifyDecision(token, keys, {
      audience,
      nowMs: host.nowMs(),
      ...(text === undefined ? {} : { question: text }),
      ...(nonce === undefined ? {} : { nonce: nonce.toLowerCase() }),
    })
    const { decision, reason, agent, task, clause, obligations, generation, issuedAtMs, expiresAtMs } = statement
    const allowed = decision === 'allow'
    return {
      json: statement,
      text: `${paint(allowed ? 'green' : 'red', decision)}: ${reason}\n${facts([
        ['node', statement.node],
        ['workspace', statement.workspace],
        ...(agent === '' ? [] : ([['agent', task === '' ? agent : `${agent}, task ${task}`]] as const)),
        ...(clause === '' ? [] : ([['clause id', clause]] as const)),
        ...obligations.map((one) => ['you must', printObligation(one)] as const),
        ['made at', `${formatInstant(issuedAtMs)}, holds until ${formatInstant(expiresAtMs)}`],
        ['bundle', statement.bundleDigest],
        ['generation', String(generation)],
        ['question', question === undefined ? `${statement.question}, not compared` : statement.question],
      ])}`,
      exit: allowed ? 0 : EXIT_DENIED,
    }
  },
}
