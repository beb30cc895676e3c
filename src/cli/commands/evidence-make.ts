// `sluice evidence make`: signed evidence that the live fence is what the bundle says, for one audience and one nonce. It sends
// real packets through a canary of each backend in use, which needs root; no workspace is touched.

import { writeFile } from '../files.js'
import type { Declared } from '../frame.js'
import { configure } from '../node.js'

export const evidenceMake: Declared = {
  usage: 'make',
  summary: 'make signed evidence of the live fence',
  examples: [
    'sluice evidence make --nonce $(openssl rand -hex 16) --audience spiffe://fleet.example/verifier --out evidence.jws',
  ],
  declare: (command) =>
    command
      .requiredOption('--nonce <hex>', '32 to 128 hex digits that the verifier chose')
      .requiredOption('--audience <name>', 'whom the evidence is for')
      .option('--out <file>', 'write it there; printed when left out')
      .option('--config <file>', 'agent.yaml of this node'),
  run: async (context, _positional, options) => {
    const { nonce, audience, out, config } = options as Record<'nonce' | 'audience', string> & {
      readonly out?: string
      readonly config?: string
    }
    const { host } = context
    const token = await host.witness.makeEvidence(await configure(context, config), {
      nonce: nonce.toLowerCase(),
      audience,
    })
    if (out === undefined) return { json: { evidence: token.trimEnd() }, text: token }
    writeFile(host, out, token)
    return { json: { file: out }, text: `wrote ${out}\n` }
  },
}
