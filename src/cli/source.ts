// What the commands that reach a source have in common: the options that say how to trust it, and a line of progress on a
// terminal.

import type { Command } from 'commander'
import { type Context, collect, type Options } from './frame.js'
import type { Source, SourceProgress, SourceTerms } from './host.js'

/** The options of every command that reaches a source. */
export const withSourceOptions = (command: Command): Command =>
  command
    .option('--ca <file>', "PEM file of the authority that the server's certificate must come from")
    .option('--pin <sha256...>', "base64 of SHA-256 of the server's public key; any of them", collect)
    .option('--token-file <file>', 'file with the credential on one line')
    .option('--ssh-key <file>', 'private key for git+ssh')
    .option('--known-hosts <file>', 'hosts that git+ssh may reach')

interface SourceOptions {
  readonly ca?: string
  readonly pin?: readonly string[]
  readonly tokenFile?: string
  readonly sshKey?: string
  readonly knownHosts?: string
}

/** Opens it, uses it and closes it. */
export async function withSource<T>(
  context: Context,
  address: string,
  options: Options,
  use: (source: Source) => Promise<T>,
  partFolder?: string,
): Promise<T> {
  const { ca, pin, tokenFile, sshKey, knownHosts } = options as SourceOptions
  const terms: SourceTerms = {
    ...(ca === undefined ? {} : { caFile: ca }),
    ...(pin === undefined ? {} : { pins: pin }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(sshKey === undefined ? {} : { sshKey }),
    ...(knownHosts === undefined ? {} : { knownHosts }),
    ...(partFolder === undefined ? {} : { partFolder }),
    ...(context.host.colour ? { onProgress: progressLine(context) } : {}),
  }
  const source = context.host.openSource(address, terms)
  try {
    return await use(source)
  } finally {
    source.close()
    if (context.host.colour) context.host.writeError('\r\u001b[K')
  }
}

/** One line that is written over; only where the output is a terminal. */
const progressLine =
  ({ host }: Context) =>
  ({ what, done, total, reused }: SourceProgress): void => {
    const share = total === 0 ? 100 : Math.floor((100 * done) / total)
    host.writeError(`\r\u001b[K${reused ? 'there already' : `${share} %`}  ${what}`)
  }
