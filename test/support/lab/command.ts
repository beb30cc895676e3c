// Runs one system command to its end. Takes the arguments as a list (no shell), gives status and both outputs; throws
// only when the caller says that failure is not an answer. Used for ip, ping, cc and the product's own command line.

import { type ChildProcess, spawn } from 'node:child_process'

export interface CommandResult {
  /** Exit status; null when a signal ended the command. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  readonly tookMs: number
}

export interface CommandOptions {
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** Default 120 s; the command is killed then. */
  readonly timeoutMs?: number
}

export function command(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const started = performance.now()
  const [file = '', ...rest] = argv
  return new Promise((done, failed) => {
    const child: ChildProcess = spawn(file, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    let stdout = ''
    let stderr = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000)
    child.stdout?.on('data', (data) => {
      stdout += data
    })
    child.stderr?.on('data', (data) => {
      stderr += data
    })
    // A command that does not read its input closes the pipe early; its status says whether that mattered.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
    child.on('error', (error) => {
      clearTimeout(timer)
      failed(error)
    })
    child.on('close', (status) => {
      clearTimeout(timer)
      done({ status, stdout, stderr, tookMs: performance.now() - started })
    })
  })
}

/** As `command`, for set-up steps that must work. */
export async function must(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await command(argv, options)
  if (result.status !== 0)
    throw new Error(`${argv.join(' ')}: exit ${result.status}: ${result.stderr.trim() || result.stdout.trim()}`)
  return result.stdout
}
