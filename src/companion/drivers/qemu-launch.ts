// Starts the processes of a machine so that they are confined before their first instruction: in the machine's cgroup, in a network
// namespace without any link, and for QEMU as the workspace's own user, without capabilities or a way to get any. A QEMU that the machine
// takes over finds no network but the descriptor of its tap.
//
// Each is started by a chain of exec, so that the process that is limited, secluded and stripped is the one that stays. It outlives
// the companion: what runs is found again by the cgroup.

import { spawn } from 'node:child_process'
import type { SharedVolume } from './driver.js'

export interface Started {
  /** What it said on its standard error, for people; bounded. */
  said(): string
  ended(): boolean
}

/**
 * Enters the groups, gives up what spares the companion when memory runs out, then becomes the rest: `sh -c SCRIPT sh COUNT FILE...
 * PROGRAM WORD...`. */
const ENTER =
  'umask 077; [ "$(cat /proc/self/oom_score_adj)" -ge 0 ] || echo 0 >/proc/self/oom_score_adj || exit 71; n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1" || exit 71; shift; n=$((n-1)); done; exec "$@"'
const SECLUDED = ['unshare', '--net', '--ipc', '--uts', '--']
const SAID_BYTES = 4_096

export interface Unprivileged {
  readonly user: number
  /** Group of /dev/kvm, where it is used. */
  readonly group?: number
}

/** `descriptors` become 3, 4 and so on. */
export function startQemu(
  program: string,
  words: readonly string[],
  groups: readonly string[],
  { user, group }: Unprivileged,
  descriptors: readonly number[],
): Started {
  const stripped = [
    ...['setpriv', `--reuid=${user}`, `--regid=${user}`],
    group === undefined ? '--clear-groups' : `--groups=${group}`,
    ...['--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', '--'],
  ]
  return start([...SECLUDED, ...stripped, program, ...words], groups, descriptors)
}

/**
 * virtiofsd serves one volume, to one QEMU, and ends with it. It stays root, because it acts for every user of the machine; it sees
 * nothing but the volume (its own sandbox), and where the machine may only read, through a mount that cannot be written.
 */
export function startVirtiofsd(
  program: string,
  { source, readOnly }: SharedVolume,
  socket: string,
  groups: readonly string[],
): Started {
  const words = [
    program,
    `--socket-path=${socket}`,
    '-o',
    `source=${source}`,
    '-o',
    'sandbox=namespace',
    '-o',
    'cache=none',
  ]
  if (!readOnly) return start([...SECLUDED, ...words], groups, [])
  const bind = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
  return start(
    ['unshare', '--net', '--ipc', '--uts', '--mount', '--', 'sh', '-c', bind, 'sh', source, ...words],
    groups,
    [],
  )
}

function start(words: readonly string[], groups: readonly string[], descriptors: readonly number[]): Started {
  const child = spawn('/bin/sh', ['-c', ENTER, 'sh', String(groups.length), ...groups, ...words], {
    // A session of its own: a signal for the companion's terminal is not for the machine.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', ...descriptors],
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  })
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (more: string) => {
    said = `${said}${more}`.slice(-SAID_BYTES)
  })
  let ended = false
  child.on('exit', () => {
    ended = true
  })
  child.on('error', (error) => {
    said = error.message
    ended = true
  })
  // Neither the process nor what it says keeps the companion from ending.
  child.unref()
  ;(child.stderr as unknown as { unref(): void } | null)?.unref()
  return { said: () => said.trim(), ended: () => ended }
}
