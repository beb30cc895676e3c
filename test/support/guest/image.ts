// The guest's file system, one initramfs: busybox, the modules, the files of the test and the shared libraries that its
// programs need. The init script mounts what a test needs, loads the modules, runs one command and says how it ended.

import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export interface GuestFile {
  /** On this machine: a file, or a directory that is copied whole. */
  readonly from: string
  /** Absolute, in the guest. */
  readonly to: string
}

export interface ImageContents {
  readonly files: readonly GuestFile[]
  /** Programs of this machine, copied to the same path with the libraries that they need. */
  readonly programs: readonly string[]
  /** Files of modules, loaded in this order. */
  readonly modules: readonly string[]
  /** A shell command line. */
  readonly command: string
  /** Where its output goes; ttyS1 when absent. */
  readonly terminal?: 'ttyS0' | 'ttyS1'
  /** More of busybox than every guest has. */
  readonly applets?: readonly string[]
}

const BUSYBOX = '/bin/busybox'
const APPLETS = [
  'sh',
  'mount',
  'mkdir',
  'insmod',
  'ip',
  'cat',
  'ls',
  'echo',
  'sleep',
  'poweroff',
  'dmesg',
  'ln',
  'id',
  'env',
]

/** Writes `initramfs.cpio` below `directory`, which it fills with the tree, and gives its path. */
export function makeImage(directory: string, contents: ImageContents): string {
  const root = join(directory, 'root')
  const at = (path: string): string => join(root, path)
  for (const path of ['bin', 'sbin', 'proc', 'sys', 'dev', 'tmp', 'run', 'root', 'etc', 'modules'])
    mkdirSync(at(path), { recursive: true })
  copyFileSync(BUSYBOX, at(BUSYBOX))
  for (const applet of [...APPLETS, ...(contents.applets ?? [])]) symlinkSync('busybox', at(join('bin', applet)))
  for (const program of contents.programs) addProgram(root, program)
  for (const { from, to } of contents.files) {
    mkdirSync(dirname(at(to)), { recursive: true })
    if (statSync(from).isFile()) copyFileSync(from, at(to))
    else cpSync(from, at(to), { recursive: true, verbatimSymlinks: true })
  }
  for (const path of contents.modules) copyFileSync(path, at(join('modules', basename(path))))
  writeFileSync(at('init'), initScript(contents))
  chmodSync(at('init'), 0o755)
  const image = join(directory, 'initramfs.cpio')
  execFileSync('sh', ['-c', 'find . | cpio --quiet -o -H newc --owner 0:0 >"$0"', image], { cwd: root })
  return image
}

/** A program and, where it is a dynamic one, every library that the loader would take. */
function addProgram(root: string, program: string): void {
  const copy = (path: string): void => {
    if (existsSync(join(root, path))) return
    mkdirSync(join(root, dirname(path)), { recursive: true })
    copyFileSync(path, join(root, path))
  }
  copy(program)
  for (const library of librariesOf(program)) copy(library)
}

/** Paths that ldd names; none for what is not dynamic. */
export function librariesOf(file: string): readonly string[] {
  let listed: string
  try {
    listed = execFileSync('ldd', [file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return [] // ldd exits with 1 for what is not a dynamic executable
  }
  return [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path ?? '')
}

/** ttyS0 is the console; ttyS1 carries the output of the command and, as the last line, how it ended. */
const initScript = ({ modules, command, terminal = 'ttyS1' }: ImageContents): string => `#!/bin/sh
export PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /sys/fs/bpf
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
ip link set lo up
${modules.map((path) => `insmod /modules/${basename(path)} || echo "module ${basename(path)} does not load"\n`).join('')}exec >/dev/${terminal} 2>&1
sh -c '${command.replaceAll("'", "'\\''")}'
echo "guest-ended:$?"
sleep 1
poweroff -f
`
