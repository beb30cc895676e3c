// One command in a virtual machine with Debian's cloud kernel, without KVM, so that it runs wherever the tests run: about
// ten seconds until the command starts. Everything it yields about time is emulated and never quoted as a speed.
//
// Takes files, programs, modules and a command; gives its output and exit code. A guest that does not end in time, or ends
// without saying how, is an error that shows the console.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type GuestFile, makeImage } from './image.js'
import { guestKernel, moduleFiles } from './kernel.js'

export interface GuestRun {
  readonly command: string
  readonly files?: readonly GuestFile[]
  /** Programs of this machine, with their libraries. */
  readonly programs?: readonly string[]
  /** Names of modules to load before the command. */
  readonly modules?: readonly string[]
  /** More words for the kernel's command line: `lsm=landlock,bpf`. */
  readonly kernelWords?: readonly string[]
  readonly memoryMiB?: number
  readonly timeoutMs: number
}

export interface GuestResult {
  readonly code: number
  /** Both streams of the command. */
  readonly output: string
  /** What the kernel and init said. */
  readonly console: string
}

const QEMU = 'qemu-system-x86_64'

export async function runInGuest(run: GuestRun): Promise<GuestResult> {
  const kernel = guestKernel()
  const directory = mkdtempSync(join(tmpdir(), 'sluice-guest-'))
  try {
    const image = makeImage(directory, {
      files: run.files ?? [],
      programs: run.programs ?? [],
      modules: moduleFiles(kernel, run.modules ?? []),
      command: run.command,
    })
    const [consoleLog, outputLog] = [join(directory, 'console.log'), join(directory, 'output.log')]
    const words = ['console=ttyS0', 'panic=-1', 'quiet', 'rdinit=/init', ...(run.kernelWords ?? [])]
    await end(
      [
        ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', String(run.memoryMiB ?? 1024)],
        ...['-nodefaults', '-no-reboot', '-display', 'none', '-nic', 'none'],
        ...['-kernel', kernel.image, '-initrd', image, '-append', words.join(' ')],
        ...['-serial', `file:${consoleLog}`, '-serial', `file:${outputLog}`],
      ],
      run.timeoutMs,
      () => text(consoleLog),
    )
    return resultOf(text(outputLog), text(consoleLog))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const text = (path: string): string => {
  try {
    // A serial line ends its lines with CR LF.
    return readFileSync(path, 'utf8').replaceAll('\r\n', '\n')
  } catch {
    return '' // the machine did not come far enough to make it
  }
}

function end(args: readonly string[], timeoutMs: number, consoleText: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const machine = spawn(QEMU, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    machine.stderr.setEncoding('utf8').on('data', (more: string) => {
      said += more
    })
    const timer = setTimeout(() => {
      machine.kill('SIGKILL')
      reject(new Error(`the guest did not end within ${timeoutMs} ms; its console:\n${consoleText().slice(-4_000)}`))
    }, timeoutMs)
    machine.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    machine.once('close', (code) => {
      clearTimeout(timer)
      if (code === 0) resolve()
      else reject(new Error(`${QEMU} ended with ${code}: ${said}`))
    })
  })
}

function resultOf(output: string, consoleText: string): GuestResult {
  const ended = /(?:^|\n)guest-ended:(\d+)\n?$/.exec(output)
  if (!ended)
    throw new Error(
      `the guest ended without a result:\n${output.slice(-4_000)}\nits console:\n${consoleText.slice(-4_000)}`,
    )
  return { code: Number(ended[1]), output: output.slice(0, ended.index), console: consoleText }
}
