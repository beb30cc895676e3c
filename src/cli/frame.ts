// The frame that every command stands in: `--json`, an example in `--help`, and the one place where an outcome or an error
// is printed and becomes an exit code. A command file declares itself with `add` and gives back an Outcome.

import { type Command, InvalidArgumentError } from 'commander'
import { REGISTERED_BACKENDS } from '../backends/registry.js'
import { decodeUtf8 } from '../base/bytes.js'
import { EXIT_CODE, Fault } from '../base/fault.js'
import type { Note } from '../base/note.js'
import { parseInstant, parseRevision } from '../bundle/instant.js'
import type { BackendName } from '../plan/model.js'
import type { Host } from './host.js'
import { type Outcome, printJson } from './outcome.js'
import { errorShape, type Paint, painter, printError, notes as printNotes } from './print.js'

/** What a command is run with. */
export interface Context {
  readonly host: Host
  readonly paint: Paint
  /** Findings as text, with the lines they speak of. */
  readonly notes: (list: readonly Note[]) => string
  /** The text of a document that was remembered. */
  readonly source: (file: string) => string | undefined
  /** Gives the text of a document by the name that findings call it; without it they print without their line. */
  readonly remember: (file: string, bytes: Uint8Array) => void
}

/** Options as commander gives them: camel case, by name. */
export type Options = Readonly<Record<string, unknown>>

export interface Declared {
  /** `verify <path>`: name and arguments as commander writes them. */
  readonly usage: string
  readonly summary: string
  /** Shell lines for the end of `--help`. */
  readonly examples: readonly string[]
  readonly declare?: (command: Command) => Command
  /** What its group does when no other command of it is named. */
  readonly isDefault?: true
  readonly run: (context: Context, positional: readonly string[], options: Options) => Promise<Outcome>
}

export class Frame {
  exit = 0
  constructor(
    private readonly host: Host,
    readonly json: boolean,
  ) {}

  /** Adds one command below `parent`. */
  add(parent: Command, declared: Declared): void {
    const command = parent
      .command(declared.usage, { isDefault: declared.isDefault ?? false })
      .description(declared.summary)
      .option('--json', 'print one JSON document instead of text')
      .addHelpText('after', `\nExample:\n${declared.examples.map((line) => `  $ ${line}\n`).join('')}`)
    declared.declare?.(command)
    command.action(async () => {
      await this.print(declared, command.args, command.opts<Options>())
    })
  }

  private async print(declared: Declared, positional: readonly string[], options: Options): Promise<void> {
    const paint = painter(this.host.colour)
    const documents = new Map<string, string>()
    const source = (file: string): string | undefined => documents.get(file)
    const context: Context = {
      host: this.host,
      paint,
      notes: (list) => printNotes(list, paint, source),
      source,
      remember: (file, bytes) => {
        const text = decodeUtf8(bytes)
        if (text !== undefined) documents.set(file, text)
      },
    }
    try {
      const outcome = await declared.run(context, positional, options)
      if (!this.json) this.host.write(outcome.text)
      else if (!outcome.streamed) this.host.write(printJson(outcome.json))
      if (!this.json && outcome.remarks) this.host.writeError(outcome.remarks)
      this.exit = outcome.exit ?? 0
    } catch (error) {
      this.fail(error, paint, source)
    }
  }

  private fail(error: unknown, paint: Paint, source: (file: string) => string | undefined): void {
    const shape = errorShape(error)
    if (this.json) this.host.write(printJson({ error: shape }))
    else this.host.writeError(printError(shape, paint, source))
    if (!(error instanceof Fault) && this.host.environment('SLUICE_TRACE') && error instanceof Error)
      this.host.writeError(`${error.stack ?? ''}\n`)
    this.exit = error instanceof Fault ? EXIT_CODE[error.reaction] : EXIT_CODE.bug
  }
}

/** Collects a repeated option; commas separate as well. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...value.split(',').filter((part) => part !== ''),
]

/** Backends of this release, by preference. */
export function collectBackends(value: string, before: readonly BackendName[] = []): readonly BackendName[] {
  const names = collect(value).map(oneOf(REGISTERED_BACKENDS))
  return [...before, ...names]
}

/** RFC 3339, in milliseconds since 1970. */
export function instant(value: string): number {
  const ms = parseInstant(value)
  if (ms === undefined) throw new InvalidArgumentError('Expected an RFC 3339 time such as 2027-01-31T00:00:00Z.')
  return ms
}

/** A u64 from 1. */
export function revision(value: string): bigint {
  const read = parseRevision(value)
  if (read === undefined) throw new InvalidArgumentError('Expected a whole number from 1 to 18446744073709551615.')
  return read
}

/** A whole number from 1. */
export function counting(value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new InvalidArgumentError('Expected a whole number from 1.')
  return Number(value)
}

/** One of a closed list. */
export const oneOf =
  <T extends string>(list: readonly T[]) =>
  (value: string): T => {
    if ((list as readonly string[]).includes(value)) return value as T
    throw new InvalidArgumentError(`Expected one of ${list.join(', ')}.`)
  }
